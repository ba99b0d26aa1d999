//! What ends a run when whoever watches it ends.

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Has this process ended by SIGTERM when its parent ends, which must be the process `watcher`. False when that has ended already.
pub fn die_with(watcher: i32) -> bool {
    // It fails for no signal that there is.
    let _ = set_parent_process_death_signal(Some(Signal::TERM));
    getppid().is_some_and(|parent| parent.as_raw_nonzero().get() == watcher)
}
