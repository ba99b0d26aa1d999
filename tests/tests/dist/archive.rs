//! The archive of a release.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use stos_tests::tools::{root, run, tool_path};
use tempfile::TempDir;

/// An archive of the commands that are tested, made in the folder `out`, of which the script is told that it is 2001.
fn make(out: &Path) -> PathBuf {
    // Their symbols would only make it large.
    let programs = tempfile::tempdir().unwrap();
    for name in ["stos-pack", "stos-run"] {
        let stripped = run(Command::new("strip").arg("-o").arg(programs.path().join(name)).arg(tool_path(name)));
        assert_eq!(stripped.status, Some(0), "{}", stripped.stderr);
    }
    let mut script = Command::new(root().join("scripts/dist.sh"));
    script
        .arg("archive")
        .arg(programs.path())
        .arg(out)
        .env("SOURCE_DATE_EPOCH", "1000000000")
        .env("CARGO", env!("CARGO"));
    let made = run(&mut script);
    assert_eq!((made.status, &*made.stdout, &*made.stderr), (Some(0), "", ""));
    let mut files = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    let file = files.next().unwrap();
    assert!(files.next().is_none(), "something is left in {}", out.display());
    file
}

/// One that all tests share.
pub fn archive() -> &'static Path {
    static MADE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, file) = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = make(folder.path());
        (folder, file)
    });
    file
}

/// The paths that docs/packages.md says that the archive has; those that end with `/` are folders.
fn documented() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/packages.md")).unwrap();
    let table = page.split_once("| Path | What it is |\n|---|---|\n").unwrap().1;
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let names = |row: &str| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2).map(str::to_owned).collect();
    rows.flat_map(|row| -> Vec<String> { names(row) }).collect()
}

#[test]
fn the_archive_holds_what_is_documented_and_nothing_of_who_made_it_when() {
    let (file, again) = (archive(), tempfile::tempdir().unwrap());
    assert!(
        fs::read(file).unwrap() == fs::read(make(again.path())).unwrap(),
        "two archives of the same programs differ"
    );
    let listed = run(Command::new("tar").env("TZ", "UTC").arg("--numeric-owner").arg("-tvzf").arg(file)).stdout;
    let mut paths = BTreeSet::new();
    for line in listed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[mode, owner, _, day, time, path, ref link @ ..] = &*words else { panic!("{line}") };
        assert_eq!((owner, day, time), ("0/0", "2001-09-09", "01:46"), "{line}");
        let is_link = mode == "lrwxrwxrwx" && link.first() == Some(&"->");
        assert!(is_link || ["drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--"].contains(&mode) && link.is_empty(), "{line}");
        let (top, rest) = path.split_once('/').unwrap();
        assert_eq!(top, format!("stos-pack-{}-x86_64-linux", env!("CARGO_PKG_VERSION")));
        if !mode.starts_with('d') {
            paths.insert(rest.to_owned());
        }
    }
    // The example's kernel looks whether its initramfs has it.
    assert!(listed.contains("/etc/issue -> motd\n"), "a link is none any more");
    let documented = documented();
    let is_at = |path: &str, place: &str| path == place || (place.ends_with('/') && path.starts_with(place));
    for path in &paths {
        assert!(documented.iter().any(|place| is_at(path, place)), "{path} is not in docs/packages.md");
    }
    for place in &documented {
        assert!(paths.iter().any(|path| is_at(path, place)), "{place} is not in the archive");
    }
    for path in [
        "share/man/man1/stos-pack-new.1",
        "share/man/man1/stos-run.1",
        "share/zsh/site-functions/_stos-run",
        "share/stos-pack/examples/include/stos_boot.h",
        "share/stos-pack/examples/kernel.ld",
        "share/doc/stos-pack/LICENSE-MIT",
        "share/doc/stos-pack/docs/running.md",
    ] {
        assert!(paths.contains(path), "{path} is not in the archive");
    }
    assert!(!listed.contains(".elf") && !listed.contains(".o\n"), "something compiled is among the sources");
    // It runs where it is unpacked.
    let unpacked = tempfile::tempdir().unwrap();
    let done = run(Command::new("tar").arg("-xzf").arg(file).arg("--strip-components=1").current_dir(unpacked.path()));
    assert_eq!(done.status, Some(0), "{}", done.stderr);
    let mut command = Command::new(unpacked.path().join("bin/stos-run"));
    let ran =
        run(command.args(["-q", "--backend", "embedded", "share/stos-pack/ministos.img"]).current_dir(unpacked.path()));
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.ends_with("Loading complete\n"), "{}", ran.stdout);
}

#[test]
fn notices_name_each_crate_that_is_in_the_programs() {
    let prefix = tempfile::tempdir().unwrap();
    let mut script = Command::new(root().join("scripts/dist.sh"));
    let made = run(script
        .arg("tree")
        .arg(tool_path("stos-run").parent().unwrap())
        .arg(prefix.path())
        .env("CARGO", env!("CARGO")));
    assert_eq!((made.status, &*made.stderr), (Some(0), ""));
    let notices = fs::read_to_string(prefix.path().join("share/doc/stos-pack/notices/crates.txt")).unwrap();
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for name in ["clap", "iced-x86", "landlock", "notify", "serde-saphyr", "sha2"] {
        let version =
            lock.split_once(&format!("name = \"{name}\"\nversion = \"")).unwrap().1.split_once('"').unwrap().0;
        assert!(notices.contains(&format!("\n=== {name} {version}: ")), "{name} {version} has no notice");
    }
    // What only tests or compilers use is not in them.
    for name in ["proptest", "snapbox", "clap_derive"] {
        assert!(!notices.contains(&format!("\n=== {name} ")), "{name} has a notice");
    }
}

#[test]
fn mistakes_in_making_an_archive_are_told() {
    let out = tempfile::tempdir().unwrap();
    let said = |words: &[&str], epoch: &str| {
        let mut script = Command::new(root().join("scripts/dist.sh"));
        let done = run(script.args(words).env("SOURCE_DATE_EPOCH", epoch).current_dir(out.path()));
        assert_eq!((done.status, &*done.stdout), (Some(1), ""), "{}", done.stderr);
        done.stderr
    };
    let out_path = out.path().to_str().unwrap();
    assert_eq!(said(&["archive", "/nowhere", out_path], "1"), "dist: there is no program /nowhere/stos-pack\n");
    let expected = "dist: SOURCE_DATE_EPOCH is `now`, it must be seconds since 1970\n";
    assert_eq!(said(&["archive", "/nowhere", out_path], "now"), expected);
    assert_eq!(said(&["archives"], "1"), "dist: usage: scripts/dist.sh [archive FOLDER OUT | tree FOLDER PREFIX]\n");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "something is left");
}
