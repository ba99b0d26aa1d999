//! `stos-run` on an image that is there only as bytes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::guest::BareGuest;
use crate::backends;
use crate::tools::{Run, tool};

/// An image in a directory that goes away with it.
#[derive(Debug)]
pub struct ImageFile {
    directory: TempDir,
}

impl ImageFile {
    /// A file of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("guest.img"), bytes).unwrap();
        Self { directory }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("guest.img")
    }
}

/// The command with `arguments`, its standard streams piped, but for an empty standard input.
pub fn command(arguments: &[&str], image: &Path) -> Command {
    let mut command = tool("stos-run");
    command.args(arguments).arg(image).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts `image` on `backend`.
pub fn start(backend: &str, arguments: &[&str], image: &ImageFile) -> Child {
    let arguments = [&["--backend", backend][..], arguments].concat();
    command(&arguments, &image.path()).stdin(Stdio::piped()).spawn().unwrap()
}

/// Runs `image` on `backend` with `input` on standard input. A time limit keeps a broken runner from hanging the tests.
pub fn run_with_input(backend: &str, arguments: &[&str], image: &[u8], input: &[u8]) -> Run {
    let image = ImageFile::new(image);
    let limit: &[&str] = if arguments.contains(&"--timeout") { &[] } else { &["--timeout", "60s"] };
    let mut child = start(backend, &[arguments, limit].concat(), &image);
    // A guest that ends before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap().into()
}

/// Runs `image` on `backend`.
pub fn run(backend: &str, arguments: &[&str], image: &[u8]) -> Run {
    run_with_input(backend, arguments, image, b"")
}

/// Runs the guest that executes the pieces of `code`, on every backend, and asserts that it ends with `status`.
pub fn assert_status(code: &[Vec<u8>], arguments: &[&str], status: i32) -> Vec<Run> {
    let image = BareGuest::new(&code.concat()).image();
    backends::unpaged()
        .into_iter()
        .map(|backend| {
            let ended = run(backend, arguments, &image);
            assert_eq!(ended.status, Some(status), "{backend}: {ended:?}");
            ended
        })
        .collect()
}
