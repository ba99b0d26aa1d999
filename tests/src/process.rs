//! Other processes as `/proc` shows them, and waiting for what they are sure to do.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long something may take that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `is_true`.
///
/// # Panics
/// With `otherwise` when that takes longer than [`PATIENCE`].
pub fn wait_until(mut is_true: impl FnMut() -> bool, otherwise: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < deadline, "{otherwise}");
        sleep(Duration::from_millis(5));
    }
}

/// State and parent of a process, as `man 5 proc` orders them after the name in parentheses.
fn state_and_parent(id: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// False as well for a process that has ended and that nobody has asked for its status.
pub fn is_alive(id: u32) -> bool {
    state_and_parent(id).is_some_and(|(state, _)| state != "Z")
}

/// Whether a signal has stopped it.
pub fn is_stopped(id: u32) -> bool {
    state_and_parent(id).is_some_and(|(state, _)| state == "T")
}

/// The processes that have not ended and have the path `argument` on their command line.
pub fn started_with(argument: &Path) -> Vec<u32> {
    let ids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let has_it = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == argument.as_os_str().as_bytes())
    };
    ids.filter(has_it).collect()
}

/// The emulators that `runner` has started, itself or through the process that does so for it, and that have not gone.
pub fn emulators_of(runner: u32) -> Vec<u32> {
    let children = children_of(runner);
    let all = children.iter().flat_map(|&child| [vec![child], children_of(child)].concat());
    all.filter(|id| fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.starts_with("qemu"))).collect()
}

/// The processes that `parent` has started and that have not gone.
pub fn children_of(parent: u32) -> Vec<u32> {
    let ids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|&id| state_and_parent(id).is_some_and(|(_, of)| of == parent)).collect()
}
