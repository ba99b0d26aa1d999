//! Both commands as static programs for Linux on 64-bit ARM, which QEMU runs here: they pack and boot as those of this machine do.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use stos_tests::tools::{Run, root, run, tool, tool_path, without_wishes};
use tempfile::TempDir;

const TARGET: &str = "aarch64-unknown-linux-musl";

/// What runs programs of that processor, by the names of Debian's packages qemu-user and qemu-user-static.
fn emulator() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap();
    let names = ["qemu-aarch64", "qemu-aarch64-static"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}

/// What Rust has for the target, if it does; else the reason is printed.
fn has_target() -> bool {
    let folder = run(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET])).stdout;
    let is_there = Path::new(folder.trim()).is_dir();
    if !is_there {
        eprintln!("skipped: Rust has no target {TARGET} here (rustup target add {TARGET})");
    }
    is_there
}

/// The commands of that processor, and what runs them.
struct Commands {
    emulator: PathBuf,
    folder: PathBuf,
}

impl Commands {
    /// Builds them, with Rust's own linker. Without a part of what that takes, prints which.
    fn build() -> Option<Self> {
        let Some(emulator) = emulator() else {
            eprintln!("skipped: neither qemu-aarch64 nor qemu-aarch64-static is in PATH (scripts/setup.sh test)");
            return None;
        };
        if !has_target() {
            return None;
        }
        // Beside what cargo has built this test into.
        let built = tool_path("stos-run");
        let target = built.ancestors().nth(2).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).args(["build", "--quiet", "-p", "stos-pack", "-p", "stos-run", "--target", TARGET]);
        cargo.arg("--target-dir").arg(target).env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
        let told = run(&mut cargo);
        assert_eq!(told.status, Some(0), "{}", told.stderr);
        Some(Self { emulator, folder: target.join(TARGET).join("debug") })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.emulator);
        command.arg(self.folder.join(name)).env("NO_COLOR", "1").env("COLUMNS", "120").env("LC_ALL", "C");
        without_wishes(&mut command);
        command
    }

    fn stos_run(&self, arguments: &[&str], image: &Path) -> Run {
        run(self.command("stos-run").args(arguments).arg(image))
    }
}

/// Packs ministos with `command` into `folder`. Gives what is said of it, which has the id.
fn pack(mut command: Command, folder: &TempDir) -> (PathBuf, String) {
    let image = folder.path().join("ministos.img");
    let packed = run(command.current_dir(root()).arg("manifests/ministos.yaml").arg("-o").arg(&image));
    assert_eq!(packed.status, Some(0), "{}", packed.stderr);
    let told = format!("{}{}", packed.stdout, packed.stderr);
    assert!(told.contains(", sha256:"), "{told}");
    (image, told.replace(&folder.path().display().to_string(), ""))
}

#[test]
fn a_static_program_of_another_processor_packs_and_boots_the_same() {
    let Some(arm) = Commands::build() else { return };
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (own, own_told) = pack(tool("stos-pack"), &here);
    let (other, other_told) = pack(arm.command("stos-pack"), &there);
    assert_eq!(own_told, other_told);
    assert_eq!(std::fs::read(&own).unwrap(), std::fs::read(&other).unwrap());

    // Of its own accord it takes the embedded machine, on which this one has to be put.
    let expected = run(tool("stos-run").args(["--backend", "embedded"]).arg(&own));
    let found = arm.stos_run(&[], &other);
    assert_eq!((found.status, &found.stdout), (Some(0), &expected.stdout), "{}", found.stderr);
    assert_eq!(expected.status, Some(0));
    assert!(found.stdout.contains("Loading complete"), "{}", found.stdout);
    // What runs it has no filters of system calls.
    assert!(found.stderr.contains("stos-run: the sandbox is incomplete, "), "{}", found.stderr);
    assert!(found.stderr.contains("running on the embedded machine: only Linux on x86 has KVM\n"), "{}", found.stderr);
    eprintln!("{}{}", found.stdout, found.stderr);
}

#[test]
fn what_another_processor_lacks_is_said() {
    let Some(arm) = Commands::build() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (image, _) = pack(tool("stos-pack"), &folder);
    let refused = arm.stos_run(&["--backend", "kvm"], &image);
    assert_eq!(refused.status, Some(69), "{}", refused.stderr);
    assert!(refused.stderr.contains("only Linux on x86 has KVM; use --backend embedded\n"), "{}", refused.stderr);

    let doctor = run(arm.command("stos-run").arg("doctor"));
    let told = "note  KVM       only Linux on x86 has it; guests run on the embedded machine\n";
    assert!(
        doctor.stdout.contains(told) && doctor.stdout.ends_with("guests run on the embedded machine\n"),
        "{doctor:?}"
    );
}
