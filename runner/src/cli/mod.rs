//! The command line of `stos-run`.

mod plain;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches, Id, Parser, Subcommand};
use stos_pack::manual::Shell;

use crate::options::{OUTPUT_COPY, Options, WATCHED};

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

    /// With `--version`: print also what there is to run guests on, and of which version
    #[arg(short, long)]
    pub verbose: bool,
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
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Verb {
    /// Print a script that completes command lines, for `bash` and other shells
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Look at what guests need of this machine, and say what to do about each part
    Doctor,
    /// Explain how a run has ended, or a code of stos-pack
    Explain {
        /// An exit status such as 102, a kind of ending such as `triple_fault`, or a code such as E0026
        #[arg(value_name = "STATUS|KIND|CODE")]
        what: String,
    },
    /// Print the manual page, or write one page for the program and one for each verb into a folder
    Man {
        /// The folder; it is made if it does not exist
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Print the JSON Schema of what `--report` writes
    Schema,
}

/// The description of the command line.
pub fn description() -> Command {
    Arguments::command()
}

/// Which options were given, and not left to their defaults.
#[derive(Debug)]
pub struct Given(Vec<String>);

impl Given {
    fn of(matches: &ArgMatches) -> Self {
        let is_given = |name: &&str| matches.value_source(name) == Some(ValueSource::CommandLine);
        Self(matches.ids().map(Id::as_str).filter(is_given).map(str::to_owned).collect())
    }

    /// Adds the option `name`, unless it is there already.
    fn add(&mut self, name: &str) -> bool {
        let is_new = !self.has(name);
        if is_new {
            self.0.push(name.to_owned());
        }
        is_new
    }

    /// Whether the option `name` was.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|given| given == name)
    }
}

impl Arguments {
    /// What `line`, whose first word is the program's name, asks for.
    ///
    /// # Errors
    /// What is wrong with it, or the help or the version that it asks for.
    pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<(Self, Given), clap::Error> {
        let line: Vec<OsString> = line.into_iter().collect();
        plain::read(&line).map_or_else(|| Self::parse(line), Ok)
    }

    /// The same, of any line. Not a part of what calls it: it takes pages of stack that no other line needs.
    #[cold]
    #[inline(never)]
    fn parse(mut line: Vec<OsString>) -> Result<(Self, Given), clap::Error> {
        let (watched, output_copy) = (take_first(&mut line, WATCHED), take_first(&mut line, OUTPUT_COPY));
        let mut matches = description().try_get_matches_from(line).map_err(second_file)?;
        let given = Given::of(&matches);
        // Moved out of there: a copy of all of them costs as much as reading a small file.
        let mut arguments = Self::from_arg_matches_mut(&mut matches)?;
        if let Some(options) = &mut arguments.options {
            options.watched = watched.and_then(|watcher| watcher.parse().ok());
            options.output_copy = output_copy.map(PathBuf::from);
        }
        if arguments.verbose {
            let message =
                "`--verbose` goes with `--version`; what is told of a run is `--timings`, `--report` and `--explain`";
            return Err(description().error(ErrorKind::ArgumentConflict, message));
        }
        Ok((arguments, given))
    }
}

/// Takes the word behind the program's name out of `line` if it begins with `start`; gives the rest of it.
fn take_first(line: &mut Vec<OsString>, start: &str) -> Option<String> {
    let rest = line.get(1)?.to_str()?.strip_prefix(start)?.to_owned();
    line.remove(1);
    Some(rest)
}

/// Whether a command line with these `words`, which asks for the version, wants to know more than that.
pub fn is_verbose(words: impl IntoIterator<Item = OsString>) -> bool {
    let is_short = |word: &[u8]| word.starts_with(b"-") && !word.starts_with(b"--") && word.contains(&b'v');
    words.into_iter().any(|word| word == "--verbose" || is_short(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::ClockStart;

    #[test]
    fn the_arguments_are_consistent() {
        description().debug_assert();
    }

    #[test]
    fn what_a_run_begins_early_is_not_begun_for_a_verb() {
        let verbs: Vec<String> = description().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        assert_eq!(verbs, crate::session::VERBS);
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
