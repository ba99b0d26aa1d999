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
            if may_be(b"emulated", &arguments) { prepare_emulators() } else { Ok(()) }
        });
        Self { opening: may_be(b"kvm", &arguments).then(Opening::begin), sandbox }
    }
}

/// Whether a guest may run on this `backend`: not where another one is named. No option takes a word with a hyphen before it as its value.
fn may_be(backend: &[u8], arguments: &[OsString]) -> bool {
    let mut words = arguments.iter().take_while(|word| *word != "--").map(|word| word.as_bytes());
    while let Some(word) = words.next() {
        let named = if word == b"--backend" { words.next() } else { word.strip_prefix(b"--backend=") };
        if let Some(named) = named {
            return named == backend || named == b"auto";
        }
    }
    true
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
    use crate::backend::BackendChoice;
    use crate::cli::Arguments;
    use clap::Parser;

    #[test]
    fn what_a_guest_runs_on_is_known_before_the_arguments_are_understood_where_it_is_named() {
        for (line, kvm, emulated) in [
            ("image", true, true),
            ("--backend auto image", true, true),
            ("--backend kvm image", true, false),
            ("image --backend=kvm", true, false),
            ("-q --backend embedded image", false, false),
            ("--backend=emulated image", false, true),
            ("-- --backend=kvm", true, true),
            ("--expect=--backend kvm", true, true),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!((may_be(b"kvm", &words), may_be(b"emulated", &words)), (kvm, emulated), "{line}");
            let all = [OsString::from("stos-run")].into_iter().chain(words);
            let backend = Arguments::try_parse_from(all).unwrap().options.unwrap().backend;
            let others = [(BackendChoice::Kvm, kvm), (BackendChoice::Emulated, emulated)];
            assert!(others.iter().all(|(choice, may)| *may || backend != *choice), "{line}");
        }
    }

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
