//! A project that was begun by `stos-pack new`, and what its author does with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use stos_tests::backends::{paged, unpaged};
use stos_tests::tools::{Run, pack_in, run, shell, tool};
use tempfile::TempDir;

use crate::editor::{Matcher, read_json};

/// The target that Rust is compiled for.
const TARGET: &str = "i686-unknown-linux-gnu";
/// Exit status of make after a command that failed.
const MAKE_FAILED: i32 = 2;

/// A project in a folder of its own.
pub struct Project {
    top: TempDir,
    protocol: &'static str,
    language: &'static str,
    /// What `stos-pack` has said of it.
    pub said: String,
}

impl Project {
    pub fn new(protocol: &'static str, language: &'static str) -> Self {
        let top = tempfile::tempdir().unwrap();
        let options = ["new", "my-kernel", "--protocol", protocol, "--language", language];
        let result = pack_in(top.path(), &options);
        assert_eq!((result.status, &*result.stderr), (Some(0), ""));
        Self { top, protocol, language, said: result.stdout }
    }

    pub fn folder(&self) -> PathBuf {
        self.top.path().join("my-kernel")
    }

    pub fn is_rust(&self) -> bool {
        self.language == "rust"
    }

    /// The program's source file.
    pub fn source(&self) -> &'static str {
        match (self.protocol, self.language) {
            (_, "rust") => "src/main.rs",
            ("linux", "c") => "init.c",
            ("linux", _) => "init.S",
            (_, "c") => "kernel.c",
            _ => "kernel.S",
        }
    }

    /// The line of the source file with the exception.
    fn line_at_fault(&self) -> usize {
        let at_fault = ["__builtin_trap()", "ud2", "(volatile int *)0", "movl\t$1, 0", "[0], 1"];
        let text = fs::read_to_string(self.folder().join(self.source())).unwrap();
        let is_at_fault = |line: &str| at_fault.iter().any(|mark| line.contains(mark));
        text.lines().position(is_at_fault).unwrap() + 1
    }

    /// Runs a command line in the project, as its author's shell would, with the tools under test.
    pub fn shell(&self, line: &str) -> Run {
        let mut shell = shell("sh", line, &self.folder());
        if self.protocol == "linux" {
            // It executes some billions of instructions before it is up, which take the embedded machine a minute.
            shell.env("STOS_RUN_BACKEND", "emulated");
        }
        run(&mut shell)
    }

    /// The command of the task `label` in VS Code's settings, and its regular expressions: each with the numbers of the groups for file
    /// and line.
    fn task(&self, label: &str) -> (String, Vec<Matcher>) {
        let tasks = read_json(&self.folder().join(".vscode/tasks.json"));
        let task = tasks["tasks"].as_array().unwrap().iter().find(|task| task["label"] == label).unwrap();
        let matchers = task["problemMatcher"].as_array().unwrap().iter().map(Matcher::new).collect();
        (task["command"].as_str().unwrap().to_owned(), matchers)
    }

    /// Runs the command of a task. Returns how it went, and the places that VS Code would show.
    pub fn run_task(&self, label: &str) -> (Run, Vec<(String, usize)>) {
        let (command, matchers) = self.task(label);
        let found = self.shell(&command);
        let printed = found.stdout.clone() + &found.stderr;
        let places = matchers.iter().flat_map(|matcher| matcher.places(&printed)).collect();
        (found, places)
    }

    fn has_place(&self, places: &[(String, usize)], place: (&str, usize)) {
        assert!(places.contains(&(place.0.to_owned(), place.1)), "{}: {place:?} is not in {places:?}", self.said);
    }

    /// Replaces `old` in the file `name`.
    pub fn edit(&self, name: &str, old: &str, new: &str) {
        let path = self.folder().join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{old} is not in {text}");
        fs::write(&path, text.replacen(old, new, 1)).unwrap();
    }

    /// Builds it, runs it, has it fail, mends it.
    pub fn live(&self) {
        let is_linux = self.protocol == "linux";
        let hello = "Hello from my-kernel!\n";
        let (built, places) = self.run_task("build");
        assert_eq!((built.status, places), (Some(0), Vec::new()), "{built:?}");
        assert!(!built.stderr.contains("warning"), "{}", built.stderr);
        if !is_linux {
            // Linux takes seconds to boot, and `test` differs in nothing but what is expected.
            let (ran, places) = self.run_task("run");
            assert_eq!((ran.status, places), (Some(0), Vec::new()), "{ran:?}");
            assert!(ran.stdout.contains(hello), "{ran:?}");
        }
        let (tested, places) = self.run_task("test");
        assert_eq!((tested.status, places), (Some(0), Vec::new()), "{tested:?}");
        assert!(tested.stdout.replace('\r', "").contains(hello), "{tested:?}");

        let (failed, places) = self.run_task("fault");
        let expected = if is_linux { 106 } else { 102 };
        self.assert_failed_with(&failed, expected);
        assert!(failed.stdout.replace('\r', "").contains(hello), "{failed:?}");
        self.has_place(&places, (self.source(), self.line_at_fault()));
        if !is_linux {
            self.runs_on_kvm();
        }
    }

    fn assert_failed_with(&self, found: &Run, status: i32) {
        if self.is_rust() {
            assert_eq!(found.status, Some(status), "{found:?}");
        } else {
            assert_eq!(found.status, Some(MAKE_FAILED), "{found:?}");
            assert!(found.stderr.contains(&format!("Error {status}")), "{found:?}");
        }
    }

    /// What is built by now gives the same on KVM, where that can run them.
    fn runs_on_kvm(&self) {
        let backends = if self.protocol == "stos" { paged() } else { unpaged() };
        for backend in backends.into_iter().filter(|backend| *backend != "emulated") {
            for (profile, status) in [("test", 0), ("fault", 102)] {
                let mut command = tool("stos-run");
                command.current_dir(self.folder()).args(["--backend", backend, "-p", profile, "manifest.yaml"]);
                let found = run(&mut command);
                assert_eq!(found.status, Some(status), "{found:?}");
                assert_eq!(found.stdout, "Hello from my-kernel!\n");
                let place = format!("({}:{})", self.source(), self.line_at_fault());
                assert_eq!(found.stderr.contains(&place), profile == "fault", "{found:?}");
            }
        }
    }

    /// What is wrong in sources and manifest is found by the settings for VS Code, too.
    pub fn mistakes_are_found(&self) {
        let source = self.source();
        let comment = if self.language == "asm" { "/*" } else { "" };
        let text = fs::read_to_string(self.folder().join(source)).unwrap();
        let wrong =
            format!("{}\n", text.trim_end()) + if comment.is_empty() { "mistake here;\n" } else { "\tmistake %eax\n" };
        let line = wrong.lines().count();
        fs::write(self.folder().join(source), &wrong).unwrap();
        let (failed, places) = self.run_task("build");
        assert!(failed.status != Some(0), "{failed:?}");
        self.has_place(&places, (source, line));
        // A build that failed is not taken for one that was done.
        fs::write(self.folder().join(source), text).unwrap();
        assert_eq!(self.run_task("build").0.status, Some(0));

        // The test can fail, and what is edited is built again.
        self.edit(source, "Hello", "Goodbye");
        let (failed, _) = self.run_task("test");
        self.assert_failed_with(&failed, 105);
        assert!(failed.stdout.contains("Goodbye from my-kernel!\n"), "{failed:?}");

        self.edit("manifest.yaml", "memory: 64MiB", "memory: 64MB");
        let (failed, places) = self.run_task("run");
        self.assert_failed_with(&failed, 65);
        self.has_place(&places, ("manifest.yaml", 5));
    }
}

/// Whether this machine compiles Rust for the target; else the reason is printed.
pub fn has_target() -> bool {
    let has = || {
        let sysroot = run(Command::new("rustc").args(["--print", "sysroot"])).stdout;
        Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).is_dir()
    };
    if has() {
        return true;
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).output();
    if !has() {
        eprintln!("skipped: Rust has no target {TARGET} here, and `rustup target add` can't get it: {added:?}");
    }
    has()
}
