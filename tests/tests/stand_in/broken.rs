//! An emulator that is broken in any way ends a run with a documented status, and takes no memory without limit.

use std::fs;
use std::process::Child;
use std::thread;

use stos_tests::process::wait_until;

use super::{StandIn, unread};

/// Most memory that a run with a broken emulator may have taken, in KiB: what waits for a reader, a few times over as vectors grow, and
/// the runner itself.
const MEMORY: u64 = 192 * 1024;
/// Signals that end nobody by themselves (signal(7)): SIGCHLD, SIGCONT, the four that stop, SIGURG, SIGWINCH.
const HARMLESS: [i32; 8] = [17, 18, 19, 20, 21, 22, 23, 28];

#[test]
fn an_emulator_that_does_not_begin_is_none_to_run_a_guest_on() {
    for (behaviour, why) in [
        ("exit first=0", ""),
        ("exit first=1", ""),
        ("exit first=255", ""),
        ("close first", ""),
        ("say nonsense", ""),
        ("say half", ""),
        ("say no line", "it sends a line that has no end"),
        ("close second", ""),
        ("refuse", "not today"),
        ("greet again", "it does not speak the machine protocol"),
        ("exit third", ""),
    ] {
        let stand_in = StandIn::new(behaviour);
        let ended = stand_in.run(&["--timeout", "50s"]);
        let start = format!("{} did not start: ", stand_in.program().display());
        assert_eq!(ended.status, Some(69), "{behaviour}: {ended:?}");
        assert!(ended.stderr.contains(&start) && ended.stderr.contains(why), "{behaviour}: {}", ended.stderr);
    }
}

#[test]
fn the_time_limit_ends_a_run_whose_emulator_does_not() {
    // Side by side, as all that they do is wait.
    thread::scope(|scope| {
        for behaviour in [
            "say nothing",
            "stop first",
            "say nonsense for ever",
            "say events for ever first",
            "close",
            "answer nothing",
            "stop",
            "say events for ever",
            "answer for ever",
            "ignore quit",
        ] {
            scope.spawn(move || {
                let ended = StandIn::new(behaviour).run(&["--timeout", "1s"]);
                assert_eq!(ended.status, Some(124), "{behaviour}: {ended:?}");
                assert!(ended.stderr.contains("stos-run: time limit of 1s reached"), "{behaviour}: {}", ended.stderr);
            });
        }
    });
}

#[test]
fn an_emulator_that_ends_is_told_by_how_it_ended() {
    let stand_in = StandIn::new("");
    // 2n + 1 is what QEMU makes of a guest's n.
    for (exit, status) in
        [("1", 0), ("85", 42), ("255", 63), ("256", 63), ("257", 63), ("511", 63), ("-1", 63), ("2", 103)]
    {
        stand_in.behave(&format!("exit={exit}"));
        let ended = stand_in.run(&["--timeout", "50s"]);
        assert_eq!(ended.status, Some(status), "{exit}: {ended:?}");
        let is_large = ended.stderr.contains("the guest reported a status above 127, given as 63");
        assert_eq!(is_large, !(0..256).contains(&exit.parse().unwrap()), "{exit}: {}", ended.stderr);
    }
    for signal in (1..=31).filter(|signal| !HARMLESS.contains(signal)) {
        stand_in.behave(&format!("die={signal}"));
        let ended = stand_in.run(&["--timeout", "50s"]);
        let (status, said) = match signal {
            // SIGSYS is what filters of system calls kill with.
            31 => (108, "the emulator was ended by its sandbox"),
            _ => (103, "the CPU could not go on: the emulator died (signal: "),
        };
        assert_eq!(ended.status, Some(status), "{signal}: {ended:?}");
        assert!(ended.stderr.contains(said), "{signal}: {}", ended.stderr);
    }
    stand_in.behave("say no line later");
    let ended = stand_in.run(&["--timeout", "50s"]);
    assert_eq!(ended.status, Some(103), "{ended:?}");
    let said = "the emulator was ended, as it does not keep to its machine protocol: it sends a line that has no end\n";
    assert!(ended.stderr.ends_with(said), "{}", ended.stderr);
    // Whether it is told to go on before it has gone is a matter of luck.
    stand_in.behave("close fourth");
    let ended = stand_in.run(&["--timeout", "1s"]);
    assert!(matches!(ended.status, Some(69 | 124)), "{ended:?}");
    stand_in.behave("leave a child");
    assert_eq!(stand_in.run(&["--timeout", "50s"]).status, Some(2), "and its child has gone");
}

#[test]
fn whatever_an_emulator_sends_takes_little_memory() {
    let stand_in = StandIn::new("");
    for behaviour in [
        "say nonsense for ever",
        "say events for ever first",
        "say no line later",
        "say events for ever",
        "answer for ever",
        "print for ever",
        "print for ever to the debug console",
        "complain for ever",
        "log for ever",
        "select for ever",
    ] {
        stand_in.behave(behaviour);
        // Its output is not read while it runs.
        let mut child = unread(&mut stand_in.command(&["--timeout", "1s"])).spawn().unwrap();
        let mut most = 0;
        wait_until(
            || {
                most = peak(&child).map_or(most, |size| most.max(size));
                child.try_wait().unwrap().is_some()
            },
            "the runner goes on",
        );
        let status = stand_in.end(child).status;
        assert!(most > 0 && most < MEMORY, "{behaviour}: {most} KiB");
        assert_eq!(status, Some(if behaviour == "say no line later" { 103 } else { 124 }), "{behaviour}");
    }
}

/// The most memory that a process has had at once, in KiB, as long as it lives.
fn peak(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
