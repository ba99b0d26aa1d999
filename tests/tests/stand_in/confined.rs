//! What the emulator may do, told from inside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use stos_tests::process::emulators_of;

use super::StandIn;

/// Version of Landlock from which signals are kept to those who are confined alike.
const LANDLOCK_WITH_SIGNALS: i64 = 6;
/// What may be left of the environment.
const KEPT: [&str; 6] = ["PATH", "HOME", "LD_LIBRARY_PATH", "NIX_LD", "NIX_LD_LIBRARY_PATH", "QEMU_MODULE_DIR"];

/// What the stand-in tells, and what is seen of it from outside.
struct Told {
    lines: BTreeMap<String, BTreeSet<String>>,
    oom_score_adj: String,
    status: String,
}

impl Told {
    fn one(&self, what: &str) -> &str {
        let values = &self.lines[what];
        assert_eq!(values.len(), 1, "{what}: {values:?}");
        values.first().unwrap()
    }

    /// The error that an attempt ended with; `None` when it succeeded.
    fn error(&self, what: &str) -> Option<Errno> {
        let number: i32 = self.one(what).parse().unwrap();
        (number != 0).then(|| Errno::from_raw_os_error(number))
    }
}

fn told() -> Told {
    let stand_in = StandIn::new("tell");
    fs::write(stand_in.home.path().join("secret"), "swordfish").unwrap();
    fs::write(stand_in.home.path().join("program"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(stand_in.home.path().join("program"), Permissions::from_mode(0o755)).unwrap();
    // The shell of a person may leave descriptors open.
    let left_open = fs::File::open("/etc/passwd").unwrap();
    fcntl_setfd(&left_open, FdFlags::empty()).unwrap();
    assert!(left_open.as_raw_fd() > 2);
    let mut child = stand_in.command(&["--timeout", "120s"]).spawn().unwrap();
    let mut lines: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some((what, value)) = line.split_once(": ") else {
            assert_eq!(line, "end");
            break;
        };
        assert!(lines.entry(what.to_owned()).or_default().insert(value.to_owned()), "{line}: twice");
    }
    let emulators = emulators_of(child.id());
    let [emulator] = emulators[..] else { panic!("{emulators:?}") };
    let of = |file: &str| fs::read_to_string(format!("/proc/{emulator}/{file}")).unwrap();
    let (oom_score_adj, status) = (of("oom_score_adj"), of("status"));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let ended = stand_in.end(child);
    assert_eq!(ended.status, Some(143), "{ended:?}");
    assert!(stand_in.folder.path().join("behaviour").exists());
    assert!(lines.contains_key("kill the runner"), "it came to its end: {lines:?}");
    Told { lines, oom_score_adj, status }
}

#[test]
fn the_emulator_may_do_no_more_than_it_must() {
    let told = told();
    // What it inherits.
    let environment = &told.lines["environment"];
    let names: Vec<&str> = environment.iter().map(|variable| variable.split_once('=').unwrap().0).collect();
    assert!(names.iter().all(|name| KEPT.contains(name)), "{names:?}");
    assert!(names.contains(&"PATH") && !environment.iter().any(|variable| variable.contains("swordfish")));
    assert_eq!(
        told.lines["descriptor"].len(),
        3 + 6,
        "its streams, memory, firmware, ports and connections: {:?}",
        told.lines["descriptor"]
    );

    // What it is.
    assert_eq!(told.one("no_new_privs"), "1");
    assert_eq!(told.one("seccomp"), "2", "there is a filter");
    assert_eq!(told.one("capabilities"), "0 0 0");
    assert_eq!(told.one("leads"), "1 1", "a session and a group of its own");
    assert_eq!(told.one("file size"), "0 0");
    assert_eq!(told.one("core"), "1 1");
    let descriptors: Vec<u64> = told.one("descriptors").split(' ').map(|number| number.parse().unwrap()).collect();
    assert!(descriptors[0] == descriptors[1] && descriptors[0] < 512, "{descriptors:?}");
    assert_eq!(told.oom_score_adj.trim(), "500");
    for line in ["CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(told.status.contains(line), "{line} in {}", told.status);
    }
    if rustix::process::geteuid().is_root() {
        assert_eq!(told.one("bounds"), "0");
    }

    // What it needs.
    for what in ["read a program", "write nowhere", "execute a program", "write memory", "read its own"] {
        assert_eq!(told.error(what), None, "{what}");
    }
    assert_eq!(told.error("execute what is not there"), Some(Errno::NOENT));

    // What it does not need.
    for what in ["cut memory off", "change the firmware", "become another"] {
        assert_eq!(told.error(what), Some(Errno::PERM), "{what}");
    }
    for what in [
        "connect (inet)",
        "connect (inet, packets)",
        "connect (unix)",
        "trace the runner",
        "read the runner",
        "leave its session",
        "leave its group",
        "make a user namespace",
        "clone into a user namespace",
        "use io_uring",
    ] {
        assert_eq!(told.error(what), Some(Errno::NOSYS), "{what}");
    }
    let landlock: i64 = told.one("landlock").parse().unwrap();
    if landlock < 1 {
        eprintln!("skipped: files, which this kernel keeps nobody from: it has no Landlock");
        return;
    }
    for what in [
        "write its own",
        "create",
        "create in /tmp",
        "create in /dev/shm",
        "make a folder",
        "remove",
        "link",
        "read /etc/passwd",
        "list home",
        "read a secret",
        "execute another's",
        "read the runner's environment",
        "write the runner's memory",
    ] {
        assert_eq!(told.error(what), Some(Errno::ACCESS), "{what}");
    }
    if landlock < LANDLOCK_WITH_SIGNALS {
        eprintln!("skipped: signals, which this kernel keeps nobody from: it has version {landlock} of Landlock");
        return;
    }
    assert_eq!(told.error("truncate"), Some(Errno::ACCESS));
    assert_eq!(told.error("kill the runner"), Some(Errno::PERM));
}

/// One line says what an emulator goes without, and the rest is on.
#[test]
fn an_emulator_that_does_not_start_confined_starts_with_less_of_that() {
    const OWN: &str = "stos-run: the emulator's sandbox goes without QEMU's own filter of system calls, with which this one does not start\n";
    const READING: &str = "stos-run: the emulator's sandbox goes without a limit on what it may read, with which this one does not start\n";
    for (behaviour, printed, said) in [
        ("count", "filtered\n", None),
        ("refuse -sandbox", "unfiltered\n", Some(OWN)),
        ("violate -sandbox", "unfiltered\n", Some(OWN)),
        ("need home", "filtered\n", Some(READING)),
    ] {
        let stand_in = StandIn::new(behaviour);
        fs::write(stand_in.home.path().join("needed"), "").unwrap();
        let ended = stand_in.run(&["--timeout", "60s"]);
        assert_eq!((ended.status, &*ended.stdout), (Some(0), printed), "{behaviour}: {ended:?}");
        let lines = ended.stderr.lines().filter(|line| line.contains("sandbox")).count();
        assert_eq!(lines, usize::from(said.is_some()), "{behaviour}: {}", ended.stderr);
        assert!(said.is_none_or(|said| ended.stderr.contains(said)), "{behaviour}: {}", ended.stderr);
        assert_eq!(stand_in.run(&["-q", "--timeout", "60s"]).stderr, "stos-run: the guest reported success\n");
    }
}
