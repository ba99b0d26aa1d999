//! What a run begins before its arguments are understood: what takes longer than that, and what must be there before all else.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::backend::{Opening, prepare_emulators};
use crate::sandbox;

/// The verbs of the command line.
pub const VERBS: [&str; 5] = ["completions", "doctor", "explain", "man", "schema"];

/// What was begun, by the look of the arguments.
#[derive(Debug, Default)]
pub struct Early {
    /// The host's KVM, if the guest may be one for it.
    pub(super) opening: Option<Opening>,
    /// What of the sandbox has to be there before there is anything else; `None` for a run without one.
    pub(super) sandbox: Option<io::Result<()>>,
}

impl Early {
    /// Begins what a command with these `arguments`, the program's name not among them, may need. To be called while this process has
    /// one thread, and nothing open of its own. Where the arguments turn out to be others, there was an empty machine for a moment.
    pub fn begin(arguments: impl IntoIterator<Item = OsString>) -> Self {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        if is_answered(&arguments) || is_watched(&arguments) {
            return Self::default();
        }
        let sandbox = is_careful(&arguments).then(|| {
            sandbox::prepare(&arguments);
            // Nobody else can start programs later.
            prepare_emulators()
        });
        let others = [&b"emulated"[..], b"embedded"];
        let is_emulated = arguments.iter().any(|word| others.iter().any(|name| word.as_bytes().ends_with(name)));
        Self { opening: (!is_emulated).then(Opening::begin), sandbox }
    }
}

/// True where something else is asked for than a run: by the first word, which a verb is, or by an option.
fn is_answered(arguments: &[OsString]) -> bool {
    let Some(first) = arguments.first() else { return true };
    let is_verb = VERBS.iter().any(|verb| first == verb);
    let is_question = |word: &OsString| matches!(word.as_bytes(), b"-h" | b"--help" | b"-V" | b"--version");
    is_verb || arguments.iter().take_while(|word| *word != "--").any(is_question)
}

/// True where runs are watched: this process is none of them.
fn is_watched(arguments: &[OsString]) -> bool {
    let mut options = arguments.iter().take_while(|word| *word != "--");
    options.any(|word| word == "--watch" || word.as_bytes().starts_with(b"--watch="))
}

/// False where the sandbox is left out: no option takes a word with a hyphen before it as its value, and nothing is one behind `--`.
fn is_careful(arguments: &[OsString]) -> bool {
    arguments.iter().take_while(|word| *word != "--").all(|word| word != "--no-sandbox")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Arguments;
    use clap::Parser;

    #[test]
    fn whether_there_is_to_be_a_sandbox_is_known_before_the_arguments_are_understood() {
        for line in [
            "image",
            "--no-sandbox image",
            "image --no-sandbox",
            "-q --no-sandbox -- image",
            "-- --no-sandbox",
            "--expect=--no-sandbox image",
            "--expect --no-sandbox image",
            "--report --no-sandbox image",
            "--no-sandbo image",
            "--no-sandbox=true image",
            "-q--no-sandbox image",
        ] {
            let words = || line.split(' ').map(OsString::from);
            let Ok(parsed) = Arguments::try_parse_from([OsString::from("stos-run")].into_iter().chain(words())) else {
                continue;
            };
            let is_careful = is_careful(&words().collect::<Vec<_>>());
            assert_eq!(is_careful, !parsed.options.unwrap().no_sandbox, "{line}");
        }
    }
}
