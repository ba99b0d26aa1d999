//! What `stos-pack` promises beside its messages: outputs, one result line, the same bytes everywhere.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use stos_tests::files::quoted;
use stos_tests::fixtures::{self, copy_golden, golden, golden_id, golden_image, golden_manifest};
use stos_tests::tools::{run, tool, tool_path};

/// The image id that a successful run printed.
fn id_in(line: &str) -> &str {
    let id = line.trim_end().rsplit(' ').next().unwrap();
    assert!(id.starts_with("sha256:") && id.len() == 71, "no image id in {line:?}");
    id
}

#[test]
fn the_binary_fixtures_are_what_their_description_makes() {
    for (name, bytes) in fixtures::binaries() {
        let found = fs::read(fixtures::folder().join(name)).unwrap();
        assert!(found == bytes, "{name} differs: run `cargo run -p stos-tests --bin make-fixtures`");
    }
}

#[test]
fn the_golden_image_has_its_golden_id_and_one_line_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("golden.img");
    let result = run(tool("stos-pack").arg(golden_manifest()).arg("-o").arg(&image));
    assert_eq!((result.status, &*result.stderr), (Some(0), ""));
    let size = fs::metadata(&image).unwrap().len();
    assert_eq!(result.stdout, format!("{}: {size} bytes, {}\n", image.display(), golden_id()));
}

#[test]
fn without_an_output_the_image_lies_beside_its_manifest() {
    let folder = tempfile::tempdir().unwrap();
    copy_golden(folder.path());
    let result = run(tool("stos-pack").current_dir(folder.path()).arg("golden.yaml"));
    assert_eq!(result.status, Some(0), "{}", result.stderr);
    assert!(result.stdout.starts_with("golden.img: "), "{}", result.stdout);
    assert!(folder.path().join("golden.img").is_file());
}

#[test]
fn a_dash_writes_the_image_to_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let image = golden_image(folder.path());
    let output = tool("stos-pack").arg(golden_manifest()).args(["-o", "-"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout == fs::read(&image).unwrap(), "the image on standard output differs from the one in a file");
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("standard output: "));
}

#[test]
fn an_image_is_not_written_to_a_standard_output_that_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let at_shell = |redirection: &str| {
        let script = format!("exec \"$0\" \"$1\" -o - {redirection}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).arg(tool_path("stos-pack")).arg(golden_manifest()).env("NO_COLOR", "1");
        run(shell.current_dir(folder.path()))
    };
    for closed in [">&-", "<&- >&-"] {
        let result = at_shell(closed);
        assert_eq!((result.status, &*result.stdout), (Some(74), ""), "{closed}");
        let told = "error[E0060]: can't write the image to standard output: it is closed\n";
        assert!(result.stderr.starts_with(told), "{closed}: {}", result.stderr);
    }
    // Nobody is left to be told.
    assert_eq!(at_shell(">&- 2>&-").status, Some(74));
    for open in [">/dev/null", "<&- >/dev/null", "2>&- | cat >copy"] {
        let result = at_shell(open);
        assert_eq!(result.status, Some(0), "{open}: {}", result.stderr);
    }
    assert!(fs::read(folder.path().join("copy")).unwrap() == fs::read(golden_image(folder.path())).unwrap());
}

#[test]
fn an_image_replaces_the_old_one_and_has_the_usual_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("golden.img");
    fs::write(&image, "old").unwrap();
    let script = format!(
        "umask 027; exec {} {} -o {}",
        quoted(&tool_path("stos-pack")),
        quoted(&golden_manifest()),
        quoted(&image)
    );
    assert_eq!(run(Command::new("sh").args(["-c", &script])).status, Some(0));
    assert!(fs::read(&image).unwrap().starts_with(b"STOSIMG\0"));
    assert_eq!(fs::metadata(&image).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn an_output_that_can_not_be_written_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = golden_manifest();
    let write_to = |output: &Path| run(tool("stos-pack").arg(&manifest).arg("-o").arg(output));

    let result = write_to(&folder.path().join("missing/golden.img"));
    assert_eq!(result.status, Some(74));
    assert!(result.stderr.contains("E0060") && result.stderr.contains("missing/golden.img"), "{}", result.stderr);

    let result = write_to(folder.path());
    assert_eq!(result.status, Some(74));
    assert!(result.stderr.contains("it is a directory"), "{}", result.stderr);

    let result = write_to(Path::new("/dev/full"));
    assert_eq!(result.status, Some(74));
    assert!(result.stderr.contains("no space is left on the device"), "{}", result.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_full_disk_leaves_the_old_image_as_it_was() {
    // RLIMIT_FSIZE fails writes past it just as a full disk does, without one.
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("golden.img");
    fs::write(&image, "old").unwrap();
    let script = format!(
        "trap '' XFSZ; ulimit -f 16; exec {} {} -o {}",
        quoted(&tool_path("stos-pack")),
        quoted(&golden_manifest()),
        quoted(&image)
    );
    let result = run(Command::new("bash").args(["-c", &script]));
    assert_eq!(result.status, Some(74), "{}", result.stderr);
    assert_eq!(fs::read_to_string(&image).unwrap(), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left behind");
}

#[test]
fn an_input_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    copy_golden(folder.path());
    for name in ["golden.yaml", "kernel.elf", "second.ko"] {
        let before = fs::read(folder.path().join(name)).unwrap();
        let result = run(tool("stos-pack").current_dir(folder.path()).args(["golden.yaml", "-o", name]));
        assert_eq!(result.status, Some(65), "{name}");
        assert!(result.stderr.contains("E0061") && result.stderr.contains(name), "{}", result.stderr);
        assert!(fs::read(folder.path().join(name)).unwrap() == before, "{name} was changed");
    }
}

#[test]
fn a_manifest_that_is_missing_is_named() {
    let result = run(tool("stos-pack").arg("no/such/manifest.yaml"));
    assert_eq!(result.status, Some(66));
    assert!(result.stderr.contains("no/such/manifest.yaml"), "{}", result.stderr);
}

#[test]
fn wrong_usage_has_its_own_status() {
    assert_eq!(run(tool("stos-pack").arg("--no-such-option")).status, Some(64));
    assert_eq!(run(&mut tool("stos-pack")).status, Some(64));
    assert_eq!(run(tool("stos-pack").arg("--version")).status, Some(0));
}

#[test]
fn the_same_inputs_give_the_same_bytes_wherever_and_whoever_packs_them() {
    let environments: [&[(&str, &str)]; 3] = [
        &[("RAYON_NUM_THREADS", "1"), ("TZ", "UTC"), ("LC_ALL", "C")],
        &[("RAYON_NUM_THREADS", "8"), ("TZ", "Asia/Kathmandu"), ("LC_ALL", "tr_TR.UTF-8")],
        &[("RAYON_NUM_THREADS", "2"), ("SOURCE_DATE_EPOCH", "1"), ("HOME", "/nowhere"), ("USER", "somebody")],
    ];
    let mut images = Vec::new();
    for (umask, environment) in ["000", "077", "027"].into_iter().zip(environments) {
        let folder = tempfile::Builder::new().prefix(&format!("umask {umask} ")).tempdir().unwrap();
        // Copies made under another umask have other permissions and other times.
        let script = format!(
            "umask {umask}; cp -R {}/. .; exec {} ./golden.yaml -o out.img",
            quoted(&golden("")),
            quoted(&tool_path("stos-pack"))
        );
        let result =
            run(Command::new("sh").args(["-c", &script]).current_dir(folder.path()).envs(environment.iter().copied()));
        assert_eq!(result.status, Some(0), "{}", result.stderr);
        assert_eq!(id_in(&result.stdout), golden_id());
        images.push(fs::read(folder.path().join("out.img")).unwrap());
    }
    assert!(images.iter().all(|image| *image == images[0]), "the ids agree but the bytes do not");
}

#[test]
fn an_image_is_not_put_into_its_own_initramfs() {
    let folder = tempfile::tempdir().unwrap();
    copy_golden(folder.path());
    let result =
        run(tool("stos-pack").current_dir(folder.path()).args(["golden.yaml", "-o", "initramfs/etc/golden.img"]));
    assert_eq!(result.status, Some(65));
    assert!(result.stderr.contains("E0061") && result.stderr.contains("`initramfs`"), "{}", result.stderr);
    assert!(!folder.path().join("initramfs/etc/golden.img").exists());
}

#[test]
fn a_symbolic_link_as_output_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target.img"), folder.path().join("link.img"));
    fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink("target.img", &link).unwrap();
    let result = run(tool("stos-pack").arg(golden_manifest()).arg("-o").arg(&link));
    assert_eq!(result.status, Some(0), "{}", result.stderr);
    assert!(link.is_symlink());
    assert!(fs::read(&target).unwrap().starts_with(b"STOSIMG\0"));
}

#[test]
fn a_manifest_without_end_is_refused() {
    let result = run(tool("stos-pack").args(["/dev/zero", "-o", "/dev/null"]));
    assert_eq!(result.status, Some(65));
    assert!(result.stderr.contains("has more than 1048576 bytes"), "{}", result.stderr);
}

#[test]
fn a_thousand_mistakes_are_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let keys: Vec<String> = (0..1000).map(|index| format!("key{index}: 1\n")).collect();
    fs::write(folder.path().join("keys.yaml"), keys.concat()).unwrap();
    let result = run(tool("stos-pack").current_dir(folder.path()).arg("keys.yaml"));
    assert_eq!(result.status, Some(65));
    assert_eq!(result.stderr.matches("error[").count(), 20);
    assert!(result.stderr.contains("… and 984 more errors"), "{}", result.stderr);
}

#[test]
fn an_image_or_a_kernel_in_the_place_of_the_manifest_is_called_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    copy_golden(folder.path());
    assert_eq!(run(tool("stos-pack").current_dir(folder.path()).arg("golden.yaml")).status, Some(0));
    for (name, hint) in
        [("golden.img", "look at it with `stos-pack inspect`"), ("kernel.elf", "`stos-pack init` begins")]
    {
        let result = run(tool("stos-pack").current_dir(folder.path()).args([name, "-o", "out.img"]));
        assert_eq!(result.status, Some(65), "{}", result.stderr);
        assert!(result.stderr.contains("is not UTF-8 text") && result.stderr.contains(hint), "{}", result.stderr);
        assert!(!folder.path().join("out.img").exists());
    }
}

#[test]
fn a_mapping_with_thousands_of_keys_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    copy_golden(folder.path());
    let mut manifest = fs::read_to_string(golden_manifest()).unwrap();
    manifest.extend((0..100_000).map(|number| format!("k{number}: 1\n")));
    fs::write(folder.path().join("many.yaml"), manifest).unwrap();
    let result = run(tool("stos-pack").current_dir(folder.path()).args(["many.yaml", "-o", "out.img"]));
    assert_eq!(result.status, Some(65));
    assert!(result.stderr.contains("keys in one mapping are too many, at most 1024 are allowed"), "{}", result.stderr);
}

#[test]
fn names_in_result_lines_can_not_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = folder.path().join("a\u{1b}[31m\u{202e}");
    fs::create_dir(&hostile).unwrap();
    let image = hostile.join("x.img");
    let packed = run(tool("stos-pack").arg(golden_manifest()).arg("-o").arg(&image));
    let verified = run(tool("stos-pack").arg("verify").arg(&image));
    for result in [packed, verified] {
        assert_eq!(result.status, Some(0), "{}", result.stderr);
        assert!(result.stdout.contains("/a\\u{1b}[31m\\u{202e}/x.img: "), "{}", result.stdout);
    }
}
