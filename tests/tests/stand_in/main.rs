//! Runs on a program that stands in for the emulator: what it may do, and that whatever it does ends as documented.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken;
mod confined;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use stos_tests::bare::{BareGuest, ImageFile, code, command};
use stos_tests::process::{started_with, wait_until};
use stos_tests::tools::Run;
use tempfile::TempDir;

/// A stand-in in a folder of its own, a home, and an image that nobody executes.
struct StandIn {
    folder: TempDir,
    home: TempDir,
    image: ImageFile,
}

impl StandIn {
    fn new(behaviour: &str) -> Self {
        let (folder, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (source, program) = (folder.path().join("emulator.c"), folder.path().join("qemu-system-i386"));
        fs::write(&source, include_str!("emulator.c")).unwrap();
        let flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-result", "-o"];
        let compiled = Command::new("gcc").args(flags).arg(&program).arg(&source).output().unwrap();
        assert!(compiled.status.success(), "emulator.c can't be compiled: {compiled:?}");
        fs::remove_file(source).unwrap();
        let stand_in = Self { folder, home, image: ImageFile::new(&BareGuest::new(&code::SPIN).image()) };
        stand_in.behave(behaviour);
        stand_in
    }

    fn behave(&self, behaviour: &str) {
        fs::write(self.folder.path().join("behaviour"), behaviour).unwrap();
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("qemu-system-i386")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let path = [self.folder.path().as_os_str(), &env::var_os("PATH").unwrap()].join(OsStr::new(":"));
        let mut command = command(&[&["--backend", "emulated"], arguments].concat(), &self.image.path());
        command.env("PATH", path).env("HOME", self.home.path()).env("SECRET", "swordfish");
        command
    }

    /// Runs to the end, within bounds, and leaves nothing.
    fn run(&self, arguments: &[&str]) -> Run {
        let child = self.command(arguments).spawn().unwrap();
        self.end(child)
    }

    fn end(&self, mut child: Child) -> Run {
        wait_until(|| child.try_wait().unwrap().is_some(), "the runner goes on");
        wait_until(|| started_with(&self.program()).is_empty(), "a process is left");
        child.wait_with_output().unwrap().into()
    }
}

/// Not to be read: nobody reads it.
fn unread(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::piped()).stderr(Stdio::null())
}
