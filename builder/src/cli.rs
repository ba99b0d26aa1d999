//! The command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

/// Builds a boot image from a manifest, and answers questions about images and errors.
#[derive(Debug, Parser)]
#[command(
    name = "stos-pack",
    version,
    about,
    max_term_width = 100,
    subcommand_negates_reqs = true,
    after_help = "Exit status: 0 done; 64 wrong usage; 65 wrong input; 66 input missing; 74 output failed."
)]
pub struct Arguments {
    /// The manifest
    #[arg(value_name = "MANIFEST.yaml", required = true)]
    pub manifest: Option<PathBuf>,
    /// Where to write the image; `-` is standard output [default: the manifest's name with `.img`]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The profile of the manifest to build [default: the manifest's `profile`, if any]
    #[arg(short, long, value_name = "NAME")]
    pub profile: Option<String>,
    /// How to talk
    #[command(flatten)]
    pub manner: Manner,
    /// What to do instead of building
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

impl Arguments {
    /// Refuses arguments of a build beside a verb. (Clap's own rule would also refuse options that go with every verb.)
    ///
    /// # Errors
    /// Names what is too much.
    pub fn check(self) -> Result<Self, clap::Error> {
        let Self { manifest, output, profile, verb, .. } = &self;
        let build = [
            manifest.as_ref().map(|path| format!("the manifest `{}`", path.display())),
            output.as_ref().map(|_| "`--output`".to_owned()),
            profile.as_ref().map(|_| "`--profile`".to_owned()),
        ];
        match (verb, build.into_iter().flatten().next()) {
            (Some(_), Some(extra)) => {
                let message = format!("{extra} is for building an image and does not go with a verb");
                Err(Self::command().error(clap::error::ErrorKind::ArgumentConflict, message))
            }
            _ => Ok(self),
        }
    }
}

/// How to talk, whatever is being done.
#[derive(Clone, Copy, Debug, Args)]
pub struct Manner {
    /// Print errors and warnings for people, or as one JSON object per line for programs
    #[arg(long, value_name = "FORMAT", global = true, default_value = "human")]
    pub message_format: MessageFormat,
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
    /// Check every byte of an image against the digests in it
    Verify {
        /// The image
        image: PathBuf,
    },
    /// Show what an image holds: memory, entry state, boot structures, inputs
    Inspect {
        /// The image
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
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_is_for_a_build_does_not_go_with_a_verb() {
        let parse =
            |line: &[&str]| Arguments::try_parse_from([&["stos-pack"], line].concat()).and_then(Arguments::check);
        assert!(parse(&["--message-format", "json", "verify", "a.img"]).is_ok());
        for line in
            [&["kernel.yaml", "verify", "a.img"][..], &["-o", "b", "verify", "a.img"], &["-p", "x", "verify", "a"]]
        {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains("is for building an image"), "{error}");
        }
    }
}
