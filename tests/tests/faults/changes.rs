//! Files that change while they are read.

use std::fs;
use std::path::Path;

use stos_image::ParsedImage;
use stos_tests::backends::unpaged;
use stos_tests::bare::code::{CRASH, exit, say};
use stos_tests::bare::{BareGuest, ImageFile, command};
use stos_tests::elf::Elf;
use stos_tests::faults::{Action, Injection, Injector, each, every};
use stos_tests::fixtures::copy_golden;
use stos_tests::tools::{pack_in, tool};

/// The first call of a run of `stos-run` that is not the system's own.
const BEGIN: &str = "close_range";
/// That of a run of `stos-pack`.
const PACKER_BEGINS: &str = "socketpair";

/// A kernel that is read in many steps, full of this byte.
fn write_kernel(path: &Path, byte: u8) {
    let mut bytes = Elf::kernel().to_bytes();
    bytes.resize(600_000, byte);
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_input_that_changes_is_packed_as_it_was_or_as_it_is_or_refused() {
    let Some(injector) = Injector::new() else { return };
    let stage = || {
        let folder = tempfile::tempdir().unwrap();
        copy_golden(folder.path());
        for (name, byte) in [("kernel.elf", 1), ("other", 2), ("initramfs/file", 1)] {
            write_kernel(&folder.path().join(name), byte);
        }
        folder
    };
    let mut pack = tool("stos-pack");
    let injection = |nth, action| Injection { calls: "openat,statx,read", after: Some(PACKER_BEGINS), nth, action };
    let whole = injector.run(pack.current_dir(stage().path()).arg("golden.yaml"), &injection(0, Action::Kill));
    let (mut packed, mut refused) = (0, 0);
    for target in ["kernel.elf", "initramfs/file"] {
        for change in
            each(&["cp other TARGET", "cp other new && mv new TARGET", ": >TARGET", "rm TARGET", "echo more >>TARGET"])
        {
            for nth in every(whole.calls, 12) {
                let folder = stage();
                let at = |name: &str| folder.path().join(name);
                let before = fs::read(at(target)).unwrap();
                let mut pack = tool("stos-pack");
                let line = Action::Shell(change.replace("TARGET", target));
                let done = injector.run(pack.current_dir(folder.path()).arg("golden.yaml"), &injection(nth, line));
                let what = format!("`{change}` of {target} at call {nth}, {:?}: {:?}", done.hit, done.run);
                assert!(!done.is_late && !done.run.stderr.contains("panicked"), "{what}");
                if done.run.status != Some(0) {
                    assert!(matches!(done.run.status, Some(65 | 66)) && !at("golden.img").exists(), "{what}");
                    assert!(done.run.stderr.starts_with("error["), "{what}");
                    refused += 1;
                    continue;
                }
                packed += 1;
                let parts = pack_in(folder.path(), &["extract", "golden.img", "parts"]);
                assert_eq!(parts.status, Some(0), "{what}: {}", parts.stderr);
                if target == "kernel.elf" {
                    let found = fs::read(at("parts/kernel.elf")).unwrap();
                    let after = fs::read(at(target)).unwrap_or_default();
                    assert!(found == before || found == after, "{what}: {} bytes are neither", found.len());
                }
            }
        }
    }
    assert!(packed > 0 && refused > 0, "{packed} and {refused}");
}

#[test]
fn an_image_that_is_swapped_for_one_that_is_not_trusted_is_never_run() {
    let Some(injector) = Injector::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Of a triple fault, the image is loaded a second time.
    fs::write(at("mine"), BareGuest::new(&[say("mine"), CRASH.to_vec()].concat()).image()).unwrap();
    fs::write(at("other"), BareGuest::new(&[say("other"), exit(3)].concat()).image()).unwrap();
    fs::copy(at("mine"), at("image")).unwrap();
    for arguments in [&["keygen", "--no-password", "key"][..], &["sign", "image", "--key", "key"]] {
        assert_eq!(pack_in(folder.path(), arguments).status, Some(0));
    }
    let id = ParsedImage::parse(&*fs::read(at("mine")).unwrap()).unwrap().facts().id().to_string();
    let digest = ["--digest", &id];
    let (key, image) = (at("key.pub").display().to_string(), at("image"));
    for trust in [&digest, &["--trust", &key]] {
        for backend in unpaged() {
            let run = |nth, action| {
                fs::copy(at("mine"), &image).unwrap();
                let options = [&["--timeout=60s", "--explain", "--backend", backend][..], trust].concat();
                let injection = Injection { calls: "all", after: Some(BEGIN), nth, action };
                injector.run(&command(&options, &image), &injection)
            };
            let whole = run(0, Action::Kill);
            assert_eq!((whole.run.status, &*whole.run.stdout), (Some(100), "mine"), "{whole:?}");
            let is_repeated = whole.run.stderr.contains("the above was seen in a second run");
            // The embedded machine has seen it at once.
            assert_eq!(is_repeated, backend != "embedded", "{}", whole.run.stderr);
            let line = format!("cp {0}/other {0}/new && mv {0}/new {0}/image", folder.path().display());
            let (mut run_again, mut refused) = (0, 0);
            for nth in every(whole.calls, 12) {
                let done = run(nth, Action::Shell(line.clone()));
                let what = format!("{trust:?} on {backend} at call {nth}, {:?}: {:?}", done.hit, done.run);
                assert!(!done.is_late && !done.run.stderr.contains("panicked"), "{what}");
                match done.run.status {
                    Some(65) => {
                        assert_eq!(done.run.stdout, "", "{what}");
                        refused += 1;
                    }
                    ended => {
                        assert_eq!((ended, &*done.run.stdout), (Some(100), "mine"), "{what}");
                        // From the file that was checked, which is open, whatever has its name by now.
                        assert_eq!(
                            done.run.stderr.contains("the above was seen in a second run"),
                            is_repeated,
                            "{what}"
                        );
                        run_again += 1;
                    }
                }
            }
            assert!(refused > 0 && run_again > 0, "{refused}, {run_again}");
        }
    }
}

#[test]
fn an_image_that_changes_or_vanishes_is_run_as_it_was_checked_or_not_at_all() {
    let Some(injector) = Injector::new() else { return };
    let text = "one line\nand another\n";
    for (end, status) in [(exit(9), 9), (CRASH.to_vec(), 100)] {
        let bytes = BareGuest::new(&[say(text), end].concat()).image();
        for backend in unpaged() {
            let stage = || {
                let image = ImageFile::new(&bytes);
                let other = BareGuest::new(&[say("other"), exit(3)].concat()).image();
                fs::write(image.path().with_extension("other"), other).unwrap();
                image
            };
            let run = |image: &ImageFile, nth, action| {
                let run = command(&["--timeout=60s", "--backend", backend], &image.path());
                injector.run(&run, &Injection { calls: "all", after: Some(BEGIN), nth, action })
            };
            let whole = run(&stage(), 0, Action::Kill);
            assert_eq!((whole.run.status, &*whole.run.stdout), (Some(status), text), "{whole:?}");
            for change in each(&[
                "cp OTHER IMAGE",
                "cp IMAGE n && mv OTHER IMAGE",
                ": >IMAGE",
                "rm IMAGE",
                "truncate -s 9000 IMAGE",
            ]) {
                for nth in every(whole.calls, 3) {
                    let image = stage();
                    let other = image.path().with_extension("other");
                    let line = change.replace("OTHER", other.to_str().unwrap());
                    let line = line.replace("IMAGE", image.path().to_str().unwrap()).replace(" n ", " /dev/null ");
                    let done = run(&image, nth, Action::Shell(line));
                    let what = format!("{backend}: `{change}` at call {nth}, {:?}: {:?}", done.hit, done.run);
                    assert!(!done.is_late && !done.run.stderr.contains("panicked"), "{what}");
                    assert!(done.run.stderr.lines().any(|line| line.starts_with("stos-run: ")), "{what}");
                    match done.run.status {
                        // It is the other from the beginning.
                        Some(3) => assert_eq!(done.run.stdout, "other", "{what}"),
                        Some(65 | 66) => assert_eq!(done.run.stdout, "", "{what}"),
                        ended => assert_eq!((ended, &*done.run.stdout), (Some(status), text), "{what}"),
                    }
                }
            }
        }
    }
}
