//! `--inputs-below`: an image is built of what lies below a folder and of nothing else, however a manifest names it, and whoever
//! changes links meanwhile.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use stos_tests::fixtures::golden;
use stos_tests::tools::{Run, pack_in};

const SECRET: &str = "the grader's own words";

/// A course with a base manifest, and a student's folder beside it with a manifest that names `lines`.
fn course(top: &Path, lines: &str) {
    for folder in ["course", "student/root/etc", "secret"] {
        fs::create_dir_all(top.join(folder)).unwrap();
    }
    for name in ["student/kernel.elf", "course/kernel.elf", "secret/kernel.elf"] {
        fs::copy(golden("kernel.elf"), top.join(name)).unwrap();
    }
    fs::write(top.join("student/root/etc/motd"), "hello\n").unwrap();
    fs::write(top.join("secret/words"), SECRET).unwrap();
    fs::write(top.join("course/base.yaml"), "version: 1\nname: x\nmemory: 16MiB\nkernel: {protocol: stos}\n").unwrap();
    write_manifest(top, lines);
}

fn write_manifest(top: &Path, lines: &str) {
    let start = "version: 1\nname: x\nmemory: 16MiB\n";
    let start = if lines.contains("extends") { "" } else { start };
    fs::write(top.join("student/kernel.yaml"), format!("{start}{lines}\n")).unwrap();
}

fn pack(top: &Path, folders: &[&str]) -> Run {
    let folders: Vec<&str> = folders.iter().flat_map(|folder| ["--inputs-below", folder]).collect();
    pack_in(top, &[&["student/kernel.yaml", "-o", "kernel.img"], &folders[..]].concat())
}

const KERNEL: &str = "kernel: {path: kernel.elf, protocol: stos}";

#[test]
fn what_lies_below_is_packed_as_without_the_option() {
    let top = tempfile::tempdir().unwrap();
    course(top.path(), &format!("{KERNEL}\ninitramfs: {{directory: link}}"));
    symlink("root", top.path().join("student/link")).unwrap();
    // It stays a link, and nobody reads what it leads to.
    symlink("/etc/passwd", top.path().join("student/root/etc/passwd")).unwrap();
    let plain = pack(top.path(), &[]);
    assert_eq!(plain.status, Some(0), "{}", plain.stderr);
    for folders in [&["student"][..], &["."], &["course", "student/../student"]] {
        let fenced = pack(top.path(), folders);
        assert_eq!((fenced.status, &fenced.stdout), (Some(0), &plain.stdout), "{folders:?}: {}", fenced.stderr);
    }
    // A second name of a file is the file.
    fs::hard_link(top.path().join("secret/kernel.elf"), top.path().join("student/other.elf")).unwrap();
    write_manifest(top.path(), &KERNEL.replace("kernel.elf", "other.elf"));
    assert_eq!(pack(top.path(), &["student"]).status, Some(0));
}

#[test]
fn an_input_elsewhere_is_named_with_its_place_and_where_it_lies() {
    let top = tempfile::tempdir().unwrap();
    course(top.path(), KERNEL);
    for (to, name) in [("../secret/words", "words"), ("../secret", "away"), ("../../secret/words", "deep")] {
        symlink(to, top.path().join("student").join(name)).unwrap();
    }
    symlink("../secret/kernel.elf", top.path().join("student/good.elf")).unwrap();
    let real = |name: &str| top.path().canonicalize().unwrap().join(name).display().to_string();
    for (lines, named, place, lies) in [
        (
            KERNEL.replace("kernel.elf", "../secret/kernel.elf"),
            "`../secret/kernel.elf` (the manifest's key `kernel`)",
            "4:16",
            "secret/kernel.elf",
        ),
        (
            KERNEL.replace("kernel.elf", "good.elf"),
            "`good.elf` (the manifest's key `kernel`)",
            "4:16",
            "secret/kernel.elf",
        ),
        (
            format!("{KERNEL}\nmodules: [{{path: words}}]"),
            "`words` (the manifest's key `modules[0]`)",
            "5:18",
            "secret/words",
        ),
        (
            format!("{KERNEL}\nmodules: [{{path: away/words}}]"),
            "`away/words` (the manifest's key `modules[0]`)",
            "5:18",
            "secret/words",
        ),
        (
            format!("{KERNEL}\ninitramfs: {{path: words}}"),
            "`words` (the manifest's key `initramfs`)",
            "5:19",
            "secret/words",
        ),
        (
            format!("{KERNEL}\ninitramfs: {{directory: away}}"),
            "`away` (the manifest's key `initramfs`)",
            "5:24",
            "secret",
        ),
        (
            format!("extends: ../course/base.yaml\n{KERNEL}"),
            "the manifest `student/../course/base.yaml`",
            "1:10",
            "course/base.yaml",
        ),
        ("extends: words".to_owned(), "the manifest `student/words`", "1:10", "secret/words"),
    ] {
        write_manifest(top.path(), &lines);
        let refused = pack(top.path(), &["student"]);
        assert_eq!((refused.status, &*refused.stdout), (Some(65), ""), "{lines}\n{}", refused.stderr);
        for told in [
            format!("error[E0073]: {named} does not lie below `student`\n"),
            format!("--> student/kernel.yaml:{place}\n"),
            format!("note: it is `{}`\n", real(lies).trim_end_matches('/')),
            "help: put a copy below `student`, or allow its folder with another `--inputs-below`".to_owned(),
        ] {
            assert!(refused.stderr.contains(&told), "{told}\n{}", refused.stderr);
        }
        assert!(!refused.stderr.contains(SECRET), "{}", refused.stderr);
        assert!(!top.path().join("kernel.img").exists());
    }
    // Both of them, when the course's folder is allowed as well.
    write_manifest(top.path(), &format!("extends: ../course/base.yaml\n{KERNEL}"));
    assert_eq!(pack(top.path(), &["student", "course"]).status, Some(0));
}

#[test]
fn the_manifest_and_its_lock_file_are_no_way_out() {
    let top = tempfile::tempdir().unwrap();
    course(top.path(), KERNEL);
    let student = top.path().join("student");
    symlink("../secret/words", student.join("kernel.lock")).unwrap();
    let locked = pack_in(&student, &["kernel.yaml", "--locked", "--inputs-below", "."]);
    assert_eq!(locked.status, Some(65));
    assert!(
        locked.stderr.starts_with("error[E0073]: the lock file `kernel.lock` does not lie below `.`"),
        "{}",
        locked.stderr
    );
    fs::remove_file(student.join("kernel.yaml")).unwrap();
    symlink("../secret/words", student.join("kernel.yaml")).unwrap();
    let refused = pack(top.path(), &["student"]);
    assert_eq!(refused.status, Some(65));
    assert!(
        refused.stderr.starts_with("error[E0073]: the manifest `student/kernel.yaml` does not"),
        "{}",
        refused.stderr
    );
    assert!(!(refused.stderr + &locked.stderr).contains(SECRET));
    // Who packs may name a manifest of their own that lies elsewhere.
    let manifest =
        format!("version: 1\nname: x\nmemory: 16MiB\n{}\n", KERNEL.replace("kernel.elf", "../student/kernel.elf"));
    fs::write(top.path().join("course/grade.yaml"), manifest).unwrap();
    let graded = pack_in(top.path(), &["course/grade.yaml", "--inputs-below", "student"]);
    assert_eq!(graded.status, Some(0), "{}", graded.stderr);
}

#[test]
fn a_folder_that_is_none_is_refused_and_so_is_the_option_beside_a_verb() {
    let top = tempfile::tempdir().unwrap();
    course(top.path(), KERNEL);
    for (folder, reason) in [("nothing", "there is no such file"), ("student/kernel.elf", "is not a directory")] {
        let refused = pack(top.path(), &["student", folder]);
        assert_eq!(refused.status, Some(66));
        assert!(refused.stderr.contains(reason) && refused.stderr.contains(folder), "{}", refused.stderr);
    }
    let refused = pack_in(top.path(), &["--inputs-below", "student", "lock", "student/kernel.yaml"]);
    assert_eq!(refused.status, Some(64));
    assert!(refused.stderr.contains("`--inputs-below` is for building an image"), "{}", refused.stderr);
}

#[test]
fn folders_and_links_that_change_places_meanwhile_lead_nowhere() {
    let top = tempfile::tempdir().unwrap();
    course(top.path(), &format!("{KERNEL}\ninitramfs: {{directory: root}}"));
    let etc = top.path().join("student/root/etc");
    let decoy = top.path().join("student/decoy");
    symlink(top.path().join("secret"), &decoy).unwrap();
    fs::write(etc.join("words"), "nothing of interest\n...").unwrap();
    let done = AtomicBool::new(false);
    let ends = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, &etc, CWD, &decoy, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let mut ends = Vec::new();
        for _ in 0..100 {
            let packed = pack(top.path(), &["student"]);
            if packed.status == Some(0) {
                let image = fs::read(top.path().join("kernel.img")).unwrap();
                assert!(
                    !image.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()),
                    "the secret is in the image"
                );
            }
            assert!(!packed.stderr.contains(SECRET), "{}", packed.stderr);
            ends.push(packed.status);
        }
        done.store(true, Ordering::Relaxed);
        ends
    });
    assert!(ends.iter().all(|status| matches!(status, Some(0 | 65 | 66))), "{ends:?}");
}

#[test]
fn a_lock_file_is_made_of_what_lies_below_and_of_nothing_else() {
    let top = tempfile::tempdir().unwrap();
    // Of a profile that is not the one that would be built, too.
    let lines = format!("{KERNEL}\nprofiles:\n  other: {{modules: [{{path: words}}]}}");
    course(top.path(), &lines);
    symlink("../secret/words", top.path().join("student/words")).unwrap();
    let lock = |folders: &[&str]| {
        let folders: Vec<&str> = folders.iter().flat_map(|folder| ["--inputs-below", folder]).collect();
        pack_in(top.path(), &[&["lock", "student/kernel.yaml"][..], &folders].concat())
    };
    let file = top.path().join("student/kernel.lock");
    let refused = lock(&["student"]);
    assert_eq!((refused.status, &*refused.stdout), (Some(65), ""), "{}", refused.stderr);
    assert!(
        refused.stderr.starts_with("error[E0073]: ") && refused.stderr.contains("secret/words"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stderr.contains(SECRET) && !file.exists(), "{}", refused.stderr);
    assert_eq!(lock(&["student", "missing"]).status, Some(66));
    // It says nothing about where the lock file goes, and changes none of its bytes.
    for folders in [&[][..], &["."], &["student", "secret"]] {
        let locked = lock(folders);
        assert_eq!((locked.status, &*locked.stderr), (Some(0), ""), "{folders:?}");
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(lock(&[]).status, Some(0));
        assert_eq!(text, fs::read_to_string(&file).unwrap(), "{folders:?}");
    }
    // The option of a build is none of a verb.
    let before = pack_in(top.path(), &["--inputs-below", "student", "lock", "student/kernel.yaml"]);
    assert_eq!(before.status, Some(64), "{}", before.stderr);
}
