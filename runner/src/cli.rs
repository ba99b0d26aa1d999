//! The command line of `stos-run`.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, Parser, Subcommand};

use crate::options::Options;

/// Run a stos boot image in a virtual machine, or a manifest or kernel of which one is made first.
///
/// The guest's serial port COM1 is connected to standard input and output, unless `--serial` says otherwise. On a terminal,
/// Ctrl-A X leaves and Ctrl-A H lists the other keys.
#[derive(Debug, Parser)]
#[command(
    name = "stos-run",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    after_help = "Exit status: 0 success; 1-63 the guest's own status; 64-69 the run could not start; 70 a mistake in \
stos-run; 74 reading or writing failed; 77 its sandbox ended it; 100-105 the guest crashed, hung or did not print what was expected; 106 it asked \
for a reset; 107 it printed more than allowed; 108 its emulator left the sandbox; 124 time limit; \
129-152 ended by a signal, 130 from the keyboard."
)]
pub struct Arguments {
    /// Something else than a run
    #[command(subcommand)]
    pub verb: Option<Verb>,

    /// What to run and how; there without a verb.
    #[command(flatten)]
    pub options: Option<Options>,

    /// Print nothing about the run but how it ended; twice: not even that
    #[arg(short, long, action = ArgAction::Count)]
    pub quiet: u8,
}

impl Arguments {
    /// What `line`, whose first word is the program's name, asks for.
    ///
    /// # Errors
    /// What is wrong with it, or the help that it asks for.
    pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(line).map_err(second_file)
    }
}

/// What is said of a word too many: `error`, or that it is a second file.
fn second_file(error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return error };
    let mut command = Arguments::command();
    if error.kind() != ErrorKind::ArgumentConflict || command.find_subcommand(word).is_some() {
        return error;
    }
    let word = word.escape_debug();
    let message = format!(
        "`{word}` is one file too many: one guest is run at a time; `--profile {word}` names a profile of a manifest, `--module {word}` a \
         module"
    );
    command.error(ErrorKind::UnknownArgument, message)
}

/// Something else than running an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Verb {
    /// Print the JSON Schema of what `--report` writes
    Schema,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::ClockStart;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_are_there_unless_there_is_a_verb() {
        let options = |arguments: &[&str]| Arguments::try_parse_from(arguments).unwrap().options;
        assert_eq!(options(&["stos-run", "image"]).unwrap().image.to_str(), Some("image"));
        let given = options(&["stos-run", "--rtc", "host", "--expect", "a", "--expect", "b", "-q", "schema"]).unwrap();
        assert_eq!((given.image.to_str(), given.rtc), (Some("schema"), ClockStart::Host));
        assert_eq!(given.expect.unwrap(), ["a", "b"]);
        assert!(options(&["stos-run", "schema"]).is_none());
    }

    #[test]
    fn an_image_is_needed_unless_there_is_a_verb() {
        assert!(Arguments::try_parse_from(["stos-run"]).is_err());
        assert!(Arguments::try_parse_from(["stos-run", "schema", "image"]).is_err());
        let verb = |arguments: [&str; 2]| Arguments::try_parse_from(arguments).unwrap().verb;
        assert_eq!((verb(["stos-run", "schema"]), verb(["stos-run", "./schema"])), (Some(Verb::Schema), None));
    }

    #[test]
    fn a_second_file_is_called_so() {
        let said = |words: &str| Arguments::read(words.split(' ').map(OsString::from)).unwrap_err().to_string();
        for words in ["stos-run a.yaml b", "stos-run -q a.yaml b c", "stos-run --timeout 1 a.yaml -- b"] {
            assert!(said(words).contains("`b` is one file too many"), "{words}: {}", said(words));
        }
        assert!(!said("stos-run a.yaml schema").contains("too many"));
    }

    #[test]
    fn an_invalid_expression_is_refused() {
        assert!(Arguments::try_parse_from(["stos-run", "--expect", "(", "image"]).is_err());
    }
}
