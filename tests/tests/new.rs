//! `stos-pack new`: each project builds, runs, passes its test and fails on purpose, with nothing but what it says that it needs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex_automata::meta::Regex;
use serde_json::Value;
use stos_tests::backends::{paged, unpaged};
use stos_tests::files::names_in;
use stos_tests::tools::{Run, pack_in, root, run, tool, tool_path};
use tempfile::TempDir;

/// The target that Rust is compiled for.
const TARGET: &str = "i686-unknown-linux-gnu";
/// Exit status of make after a command that failed.
const MAKE_FAILED: i32 = 2;

/// A project in a folder of its own.
struct Project {
    top: TempDir,
    protocol: &'static str,
    language: &'static str,
    said: String,
}

impl Project {
    fn new(protocol: &'static str, language: &'static str) -> Self {
        let top = tempfile::tempdir().unwrap();
        let options = ["new", "my-kernel", "--protocol", protocol, "--language", language];
        let result = pack_in(top.path(), &options);
        assert_eq!((result.status, &*result.stderr), (Some(0), ""));
        Self { top, protocol, language, said: result.stdout }
    }

    fn folder(&self) -> PathBuf {
        self.top.path().join("my-kernel")
    }

    fn is_rust(&self) -> bool {
        self.language == "rust"
    }

    /// The program's source file.
    fn source(&self) -> &'static str {
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
    fn shell(&self, line: &str) -> Run {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(self.folder());
        command.env("STOS_PACK", tool_path("stos-pack")).env("STOS_RUN", tool_path("stos-run"));
        command.env("NO_COLOR", "1").env("COLUMNS", "120").env("LC_ALL", "C");
        // Nothing of this machine is changed: rustup would bring its toolchain up to date to get a target.
        command.env("RUSTUP_AUTO_INSTALL", "0");
        // What whoever runs the tests has set for the tests' own build.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_ENCODED_"].iter().any(|start| text.starts_with(start))
                || ["CARGO_TARGET_DIR", "RUSTFLAGS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CC", "LD", "CFLAGS"]
                    .contains(&&*text)
            {
                command.env_remove(&name);
            }
        }
        run(&mut command)
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
    fn run_task(&self, label: &str) -> (Run, Vec<(String, usize)>) {
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
    fn edit(&self, name: &str, old: &str, new: &str) {
        let path = self.folder().join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{old} is not in {text}");
        fs::write(&path, text.replacen(old, new, 1)).unwrap();
    }

    /// Builds it, runs it, has it fail, mends it.
    fn live(&self) {
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

    /// The images that are built by now give the same on KVM, where that can run them.
    fn runs_on_kvm(&self) {
        let backends = if self.protocol == "stos" { paged() } else { unpaged() };
        for backend in backends.into_iter().filter(|backend| *backend != "emulated") {
            for (profile, status) in [("test", 0), ("fault", 102)] {
                let image = self.folder().join(format!("build/{profile}.img"));
                let found = run(tool("stos-run").args(["--backend", backend]).arg(image));
                assert_eq!(found.status, Some(status), "{found:?}");
                assert_eq!(found.stdout, "Hello from my-kernel!\n");
                let place = format!("({}:{})", self.source(), self.line_at_fault());
                assert_eq!(found.stderr.contains(&place), profile == "fault", "{found:?}");
            }
        }
    }

    /// What is wrong in sources and manifest is found by the settings for VS Code, too.
    fn mistakes_are_found(&self) {
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

/// One of VS Code's problem matchers: an expression, or several for lines in a row.
struct Matcher {
    lines: Vec<Regex>,
    file: usize,
    line: usize,
}

impl Matcher {
    fn new(matcher: &Value) -> Self {
        assert_eq!(matcher["fileLocation"][0], "autoDetect");
        let pattern = &matcher["pattern"];
        let patterns = pattern.as_array().cloned().unwrap_or_else(|| vec![pattern.clone()]);
        let last = patterns.last().unwrap();
        let group = |key: &str| usize::try_from(last[key].as_u64().unwrap()).unwrap();
        let (file, line) = (group("file"), group("line"));
        let compiled = patterns.iter().map(|pattern| Regex::new(pattern["regexp"].as_str().unwrap()).unwrap());
        Self { lines: compiled.collect(), file, line }
    }

    /// The places in `printed` that it finds.
    fn places(&self, printed: &str) -> Vec<(String, usize)> {
        let lines: Vec<&str> = printed.lines().map(|line| line.trim_end_matches('\r')).collect();
        let place = |window: &[&str]| {
            let all = self.lines.iter().zip(window).all(|(expression, line)| expression.is_match(*line));
            let last = window.last().filter(|_| all)?;
            let mut groups = self.lines.last()?.create_captures();
            self.lines.last()?.captures(*last, &mut groups);
            let text = |group: usize| groups.get_group(group).map(|span| &last[span.start..span.end]);
            Some((text(self.file)?.to_owned(), text(self.line)?.parse().ok()?))
        };
        lines.windows(self.lines.len()).filter_map(place).collect()
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether this machine compiles Rust for the target; else the reason is printed.
fn has_target() -> bool {
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

#[test]
fn a_kernel_in_c_lives_with_each_protocol() {
    for protocol in ["stos", "multiboot", "elf"] {
        Project::new(protocol, "c").live();
    }
}

#[test]
fn a_kernel_in_assembly_lives_with_each_protocol() {
    for protocol in ["stos", "multiboot", "elf"] {
        Project::new(protocol, "asm").live();
    }
}

#[test]
fn a_kernel_in_rust_lives_with_each_protocol() {
    if has_target() {
        for protocol in ["stos", "multiboot", "elf"] {
            Project::new(protocol, "rust").live();
        }
    }
}

#[test]
fn a_first_program_of_linux_lives_in_each_language() {
    let fetched = run(&mut Command::new(root().join("scripts/fetch-linux.sh")));
    assert_eq!(fetched.status, Some(0), "scripts/fetch-linux.sh can't get Linux:\n{}", fetched.stderr);
    for language in ["c", "asm", "rust"] {
        if language != "rust" || has_target() {
            let project = Project::new("linux", language);
            let (missing, _) = project.run_task("run");
            let expected = "vmlinuz is missing, a Linux kernel for 32-bit PCs: ./fetch-kernel.sh gets one from Debian";
            assert!(missing.status != Some(0) && missing.stderr.contains(expected), "{missing:?}");
            fs::copy(root().join("examples/linux/vmlinuz"), project.folder().join("vmlinuz")).unwrap();
            project.live();
        }
    }
}

#[test]
fn mistakes_in_sources_and_manifests_are_found_by_editors() {
    for language in ["c", "asm", "rust"] {
        if language != "rust" || has_target() {
            Project::new("stos", language).mistakes_are_found();
        }
    }
}

#[test]
fn what_is_said_of_a_project_is_what_to_type_next() {
    let project = Project::new("stos", "c");
    snapbox::assert_data_eq!(
        project.said.as_str(),
        "my-kernel: a kernel for 32-bit x86 and the boot protocol stos, in C, 13 files
needs: gcc for x86 and make
next: cd my-kernel && make run
then: make test checks what it prints, and make fault shows what a bug looks like
"
    );
    snapbox::assert_data_eq!(
        Project::new("linux", "rust").said,
        "my-kernel: the first program of Linux for 32-bit x86, in Rust, 16 files
needs: Rust 1.85 or newer with the target i686-unknown-linux-gnu, and ld
next: rustup target add i686-unknown-linux-gnu && cd my-kernel && ./fetch-kernel.sh && cargo run
then: cargo run -- test checks what it prints, and cargo run -- fault shows what a bug looks like
"
    );
    // Without options it is this one.
    let again = tempfile::tempdir().unwrap();
    assert_eq!(pack_in(again.path(), &["new", "my-kernel"]).stdout, project.said);
    assert_eq!(pack_in(again.path(), &["-q", "new", "quiet"]).stdout, "");
    // A folder that is there is filled.
    let here = tempfile::tempdir().unwrap();
    fs::create_dir(here.path().join(".git")).unwrap();
    let said = pack_in(here.path(), &["new", ".", "--name", "lab2", "--protocol", "elf", "--language", "asm"]).stdout;
    assert!(said.contains("\nnext: make run\n"), "{said}");
    let expected = [
        ".git",
        ".github",
        ".gitignore",
        ".vscode",
        "Makefile",
        "README.md",
        "console.S",
        "kernel.S",
        "kernel.ld",
        "manifest.schema.json",
        "manifest.yaml",
    ];
    assert_eq!(names_in(here.path()), expected);
    assert!(fs::read_to_string(here.path().join("manifest.yaml")).unwrap().contains("\nname: lab2\n"));
}

#[test]
fn every_file_is_in_order() {
    for protocol in ["stos", "multiboot", "elf", "linux"] {
        for language in ["c", "asm", "rust"] {
            let project = Project::new(protocol, language);
            let folder = project.folder();
            let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
            assert!(read("README.md").lines().count() <= 10, "{}", read("README.md"));
            assert_eq!(read("manifest.schema.json"), pack_in(&folder, &["schema"]).stdout);
            // gdb can stop a kernel, but no program of Linux.
            let tasks = read_json(&folder.join(".vscode/tasks.json"));
            let has_gdb = tasks["tasks"].as_array().unwrap().iter().any(|task| task["label"] == "gdb");
            assert_eq!(
                (folder.join(".vscode/launch.json").is_file(), has_gdb),
                (protocol != "linux", protocol != "linux")
            );
            if has_gdb {
                assert_eq!(read_json(&folder.join(".vscode/launch.json"))["configurations"][0]["preLaunchTask"], "gdb");
            }
            // What is built is nothing for git.
            assert_eq!(run(Command::new("git").args(["init", "-q"]).current_dir(&folder)).status, Some(0));
            for path in ["build/kernel.elf", "target/debug/kernel", "vmlinuz"] {
                let ignored = run(Command::new("git").args(["check-ignore", "-q", path]).current_dir(&folder));
                let is_made = path.starts_with("build")
                    || (path == "vmlinuz" && protocol == "linux")
                    || (path.starts_with("target") && language == "rust");
                assert_eq!(ignored.status == Some(0), is_made, "{protocol} {language} {path}");
            }
            if language == "rust" {
                for file in names_in(&folder.join("src")) {
                    let path = folder.join("src").join(file);
                    let formatted = run(Command::new("rustfmt").args(["--check", "--edition", "2024"]).arg(&path));
                    assert_eq!(formatted.status, Some(0), "{path:?}: {}{}", formatted.stdout, formatted.stderr);
                }
            }
        }
    }
}

#[test]
fn what_github_does_works() {
    for language in ["c", "rust"] {
        if language == "rust" && !has_target() {
            continue;
        }
        let project = Project::new("elf", language);
        let workflow: Value =
            serde_saphyr::from_str(&fs::read_to_string(project.folder().join(".github/workflows/ci.yml")).unwrap())
                .unwrap();
        let steps = workflow["jobs"]["test"]["steps"].as_array().unwrap();
        let step = |name: &str| steps.iter().find(|step| step["name"] == name).unwrap()["run"].as_str().unwrap();
        for name in ["Build", "Test"] {
            let done = project.shell(step(name));
            assert_eq!(done.status, Some(0), "{name}: {done:?}");
        }
        // The rest is GitHub's; that a shell understands it can be seen.
        for step in steps.iter().filter_map(|step| step["run"].as_str()) {
            let checked = run(Command::new("bash").args(["-n", "-c", step]));
            assert_eq!((checked.status, &*checked.stderr), (Some(0), ""), "{step}");
        }
        let unset = project.shell(step("Install stos-pack and stos-run"));
        assert!(unset.status == Some(1) && unset.stdout.contains("set the variable STOS_GIT"), "{unset:?}");
    }
}

#[test]
fn gdb_stops_at_the_kernel_and_shows_its_source() {
    if Command::new("gdb").arg("--version").output().is_err() {
        eprintln!("skipped: gdb is not installed");
        return;
    }
    for language in ["c", "rust"] {
        if language == "rust" && !has_target() {
            continue;
        }
        let project = Project::new("stos", language);
        let port = std::net::TcpListener::bind("localhost:0").unwrap().local_addr().unwrap().port();
        let command = if language == "c" { "make -s gdb" } else { "cargo run -q -- gdb" };
        // What is printed is typed, without a person.
        let line = format!(
            "{command} >out & for _ in $(seq 600); do grep -q '^QEMU waits: gdb' out && break; sleep 0.1; done; sleep 1
            eval \"$(sed -n 's/^QEMU waits: gdb/gdb -batch/p' out) -ex 'info source' -ex continue\"; wait; cat out"
        );
        let found = project.shell(&format!("export GDB_PORT={port}; {line}"));
        assert!(found.stdout.contains("Breakpoint 1, "), "{found:?}");
        assert!(found.stdout.contains(project.source()), "{found:?}");
        assert!(found.stdout.contains("\nHello from my-kernel!"), "{found:?}");
    }
}

/// Asserts that `new` with these options fails with `status` and says `expected`, and that nothing in `folder` has changed.
fn refused(folder: &Path, options: &[&str], status: i32, expected: &str) {
    let before = names_in(folder);
    let result = pack_in(folder, &[&["new"], options].concat());
    assert_eq!((result.status, &*result.stdout, &*result.stderr), (Some(status), "", &*format!("error: {expected}\n")));
    assert_eq!(names_in(folder), before, "{options:?}");
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("lab");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("b"), "mine").unwrap();
    let end = "name one that is, or that does not exist yet";
    refused(top.path(), &["lab"], 74, &format!("the folder `lab` is not empty: it has `b`; {end}"));
    for name in [".hidden", "a", "c\n", "d"] {
        fs::write(folder.join(name), "").unwrap();
    }
    let names = "`.hidden`, `a`, `b` and 2 more";
    refused(&folder, &[".", "--name", "x"], 74, &format!("the folder `.` is not empty: it has {names}; {end}"));
    assert_eq!(fs::read_to_string(folder.join("b")).unwrap(), "mine");
}

#[test]
fn what_can_not_become_a_folder_is_told() {
    let top = tempfile::tempdir().unwrap();
    fs::write(top.path().join("file"), "").unwrap();
    std::os::unix::fs::symlink("nowhere", top.path().join("link")).unwrap();
    refused(top.path(), &["file"], 74, "`file` is there already, and is no folder; name another one");
    refused(top.path(), &["file/lab"], 74, "`file` is there already, and is no folder; name another one");
    refused(top.path(), &["link"], 74, "`link` is there already, and is no folder; name another one");
    let missing = "can't write to `a/lab`: there is no such file; make the folder that it is to lie in with `mkdir -p`";
    refused(top.path(), &["a/lab"], 74, missing);
    // No right to write; root has it nearly everywhere.
    let result = pack_in(top.path(), &["new", "/sys/lab"]);
    assert_eq!(
        (result.status, result.stderr.starts_with("error: can't write to `/sys/lab`: ")),
        (Some(74), true),
        "{result:?}"
    );
}

#[test]
fn names_that_are_none_are_told_with_one_that_is() {
    let top = tempfile::tempdir().unwrap();
    let rule = "a name is a letter and then letters, digits, `-` and `_`, 64 at most; give it one with `--name";
    for (options, name, other) in [
        (&["2024 lab"][..], "2024 lab", "lab"),
        (&["my kernel", "--language", "rust"], "my kernel", "my-kernel"),
        (&["/"], "", "my-kernel"),
        (&["lab", "--name", "$(x)\n"], "$(x)\\n", "x"),
        (
            &["."],
            &top.path().file_name().unwrap().to_string_lossy(),
            &top.path().file_name().unwrap().to_string_lossy()[1..],
        ),
    ] {
        refused(top.path(), options, 64, &format!("a project can't be called `{name}`: {rule} {other}`"));
    }
    for (option, value) in [("--protocol", "grub"), ("--language", "cobol")] {
        let result = pack_in(top.path(), &["new", "lab", option, value]);
        assert_eq!(result.status, Some(64));
        let values = if option == "--protocol" { "stos, multiboot, linux, elf" } else { "c, rust, asm" };
        assert!(result.stderr.contains(&format!("invalid value '{value}' for '{option} <")), "{}", result.stderr);
        assert!(result.stderr.contains(&format!("[possible values: {values}]")), "{}", result.stderr);
    }
    assert_eq!(names_in(top.path()), Vec::<String>::new());
}

#[test]
fn a_project_that_can_not_be_written_whole_is_not_there() {
    let top = tempfile::tempdir().unwrap();
    let here = top.path().join("here");
    fs::create_dir(&here).unwrap();
    // Some files are small enough, and one is not.
    for (folder, left) in [("lab", ["here"].as_slice()), ("here", &["here"])] {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -f 8; exec \"$0\" \"$@\""]).arg(tool_path("stos-pack")).args(["new", folder]);
        let result = run(shell.current_dir(top.path()));
        assert_eq!(result.status, Some(74), "{result:?}");
        let start = format!("error: can't write to `{folder}/");
        assert!(
            result.stderr.starts_with(&start) && result.stderr.contains("`ulimit -f` shows the limit"),
            "{result:?}"
        );
        assert_eq!(names_in(top.path()), left);
        assert_eq!(names_in(&here), Vec::<String>::new());
    }
}

#[test]
fn a_folder_without_a_kernel_is_told_where_to_get_one() {
    let top = tempfile::tempdir().unwrap();
    let result = pack_in(top.path(), &["init"]);
    assert!(
        result.stdout.ends_with("\nor begin with a kernel that works, in a folder of its own: `stos-pack new DIR`\n"),
        "{result:?}"
    );
    // And `init` finds what was built in one.
    let project = Project::new("stos", "c");
    assert_eq!(project.shell("make").status, Some(0));
    fs::remove_file(project.folder().join("manifest.yaml")).unwrap();
    let begun = pack_in(&project.folder(), &["init"]).stdout;
    assert!(begun.contains("kernel: build/kernel.elf (stos)\n"), "{begun}");
}
