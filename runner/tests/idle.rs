//! A guest that waits for its timer costs little: the emulator is not asked all the time how it is.

// Clippy allows unwrap in test functions, but not in what they call.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use stos_tests::bare::command;
use stos_tests::bench::{Forms, GuestCode};
use stos_tests::process::wait_until;

/// The thread `name` of this process, if it has that name by now.
fn thread(process: u32, name: &str) -> Option<PathBuf> {
    let mut threads = fs::read_dir(format!("/proc/{process}/task")).unwrap().map(|entry| entry.unwrap().path());
    // One that has just ended is none of those.
    threads.find(|thread| fs::read_to_string(thread.join("comm")).is_ok_and(|found| found.trim() == name))
}

/// How often it has begun to wait.
fn waits(process: u32, name: &str) -> u64 {
    wait_until(|| thread(process, name).is_some(), "there is no such thread");
    let status = fs::read_to_string(thread(process, name).unwrap().join("status")).unwrap();
    let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    waits.unwrap().trim().parse().unwrap()
}

#[test]
fn an_emulator_whose_guest_is_woken_by_its_timer_is_hardly_asked() {
    let folder = tempfile::tempdir().unwrap();
    let image = Forms { code: GuestCode::Idles { ticks: 6000 }, folder: folder.path() }.image();
    let mut child = command(&["-q", "--backend", "emulated", "--timeout", "120s"], &image).spawn().unwrap();
    // Then it has begun.
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    // Both look at their clocks 20 times a second. Questions and answers come on top for the one that watches the emulator.
    let both = || (waits(child.id(), "stos-run"), waits(child.id(), "emulator"));
    let before = both();
    wait_until(|| waits(child.id(), "stos-run") >= before.0 + 60, "the session does not look at its guest");
    let after = both();
    child.kill().unwrap();
    child.wait().unwrap();
    let (session, emulator) = (after.0 - before.0, after.1 - before.1);
    assert!(emulator < 2 * session, "{emulator} times against {session}");
}
