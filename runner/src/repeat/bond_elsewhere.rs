//! What ends a run when whoever watches it ends, where the system does not tell of that: its parent is another process then.

use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, getppid, kill_process};

/// How often it is looked whether it has ended.
const PACE: Duration = Duration::from_millis(100);

/// Has this process ended by SIGTERM when its parent ends, which must be the process `watcher`. False when that has ended already.
pub fn die_with(watcher: i32) -> bool {
    let is_there = move || getppid().is_some_and(|parent| parent.as_raw_nonzero().get() == watcher);
    let watch = move || {
        while is_there() {
            thread::sleep(PACE);
        }
        // Fails for no process that asks for it by itself.
        let _ = kill_process(getpid(), Signal::TERM);
    };
    is_there() && thread::Builder::new().name("bond".to_owned()).spawn(watch).is_ok()
}
