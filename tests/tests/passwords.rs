//! Passwords of keys, asked for at a terminal: not shown, and however that ends, the terminal is as before and nothing is half made.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use stos_tests::files::names_in;
use stos_tests::fixtures::golden;
use stos_tests::terminal::Session;
use stos_tests::tools::{pack_in, run, tool};
use tempfile::TempDir;

const FIRST: &str = "Password for the new key: ";
const SECOND: &str = "The same again: ";
const SIGN: &str = "Password of safe: ";
const PASSWORD: &str = "correct horse";

/// A folder with an image, and a key with [`PASSWORD`].
fn course() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "version: 1\nname: lab\nmemory: 16MiB\nkernel: {path: kernel.elf, protocol: stos}\n";
    fs::copy(golden("kernel.elf"), folder.path().join("kernel.elf")).unwrap();
    fs::write(folder.path().join("lab.yaml"), manifest).unwrap();
    fs::write(folder.path().join("password"), PASSWORD).unwrap();
    for arguments in [&["lab.yaml"][..], &["keygen", "safe", "--password-file", "password"]] {
        assert_eq!(pack_in(folder.path(), arguments).status, Some(0));
    }
    folder
}

fn keygen() -> [&'static str; 2] {
    ["keygen", "new"]
}

fn sign() -> [&'static str; 4] {
    ["sign", "lab.img", "--key", "safe"]
}

/// Runs `arguments` at a terminal, and types each of `keys` behind its prompt. What the status is, -1 for a signal's; and what appeared.
fn typed(folder: &Path, arguments: &[&str], keys: &[(&str, &[u8])]) -> (i32, String) {
    let mut session = Session::start(tool("stos-pack").current_dir(folder).args(arguments));
    for (prompt, keys) in keys {
        session.wait_for(prompt);
        session.type_keys(keys);
    }
    // That checks the terminal, too.
    let (status, seen) = session.end();
    (status.code().unwrap_or_else(|| -status.signal().unwrap()), seen)
}

fn line(text: &str) -> Vec<u8> {
    format!("{text}\n").into_bytes()
}

#[test]
fn the_right_password_signs_and_is_never_shown() {
    let folder = course();
    let folder = folder.path();
    let (status, seen) = typed(folder, &keygen(), &[(FIRST, &line("a b c")), (SECOND, &line("a b c"))]);
    assert_eq!(status, 0, "{seen}");
    assert!(!seen.contains("a b c") && seen.contains("new.pub: the public key"), "{seen}");
    let (status, seen) = typed(folder, &sign(), &[(SIGN, &line(PASSWORD))]);
    assert_eq!(status, 0, "{seen}");
    assert!(!seen.contains(PASSWORD) && seen.contains("lab.img.minisig: the signature of sha256:"), "{seen}");
    assert_eq!(pack_in(folder, &["verify", "lab.img", "--key", "safe.pub"]).status, Some(0));
    // What was typed twice is the password.
    fs::write(folder.join("typed"), "a b c\n").unwrap();
    let signed = pack_in(folder, &["sign", "lab.img", "--key", "new", "--password-file", "typed"]);
    assert_eq!(signed.status, Some(0), "{}", signed.stderr);
}

#[test]
fn a_password_that_is_wrong_makes_nothing() {
    let folder = course();
    let folder = folder.path();
    let before = names_in(folder);
    let long = "x".repeat(1025);
    for (arguments, keys, expected, told) in [
        (&sign()[..], &[(SIGN, line("wrong"))][..], 65, "the password is not that of the key `safe`"),
        (&sign(), &[(SIGN, line(""))], 65, "the password is not that of the key `safe`"),
        (&sign(), &[(SIGN, line(&long))], 64, "can't read the password from the terminal: it has more than 1024 bytes"),
        (&sign(), &[(SIGN, b"caf\xe9\n".to_vec())], 64, "can't read the password from the terminal: "),
        // Ctrl-D
        (&sign(), &[(SIGN, b"\x04".to_vec())], 65, "the password is not that of the key `safe`"),
        (&keygen(), &[(FIRST, line("a")), (SECOND, line("b"))], 64, "the two passwords are not the same"),
        (&keygen(), &[(FIRST, line("a")), (SECOND, line(""))], 64, "the two passwords are not the same"),
        (&keygen(), &[(FIRST, line(""))], 64, "an empty password protects nothing"),
        (&keygen(), &[(FIRST, b"\x04".to_vec())], 64, "an empty password protects nothing"),
    ] {
        let keys: Vec<(&str, &[u8])> = keys.iter().map(|(prompt, keys)| (*prompt, &**keys)).collect();
        let (status, seen) = typed(folder, arguments, &keys);
        assert_eq!(status, expected, "{arguments:?}: {seen}");
        assert!(seen.contains(told) && !seen.contains("panicked"), "{told}: {seen}");
        assert_eq!(names_in(folder), before, "{arguments:?}: {seen}");
    }
}

#[test]
fn a_signal_at_the_prompt_gives_the_terminal_back_and_leaves_nothing() {
    let folder = course();
    let folder = folder.path();
    let before = names_in(folder);
    // Ctrl-C and Ctrl-\, as the terminal takes them.
    for (key, signal) in [(b"\x03", 2), (b"\x1c", 3)] {
        for (arguments, keys) in [
            (&sign()[..], &[(SIGN, &key[..])][..]),
            (&keygen(), &[(FIRST, key)]),
            (&keygen(), &[(FIRST, b"a\n"), (SECOND, key)]),
        ] {
            let (status, seen) = typed(folder, arguments, keys);
            assert_eq!(status, -signal, "{arguments:?}: {seen}");
            assert_eq!(names_in(folder), before, "{arguments:?}: {seen}");
        }
    }
}

#[test]
fn without_a_terminal_a_file_is_asked_for() {
    let folder = course();
    let before = names_in(folder.path());
    for arguments in [&sign()[..], &keygen()] {
        let pack = tool("stos-pack");
        let mut alone = Command::new("setsid");
        alone.arg("--wait").arg(pack.get_program()).args(arguments).current_dir(folder.path()).env("NO_COLOR", "1");
        let refused = run(&mut alone);
        assert_eq!((refused.status, &*refused.stdout), (Some(64), ""), "{}", refused.stderr);
        let told = "there is no terminal to ask for the password (";
        assert!(refused.stderr.contains(told) && refused.stderr.contains("`--password-file`"), "{}", refused.stderr);
        assert_eq!(names_in(folder.path()), before);
    }
}
