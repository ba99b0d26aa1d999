//! Where the commands are: on a full disk, in folders that nobody may write to, with little memory, with something else at `/dev/kvm`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use stos_tests::bare::code::{exit, say};
use stos_tests::bare::{BareGuest, ImageFile, command};
use stos_tests::bzimage::BzImage;
use stos_tests::faults::every;
use stos_tests::files::names_in;
use stos_tests::fixtures::copy_golden;
use stos_tests::process::{started_with, wait_until};
use stos_tests::tools::{Run, pack_in, run, tool};
use tempfile::TempDir;

/// A folder with what the commands read, and the folder `there` for what they write.
fn stage() -> (TempDir, ImageFile) {
    let folder = tempfile::tempdir().unwrap();
    copy_golden(folder.path());
    for arguments in [&["golden.yaml", "-o", "made.img"][..], &["keygen", "--no-password", "key"]] {
        assert_eq!(pack_in(folder.path(), arguments).status, Some(0));
    }
    fs::create_dir(folder.path().join("there")).unwrap();
    (folder, ImageFile::new(&BareGuest::new(&[say("x\n"), exit(0)].concat()).image()))
}

/// Commands that write into the folder `there`; the file that each makes, unless it is there already.
fn writers(image: &ImageFile) -> Vec<Command> {
    let pack = [
        &["golden.yaml", "-o", "there/new.img"][..],
        &["keygen", "--no-password", "there/new"],
        &["sign", "made.img", "--key", "key", "--signature", "there/new.minisig"],
        &["extract", "made.img", "there/parts"],
        &["new", "there/project"],
        &["export", "--to", "multiboot", "made.img", "-o", "there/new.elf"],
        &["export", "--to", "raw", "made.img", "-o", "there/new.bin"],
        &["inspect", "--svg", "there/new.svg", "made.img"],
    ];
    let mut commands: Vec<Command> = Vec::new();
    for arguments in pack {
        let mut command = tool("stos-pack");
        command.args(arguments);
        commands.push(command);
    }
    for option in ["--report=there/new.json", "--screen-png=there/new.png"] {
        commands.push(command(&["--backend=emulated", "--timeout=60s", option], &image.path()));
    }
    commands
}

/// Runs `command` as root of a user namespace of its own, after the shell has done `before` in `folder`, and tells what is in the
/// folder `there` then.
fn in_namespace(folder: &Path, before: &str, command: &Command) -> (Run, String) {
    let script = format!("set -e; {before}; set +e; \"$0\" \"$@\"; status=$?; ls -A there >names; exit $status");
    let mut unshare = namespace();
    unshare.args(["sh", "-c", &script]).arg(command.get_program()).args(command.get_args());
    let ended = run(unshare.current_dir(folder).env("NO_COLOR", "1").env("LC_ALL", "C"));
    (ended, fs::read_to_string(folder.join("names")).unwrap())
}

fn namespace() -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount"]);
    unshare
}

/// Whether file systems can be mounted in a namespace; says so when they can't.
fn can_mount() -> bool {
    let tried = run(namespace().args(["sh", "-c", "mount -t tmpfs none /tmp"]));
    if tried.status != Some(0) {
        eprintln!("skipped: nothing can be mounted in a user namespace: {}", tried.stderr.trim_end());
    }
    tried.status == Some(0)
}

#[test]
fn a_full_disk_is_told_and_keeps_what_it_has() {
    if !can_mount() {
        return;
    }
    let (folder, image) = stage();
    for (old, there) in
        [(":", "filler\n"), ("echo old >there/new.img; echo old >there/new.json", "filler\nnew.img\nnew.json\n")]
    {
        let fill =
            format!("mount -t tmpfs -o size=64k none there; {old}; cat /dev/zero >there/filler 2>/dev/null || true");
        for command in writers(&image) {
            let (ended, names) = in_namespace(folder.path(), &fill, &command);
            assert_eq!(ended.status, Some(74), "{command:?}: {}", ended.stderr);
            assert!(ended.stderr.contains("no space is left on the device"), "{command:?}: {}", ended.stderr);
            assert_eq!(names, there, "{command:?}");
        }
    }
}

#[test]
fn a_disk_that_fills_up_meanwhile_is_told_and_keeps_nothing_of_it() {
    if !can_mount() {
        return;
    }
    let (folder, image) = stage();
    for command in &writers(&image)[..1] {
        let (ended, names) = in_namespace(folder.path(), "mount -t tmpfs -o size=24k none there", command);
        assert_eq!((ended.status, &*names), (Some(74), ""), "{command:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("no space is left on the device"), "{command:?}: {}", ended.stderr);
    }
}

#[test]
fn a_file_system_that_is_read_only_is_told() {
    if !can_mount() {
        return;
    }
    let (folder, image) = stage();
    let before = "mount -t tmpfs none there; mount -o remount,ro there";
    for command in writers(&image) {
        let (ended, names) = in_namespace(folder.path(), before, &command);
        assert_eq!((ended.status, &*names), (Some(74), ""), "{command:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("Read-only file system"), "{command:?}: {}", ended.stderr);
    }
}

#[test]
fn a_folder_that_this_user_may_not_write_to_is_told() {
    let (folder, image) = stage();
    // Who is nobody must be able to get there, and to the programs.
    let programs = tempfile::tempdir().unwrap();
    for path in [programs.path(), folder.path(), image.path().parent().unwrap()] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(folder.path().join("key"), Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(folder.path().join("there"), Permissions::from_mode(0o555)).unwrap();
    let is_root = run(Command::new("id").arg("-u")).stdout == "0\n";
    for command in writers(&image) {
        let program = programs.path().join(Path::new(command.get_program()).file_name().unwrap());
        // By another process: a child that another thread just starts has open what this one writes, and what is written is not executed.
        assert_eq!(run(Command::new("cp").arg(command.get_program()).arg(&program)).status, Some(0));
        let mut user = if is_root {
            let mut user = Command::new("setpriv");
            user.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
            user
        } else {
            Command::new(program)
        };
        let ended = run(user.args(command.get_args()).current_dir(folder.path()).env("NO_COLOR", "1"));
        assert_eq!(ended.status, Some(74), "{command:?}: {}", ended.stderr);
        let told = ended.stderr.to_lowercase();
        assert!(told.contains("permission denied") && !told.contains("panicked"), "{command:?}: {}", ended.stderr);
        assert_eq!(names_in(&folder.path().join("there")), Vec::<String>::new(), "{command:?}");
    }
}

#[test]
fn what_is_at_dev_kvm_and_no_kvm_is_told_and_the_emulator_is_taken() {
    if !Path::new("/dev/kvm").exists() {
        eprintln!("skipped: there is no /dev/kvm to put something on");
        return;
    }
    if !can_mount() {
        return;
    }
    let (folder, image) = stage();
    let run_on = |backend| {
        let command = command(&["--timeout=60s", "--backend", backend], &image.path());
        in_namespace(folder.path(), "mount --bind /dev/null /dev/kvm", &command).0
    };
    let refused = run_on("kvm");
    assert_eq!(refused.status, Some(69), "{}", refused.stderr);
    let told = "what is at /dev/kvm does not answer as KVM does: Inappropriate ioctl for device (`ls -l /dev/kvm` shows what it is)\n";
    assert_eq!(refused.stderr, format!("stos-run: {told}"));
    let replaced = run_on("auto");
    assert_eq!((replaced.status, &*replaced.stdout), (Some(0), "x\n"), "{}", replaced.stderr);
    assert!(replaced.stderr.contains("running on the embedded machine: /dev/kvm is no KVM\n"), "{}", replaced.stderr);
}

/// Runs `command` with at most so many KiB of address space.
fn with_address_space(size: u32, command: &Command) -> Run {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -c 0; ulimit -v {size}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args()).env("NO_COLOR", "1");
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    run(&mut shell)
}

/// A folder with a manifest of Linux and an initramfs of 24 MiB.
fn large_linux() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("tree")).unwrap();
    fs::write(at("tree/large"), vec![7; 24 << 20]).unwrap();
    fs::write(at("kernel"), BzImage::kernel().to_bytes()).unwrap();
    let lines = "memory: 256MiB\nkernel: {path: kernel, protocol: linux}\ninitramfs: {directory: tree}\n";
    fs::write(at("manifest.yaml"), format!("version: 1\nname: x\n{lines}")).unwrap();
    folder
}

#[test]
fn too_little_memory_is_an_error_like_others() {
    let folder = large_linux();
    let image = ImageFile::new(&BareGuest::new(&[say("x\n"), exit(0)].concat()).image());
    let mut pack = tool("stos-pack");
    pack.current_dir(folder.path()).arg("manifest.yaml");
    for command in [pack, command(&["--backend=emulated", "--timeout=60s"], &image.path())] {
        let mut seen = Vec::new();
        // From what the program itself needs to what all of it takes.
        for size in every(40, 8).into_iter().map(|size| (size << 13) + (16 << 10)) {
            let ended = with_address_space(size, &command);
            // It did not begin: 127 is said by the loader of programs, and the kernel kills what it can't load.
            let has_begun = !ended.stderr.contains("error while loading shared libraries") && !ended.stderr.is_empty();
            if ended.status.is_none() && has_begun {
                // Where there is no room for the smallest things, Rust's runtime ends the process.
                let failed = ended.stderr.lines().find_map(|line| line.strip_prefix("memory allocation of "));
                let bytes: Option<u32> = failed.and_then(|line| line.split(' ').next()?.parse().ok());
                // Before `main`, it makes room for a handler of signals.
                let is_before_main = ended.stderr.contains("failed to allocate an alternative stack");
                assert!(is_before_main || bytes.is_some_and(|bytes| bytes < 64 << 10), "{size} KiB: {ended:?}");
            } else if ended.status != Some(0) && has_begun {
                assert!([65, 66, 69, 74].map(Some).contains(&ended.status), "{size} KiB: {ended:?}");
                assert!(!ended.stderr.contains("panicked"), "{size} KiB: {ended:?}");
            }
            seen.push(ended.status);
            assert!(!names_in(folder.path()).iter().any(|name| name.starts_with(".stos-pack-")));
        }
        assert!(seen.iter().any(Option::is_some), "{command:?}: {seen:?}");
    }
}

/// A group of processes with a limit on memory, as long as it is there.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// Whose processes together may have `limit` bytes. Where there can be none, that is said.
    fn new(limit: u32) -> Option<Self> {
        let made = Self::try_new(limit);
        made.map_err(|why| eprintln!("skipped: no cgroup with a limit on memory can be made: {why}")).ok()
    }

    fn try_new(limit: u32) -> Result<Self, String> {
        // cgroups(7): a line per hierarchy, its number, its controllers and the path there.
        let list = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let paths = list.lines().filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            match controllers {
                "" => Some((format!("/sys/fs/cgroup{path}"), "memory.max")),
                "memory" => Some((format!("/sys/fs/cgroup/memory{path}"), "memory.limit_in_bytes")),
                _ => None,
            }
        });
        let mut why = "there is no hierarchy".to_owned();
        for (parent, file) in paths {
            // Tests have groups of different sizes.
            let group = Path::new(&parent).join(format!("stos-tests-{}-{limit}", std::process::id()));
            let made = fs::create_dir(&group).and_then(|()| {
                let this = Self(group.clone());
                // Some make any file there.
                fs::metadata(group.join(file))?;
                fs::write(group.join(file), limit.to_string()).map(|()| this)
            });
            match made {
                Ok(this) => return Ok(this),
                Err(error) => why = format!("{}: {error}", group.join(file).display()),
            }
        }
        Err(why)
    }

    fn run(&self, command: &Command) -> Run {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("echo $$ >{}/cgroup.procs && exec \"$0\" \"$@\"", self.0.display())]);
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        run(shell.arg(command.get_program()).args(command.get_args()))
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // It is in use for a moment after its last process.
        wait_until(|| fs::remove_dir(&self.0).is_ok() || !self.0.exists(), "the cgroup is in use");
    }
}

#[test]
fn an_emulator_that_lacks_memory_is_killed_and_told() {
    let Some(group) = MemoryGroup::new(96 << 20) else { return };
    // mov edi, 2 MiB; mov ecx, 64 Mi; mov eax, -1; rep stosd
    let fill = [0xbf, 0, 0, 0x20, 0, 0xb9, 0, 0, 0, 4, 0xb8, 0xff, 0xff, 0xff, 0xff, 0xfc, 0xf3, 0xab];
    let mut guest = BareGuest::new(&[&fill[..], &exit(0)].concat());
    guest.description.memory_size = 512 << 20;
    let image = ImageFile::new(&guest.image());
    let ended = group.run(&command(&["--backend=emulated", "--timeout=60s"], &image.path()));
    assert_eq!(ended.status, Some(103), "{}", ended.stderr);
    assert!(ended.stderr.contains("the system has run out of memory"), "{}", ended.stderr);
    assert!(ended.stderr.contains("but only "), "it is said before: {}", ended.stderr);
    wait_until(|| started_with(&image.path()).is_empty(), "a process is left");
}

#[test]
fn a_packer_that_lacks_memory_leaves_what_was_there_and_nothing_in_the_way() {
    let Some(group) = MemoryGroup::new(24 << 20) else { return };
    let folder = large_linux();
    let image = folder.path().join("manifest.img");
    fs::write(&image, "old").unwrap();
    let mut pack = tool("stos-pack");
    pack.current_dir(folder.path()).arg("manifest.yaml");
    let ended = group.run(&pack);
    // The kernel kills it, or tells it so.
    assert!(matches!(ended.status, None | Some(65 | 66 | 74)), "{ended:?}");
    assert_eq!(fs::read(&image).unwrap(), b"old");
    assert_eq!(run(&mut pack).status, Some(0));
    assert!(!names_in(folder.path()).iter().any(|name| name.starts_with(".stos-pack-")));
}
