//! What is made from the description of `stos-pack`'s command line: completions and manual pages.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use rustix::fs::{CWD, Mode, OFlags, mkfifoat, openat};
use rustix::process::{Pid, Signal, kill_process};
use stos_tests::files::names_in;
use stos_tests::tools::{run, tool};

/// Every verb, as help lists them.
fn verbs() -> Vec<String> {
    let help = run(tool("stos-pack").arg("-h")).stdout;
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let mut verbs: Vec<String> = names.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    verbs.retain(|verb| verb != "help");
    assert!(verbs.len() >= 9, "{help}");
    verbs
}

#[test]
fn completions_know_every_verb_and_bash_can_read_them() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let result = run(tool("stos-pack").args(["completions", shell]));
        assert_eq!((result.status, &*result.stderr), (Some(0), ""), "{shell}");
        for word in verbs().iter().map(|verb| &**verb).chain(["message-format", "locked"]) {
            assert!(result.stdout.contains(word), "{word} is missing for {shell}");
        }
        if shell == "bash" {
            let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            bash.stdin.take().unwrap().write_all(result.stdout.as_bytes()).unwrap();
            let checked = bash.wait_with_output().unwrap();
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        }
    }
    let unknown = run(tool("stos-pack").args(["completions", "tcsh"]));
    assert_eq!((unknown.status, &*unknown.stdout), (Some(64), ""));
}

#[test]
fn bash_completes_verbs_and_options() {
    let script = run(tool("stos-pack").args(["completions", "bash"])).stdout;
    let complete = |words: &str, at: usize| {
        let ask = format!(
            "{script}\nCOMP_WORDS=({words}); COMP_CWORD={at}; COMP_LINE=\"{words}\"\n\
             _stos__pack stos-pack \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at}-1]}}\"; echo \"${{COMPREPLY[@]}}\"\n"
        );
        let result = run(Command::new("bash").args(["--norc", "-c", &ask]));
        assert_eq!(result.stderr, "");
        result.stdout.trim().to_owned()
    };
    assert_eq!(complete("stos-pack ver", 1), "verify");
    assert_eq!(complete("stos-pack --lo", 1), "--locked");
    assert_eq!(complete("stos-pack inspect --js", 2), "--json");
    assert_eq!(complete("stos-pack completions ba", 2), "bash");
    assert_eq!(complete("stos-pack --message-format json inspect --sv", 4), "--svg");
    let shells = complete("stos-pack completions ''", 2);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(shells.split(' ').any(|word| word == shell), "{shells}");
    }
}

#[test]
fn a_mistyped_verb_is_told_from_a_manifest() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("build")).unwrap();
    let said = |line: &str| {
        let result = run(tool("stos-pack").current_dir(&folder).args(line.split(' ')));
        assert_eq!(result.stdout, "", "{line}");
        (result.status, result.stderr)
    };
    for (line, word, verb) in [
        ("lokc hello.yaml", "lokc", "lock"),
        ("lokc extra", "lokc", "lock"),
        ("vrify", "vrify", "verify"),
        ("-q Lock a.yaml", "Lock", "lock"),
        ("inspcet --json a.img", "inspcet", "inspect"),
    ] {
        let (status, text) = said(line);
        assert_eq!(status, Some(64), "{line}: {text}");
        let expected = format!("error: there is no verb `{word}`; did you mean `{verb}`?\n");
        assert!(text.starts_with(&expected), "{line}: {text}");
    }
    let (status, text) = said("build k.yaml");
    assert_eq!(status, Some(64));
    assert!(text.starts_with("error: there is no verb `build`, nor a manifest of that name; the verbs are "), "{text}");
    assert!(text.contains("Usage: stos-pack [OPTIONS] MANIFEST.yaml\n       stos-pack [OPTIONS] VERB ...\n"), "{text}");
    // What looks like a file is one, and so is what is there.
    assert!(said("./vrify").1.contains("E0001"));
    fs::write(folder.path().join("vrify"), "version: 1\n").unwrap();
    assert!(said("vrify").1.contains("E0005"));
    assert!(said("vrify surplus").1.contains("unexpected argument 'surplus'"));
    assert!(said("verify a b").1.contains("unexpected argument 'b'"));
}

#[test]
fn without_manifest_and_verb_there_is_nothing_to_do() {
    for line in [&[][..], &["--locked"], &["-q"]] {
        let result = run(tool("stos-pack").args(line));
        assert_eq!((result.status, &*result.stdout), (Some(64), ""));
        assert!(result.stderr.starts_with("error: name the manifest to build an image from, or a verb\n"));
    }
}

#[test]
fn help_of_a_verb_has_only_options_that_go_with_it() {
    for verb in verbs() {
        let help = run(tool("stos-pack").args([&*verb, "--help"])).stdout;
        let quiet =
            ["verify", "lock", "init", "new", "extract", "export", "inspect", "sign", "keygen"].contains(&&*verb);
        let verbose = ["verify", "lock"].contains(&&*verb);
        assert_eq!((help.contains("--quiet"), help.contains("--verbose")), (quiet, verbose), "{verb}: {help}");
        assert!(help.contains("Exit status"), "{help}");
    }
    let refused = run(tool("stos-pack").args(["schema", "-q"]));
    assert!(refused.stderr.contains("`--quiet` does not go with"), "{}", refused.stderr);
}

#[test]
fn zsh_looks_for_the_verb_where_it_stands() {
    let script = run(tool("stos-pack").args(["completions", "zsh"])).stdout;
    assert!(script.contains("case $line[1] in") && !script.contains("$line[2]"), "{script}");
    assert!(script.contains("{_stos-pack_commands; _files}") && !script.contains("::manifest"), "{script}");
}

#[test]
fn the_manual_has_a_page_for_the_program_and_for_each_verb() {
    let page = run(tool("stos-pack").arg("man"));
    assert_eq!((page.status, &*page.stderr), (Some(0), ""));
    assert!(page.stdout.contains(".TH stos-pack 1"), "{}", page.stdout);
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man");
    let result = run(tool("stos-pack").arg("man").arg(&pages));
    let verbs = verbs();
    assert_eq!(result.stdout, format!("{}: {} pages\n", pages.display(), verbs.len() + 1));
    let mut expected: Vec<String> = verbs.iter().map(|verb| format!("stos-pack-{verb}.1")).collect();
    expected.push("stos-pack.1".to_owned());
    expected.sort();
    assert_eq!(names_in(&pages), expected);
    for verb in &verbs {
        let own = fs::read_to_string(pages.join(format!("stos-pack-{verb}.1"))).unwrap();
        assert!(own.contains(&format!(".TH stos-pack-{verb} 1")), "{own}");
        assert!(page.stdout.contains(&format!("stos\\-pack\\-{verb}")), "the main page does not know {verb}");
    }
    fs::write(folder.path().join("file"), "").unwrap();
    let refused = run(tool("stos-pack").arg("man").arg(folder.path().join("file")));
    assert_eq!((refused.status, &*refused.stdout), (Some(74), ""));
    let reason = format!("error: can't make the folder `{}/file` for manual pages: ", folder.path().display());
    assert!(refused.stderr.starts_with(&reason) && !refused.stderr.contains("os error"), "{}", refused.stderr);
    // A page that can't be written is named, and nothing of it stays.
    let blocked = folder.path().join("blocked");
    fs::create_dir_all(blocked.join("stos-pack-init.1")).unwrap();
    let refused = run(tool("stos-pack").arg("man").arg(&blocked));
    assert_eq!((refused.status, &*refused.stdout), (Some(74), ""));
    let reason = format!("can't write the manual page to `{}/stos-pack-init.1`: it is a dir", blocked.display());
    assert!(refused.stderr.contains(&reason), "{}", refused.stderr);
    assert!(!names_in(&blocked).iter().any(|name| name.starts_with('.')));
}

#[test]
fn a_signal_between_two_files_ends_the_program() {
    let folder = tempfile::tempdir().unwrap();
    // The second page: a pipe, at which the program waits for a reader, with the first page in its place.
    let pipe = folder.path().join("stos-pack-verify.1");
    mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
    let mut child = tool("stos-pack").arg("man").arg(folder.path()).stdout(Stdio::null()).spawn().unwrap();
    while !folder.path().join("stos-pack.1").exists() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it wrote a page");
        thread::sleep(Duration::from_millis(1));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    // If it went on, it would find a reader, and come to its end.
    let _reader = openat(CWD, &pipe, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::INT.as_raw()), "{status}");
    assert!(!names_in(folder.path()).iter().any(|name| name.starts_with('.')));
}

#[test]
fn one_manifest_is_built_at_a_time_and_from_a_file() {
    let said = |arguments: &[&str]| {
        let result = run(tool("stos-pack").args(arguments));
        assert_eq!((result.status, &*result.stdout), (Some(64), ""), "{arguments:?}");
        result.stderr
    };
    // Clap would offer the verb `man` for it.
    let second = said(&["kernel.yaml", "main.yaml"]);
    assert!(
        second.starts_with("error: `main.yaml` is a manifest too many: one image is built at a time\n"),
        "{second}"
    );
    assert!(!second.contains("similar"), "{second}");
    assert!(said(&["kernel.yaml", "--lockd"]).contains("--locked"), "other mistakes are told as they were");
    let stdin = said(&["-"]);
    assert!(stdin.starts_with("error: a manifest is read from a file, "), "{stdin}");
}

#[test]
fn an_answer_that_can_not_be_written_is_an_error() {
    for name in ["stos-pack", "stos-run"] {
        for option in ["-h", "--help", "--version"] {
            let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
            let output = tool(name).arg(option).stdout(full).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(74), "{name} {option}: {stderr}");
            assert!(stderr.contains("no space is left on the device"), "{name} {option}: {stderr}");
        }
    }
}
