//! Times how long a run takes to end once there is a reason: from the guest's last byte of output, which it prints just before
//! it ends, or from a signal, to the end of the process: `make bench`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::io::Read;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use stos_tests::backends::unpaged;
use stos_tests::bare::code::{self, exit, say};
use stos_tests::bare::{BareGuest, ImageFile, start};

/// Runs of each kind.
const RUNS: usize = 30;
/// Memory of the guest that uses much of it.
const LARGE: u64 = 128 << 20;
/// Where that guest begins to write.
const LARGE_START: u32 = 2 << 20;

/// What ends a run.
struct Ending {
    name: &'static str,
    image: ImageFile,
    /// Sent once the guest has printed.
    signal: Option<Signal>,
    status: i32,
}

impl Ending {
    fn new(name: &'static str, guest: BareGuest, signal: Option<Signal>, status: i32) -> Self {
        Self { name, image: ImageFile::new(&guest.image()), signal, status }
    }
}

/// Writes to every page from `LARGE_START` on: `mov edi, START; mov ecx, COUNT; mov [edi], edi; add edi, 4096; loop back`.
fn touch() -> Vec<u8> {
    let pages = u32::try_from((LARGE - u64::from(LARGE_START)) / 4096).unwrap();
    let body = [0x89, 0x3f, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0xe2, 0xf6];
    [&[0xbf][..], &LARGE_START.to_le_bytes(), &[0xb9], &pages.to_le_bytes(), &body].concat()
}

fn endings() -> [Ending; 5] {
    let guest = |code: &[Vec<u8>]| BareGuest::new(&code.concat());
    let mut large = guest(&[touch(), say("x"), exit(0)]);
    large.description.memory_size = LARGE;
    [
        Ending::new("exit port", guest(&[say("x"), exit(0)]), None, 0),
        Ending::new("exit port, 128 MiB in use", large, None, 0),
        Ending::new("HLT with interrupts off", guest(&[say("x"), code::HALT.to_vec()]), None, 104),
        Ending::new("triple fault", guest(&[say("x"), code::CRASH.to_vec()]), None, 100),
        Ending::new("SIGTERM", guest(&[say("x"), code::SPIN.to_vec()]), Some(Signal::TERM), 143),
    ]
}

/// How long one run takes to end.
fn time(backend: &str, ending: &Ending) -> Duration {
    let mut child = start(backend, &["--timeout", "60s", "--quiet"], &ending.image);
    let printed = child.stdout.as_mut().unwrap().read_exact(&mut [0]);
    assert!(printed.is_ok(), "{} on {backend} has printed nothing: {:?}", ending.name, child.wait_with_output());
    let begin = Instant::now();
    if let Some(signal) = ending.signal {
        kill_process(Pid::from_child(&child), signal).unwrap();
    }
    let status = child.wait().unwrap();
    let taken = begin.elapsed();
    assert_eq!(status.code(), Some(ending.status), "{} on {backend}", ending.name);
    taken
}

fn main() {
    println!("{:<28} {:<10} {:>10} {:>10} {:>10}", "time to leave after", "backend", "p50", "p90", "longest");
    for ending in endings() {
        for backend in unpaged() {
            let mut times: Vec<Duration> = (0..RUNS).map(|_| time(backend, &ending)).collect();
            times.sort_unstable();
            let percentile =
                |percent: usize| format!("{:.1} ms", times[(RUNS - 1) * percent / 100].as_secs_f64() * 1e3);
            let [p50, p90, longest] = [50, 90, 100].map(percentile);
            println!("{:<28} {backend:<10} {p50:>10} {p90:>10} {longest:>10}", ending.name);
        }
    }
}
