//! What a run begins before its arguments are understood: what takes longer than that, and what must be there before all else.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;

use clap::ValueEnum;

use crate::backend::{BackendChoice, Opening, begin_tables, prepare_emulators};
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
    /// Begins what a command with these `arguments`, the program's name not among them, may need where `backend` is what the settings
    /// name. To be called while this process has one thread, and nothing open of its own. Where the arguments turn out to be others,
    /// there was an empty machine for a moment.
    pub fn begin(arguments: impl IntoIterator<Item = OsString>, backend: Option<&str>) -> Self {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        if is_answered(&arguments) || is_watched(&arguments) {
            return Self::default();
        }
        let named = named_backend(&arguments).or(backend.map(str::as_bytes));
        let sandbox = is_careful(&arguments).then(|| {
            sandbox::prepare(&arguments);
            // Nobody else can start programs later. It is taken only where it is asked for.
            if named.is_some_and(|named| is(BackendChoice::Emulated, named)) { prepare_emulators() } else { Ok(()) }
        });
        if named.is_some_and(|named| is(BackendChoice::Embedded, named)) {
            begin_tables();
        }
        let may_be_kvm = named.is_none_or(|named| is(BackendChoice::Kvm, named) || is(BackendChoice::Auto, named));
        Self { opening: may_be_kvm.then(Opening::begin), sandbox }
    }
}

/// What the arguments name as the backend. No option takes a word with a hyphen before it as its value.
fn named_backend(arguments: &[OsString]) -> Option<&[u8]> {
    let mut words = arguments.iter().take_while(|word| *word != "--").map(|word| word.as_bytes());
    while let Some(word) = words.next() {
        let named = if word == b"--backend" { words.next() } else { word.strip_prefix(b"--backend=") };
        if named.is_some() {
            return named;
        }
    }
    None
}

/// Whether `word` is one for `choice`.
fn is(choice: BackendChoice, word: &[u8]) -> bool {
    let value = choice.to_possible_value();
    value.is_some_and(|value| value.get_name_and_aliases().any(|name| name.as_bytes() == word))
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
    fn what_a_guest_is_to_run_on_is_known_before_the_arguments_are_understood() {
        for (line, named) in [
            ("image", None),
            ("--backend auto image", Some(BackendChoice::Auto)),
            ("--backend kvm image", Some(BackendChoice::Kvm)),
            ("image --backend=kvm", Some(BackendChoice::Kvm)),
            ("-q --backend embedded image", Some(BackendChoice::Embedded)),
            ("--backend=emulated image", Some(BackendChoice::Emulated)),
            ("--backend qemu image", Some(BackendChoice::Emulated)),
            ("-- --backend=kvm", None),
            ("--expect=--backend kvm", None),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let all = BackendChoice::value_variants().iter().copied();
            let found = named_backend(&words).and_then(|word| all.clone().find(|choice| is(*choice, word)));
            assert_eq!(found, named, "{line}");
            let line_of_words = [OsString::from("stos-run")].into_iter().chain(words);
            let understood = Arguments::try_parse_from(line_of_words).unwrap().options.unwrap().backend;
            assert_eq!(understood, named.unwrap_or_default(), "{line}");
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
