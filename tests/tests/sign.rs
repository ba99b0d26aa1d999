//! Keys and signatures: what `stos-pack` signs, it and the stock `minisign` accept, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use stos_tests::fixtures::golden;
use stos_tests::tools::{Run, pack_in, run};
use tempfile::TempDir;

/// A folder with an image, and two keys without a password.
fn course() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "version: 1\nname: lab\nmemory: 16MiB\nkernel: {path: kernel.elf, protocol: stos}\n";
    fs::copy(golden("kernel.elf"), folder.path().join("kernel.elf")).unwrap();
    fs::write(folder.path().join("lab.yaml"), manifest).unwrap();
    fs::write(folder.path().join("other.yaml"), manifest.replace("lab", "other")).unwrap();
    for arguments in
        [&["lab.yaml"][..], &["other.yaml"], &["keygen", "--no-password", "key"], &["keygen", "--no-password", "bad"]]
    {
        let done = pack_in(folder.path(), arguments);
        assert_eq!(done.status, Some(0), "{}", done.stderr);
    }
    folder
}

fn sign(folder: &Path) {
    let signed = pack_in(folder, &["sign", "lab.img", "--key", "key"]);
    assert_eq!((signed.status, &*signed.stderr), (Some(0), ""));
    assert!(signed.stdout.starts_with("lab.img.minisig: the signature of sha256:"), "{}", signed.stdout);
}

fn verify(folder: &Path, key: &str) -> Run {
    pack_in(folder, &["verify", "lab.img", "--key", key])
}

#[track_caller]
fn assert_refused(refused: &Run, status: i32, told: &str) {
    assert_eq!((refused.status, &*refused.stdout), (Some(status), ""), "{}", refused.stderr);
    assert!(refused.stderr.contains(told), "{told}\n{}", refused.stderr);
}

#[test]
fn what_is_signed_is_accepted_with_the_key_and_with_no_other() {
    let folder = course();
    let folder = folder.path();
    assert_refused(&verify(folder, "key.pub"), 66, "`lab.img`: it is not signed: there is no file `lab.img.minisig`");
    sign(folder);
    let id = pack_in(folder, &["verify", "lab.img"]).stdout.trim_end().rsplit(' ').next().unwrap().to_owned();
    let accepted = verify(folder, "key.pub");
    let told = format!("lab.img: every byte is right, {id}\nlab.img.minisig: signed, image lab, {id}\n");
    assert_eq!((accepted.status, &*accepted.stdout, &*accepted.stderr), (Some(0), &*told, ""));
    assert_eq!(pack_in(folder, &["verify", "-q", "lab.img", "--key", "key.pub"]).stdout, "");
    assert_refused(
        &verify(folder, "bad.pub"),
        65,
        "`lab.img.minisig` was signed with another key than those that are trusted",
    );
    // One of several is enough, in files of their own or in one.
    assert_eq!(pack_in(folder, &["verify", "lab.img", "--key", "bad.pub", "--key", "key.pub"]).status, Some(0));
    let both =
        [fs::read_to_string(folder.join("bad.pub")), fs::read_to_string(folder.join("key.pub"))].map(Result::unwrap);
    fs::write(folder.join("both.pub"), both.join("\n")).unwrap();
    assert_eq!(verify(folder, "both.pub").status, Some(0));
    // The signature is not of another image, wherever it lies.
    let other = pack_in(folder, &["verify", "other.img", "--key", "key.pub", "--signature", "lab.img.minisig"]);
    assert_refused(&other, 65, "`lab.img.minisig` is not the signature of sha256:");
    fs::rename(folder.join("lab.img.minisig"), folder.join("elsewhere")).unwrap();
    let elsewhere = pack_in(folder, &["verify", "lab.img", "--key", "key.pub", "--signature", "elsewhere"]);
    assert_eq!(elsewhere.status, Some(0), "{}", elsewhere.stderr);
}

#[test]
fn every_line_of_a_signature_that_counts_must_be_as_it_was() {
    let folder = course();
    let folder = folder.path();
    sign(folder);
    let text = fs::read_to_string(folder.join("lab.img.minisig")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    let with = |number: usize, line: &str| {
        let mut lines = lines.clone();
        lines[number] = line;
        lines.join("\n") + "\n"
    };
    // Somewhere in the middle, past the numbers of form and key.
    let tampered = |line: &str| {
        let mut bytes = line.as_bytes().to_vec();
        bytes[40] = if bytes[40] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let (no_signature, wrong) = ("is no signature of minisign", "is not the signature of sha256:");
    for (signature, told) in [
        (with(1, &tampered(lines[1])), wrong),
        (with(3, &tampered(lines[3])), wrong),
        (with(2, &lines[2].replace("lab", "bal")), wrong),
        (with(2, "trusted comment: "), wrong),
        (with(2, "image lab"), no_signature),
        (with(1, "RUQ"), no_signature),
        (lines[..2].join("\n"), no_signature),
        (String::new(), no_signature),
        ("\n".repeat(10), no_signature),
        ("\u{0}".repeat(100), no_signature),
    ] {
        fs::write(folder.join("lab.img.minisig"), &signature).unwrap();
        assert_refused(&verify(folder, "key.pub"), 65, told);
    }
    fs::write(folder.join("lab.img.minisig"), [0xff, 0xfe]).unwrap();
    assert_refused(&verify(folder, "key.pub"), 65, no_signature);
    fs::write(folder.join("lab.img.minisig"), "x".repeat(1 << 20)).unwrap();
    assert_refused(&verify(folder, "key.pub"), 66, "it has more than 65536 bytes");
    // The first line is not signed, and says nothing.
    fs::write(folder.join("lab.img.minisig"), with(0, "untrusted comment: whatever")).unwrap();
    assert_eq!(verify(folder, "key.pub").status, Some(0));
}

#[test]
fn a_damaged_image_is_neither_signed_nor_accepted() {
    let folder = course();
    let folder = folder.path();
    sign(folder);
    let mut bytes = fs::read(folder.join("lab.img")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(folder.join("lab.img"), bytes).unwrap();
    assert_eq!(verify(folder, "key.pub").status, Some(65));
    fs::remove_file(folder.join("lab.img.minisig")).unwrap();
    assert_eq!(pack_in(folder, &["sign", "lab.img", "--key", "key"]).status, Some(65));
    assert!(!folder.join("lab.img.minisig").exists());
}

#[test]
fn files_that_are_no_keys_are_named() {
    let folder = course();
    let folder = folder.path();
    sign(folder);
    for (name, content) in [
        ("empty", ""),
        ("words", "no key\n"),
        ("comment", "untrusted comment: x\n"),
        ("cut", "untrusted comment: x\nRWQ\n"),
    ] {
        fs::write(folder.join(name), content).unwrap();
        assert_refused(&verify(folder, name), 65, &format!("`{name}` holds no public key of minisign"));
        let signed = pack_in(folder, &["sign", "lab.img", "--key", name]);
        assert_refused(&signed, 65, &format!("`{name}` holds no secret key of minisign"));
    }
    // The two taken for each other.
    assert_refused(&verify(folder, "key"), 65, "`key` holds no public key");
    assert_refused(&pack_in(folder, &["sign", "lab.img", "--key", "key.pub"]), 65, "`key.pub` holds no secret key");
    assert_refused(&verify(folder, "missing"), 66, "can't read the key `missing`");
    assert_refused(
        &pack_in(folder, &["sign", "lab.img", "--key", "missing"]),
        66,
        "can't read the secret key `missing`",
    );
    assert_refused(&pack_in(folder, &["verify", "lab.img", "--signature", "x"]), 64, "--key");
}

#[test]
fn a_password_protects_a_key() {
    let folder = course();
    let folder = folder.path();
    fs::write(folder.join("password"), "correct horse\n").unwrap();
    fs::write(folder.join("wrong"), "battery staple\n").unwrap();
    fs::write(folder.join("nothing"), "\n").unwrap();
    let keygen = |file: &str| pack_in(folder, &["keygen", "safe", "--password-file", file]);
    assert_refused(&keygen("nothing"), 64, "an empty password protects nothing");
    assert!(!folder.join("safe").exists());
    let made = keygen("password");
    assert_eq!(
        made.stdout, "safe: the secret key, to sign with\nsafe.pub: the public key, to give away\n",
        "{}",
        made.stderr
    );
    assert_eq!(fs::metadata(folder.join("safe")).unwrap().permissions().mode() & 0o777, 0o600);
    // What is there is never replaced.
    assert_refused(&keygen("password"), 74, "`safe` is there already");
    let sign = |file: &str| pack_in(folder, &["sign", "lab.img", "--key", "safe", "--password-file", file]);
    assert_refused(&sign("wrong"), 65, "the password is not that of the key `safe`");
    assert_refused(&sign("missing"), 64, "can't read the password from `missing`");
    assert!(!folder.join("lab.img.minisig").exists());
    assert_eq!(sign("password").status, Some(0));
    assert_eq!(verify(folder, "safe.pub").status, Some(0));
    // Without a terminal, nobody can be asked.
    let alone = run(Command::new("setsid")
        .arg("-w")
        .arg(stos_tests::tools::tool_path("stos-pack"))
        .args(["sign", "lab.img", "--key", "safe"])
        .current_dir(folder));
    assert_refused(&alone, 64, "name a file with `--password-file`");
}

/// What the stock program says, where there is one.
fn minisign(folder: &Path, arguments: &[&str]) -> Option<Run> {
    let output =
        Command::new("minisign").args(arguments).current_dir(folder).stdin(std::process::Stdio::null()).output();
    output.ok().map(Run::from)
}

#[test]
fn the_stock_program_checks_and_makes_the_same_signatures() {
    let folder = course();
    let folder = folder.path();
    sign(folder);
    let id = pack_in(folder, &["verify", "lab.img"]).stdout.trim_end().rsplit(' ').next().unwrap().to_owned();
    fs::write(folder.join("id"), id + "\n").unwrap();
    let Some(checked) = minisign(folder, &["-Vm", "id", "-x", "lab.img.minisig", "-p", "key.pub"]) else {
        println!("minisign is not installed");
        return;
    };
    assert_eq!(checked.status, Some(0), "{checked:?}");
    assert!(checked.stdout.contains("Trusted comment: image lab, sha256:"), "{checked:?}");
    // Its keys sign here, ours sign there.
    assert_eq!(minisign(folder, &["-GW", "-p", "stock.pub", "-s", "stock"]).unwrap().status, Some(0));
    let signed = pack_in(folder, &["sign", "lab.img", "--key", "stock"]);
    assert_eq!((signed.status, verify(folder, "stock.pub").status), (Some(0), Some(0)), "{}", signed.stderr);
    let by_stock = minisign(folder, &["-Sm", "id", "-x", "lab.img.minisig", "-s", "key", "-W"]).unwrap();
    assert_eq!(by_stock.status, Some(0), "{by_stock:?}");
    assert_eq!(verify(folder, "key.pub").status, Some(0));
    // Its older form, which signs no hash.
    let old = minisign(folder, &["-Slm", "id", "-x", "lab.img.minisig", "-s", "key", "-W"]).unwrap();
    assert_eq!(old.status, Some(0), "{old:?}");
    assert_refused(&verify(folder, "key.pub"), 65, "is not the signature of");
}
