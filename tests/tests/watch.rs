//! `stos-run --watch`: every change of what an image is made of gives one run more, whatever goes wrong, until it is ended.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use stos_tests::process::{children_of, is_alive, wait_until};
use stos_tests::terminal::Session;
use stos_tests::tools::{root, tool, tool_path};
use tempfile::TempDir;

/// A folder with manifests, and `stos-run` that watches one of them.
struct Watched {
    folder: TempDir,
    runner: Child,
}

/// A folder with a kernel that prints a line, and a manifest that is made of two.
fn project() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::copy(example("elf/hello.elf"), path.join("kernel.elf")).unwrap();
    fs::write(path.join("base.yaml"), "version: 1\nname: x\nmemory: 4MiB\n").unwrap();
    fs::write(path.join("m.yaml"), "extends: base.yaml\nkernel: {path: kernel.elf, protocol: elf}\n").unwrap();
    folder
}

fn example(name: &str) -> PathBuf {
    let path = root().join("examples").join(name);
    assert!(path.exists(), "{} is missing (run `make -C examples`)", path.display());
    path
}

impl Watched {
    fn start(words: &[&str]) -> Self {
        Self::start_in(project(), words)
    }

    fn start_in(folder: TempDir, words: &[&str]) -> Self {
        let file = |name| File::create(folder.path().join(name)).unwrap();
        let mut command = tool("stos-run");
        command.current_dir(folder.path()).args(["--backend", "emulated"]).args(words);
        command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        let runner = command.spawn().unwrap();
        Self { folder, runner }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// As most editors do it: another file takes the name.
    fn replace(&self, name: &str, content: &[u8]) {
        fs::write(self.path("new"), content).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn said(&self) -> String {
        fs::read_to_string(self.path("err")).unwrap()
    }

    fn printed(&self) -> String {
        fs::read_to_string(self.path("out")).unwrap()
    }

    fn wait_for(&self, text: &str) {
        wait_until(|| self.said().contains(text), text);
    }

    /// Waits until so many runs have ended.
    fn wait_for_ends(&self, count: usize) {
        let ends = || self.said().matches("stos-run: the guest reported success\n").count();
        wait_until(|| ends() == count, "the guest reported success");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.runner), signal).unwrap();
    }

    /// Ends it by a signal: its status, and all that it has said.
    fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        let children = children_of(self.runner.id());
        self.signal(signal);
        let status = self.runner.wait().unwrap();
        wait_until(|| !children.iter().any(|child| is_alive(*child)), "its runs have ended, too");
        (status.code(), self.said())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.runner.kill();
        let _ = self.runner.wait();
    }
}

#[test]
fn each_change_gives_one_run_more_and_is_named() {
    let watched = Watched::start(&["--watch", "m.yaml", "--report", "report.json"]);
    watched.wait_for("watching base.yaml, kernel.elf, m.yaml; Ctrl-C ends\n");
    watched.wait_for_ends(1);
    // Not one of its files, though in their folder.
    watched.write("notes", "nothing");
    let kernel = fs::read(watched.path("kernel.elf")).unwrap();
    watched.replace("kernel.elf", &kernel);
    watched.wait_for("--- run 2: kernel.elf has changed; run 1 ended with status 0 -");
    watched.wait_for_ends(2);
    watched.write("base.yaml", "version: 1\nname: other\nmemory: 8MiB\n");
    watched.wait_for("--- run 3: base.yaml has changed; run 2 ended with status 0 -");
    watched.wait_for_ends(3);
    fs::remove_file(watched.path("kernel.elf")).unwrap();
    watched.wait_for("--- run 4: kernel.elf has gone; run 3 ended with status 0 -");
    watched.wait_for("error[E0001]: can't read `kernel.elf`");
    watched.replace("kernel.elf", &kernel);
    watched.wait_for("--- run 5: kernel.elf is there; run 4 ended with status 66 -");
    watched.wait_for_ends(4);
    assert!(watched.path("report.json").exists());
    let (status, said) = watched.end(Signal::INT);
    assert_eq!(status, Some(130), "{said}");
    assert!(!said.contains("run 6"), "{said}");
}

#[test]
fn a_manifest_with_mistakes_is_told_and_watching_goes_on() {
    let watched = Watched::start(&["--watch", "m.yaml"]);
    watched.wait_for_ends(1);
    watched.write("m.yaml", "extends: [\n");
    watched.wait_for("error[E0002]: this is not valid YAML");
    watched.write("m.yaml", "extends: other.yaml\nkernel: {path: kernel.elf, protocol: elf}\n");
    watched.wait_for("error[E0001]: can't read the manifest `other.yaml`");
    watched.write("other.yaml", "version: 1\nname: x\nmemory: 4MiB\n");
    watched.wait_for("--- run 4: other.yaml is there; run 3 ended with status 66 -");
    watched.wait_for_ends(2);
    assert_eq!(watched.printed(), "hello: without a boot protocol\n".repeat(2));
    assert_eq!(watched.end(Signal::TERM).0, Some(143));
}

#[test]
fn many_changes_in_a_burst_give_one_run() {
    let watched = Watched::start(&["--watch", "m.yaml"]);
    watched.wait_for_ends(1);
    watched.signal(Signal::STOP);
    for number in 0..50 {
        watched.write("base.yaml", &format!("version: 1\nname: x{number}\nmemory: 4MiB\n"));
    }
    watched.signal(Signal::CONT);
    watched.wait_for("--- run 2: base.yaml has changed");
    watched.wait_for_ends(2);
    watched.write("base.yaml", "version: 1\nname: last\nmemory: 4MiB\n");
    watched.wait_for_ends(3);
    let (_, said) = watched.end(Signal::INT);
    assert_eq!(said.matches("\n--- run ").count(), 2, "{said}");
}

#[test]
fn a_tree_that_becomes_the_initramfs_is_watched() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("root/etc")).unwrap();
    let kernel = example("guests/exit_status.elf");
    let text = format!("version: 1\nname: x\nmemory: 64MiB\nkernel: {{path: {}, protocol: stos}}\n", kernel.display());
    fs::write(folder.path().join("m.yaml"), text + "initramfs: {directory: root}\n").unwrap();
    let watched = Watched::start_in(folder, &["--watch", "m.yaml"]);
    watched.wait_for_ends(1);
    watched.write("root/etc/motd", "hello");
    watched.wait_for("--- run 2: root/etc/motd is there; run 1 ended with status 0 -");
    watched.wait_for_ends(2);
    watched.write("root/etc/motd", "other words");
    watched.wait_for("--- run 3: root/etc/motd has changed; run 2 ended with status 0 -");
    watched.wait_for_ends(3);
    assert_eq!(watched.end(Signal::INT).0, Some(130));
}

#[test]
fn a_change_ends_a_guest_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(example("guests/spin.elf"), folder.path().join("kernel.elf")).unwrap();
    let watched = Watched::start_in(folder, &["--watch", "kernel.elf"]);
    wait_until(|| watched.printed().contains("spin: started"), "the guest has begun");
    let first = children_of(watched.runner.id());
    assert_eq!(first.len(), 1);
    watched.replace("kernel.elf", &fs::read(example("guests/spin.elf")).unwrap());
    watched.wait_for("--- run 2: kernel.elf has changed; run 1 was ended -");
    wait_until(|| watched.printed().matches("spin: started").count() == 2, "the next guest has begun");
    assert!(!is_alive(first[0]));
    // Who has ended it need not be told where it was.
    assert!(!watched.said().contains("terminated"), "{}", watched.said());
    let (status, said) = watched.end(Signal::TERM);
    assert_eq!(status, Some(143), "{said}");
}

#[test]
fn a_run_does_not_outlive_who_watches_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(example("guests/spin.elf"), folder.path().join("kernel.elf")).unwrap();
    let watched = Watched::start_in(folder, &["--watch", "kernel.elf"]);
    wait_until(|| watched.printed().contains("spin: started"), "the guest has begun");
    assert_eq!(watched.end(Signal::KILL).0, None);
}

#[test]
fn differences_are_told_when_they_are_asked_for() {
    let watched = Watched::start(&["--watch=diff", "m.yaml"]);
    watched.wait_for_ends(1);
    let kernel = fs::read(watched.path("kernel.elf")).unwrap();
    let at = kernel.windows(7).position(|bytes| bytes == b"without").unwrap();
    let mut other = kernel.clone();
    other[at..at + 7].copy_from_slice(b"beyond\x1b");
    watched.replace("kernel.elf", &other);
    let difference = "--- printed by run 1 (-) and run 2 (+):\n-hello: without a boot protocol\n+hello: beyond\\u{1b} a boot protocol\n";
    watched.wait_for(difference);
    // What could not be packed has printed nothing, and is passed over.
    watched.write("m.yaml", "extends: [\n");
    watched.wait_for("error[E0002]");
    watched.write("m.yaml", "extends: base.yaml\nkernel: {path: kernel.elf, protocol: elf}\n");
    watched.wait_for("--- run 4 has printed the same as run 2\n");
    let (status, said) = watched.end(Signal::INT);
    assert_eq!(status, Some(130), "{said}");
    assert_eq!(said.matches("printed").count(), 2, "{said}");
}

#[test]
fn what_is_said_is_as_quiet_as_it_is_asked_to_be() {
    let watched = Watched::start(&["-q", "--watch", "m.yaml"]);
    watched.wait_for_ends(1);
    watched.write("m.yaml", "extends: base.yaml\nkernel: {path: kernel.elf, protocol: elf}\n# more\n");
    watched.wait_for_ends(2);
    let (_, said) = watched.end(Signal::INT);
    assert!(said.contains("\n--- run 2: ") && !said.contains("running on"), "{said}");
    let watched = Watched::start(&["-qq", "--watch", "m.yaml"]);
    let line = "hello: without a boot protocol\n";
    wait_until(|| watched.printed() == line, line);
    watched.write("m.yaml", "extends: base.yaml\nkernel: {path: kernel.elf, protocol: elf}\n# more\n");
    wait_until(|| watched.printed() == line.repeat(2), line);
    assert_eq!(watched.end(Signal::INT).1, "");
}

#[test]
fn a_finished_image_is_watched_and_so_is_what_is_not_there_yet() {
    let folder = project();
    let packed = stos_tests::tools::pack_in(folder.path(), &["m.yaml", "-o", "packed.img"]);
    assert_eq!(packed.status, Some(0), "{packed:?}");
    let watched = Watched::start_in(folder, &["--watch", "later/guest.img"]);
    watched.wait_for("stos-run: can't open the image `later/guest.img`: there is no such file\n");
    fs::create_dir(watched.path("later")).unwrap();
    fs::rename(watched.path("packed.img"), watched.path("later/guest.img")).unwrap();
    watched.wait_for("--- run 2: later/guest.img is there; run 1 ended with status 66 -");
    watched.wait_for_ends(1);
    assert_eq!(watched.end(Signal::INT).0, Some(130));
}

#[test]
fn at_a_terminal_ctrl_c_ends_both_and_lines_are_as_wide_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = folder.path().join("kernel.elf");
    fs::copy(example("guests/spin.elf"), &kernel).unwrap();
    let mut command = Command::new(tool_path("stos-run"));
    command.current_dir(folder.path()).args(["--backend", "emulated", "--watch", "kernel.elf"]);
    let mut session = Session::start(&command);
    session.wait_for("spin: started");
    touch(&kernel);
    session.wait_for("--- run 2: kernel.elf has changed; run 1 was ended");
    session.wait_for("spin: started");
    session.type_keys(&[3]);
    let children = children_of(session.id());
    let (status, _) = session.end();
    assert_eq!(status.code(), Some(130));
    assert!(!children.iter().any(|child| is_alive(*child)));
}

/// Gives the file another time.
fn touch(path: &Path) {
    fs::write(path, fs::read(path).unwrap()).unwrap();
}
