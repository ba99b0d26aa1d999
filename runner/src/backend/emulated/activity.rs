//! Whether the emulated CPU is worth a look: the kernel tells whether the emulator's thread for it has run since. To ask the monitor
//! at every tick costs several times as much as a guest that only waits for its timer.

use std::fs::File;
use std::os::unix::fs::FileExt;

use serde_json::Value;

use super::starter::Running;

/// The most ticks from one look to the next while the CPU goes on running: a timer that its interrupt controller hears wakes the thread
/// of a CPU, too, that takes no interrupts.
const MOST_TICKS: u32 = 20;
/// Bytes that are read at once: what the kernel tells of a thread has 1 to 2 KiB.
const STATUS_SIZE: usize = 8192;

/// What the kernel tells of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Thread {
    /// It waits for something.
    sleeps: bool,
    /// How often it has begun to wait.
    waits: u64,
}

/// Decides at each tick whether the CPU is looked at.
#[derive(Debug)]
pub struct Activity {
    /// Where the kernel tells of the thread (`man 5 proc_pid_status`); `None` while it is not known which it is.
    status: Option<File>,
    /// At the last tick.
    before: Option<Thread>,
    /// At the last look.
    seen: Option<Thread>,
    /// Ticks since then, and how many it may become.
    ticks: u32,
    pause: u32,
}

impl Default for Activity {
    fn default() -> Self {
        Self { status: None, before: None, seen: None, ticks: 0, pause: 1 }
    }
}

impl Activity {
    /// Takes the monitor's answer that names the threads of the CPUs of `process`.
    pub fn learn(&mut self, process: &Running, cpus: &[Value]) {
        let thread = cpus.first().and_then(|cpu| cpu["thread-id"].as_u64());
        self.status = thread.and_then(|thread| process.status_of(thread));
    }

    /// Whether to look now, once each tick. What can't be known is looked at.
    pub fn is_look_due(&mut self) -> bool {
        let now = self.status.as_ref().and_then(read);
        self.decide(now)
    }

    fn decide(&mut self, now: Option<Thread>) -> bool {
        let before = std::mem::replace(&mut self.before, now);
        self.ticks = self.ticks.saturating_add(1);
        let has_slept = now.is_some_and(|now| now.sleeps) && now == before;
        let is_due = match now {
            None => true,
            // Nothing can have changed.
            Some(_) if has_slept && now == self.seen => false,
            // It may have come to its end.
            Some(_) if has_slept => true,
            // It runs, or is woken now and then.
            Some(_) => self.ticks >= self.pause,
        };
        if is_due {
            self.pause = if has_slept { 1 } else { (2 * self.pause).min(MOST_TICKS) };
            (self.seen, self.ticks) = (now, 0);
        }
        is_due
    }
}

/// What `status` says now: the kernel makes its text anew at each read from the beginning.
fn read(status: &File) -> Option<Thread> {
    let mut text = vec![0; STATUS_SIZE];
    let size = status.read_at(&mut text, 0).ok()?;
    // The name of a thread may be any bytes.
    parse(&String::from_utf8_lossy(&text[..size]))
}

fn parse(status: &str) -> Option<Thread> {
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let waits = field("voluntary_ctxt_switches:")?.parse().ok()?;
    Some(Thread { sleeps: field("State:")?.starts_with('S'), waits })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASLEEP: fn(u64) -> Option<Thread> = |waits| Some(Thread { sleeps: true, waits });

    fn looks(threads: impl IntoIterator<Item = Option<Thread>>) -> Vec<usize> {
        let mut activity = Activity::default();
        threads.into_iter().enumerate().filter(|(_, thread)| activity.decide(*thread)).map(|(tick, _)| tick).collect()
    }

    #[test]
    fn a_cpu_that_stops_is_looked_at_and_left_alone_then() {
        assert_eq!(looks([ASLEEP(3); 100]), [0]);
        // It goes on for a while, and stops.
        let threads = (0..200).map(|tick| ASLEEP(if tick < 100 { tick * 5 } else { 500 }));
        let looks = looks(threads);
        assert!(looks.contains(&101) && !looks.iter().any(|tick| *tick > 101), "{looks:?}");
    }

    #[test]
    fn a_cpu_that_goes_on_is_looked_at_less_and_less() {
        let is_rare = |looks: Vec<usize>| looks.starts_with(&[0, 2, 6, 14, 30, 50]) && looks.len() == 13;
        assert!(is_rare(looks((0..200).map(|tick| ASLEEP(tick * 5)))));
        assert!(is_rare(looks([Some(Thread { sleeps: false, waits: 7 }); 200])));
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_looked_at() {
        assert_eq!(looks([None; 5]), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_status_of_the_kernel_is_understood() {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(parse(&status).is_some_and(|thread| !thread.sleeps), "{status}");
        let file = File::open("/proc/thread-self/status").unwrap();
        assert!((0..2).all(|_| read(&file).is_some_and(|thread| !thread.sleeps)), "each time");
        let asleep =
            "Name:\tqemu\nState:\tS (sleeping)\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n";
        assert_eq!(parse(asleep), ASLEEP(150));
        assert_eq!(parse("State:\tS (sleeping)\n"), None);
    }
}
