//! The command line of `stos-run`.

use clap::{ArgAction, Parser, Subcommand};

use crate::options::Options;

/// Run a stos boot image in a virtual machine.
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
    /// Something else than running an image
    #[command(subcommand)]
    pub verb: Option<Verb>,

    /// What to run and how; there without a verb.
    #[command(flatten)]
    pub options: Option<Options>,

    /// Print nothing about the run but how it ended; twice: not even that
    #[arg(short, long, action = ArgAction::Count)]
    pub quiet: u8,
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
        use clap::CommandFactory;
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
    fn an_invalid_expression_is_refused() {
        assert!(Arguments::try_parse_from(["stos-run", "--expect", "(", "image"]).is_err());
    }
}
