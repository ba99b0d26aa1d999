//! Images that the person does not want are not run, and nothing that they say is used.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use stos_image::{Digest, ParsedImage, RunDefaults};
use stos_tests::backends::unpaged;
use stos_tests::bare::code::{exit, say};
use stos_tests::bare::{BareGuest, ImageFile, command, run};
use stos_tests::tools::{Run, pack_in, run as run_command};

fn image(text: &str) -> Vec<u8> {
    // Invalid: an error about it would show that the image was listened to.
    let defaults = RunDefaults { expect: vec!["(".to_owned()], ..RunDefaults::default() };
    BareGuest::new(&[say(text), exit(7)].concat()).with_run(defaults).image()
}

fn id(image: &[u8]) -> Digest {
    ParsedImage::parse(image).unwrap().facts().id()
}

#[test]
fn the_image_of_the_digest_is_run_and_no_other() {
    let (mine, other) = (image("mine\n"), image("other\n"));
    let option = format!("--digest={}", id(&mine));
    for backend in unpaged() {
        let ended = run(backend, &[&option, "--ignore-image-run"], &mine);
        assert_eq!((ended.status, &*ended.stdout), (Some(7), "mine\n"), "{backend}: {}", ended.stderr);
        let refused = run(backend, &[&option], &other);
        assert_eq!((refused.status, &*refused.stdout), (Some(65), ""), "{backend}");
        let told = format!(
            "` is not run: it is {}, and `--digest` wants {}; get the image that this digest was given for, or give the digest \
             of this one if you trust it\n",
            id(&other),
            id(&mine)
        );
        assert!(refused.stderr.ends_with(&told), "{}", refused.stderr);
        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
    }
}

#[test]
fn an_image_with_the_right_digest_and_other_bytes_is_rejected() {
    let mut bytes = image("mine\n");
    let option = format!("--digest={}", id(&bytes));
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let refused = run("emulated", &[&option, "--ignore-image-run"], &bytes);
    assert_eq!((refused.status, &*refused.stdout), (Some(65), ""), "{}", refused.stderr);
}

#[test]
fn a_refused_image_is_reported() {
    let (folder, file) = (tempfile::tempdir().unwrap(), ImageFile::new(&image("other\n")));
    let report = folder.path().join("report.json");
    let options = [format!("--digest={}", id(&image("mine\n"))), format!("--report={}", report.display())];
    let refused = run_command(&mut command(&[&options[0], &options[1]], &file.path()));
    assert_eq!(refused.status, Some(65));
    let text = fs::read_to_string(report).unwrap();
    assert!(text.contains("\"kind\": \"image_rejected\"") && text.contains("is not run"), "{text}");
}

#[test]
fn a_signed_image_is_run_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let pack = |arguments: &[&str]| assert_eq!(pack_in(folder.path(), arguments).status, Some(0), "{arguments:?}");
    fs::write(path("mine.img"), image("mine\n")).unwrap();
    fs::write(path("other.img"), image("other\n")).unwrap();
    pack(&["keygen", "--no-password", "key"]);
    pack(&["keygen", "--no-password", "bad"]);
    pack(&["sign", "mine.img", "--key", "key"]);
    fs::write(path("words"), "no key\n").unwrap();
    let start = |image: &str, backend: &str, options: &[(&str, &str)]| {
        let options = options.iter().map(|(option, name)| format!("--{option}={}", path(name).display()));
        let options: Vec<String> = ["--ignore-image-run", "--timeout=60s", "--backend", backend]
            .map(str::to_owned)
            .into_iter()
            .chain(options)
            .collect();
        run_command(&mut command(&options.iter().map(|option| &**option).collect::<Vec<_>>(), &path(image)))
    };
    for backend in unpaged() {
        for options in [&[("trust", "key.pub")][..], &[("trust", "bad.pub"), ("trust", "key.pub")]] {
            let ended = start("mine.img", backend, options);
            assert_eq!((ended.status, &*ended.stdout), (Some(7), "mine\n"), "{backend}: {}", ended.stderr);
        }
        for (image, options, status, told) in [
            ("other.img", &[("trust", "key.pub")][..], 65, "is not run: it is not signed: there is no file"),
            (
                "other.img",
                &[("trust", "key.pub"), ("signature", "mine.img.minisig")],
                65,
                "is not the signature of sha256:",
            ),
            ("mine.img", &[("trust", "bad.pub")], 65, "was signed with another key than those that are trusted"),
            ("mine.img", &[("trust", "key.pub"), ("signature", "words")], 65, "is no signature of minisign"),
            ("mine.img", &[("trust", "words")], 64, "holds no public key of minisign"),
            ("mine.img", &[("trust", "missing")], 64, "can't read the key"),
            ("mine.img", &[("signature", "mine.img.minisig")], 64, "--trust"),
        ] {
            let refused = start(image, backend, options);
            assert_eq!((refused.status, &*refused.stdout), (Some(status), ""), "{options:?}: {}", refused.stderr);
            assert!(refused.stderr.contains(told), "{told}\n{}", refused.stderr);
        }
    }
    // The bytes that are behind the signed id must be those that were signed.
    let mut bytes = image("mine\n");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(path("mine.img"), bytes).unwrap();
    let refused = start("mine.img", "emulated", &[("trust", "key.pub")]);
    assert_eq!((refused.status, &*refused.stdout), (Some(65), ""), "{}", refused.stderr);
}

#[test]
fn what_is_no_digest_is_wrong_usage() {
    for digest in ["", "sha256:", "sha256:12", "md5:0", &"0".repeat(64)] {
        let refused: Run = run("emulated", &[&format!("--digest={digest}")], &image(""));
        assert_eq!(refused.status, Some(64), "{digest}: {}", refused.stderr);
        assert!(refused.stderr.contains("--digest"), "{}", refused.stderr);
    }
}
