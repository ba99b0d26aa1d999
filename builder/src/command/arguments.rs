//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use stos_pack::Language;
use stos_pack::diagnostics::nearest;
use stos_pack::image::Form;
use stos_pack::manifest::Protocol;
use stos_pack::manual::Shell;
use stos_pack::output::Colors;

/// The two forms of a command line.
const USAGE: &str = "stos-pack [OPTIONS] MANIFEST.yaml\n       stos-pack [OPTIONS] VERB ...";

/// The exit statuses of a build and of every verb but `diff`.
const STATUSES: &str = "Exit status: 0 done; 64 wrong usage; 65 wrong input; 66 input missing; 74 output failed; \
    129, 130, 131, 143 ended by SIGHUP, SIGINT, SIGQUIT, SIGTERM.";
/// Those of `diff`.
const STATUSES_OF_DIFF: &str = "Exit status of diff: 0 same; 1 different; 2 trouble; 64 wrong usage.";
/// The verbs that `--quiet` and `--verbose` go with; `check` tells what of `inspect` it is.
const QUIET_VERBS: [&str; 9] = ["verify", "lock", "init", "new", "extract", "export", "inspect", "sign", "keygen"];
const VERBOSE_VERBS: [&str; 2] = ["verify", "lock"];

/// The description of the command line. Options that a verb refuses are not in its help.
pub fn description() -> Command {
    let hidden = |name: &'static str, short: char| {
        Arg::new(name).short(short).long(name).action(ArgAction::SetTrue).global(true).hide(true)
    };
    Arguments::command().mut_subcommands(|verb| {
        let name = verb.get_name().to_owned();
        let mut verb = verb.after_help(if name == "diff" { STATUSES_OF_DIFF } else { STATUSES });
        if !QUIET_VERBS.contains(&&*name) {
            verb = verb.arg(hidden("quiet", 'q'));
        }
        if !VERBOSE_VERBS.contains(&&*name) {
            verb = verb.arg(hidden("verbose", 'v'));
        }
        verb
    })
}

/// Builds a boot image from a manifest, and answers questions about images and errors.
#[derive(Debug, Parser)]
#[command(
    name = "stos-pack",
    version,
    about,
    max_term_width = 100,
    override_usage = USAGE,
    after_help = format!("{STATUSES}\n{STATUSES_OF_DIFF}")
)]
pub struct Arguments {
    /// The manifest
    #[arg(value_name = "MANIFEST.yaml")]
    pub manifest: Option<PathBuf>,
    /// Where to write the image; `-` is standard output [default: the manifest's name with `.img`]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The profile of the manifest to build [default: the manifest's `profile`, if any]
    #[arg(short, long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Refuse inputs other than those in the lock file beside the manifest
    #[arg(long)]
    pub locked: bool,
    /// Refuse inputs that do not lie below this folder, also by way of links; may be given several times
    #[arg(long, value_name = "DIR")]
    pub inputs_below: Vec<PathBuf>,
    /// How to talk
    #[command(flatten)]
    pub manner: Manner,
    /// What to do instead of building
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Work {
    /// Building an image
    Build {
        /// The manifest
        manifest: PathBuf,
        /// Where the image goes, if not beside the manifest
        output: Option<PathBuf>,
        /// The profile, if not the manifest's own choice
        profile: Option<String>,
        /// Whether the inputs must be those of the lock file
        locked: bool,
        /// The folders that they must lie below, if any
        inputs_below: Vec<PathBuf>,
    },
    /// Something else
    Verb(Verb),
}

impl Arguments {
    /// What `line`, whose first word is the program's name, asks for, and how to talk about it.
    ///
    /// # Errors
    /// What is wrong with it, or the help that it asks for.
    pub fn read(line: &[OsString]) -> Result<(Manner, Work), clap::Error> {
        let parsed = description().try_get_matches_from(line).and_then(|found| Self::from_arg_matches(&found));
        let first = match &parsed {
            Ok(Self { verb: None, manifest, .. }) => manifest.clone(),
            // What follows a mistyped verb does not go with a build, and says nothing to a person who meant a verb.
            Err(error) if matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand) => {
                first_word(line)
            }
            _ => None,
        };
        match first.and_then(|word| no_such_verb(&word)) {
            Some(message) => Err(description().error(ErrorKind::InvalidSubcommand, message)),
            None => parsed.map_err(second_manifest)?.check(),
        }
    }

    /// Refuses arguments of a build beside a verb. (Clap's own rule would also refuse options that go with every verb.)
    fn check(self) -> Result<(Manner, Work), clap::Error> {
        let Self { manifest, output, profile, locked, inputs_below, manner, verb } = self;
        let build = [
            manifest.as_ref().map(|path| format!("the manifest `{}`", path.display())),
            output.as_ref().map(|_| "`--output`".to_owned()),
            profile.as_ref().map(|_| "`--profile`".to_owned()),
            locked.then(|| "`--locked`".to_owned()),
            (!inputs_below.is_empty()).then(|| "`--inputs-below`".to_owned()),
        ];
        let refuse = |kind: ErrorKind, message: String| Err(description().error(kind, message));
        let conflict = |message: String| refuse(ErrorKind::ArgumentConflict, message);
        let works = matches!(verb, None | Some(Verb::Verify { .. } | Verb::Lock { .. }));
        let writes = matches!(
            verb,
            Some(
                Verb::Init { .. }
                    | Verb::New { .. }
                    | Verb::Extract { .. }
                    | Verb::Sign { .. }
                    | Verb::Keygen { .. }
                    | Verb::Export { .. }
                    | Verb::Inspect { svg: Some(_), .. }
            )
        );
        if manner.quiet && manner.verbose {
            return conflict("`--quiet` and `--verbose` contradict each other".to_owned());
        }
        if manner.quiet && !works && !writes {
            return conflict("`--quiet` does not go with a verb that has nothing to do but to answer".to_owned());
        }
        if manner.verbose && !works {
            return conflict("`--verbose` goes with building, `verify` and `lock`".to_owned());
        }
        if manner.verbose && manner.message_format == MessageFormat::Json {
            return conflict("`--verbose` is for people and does not go with `--message-format json`".to_owned());
        }
        match (verb, manifest, build.into_iter().flatten().next()) {
            (Some(_), _, Some(extra)) => {
                conflict(format!("{extra} is for building an image and does not go with a verb"))
            }
            (Some(verb), _, None) => Ok((manner, Work::Verb(verb))),
            (None, Some(manifest), _) if manifest.as_os_str() == "-" => refuse(
                ErrorKind::ValueValidation,
                "a manifest is read from a file, as the paths in it begin at its folder, and not from standard input; a \
                 file that is called `-` is `./-`"
                    .to_owned(),
            ),
            (None, Some(manifest), _) => {
                Ok((manner, Work::Build { manifest, output, profile, locked, inputs_below }))
            },
            (None, None, _) => refuse(
                ErrorKind::MissingRequiredArgument,
                "name the manifest to build an image from, or a verb".to_owned(),
            ),
        }
    }
}

/// What is said of a word too many, which is no mistyped verb: `error`, or that it is a second manifest.
fn second_manifest(error: clap::Error) -> clap::Error {
    let word = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand].into_iter().find_map(|kind| error.get(kind));
    let Some(ContextValue::String(word)) = word else { return error };
    let is_file = !word.starts_with('-') && (word.contains(['/', '.']) || Path::new(word).exists());
    if !is_file || !matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand) {
        return error;
    }
    let message = format!("`{}` is a manifest too many: one image is built at a time", word.escape_debug());
    description().error(ErrorKind::UnknownArgument, message)
}

/// The word of `line` that stands where a manifest or a verb does, when it is no verb.
fn first_word(line: &[OsString]) -> Option<PathBuf> {
    let found = description().ignore_errors(true).try_get_matches_from(line).ok()?;
    if found.subcommand_name().is_some() { None } else { found.get_one::<PathBuf>("manifest").cloned() }
}

/// What to say of `word` when it was meant to be a verb: it does not look like a path, and no file is called so.
fn no_such_verb(word: &Path) -> Option<String> {
    let text = word.to_str()?;
    if text.contains(['/', '.']) || text.starts_with('-') || (word.exists() && !word.is_dir()) {
        return None;
    }
    let command = description();
    let verbs: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let text = text.escape_debug();
    Some(match nearest(&text.to_string(), &verbs) {
        Some(verb) => format!("there is no verb `{text}`; did you mean `{verb}`?"),
        None => format!("there is no verb `{text}`, nor a manifest of that name; the verbs are {}", verbs.join(", ")),
    })
}

/// Boot protocols by their names.
fn protocols() -> impl TypedValueParser<Value = Protocol> {
    let named = |name: String| {
        Protocol::ALL.iter().find(|(known, _)| *known == name).map(|(_, found)| *found).unwrap_or_default()
    };
    PossibleValuesParser::new(Protocol::ALL.iter().map(|(name, _)| *name)).map(named)
}

/// How to talk, whatever is being done.
#[derive(Clone, Copy, Debug, Args)]
pub struct Manner {
    /// Print errors and warnings for people, or as one JSON object per line for programs
    #[arg(long, value_name = "FORMAT", global = true, default_value = "human")]
    pub message_format: MessageFormat,
    /// When errors and warnings have colours
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: Colors,
    /// Say nothing but warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say on standard error what is being done, and how long it takes
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// The form of errors and warnings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    /// Text with the lines of the manifest
    Human,
    /// One JSON object per line
    Json,
}

/// What there is to do besides building.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Check every byte of an image against the digests in it, and its signature with `--key`
    Verify {
        /// The image
        image: PathBuf,
        /// A file with public keys, one of which must have signed the image; may be given several times
        #[arg(long, value_name = "PUBLICKEY")]
        key: Vec<PathBuf>,
        /// The signature [default: the image's name with `.minisig` behind it]
        #[arg(long, value_name = "FILE", requires = "key")]
        signature: Option<PathBuf>,
    },
    /// Sign an image: writes a signature of its id beside it, as minisign does
    Sign {
        /// The image
        image: PathBuf,
        /// The secret key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where to write the signature [default: the image's name with `.minisig` behind it]
        #[arg(long, value_name = "FILE")]
        signature: Option<PathBuf>,
        /// Take the key's password from the first line of this file instead of asking for it
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Make a key for `sign`: a secret one, and beside it a public one with `.pub` behind its name
    Keygen {
        /// The file for the secret key
        #[arg(value_name = "FILE")]
        key: PathBuf,
        /// Protect the key with no password: whoever can read the file can sign
        #[arg(long)]
        no_password: bool,
        /// Take the password from the first line of this file instead of asking for it
        #[arg(long, value_name = "FILE", conflicts_with = "no_password")]
        password_file: Option<PathBuf>,
    },
    /// Show what an image holds: memory, entry state, boot structures, inputs; of a kernel, which boot protocol it speaks
    Inspect {
        /// The image, or a kernel
        image: PathBuf,
        /// Print JSON for programs instead of text for people
        #[arg(long)]
        json: bool,
        /// Draw the memory map as a picture for a slide instead; `-` is standard output
        #[arg(long, value_name = "FILE", conflicts_with = "json")]
        svg: Option<PathBuf>,
    },
    /// Show what differs between two images; the exit status is 0 for none, 1 for some, 2 for trouble
    Diff {
        /// The first image
        first: PathBuf,
        /// The second image
        second: PathBuf,
    },
    /// Write the manifest and the input files that an image was built from to a folder
    Extract {
        /// The image
        image: PathBuf,
        /// The folder; it is made, or must be empty
        folder: PathBuf,
    },
    /// Make of an image what other programs start or look at
    Export {
        /// The image
        image: PathBuf,
        /// What to make of it
        #[arg(long, value_name = "FORM")]
        to: Form,
        /// Where to write it; `-` is standard output, for `multiboot` only
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Record size and digest of every input in a lock file beside the manifest, for `--locked`
    Lock {
        /// The manifest
        #[arg(value_name = "MANIFEST.yaml")]
        manifest: PathBuf,
        /// Refuse inputs that do not lie below this folder, also by way of links; may be given several times
        #[arg(long, value_name = "DIR")]
        inputs_below: Vec<PathBuf>,
    },
    /// Write a manifest for the kernel and modules in a folder, and the schema that editors check it with
    Init {
        /// The folder
        #[arg(value_name = "DIR", default_value = ".")]
        folder: PathBuf,
    },
    /// Begin a project: a kernel of a few lines that builds and runs, with tests and settings for editors
    New {
        /// The folder; it is made, or must be empty
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// The boot protocol
        #[arg(long, value_name = "PROTOCOL", default_value = Protocol::Stos.name(), value_parser = protocols())]
        protocol: Protocol,
        /// The language
        #[arg(long, value_name = "LANGUAGE", default_value = "c")]
        language: Language,
        /// The project's name [default: the folder's]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Print the JSON Schema of manifests, with which editors complete and check them
    Schema,
    /// Print a script that completes command lines, for `bash` and other shells
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write one page for the program and one for each verb into a folder
    Man {
        /// The folder; it is made if it does not exist
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Explain a code of an error or a warning, with an example and how to mend it
    Explain {
        /// The code, such as E0026
        code: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        description().debug_assert();
    }

    #[test]
    fn what_is_for_a_build_does_not_go_with_a_verb() {
        let parse = |line: &[&str]| {
            let line: Vec<OsString> = ["stos-pack"].iter().chain(line).map(OsString::from).collect();
            Arguments::read(&line)
        };
        assert!(parse(&["--message-format", "json", "verify", "a.img"]).is_ok());
        for line in
            [&["kernel.yaml", "verify", "a.img"][..], &["-o", "b", "verify", "a.img"], &["-p", "x", "verify", "a"]]
        {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains("is for building an image"), "{error}");
        }
    }
}
