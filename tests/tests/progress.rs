//! What is shown of a build or a check while it runs: a bar on a terminal once it takes more than a second, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use stos_tests::fixtures::{golden_id, golden_image, golden_manifest};
use stos_tests::terminal::Session;
use stos_tests::tools::{Run, pack_in, run, tool};

/// The golden image in `folder`, and a pipe beside it: a file that is as slow as a test wants it to be.
fn image_and_pipe(folder: &Path) -> (Vec<u8>, PathBuf) {
    let image = golden_image(folder);
    let pipe = folder.join("pipe");
    assert_eq!(run(Command::new("mkfifo").arg(&pipe)).status, Some(0));
    (fs::read(image).unwrap(), pipe)
}

/// `stos-pack` as on a terminal of 80 columns.
fn at_terminal(folder: &Path) -> Command {
    let mut command = tool("stos-pack");
    command.current_dir(folder).env("TERM", "xterm").env("COLUMNS", "80");
    command
}

/// The lines that are left on a terminal where `output` was printed: it knows `\r`, `\n` and "erase the line".
fn left_on_screen(output: &str) -> Vec<String> {
    let mut lines = vec![Vec::new()];
    let mut column = 0;
    let mut rest = output;
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("\u{1b}[2K") {
            lines.last_mut().unwrap().clear();
            rest = after;
            continue;
        }
        rest = &rest[next.len_utf8()..];
        let line = lines.last_mut().unwrap();
        match next {
            '\r' => column = 0,
            '\n' => lines.push(Vec::new()),
            '\u{1b}' => panic!("another escape sequence in {output:?}"),
            other => {
                line.resize(line.len().max(column + 1), ' ');
                line[column] = other;
                column += 1;
            }
        }
    }
    lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned()).collect()
}

#[test]
fn a_slow_check_shows_a_bar_and_takes_it_away() {
    let folder = tempfile::tempdir().unwrap();
    let (image, pipe) = image_and_pipe(folder.path());
    let mut session = Session::start(at_terminal(folder.path()).args(["verify", "pipe"]));
    let mut writer = File::options().write(true).open(&pipe).unwrap();
    writer.write_all(&image[..image.len() - 1]).unwrap();
    session.wait_for("verifying [");
    writer.write_all(&image[image.len() - 1..]).unwrap();
    drop(writer);
    let (status, seen) = session.end();
    assert_eq!(status.code(), Some(0), "{seen:?}");
    assert_eq!(left_on_screen(&seen), [&format!("pipe: every byte is right, {}", golden_id()), ""]);
}

#[test]
fn a_slow_build_shows_a_bar_and_takes_it_away() {
    let folder = tempfile::tempdir().unwrap();
    let (image, pipe) = image_and_pipe(folder.path());
    let mut session = Session::start(at_terminal(folder.path()).arg(golden_manifest()).args(["-o", "pipe"]));
    // Until the pipe has a reader, nothing can be written.
    session.wait_for("writing [");
    assert!(session.seen.contains(" of "), "{:?}", session.seen);
    let mut copy = Vec::new();
    File::open(pipe).unwrap().read_to_end(&mut copy).unwrap();
    let (status, seen) = session.end();
    assert_eq!(status.code(), Some(0), "{seen:?}");
    assert!(copy == image, "the image is another one in a pipe");
    let left = left_on_screen(&seen);
    assert!(left[0].starts_with("pipe: ") && left.len() == 2 && left[1].is_empty(), "{left:?}");
}

#[test]
fn ctrl_c_takes_the_bar_away_and_ends_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let (image, pipe) = image_and_pipe(folder.path());
    let mut session = Session::start(at_terminal(folder.path()).args(["verify", "pipe"]));
    let mut writer = File::options().write(true).open(pipe).unwrap();
    writer.write_all(&image[..image.len() - 1]).unwrap();
    session.wait_for("verifying [");
    session.type_keys(b"\x03");
    let (status, seen) = session.end();
    assert_eq!(status.signal(), Some(2), "{status}: {seen:?}");
    let left = left_on_screen(&seen);
    assert!(left.iter().all(|line| line.is_empty() || line == "^C"), "{left:?}");
}

#[test]
fn a_quick_build_shows_its_result_and_what_to_type_next() {
    let folder = tempfile::tempdir().unwrap();
    let (status, seen) =
        Session::start(at_terminal(folder.path()).arg(golden_manifest()).args(["-o", "golden.img"])).end();
    assert_eq!(status.code(), Some(0), "{seen:?}");
    assert!(
        seen.starts_with("golden.img: ")
            && seen.ends_with("\nrun it: stos-run golden.img\r\n")
            && seen.matches('\n').count() == 2
            && !seen.contains('\u{1b}'),
        "{seen:?}"
    );
}

/// Writes `image` into `pipe`, with a pause that is long enough for a bar.
fn feed_slowly(image: &[u8], pipe: &Path) {
    let mut writer = File::options().write(true).open(pipe).unwrap();
    writer.write_all(&image[..image.len() - 1]).unwrap();
    thread::sleep(Duration::from_millis(1500));
    writer.write_all(&image[image.len() - 1..]).unwrap();
}

#[test]
fn no_bar_gets_into_files_and_pipes() {
    let folder = tempfile::tempdir().unwrap();
    let (image, pipe) = image_and_pipe(folder.path());
    let mut command = at_terminal(folder.path());
    let child = command.args(["verify", "pipe"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    feed_slowly(&image, &pipe);
    let result: Run = child.wait_with_output().unwrap().into();
    assert_eq!((result.status, &*result.stderr), (Some(0), ""));
    assert!(result.stdout.starts_with("pipe: every byte is right"), "{}", result.stdout);
}

#[test]
fn no_bar_is_shown_to_who_wants_none() {
    for (arguments, terminal) in [
        (&["verify", "pipe", "--quiet"][..], "xterm"),
        (&["verify", "pipe", "--message-format", "json"], "xterm"),
        (&["verify", "pipe"], "dumb"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (image, pipe) = image_and_pipe(folder.path());
        let session = Session::start(at_terminal(folder.path()).env("TERM", terminal).args(arguments));
        feed_slowly(&image, &pipe);
        let (status, seen) = session.end();
        assert_eq!(status.code(), Some(0), "{seen:?}");
        assert!(!seen.contains("verifying"), "{arguments:?} on a {terminal} terminal: {seen:?}");
    }
}

#[test]
fn a_verbose_build_tells_each_step_on_standard_error() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("golden.img");
    let result = run(tool("stos-pack").arg("-v").arg(golden_manifest()).arg("-o").arg(&image));
    assert_eq!(result.status, Some(0), "{}", result.stderr);
    assert_eq!(result.stdout.lines().count(), 1, "{}", result.stdout);
    let size = fs::metadata(&image).unwrap().len();
    let begins: Vec<String> = [
        "manifest: ",
        "profile: none",
        "manifests read in ",
        "kernel: kernel.elf, 456 bytes, sha256:",
        "modules[0]: first.ko, ",
        "modules[1]: second.ko, ",
        "initramfs: initramfs, 636 bytes, sha256:",
        "inputs read and digested: ",
        "memory: ",
        "memory planned in ",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([format!("written: {size} bytes in ")])
    .collect();
    let lines: Vec<&str> = result.stderr.lines().collect();
    assert_eq!(lines.len(), begins.len(), "{}", result.stderr);
    for (line, begin) in lines.iter().zip(&begins) {
        assert!(line.starts_with(begin), "{line:?} does not begin with {begin:?}");
    }
    let verified = run(tool("stos-pack").arg("verify").arg("-v").arg(&image));
    assert!(verified.stderr.starts_with(&format!("verified: {size} bytes in ")), "{}", verified.stderr);
    let failed = run(tool("stos-pack").args(["-v", "verify"]).arg(golden_manifest()));
    assert_eq!(failed.status, Some(65));
    assert!(failed.stderr.starts_with("failed after "), "{}", failed.stderr);
}

#[test]
fn quiet_takes_results_away_and_leaves_errors() {
    let folder = tempfile::tempdir().unwrap();
    let pack = |arguments: &[&str]| pack_in(folder.path(), arguments);
    let golden = golden_manifest().display().to_string();
    for arguments in [
        &["-q", &golden, "-o", "golden.img"][..],
        &["verify", "--quiet", "golden.img"],
        &["-q", "verify", "golden.img"],
        &["init", "-q"],
        &["inspect", "golden.img", "--svg", "golden.svg", "-q"],
        &["extract", "golden.img", "folder", "-q"],
    ] {
        let result = pack(arguments);
        assert_eq!((result.status, &*result.stdout, &*result.stderr), (Some(0), "", ""), "{arguments:?}");
    }
    let image = tool("stos-pack").args(["-q", &golden, "-o", "-"]).output().unwrap();
    assert!(image.stderr.is_empty() && image.stdout == fs::read(folder.path().join("golden.img")).unwrap());
    let missing = pack(&["-q", "missing.yaml"]);
    assert_eq!(missing.status, Some(66));
    assert!(missing.stderr.contains("E0001"), "{}", missing.stderr);
    for arguments in [
        &["-q", "-v", &golden][..],
        &["-q", "verify", "golden.img", "-v"],
        &["inspect", "golden.img", "-q"],
        &["explain", "E0001", "-v"],
        &["init", "-v"],
        &["-v", "--message-format", "json", &golden],
    ] {
        let result = pack(arguments);
        assert_eq!((result.status, &*result.stdout), (Some(64), ""), "{arguments:?}: {}", result.stderr);
    }
}
