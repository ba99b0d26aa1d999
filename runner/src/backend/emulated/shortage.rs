//! Whether the machine has run out of memory (`proc_vmstat(5)`).

use std::fs;

/// How many processes the kernel has killed for lack of memory since it was started.
pub fn kills_for_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/vmstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}
