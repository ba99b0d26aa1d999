//! What `stos-run` answers instead of running an image, and what it is told by environment and settings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use stos_tests::bare::code::{exit, say};
use stos_tests::bare::{BareGuest, ImageFile};
use stos_tests::terminal::Session;
use stos_tests::tools::{Run, run, tool};
use tempfile::TempDir;

const VERBS: [&str; 5] = ["completions", "doctor", "explain", "man", "schema"];

fn answer(words: &[&str]) -> Run {
    run(tool("stos-run").args(words))
}

/// An image whose guest prints a word and ends with 7.
fn image() -> ImageFile {
    ImageFile::new(&BareGuest::new(&[say("it ran\n"), exit(7)].concat()).image())
}

#[test]
fn completions_know_verbs_and_options_and_bash_takes_them() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let result = answer(&["completions", shell]);
        assert_eq!((result.status, &*result.stderr), (Some(0), ""), "{shell}");
        for word in VERBS.into_iter().chain(["message-format", "sarif"]) {
            assert!(result.stdout.contains(word), "{word} is missing for {shell}");
        }
    }
    let script = answer(&["completions", "bash"]).stdout;
    let complete = |words: &str, at: usize| {
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={at}; COMP_LINE=\"{words}\"\n\
             _stos__run stos-run \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at}-1]}}\"; echo \"${{COMPREPLY[@]}}\"\n"
        );
        let result = run(Command::new("bash").args(["--norc", "-c", &ask]));
        assert_eq!(result.stderr, "");
        result.stdout.trim().to_owned()
    };
    assert_eq!(complete("stos-run doc", 1), "doctor");
    assert_eq!(complete("stos-run --messa", 1), "--message-format");
    assert_eq!(complete("stos-run completions ba", 2), "bash");
    assert_eq!(complete("stos-run --backend emu", 2), "emulated");
    let zsh = answer(&["completions", "zsh"]).stdout;
    assert!(zsh.contains("{_stos-run_commands; _files}") && !zsh.contains("$line[2]"), "{zsh}");
    assert_eq!(answer(&["completions", "tcsh"]).status, Some(64));
}

#[test]
fn the_manual_has_a_page_for_the_program_and_for_each_verb() {
    let page = answer(&["man"]);
    assert_eq!((page.status, &*page.stderr), (Some(0), ""));
    assert!(
        page.stdout.contains(".TH stos-run 1")
            && page.stdout.contains(".SH SYNOPSIS\n\\fBstos\\-run\\fR [OPTIONS] <FILE>\n"),
        "{}",
        page.stdout
    );
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man");
    let written = answer(&["man", pages.to_str().unwrap()]);
    assert_eq!(written.stdout, format!("{}: {} pages\n", pages.display(), VERBS.len() + 1));
    for verb in VERBS {
        let page = fs::read_to_string(pages.join(format!("stos-run-{verb}.1"))).unwrap();
        assert!(page.contains(&format!(".TH stos-run-{verb} 1")), "{page}");
    }
    let refused = answer(&["man", "/proc/nowhere"]);
    assert_eq!((refused.status, &*refused.stdout), (Some(74), ""));
    assert!(
        refused.stderr.starts_with("stos-run: writing manual pages into `/proc/nowhere` failed: "),
        "{}",
        refused.stderr
    );
}

#[test]
fn endings_are_explained_by_status_by_kind_and_by_code() {
    for (what, begin) in
        [("102", "# 102: "), ("triple_fault", "# 100: "), ("130", "# 129 to 152: "), ("E0026", "# E0026: ")]
    {
        let page = answer(&["explain", what]);
        assert_eq!((page.status, &*page.stderr), (Some(0), ""), "{what}");
        assert!(page.stdout.starts_with(begin) && page.stdout.contains("\n## "), "{what}: {}", page.stdout);
    }
    let unknown = answer(&["explain", "tripel_fault"]);
    assert_eq!((unknown.status, &*unknown.stdout), (Some(64), ""));
    assert_eq!(unknown.stderr, "stos-run: there is nothing about `tripel_fault`; did you mean triple_fault?\n");
}

#[test]
fn the_version_is_one_line_and_with_more_wanted_what_guests_run_on() {
    let version = format!("stos-run {}", env!("CARGO_PKG_VERSION"));
    for words in [&["--version"][..], &["-V"]] {
        assert_eq!(answer(words).stdout, format!("{version}\n"));
    }
    for words in [&["--version", "--verbose"][..], &["-Vv"], &["-vV"], &["-v", "--version"]] {
        let told = answer(words);
        assert_eq!((told.status, &*told.stderr), (Some(0), ""), "{words:?}");
        let parts: Vec<&str> = told.stdout.lines().map(|line| line.split_once([',', ':']).unwrap().0).collect();
        assert_eq!(parts, [&*version, "KVM", "embedded", "emulator"], "{}", told.stdout);
    }
    let alone = answer(&["-v", "image"]);
    assert_eq!(alone.status, Some(64));
    assert!(alone.stderr.starts_with("error: `--verbose` goes with `--version`"), "{}", alone.stderr);
}

#[test]
fn a_verb_with_a_mistake_in_it_is_guessed_where_there_is_no_such_file() {
    for (word, guess) in
        [("doctro", "; did you mean `stos-run doctor`?"), ("Explain", "; did you mean `stos-run explain`?")]
    {
        let told = answer(&[word]);
        let expected = format!("stos-run: can't open the image `{word}`: there is no such file{guess}\n");
        assert_eq!((told.status, told.stderr), (Some(66), expected));
    }
    for word in ["./doctro", "kernel.img"] {
        assert!(!answer(&[word]).stderr.contains("did you mean"), "{word}");
    }
}

#[test]
fn a_file_that_is_called_like_a_verb_runs_with_its_folder_before_it() {
    let (image, folder) = (image(), tempfile::tempdir().unwrap());
    for verb in VERBS {
        fs::copy(image.path(), folder.path().join(verb)).unwrap();
        let file = format!("./{verb}");
        for words in [&["-q", "--backend", "emulated", &file][..], &["-q", "--backend", "emulated", "--", verb]] {
            let ran = run(tool("stos-run").current_dir(&folder).args(words));
            assert_eq!((ran.status, &*ran.stdout), (Some(7), "it ran\n"), "{words:?}: {}", ran.stderr);
        }
    }
    // As the value of an option, too.
    let ran = run(tool("stos-run").current_dir(&folder).args(["--backend", "emulated", "--expect", "man", "doctor"]));
    assert_eq!((ran.status, &*ran.stdout), (Some(7), "it ran\n"), "{}", ran.stderr);
}

/// Checks that an examination is whole; returns it.
fn examined(result: Run) -> Run {
    assert_eq!(result.stderr, "");
    let parts: Vec<&str> =
        result.stdout.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.get(6..14)).collect();
    for part in ["system", "versions", "KVM", "embedded", "emulator", "terminal", "limits", "sandbox", "settings"] {
        assert!(parts.iter().any(|found| found.trim() == part), "{part} is missing in\n{}", result.stdout);
    }
    let expected = if result.stdout.lines().any(|line| line.starts_with("bad ")) { 69 } else { 0 };
    assert_eq!(result.status, Some(expected), "{}", result.stdout);
    result
}

#[test]
fn a_machine_is_examined_part_by_part() {
    let here = examined(answer(&["doctor"]));
    assert_eq!(here.status, Some(0), "this machine runs guests\n{}", here.stdout);
    assert!(here.stdout.contains("\nok    emulator  QEMU emulator version "), "{}", here.stdout);
    assert!(here.stdout.contains("\nok    embedded  the machine that is part of stos-run "), "{}", here.stdout);
}

#[test]
fn an_emulator_that_is_missing_or_broken_is_told_with_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let asks = |path: &Path, backend| {
        examined(run(tool("stos-run").arg("doctor").env("PATH", path).env("STOS_RUN_BACKEND", backend)))
    };
    let at = |path| asks(path, "auto");
    let missing = at(folder.path());
    assert!(missing.stdout.contains("emulator  none: neither qemu-system-i386 nor "), "{}", missing.stdout);
    assert!(missing.stdout.contains("to do: ") && missing.stdout.contains("qemu"), "{}", missing.stdout);
    let program = folder.path().join("qemu-system-i386");
    fs::write(&program, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let broken = at(folder.path());
    assert!(broken.stdout.contains(&format!("{} is of no use: ", program.display())), "{}", broken.stdout);
    assert_eq!((missing.status, broken.status), (Some(0), Some(0)), "guests run without one");
    let named = asks(folder.path(), "qemu");
    assert!(named.status == Some(69) && named.stdout.contains("\nbad   emulator  "), "{}", named.stdout);
}

#[test]
fn a_home_that_cannot_be_written_to_and_a_narrow_terminal_are_no_obstacle() {
    let (image, home) = (image(), tempfile::tempdir().unwrap());
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o500)).unwrap();
    for place in [home.path(), Path::new("/proc/nowhere")] {
        let with_home = |words: &[&str]| {
            let mut command = tool("stos-run");
            command.env("HOME", place).env_remove("XDG_CONFIG_HOME").args(words);
            run(&mut command)
        };
        examined(with_home(&["doctor"]));
        assert_eq!(with_home(&["-q", "--backend", "emulated", image.path().to_str().unwrap()]).status, Some(7));
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is written there");
    let mut narrow = Command::new("sh");
    narrow.args(["-c", "stty cols 20 rows 10 && exec \"$0\" doctor"]).arg(tool("stos-run").get_program());
    let (status, seen) = Session::start(&narrow).end();
    assert_eq!(status.code(), Some(0), "{seen}");
    assert!(seen.contains("20 columns and 10 rows") && seen.contains("make it larger"), "{seen}");
}

/// A folder for settings, with `text` in the file.
fn settings(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("stos")).unwrap();
    let file = folder.path().join("stos/run.yaml");
    fs::write(&file, text).unwrap();
    (folder, file)
}

#[test]
fn settings_hold_where_the_command_line_says_nothing() {
    let image = image();
    let (folder, _) = settings("backend: kvm\ncolor: always\n");
    let said = |variables: &[(&str, &str)], words: &[&str]| {
        let mut command = tool("stos-run");
        command.env("XDG_CONFIG_HOME", folder.path()).envs(variables.iter().copied()).args(words).arg(image.path());
        run(&mut command).stderr
    };
    let emulated = [("STOS_RUN_BACKEND", "emulated")];
    assert!(said(&emulated, &[]).starts_with("stos-run: running on qemu-system-"), "the environment beats the file");
    assert!(said(&emulated, &[]).contains(", as asked\n"));
    let kvm = [("STOS_RUN_BACKEND", "kvm")];
    assert!(
        said(&kvm, &["--backend", "emulated"]).starts_with("stos-run: running on qemu-system-"),
        "the command line beats both"
    );
    // Whether there is a KVM here or not, it is what the file asks for.
    assert!(!said(&[], &[]).contains("running on qemu-system-"), "{}", said(&[], &[]));
}

#[test]
fn a_time_limit_of_the_settings_beats_that_of_the_image() {
    let endless = ImageFile::new(&BareGuest::new(&[0xeb, 0xfe]).image());
    let mut command = tool("stos-run");
    let ran = run(command.env("STOS_RUN_TIMEOUT", "500ms").args(["-q", "--backend", "emulated"]).arg(endless.path()));
    assert_eq!(ran.status, Some(124), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("stos-run: time limit of 500ms reached"), "{}", ran.stderr);
}

#[test]
fn a_setting_that_makes_no_sense_is_told_with_its_place() {
    let image = image();
    let (folder, file) = settings("timeout: 10s\nbackend: bochs\n");
    let told = run(tool("stos-run").env("XDG_CONFIG_HOME", folder.path()).arg(image.path()));
    assert_eq!((told.status, &*told.stdout), (Some(64), ""));
    let expected = format!(
        "stos-run: `{}`: backend: `bochs` is no value for it: it can be auto, kvm, emulated, embedded\n",
        file.display()
    );
    assert_eq!(told.stderr, expected);
    let told = run(tool("stos-run").env("STOS_RUN_COLOR", "red").args(["--message-format", "json"]).arg(image.path()));
    assert_eq!(told.status, Some(64));
    assert!(told.stderr.contains("\"message\":\"STOS_RUN_COLOR: `red` is no value for it: "), "{}", told.stderr);
    fs::write(&file, "bakend: kvm\n").unwrap();
    let examined = examined(run(tool("stos-run").env("XDG_CONFIG_HOME", folder.path()).arg("doctor")));
    assert!(examined.stdout.contains(&format!("bad   settings  `{}`: ", file.display())), "{}", examined.stdout);
    // What is answered needs no settings.
    assert_eq!(run(tool("stos-run").env("XDG_CONFIG_HOME", folder.path()).args(["explain", "0"])).status, Some(0));
}
