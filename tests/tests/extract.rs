//! `stos-pack extract`: an image gives back what it was made from, and no image writes anything outside the folder.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use stos_image::{Content, Digest, GuestRange, Input};
use stos_tests::bare::{BareGuest, flat_entry};
use stos_tests::elf::Elf;
use stos_tests::files::{names_in, with_extension};
use stos_tests::fixtures::{golden, golden_manifest};
use stos_tests::tools::{pack_in, root, run, tool, tool_path};

/// Packs `manifest`, extracts the image and packs what came out: the bytes must be the same. Returns the folder extracted to.
fn assert_comes_back(work: &Path, manifest: &Path, options: &[&str]) -> PathBuf {
    let manifest = manifest.display().to_string();
    let packed = pack_in(work, &[&[&*manifest, "-o", "first.img"], options].concat());
    assert_eq!((packed.status, &*packed.stderr), (Some(0), ""), "{manifest}");
    let extracted = pack_in(work, &["extract", "first.img", "out"]);
    assert_eq!((extracted.status, &*extracted.stderr), (Some(0), ""), "{manifest}");
    assert!(extracted.stdout.ends_with("build the image with `stos-pack out/manifest.yaml`\n"), "{}", extracted.stdout);
    let again = pack_in(work, &["out/manifest.yaml"]);
    assert_eq!(again.status, Some(0), "{manifest}: {}", again.stderr);
    let same = fs::read(work.join("first.img")).unwrap() == fs::read(work.join("out/manifest.img")).unwrap();
    assert!(same, "{manifest}: the image changed on its way");
    assert_eq!(names_in(work).iter().filter(|name| name.starts_with(".stos-pack")).count(), 0);
    work.join("out")
}

#[test]
fn what_is_extracted_is_what_the_image_was_made_from() {
    let work = tempfile::tempdir().unwrap();
    let out = assert_comes_back(work.path(), &golden_manifest(), &[]);
    let names = ["first.ko", "initramfs.cpio", "kernel.elf", "manifest.img", "manifest.yaml", "second.ko"];
    assert_eq!(names_in(&out), names);
    for name in ["first.ko", "kernel.elf", "second.ko"] {
        let original = fs::read(golden(name)).unwrap();
        assert!(fs::read(out.join(name)).unwrap() == original, "{name} changed");
    }
}

#[test]
fn the_manifests_of_the_project_come_back() {
    let manifests = root().join("manifests");
    let mut count = 0;
    for manifest in with_extension(&manifests, "yaml") {
        let work = tempfile::tempdir().unwrap();
        assert_comes_back(work.path(), &manifest, &[]);
        count += 1;
    }
    assert!(count > 0, "there are no manifests");
}

#[test]
fn paths_from_everywhere_and_profiles_come_back() {
    let work = tempfile::tempdir().unwrap();
    let top = work.path().join("top/course");
    fs::create_dir_all(top.join("ada/root/etc")).unwrap();
    let mut kernel = Elf::kernel().to_bytes();
    // The second segment begins with the first one's bytes of the file: its p_offset becomes that of the first.
    let offset = kernel[52 + 4..52 + 8].to_vec();
    kernel[52 + 32 + 4..52 + 32 + 8].copy_from_slice(&offset);
    fs::write(top.join("kernel.elf"), kernel).unwrap();
    for (name, module) in [("first.ko", "first"), ("ada/first.ko", "second"), ("ada/other.ko", "third")] {
        fs::write(top.join(name), Elf::module(module).to_bytes()).unwrap();
    }
    fs::write(top.join("ada/root/etc/motd"), "hello\n").unwrap();
    let base = "{version: 1, memory: 16MiB, kernel: {path: kernel.elf, protocol: stos}, modules: [{path: first.ko}]}";
    fs::write(top.join("course.yaml"), base).unwrap();
    let absolute = top.join("ada/other.ko");
    let manifest = format!(
        "extends: ../course.yaml
name: \"on: # 'ada'\"
modules+:
  - path: ../first.ko
  - path: first.ko
  - {{path: ./first.ko, name: twice}}
  - path: {}
initramfs: {{directory: root/../root}}
profiles:
  strict: {{run: {{expect: [\"^a: b$\", \"\\\\d+ #\"], timeout: 1500ms}}, cmdline+: x.y=\\\"1 2\\\"}}
",
        absolute.display()
    );
    fs::write(top.join("ada/manifest.yaml"), manifest).unwrap();
    let out = assert_comes_back(work.path(), &top.join("ada/manifest.yaml"), &["--profile", "strict"]);
    // The course's module, the same file named from another folder, ada's own, and the absolute one.
    assert_eq!(names_in(&out.join("2")), ["first.ko"]);
    assert_eq!(names_in(&out.join("3")), ["first.ko"]);
    assert!(out.join("other.ko").is_file() && out.join("root.cpio").is_file());
    let inspected = pack_in(work.path(), &["inspect", "out/manifest.img"]);
    assert!(inspected.stdout.contains("(protocol stos, profile strict)"), "{}", inspected.stdout);
}

#[test]
fn an_empty_folder_is_filled_and_any_other_is_left_alone() {
    let work = tempfile::tempdir().unwrap();
    let manifest = golden_manifest().display().to_string();
    assert_eq!(pack_in(work.path(), &[&manifest, "-o", "a.img"]).status, Some(0));

    fs::create_dir(work.path().join("empty")).unwrap();
    fs::set_permissions(work.path().join("empty"), fs::Permissions::from_mode(0o750)).unwrap();
    let result = run(tool("stos-pack").current_dir(work.path().join("empty")).args(["extract", "../a.img", "."]));
    assert_eq!((result.status, &*result.stderr), (Some(0), ""));
    assert!(result.stdout.contains("manifest.yaml and 4 files"), "{}", result.stdout);
    assert_eq!(names_in(&work.path().join("empty")).len(), 5);
    assert_eq!(fs::metadata(work.path().join("empty")).unwrap().permissions().mode() & 0o777, 0o750);

    let full = pack_in(work.path(), &["extract", "a.img", "empty"]);
    assert_eq!((full.status, &*full.stdout), (Some(74), ""));
    assert!(full.stderr.contains("`empty` is not empty"), "{}", full.stderr);
    assert_eq!(names_in(&work.path().join("empty")).len(), 5);
    for (folder, reason) in [("a.img", "can't write to `a.img`"), ("no/such/folder", "make its folder with `mkdir -p`")]
    {
        let result = pack_in(work.path(), &["extract", "a.img", folder]);
        assert_eq!(result.status, Some(74));
        assert!(result.stderr.contains(reason), "{}", result.stderr);
    }
    let spaced = pack_in(work.path(), &["extract", "a.img", "it's here"]);
    assert!(spaced.stdout.ends_with("`stos-pack 'it'\\''s here/manifest.yaml'`\n"), "{}", spaced.stdout);
    assert_eq!(names_in(work.path()), ["a.img", "empty", "it's here"]);
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    // RLIMIT_FSIZE fails writes past it just as a full disk does, without one.
    let work = tempfile::tempdir().unwrap();
    let pack = tool_path("stos-pack").display().to_string();
    fs::create_dir(work.path().join("empty")).unwrap();
    let mut kernel = Elf::kernel().to_bytes();
    kernel.resize(4096, b'x');
    fs::create_dir(work.path().join("in")).unwrap();
    fs::write(work.path().join("in/kernel.elf"), kernel).unwrap();
    let manifest = "{version: 1, name: x, memory: 16MiB, kernel: {path: kernel.elf, protocol: stos}}";
    fs::write(work.path().join("in/manifest.yaml"), manifest).unwrap();
    assert_eq!(pack_in(work.path(), &["in/manifest.yaml", "-o", "a.img"]).status, Some(0));
    for folder in ["empty", "new"] {
        let script = format!("trap '' XFSZ; ulimit -f 2; exec '{pack}' extract a.img {folder}");
        let result = run(std::process::Command::new("bash").current_dir(work.path()).args(["-c", &script]));
        assert_eq!(result.status, Some(74), "{}", result.stderr);
        assert!(result.stderr.contains("kernel.elf"), "{}", result.stderr);
    }
    assert_eq!(names_in(work.path()), ["a.img", "empty", "in"]);
    assert_eq!(names_in(&work.path().join("empty")), [""; 0]);
}

/// An image of somebody else's making: a manifest, and inputs with these paths, all with the content `no good`: a kernel and modules.
fn foreign_image(paths: &[&str], manifest: &str) -> Vec<u8> {
    let input = |(index, path): (usize, &&str)| Input {
        key: index.checked_sub(1).map_or("kernel".to_owned(), |module| format!("modules[{module}]")),
        path: (*path).to_owned(),
        size: 7,
        digest: Digest::of(b"no good"),
        content: vec![Content::Memory(GuestRange::new(0x1000, 7))],
    };
    let mut guest = BareGuest::entered_in(flat_entry(0x1000)).with(0x1000, b"no good");
    guest.description.inputs = paths.iter().enumerate().map(input).collect();
    manifest.clone_into(&mut guest.description.manifest);
    guest.image()
}

/// A manifest that names a kernel and modules.
fn naming(paths: &[&str]) -> String {
    let modules: Vec<String> = paths[1..].iter().map(|path| format!("{{path: '{path}'}}")).collect();
    let (kernel, modules) = (paths[0], modules.join(", "));
    format!(
        "version: 1\nname: x\nmemory: 2MiB\nkernel: {{path: '{kernel}', protocol: multiboot}}\nmodules: [{modules}]\n"
    )
}

#[test]
fn an_image_with_hostile_paths_writes_nothing() {
    let work = tempfile::tempdir().unwrap();
    let inner = work.path().join("a/b");
    fs::create_dir_all(&inner).unwrap();
    let image = inner.join("x.img");
    for paths in
        [&["manifest.yaml"][..], &["good", "manifest.yaml/evil"], &["good", "good/evil"], &["good/evil/evil", "good"]]
    {
        fs::write(&image, foreign_image(paths, &naming(paths))).unwrap();
        for folder in ["new", "."] {
            let result = pack_in(&inner, &["extract", "x.img", folder]);
            assert_eq!((result.status, &*result.stdout), (Some(65), ""), "{paths:?}");
            assert!(result.stderr.starts_with("error: the image's input `"), "{}", result.stderr);
        }
        assert_eq!(names_in(&inner), ["x.img"], "{paths:?}");
        assert_eq!(
            (names_in(work.path()), names_in(&work.path().join("a"))),
            (vec!["a".to_owned()], vec!["b".to_owned()])
        );
    }
    let paths = &["good", "-rf", "x/..y", "good"];
    fs::write(&image, foreign_image(paths, &naming(paths))).unwrap();
    assert_eq!(pack_in(&inner, &["extract", "x.img", "new"]).status, Some(0));
    assert_eq!(fs::read(inner.join("new/x/..y")).unwrap(), b"no good");
}

#[test]
fn a_manifest_that_names_other_files_than_the_image_has_is_refused() {
    let work = tempfile::tempdir().unwrap();
    fs::write(work.path().join("secret"), "a key").unwrap();
    let secret = work.path().join("secret").display().to_string();
    for (manifest, reason) in [
        (naming(&[&secret]), format!("it has `{secret}` for `kernel`, the image has `good` (kernel)")),
        (naming(&["../secret"]), "it has `../secret` for `kernel`, the image has `good` (kernel)".to_owned()),
        (naming(&["good", &secret]), "it names 2 files, the image was built from 1".to_owned()),
        (
            format!(
                "{}initramfs: {{directory: '..'}}\n",
                naming(&["good"]).replace("multiboot", "stos").replace("2MiB", "16MiB")
            ),
            "it names 2 files".to_owned(),
        ),
        (format!("{}extends: '{secret}'\n", naming(&["good"])), format!("it extends `{secret}`")),
        ("version: 1\n".to_owned(), "it can't be read: the manifest has no `name`".to_owned()),
    ] {
        fs::write(work.path().join("x.img"), foreign_image(&["good"], &manifest)).unwrap();
        let result = pack_in(work.path(), &["extract", "x.img", "out"]);
        assert_eq!((result.status, &*result.stdout), (Some(65), ""), "{manifest}");
        let said = format!("error: the image's manifest can't be given back: {reason}");
        assert!(result.stderr.starts_with(&said), "{}", result.stderr);
        assert_eq!(names_in(work.path()), ["secret", "x.img"]);
    }
}

#[test]
fn names_as_long_as_a_file_system_has_them_come_back() {
    let work = tempfile::tempdir().unwrap();
    for name in ["x".repeat(251), "y".repeat(255), "é".repeat(127)] {
        let folder = work.path().join(&name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("motd"), "hello\n").unwrap();
    }
    fs::write(work.path().join("kernel.elf"), Elf::kernel().to_bytes()).unwrap();
    for name in ["x".repeat(251), "y".repeat(255), "é".repeat(127)] {
        let inner = tempfile::tempdir().unwrap();
        let manifest = work.path().join("manifest.yaml");
        fs::write(
            &manifest,
            format!(
                "{{version: 1, name: x, memory: 16MiB, kernel: {{path: kernel.elf, protocol: stos}}, initramfs: {{directory: '{name}'}}}}"
            ),
        )
        .unwrap();
        let out = assert_comes_back(inner.path(), &manifest, &[]);
        let archive = with_extension(&out, "cpio").remove(0);
        let archive = archive.file_name().unwrap();
        assert!((250..=255).contains(&archive.len()), "{archive:?}");
    }
}

#[test]
fn an_image_that_can_not_give_back_its_inputs_is_refused() {
    let work = tempfile::tempdir().unwrap();
    let refuse = |name: &str, bytes: &[u8], status: i32, reason: &str| {
        fs::write(work.path().join(name), bytes).unwrap();
        let result = pack_in(work.path(), &["extract", name, "out"]);
        assert_eq!((result.status, &*result.stdout), (Some(status), ""), "{name}");
        assert!(result.stderr.contains(reason), "{}", result.stderr);
        assert!(!work.path().join("out").exists(), "{name}");
    };
    let manifest = &*naming(&["good"]);
    refuse("none.img", &foreign_image(&["good"], ""), 65, "was not built from a manifest");
    let mut damaged = foreign_image(&["good"], manifest);
    let payload = damaged.len() - 4096;
    damaged[payload] ^= 1;
    refuse("damaged.img", &damaged, 65, "`damaged.img`: payload block 0 is damaged");
    refuse("kernel.elf", &Elf::kernel().to_bytes(), 65, "not a stos boot image");

    // The digest of other content, in an image that is right in itself.
    let right = foreign_image(&["good"], manifest);
    let digest = Digest::of(b"no good").0;
    let at = right.windows(32).position(|window| window == digest).unwrap();
    refuse("lying.img", &with_metadata_byte(&right, at), 65, "the input `good` can't be put together");

    let missing = pack_in(work.path(), &["extract", "missing.img", "out"]);
    assert_eq!(missing.status, Some(66));
    assert!(missing.stderr.contains("can't read the image `missing.img`: there is no such file"), "{}", missing.stderr);
    assert!(!work.path().join("out").exists());
}

/// `image` with another byte at `at` in its metadata, and with digest and id made right again.
fn with_metadata_byte(image: &[u8], at: usize) -> Vec<u8> {
    let mut image = image.to_vec();
    image[at] ^= 1;
    let size = usize::try_from(u64::from_le_bytes(image[72..80].try_into().unwrap())).unwrap();
    let digest = Digest::of(&image[4096..4096 + size]).0;
    image[104..136].copy_from_slice(&digest);
    image[32..64].fill(0);
    let id = Digest::of(&image[..4096]).0;
    image[32..64].copy_from_slice(&id);
    image
}
