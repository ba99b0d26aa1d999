//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Builds a boot image from a manifest.
#[derive(Debug, Parser)]
#[command(name = "stos-pack", version, about, max_term_width = 100)]
pub struct Arguments {
    /// The manifest
    #[arg(value_name = "MANIFEST.yaml")]
    pub manifest: PathBuf,
    /// Where to write the image; `-` is standard output [default: the manifest's name with `.img`]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
