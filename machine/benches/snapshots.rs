//! Times what snapshots cost, for guests that have written to 16 MiB of a small and of a large memory: `make bench`.

#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use stos_machine::devices::peripherals::Peripherals;
use stos_machine::devices::ports::Places;
use stos_machine::devices::rtc::Rtc;
use stos_machine::devices::vga::Registers;
use stos_machine::machine::Stop;
use stos_machine::memory::Memory;
use stos_machine::pc::{Pc, Watch};
use stos_x86::ports::EXIT;
use stos_x86::registers::{CR0_ET, CR0_PE, EFLAGS_FIXED, EntryState};
use stos_x86::segments::{Segment, Segments};

/// Of each, the fastest counts.
const ROUNDS: usize = 10;
/// Memories, in bytes.
const MEMORIES: [usize; 2] = [16 << 20, 1 << 30];
/// The guest writes to all pages of the first 16 MiB but that of its code, again and again: `mov edi, 4096; mov ecx, PAGES;
/// inc dword [edi]; add edi, 4096; loop back; jmp to the beginning`.
const PAGES: u32 = 4095;
const CODE: [u8; 22] = [
    0xbf, 0x00, 0x10, 0x00, 0x00, 0xb9, 0xff, 0x0f, 0x00, 0x00, //
    0xff, 0x07, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0xe2, 0xf6, 0xeb, 0xea,
];
/// Pages that it writes to where it writes to few.
const FEW: u32 = 256;

/// Instructions until so many pages are written to, from the beginning.
const fn until(pages: u32) -> u64 {
    2 + 3 * pages as u64
}

/// Instructions of a whole round of the guest.
const ROUND: u64 = until(PAGES) + 1;

/// A guest, before its first instruction.
fn guest(size: usize) -> Pc {
    let mut memory = Memory::new(size);
    memory.load(0, &CODE).unwrap();
    let segments = Segments::new(
        Segment::flat(8, Segment::CODE_ACCESS),
        Segment::flat(16, Segment::DATA_ACCESS),
        Segment::flat(24, Segment::BUSY_TSS_ACCESS),
    );
    let entry = EntryState { eflags: EFLAGS_FIXED, cr0: CR0_PE | CR0_ET, segments, ..EntryState::default() };
    let places = Places { exit_port: EXIT, fault_port: None };
    let clock = Rtc::new(0, u64::try_from(size).unwrap());
    Pc::new(&entry, memory, Peripherals::new(places, clock, Registers::of_firmware(|_| None)), Watch::default())
}

/// Runs to so many instructions since the start.
fn run(pc: &mut Pc, count: u64) {
    assert_eq!(pc.run(count), Stop::Count);
}

/// How long `work` takes after `set_up`.
fn time<S, R>(set_up: impl FnOnce() -> S, work: impl FnOnce(&mut S) -> R) -> Duration {
    let mut state = set_up();
    let start = Instant::now();
    black_box(work(&mut state));
    start.elapsed()
}

/// Names and times of one memory.
fn times(size: usize) -> Vec<(&'static str, Duration)> {
    // One round, then what is asked, after a first snapshot between them.
    let first = || {
        let mut pc = guest(size);
        run(&mut pc, ROUND);
        let kept = pc.snapshot();
        (pc, kept)
    };
    let more = |count: u64| {
        let (mut pc, kept) = first();
        run(&mut pc, ROUND + count);
        (pc, kept)
    };
    let other = |count: u64| {
        let mut pc = guest(size);
        run(&mut pc, ROUND + count);
        let kept = pc.snapshot();
        (kept, first().1)
    };
    let shared = || {
        let (mut pc, kept) = more(until(FEW));
        (pc.snapshot(), kept)
    };
    let written = || {
        let mut pc = guest(size);
        run(&mut pc, ROUND);
        pc
    };
    vec![
        ("save, all 16 MiB written to", time(written, Pc::snapshot)),
        ("save, 1 MiB written to since", time(|| more(until(FEW)), |(pc, _)| pc.snapshot())),
        ("save, nothing written to since", time(first, |(pc, _)| pc.snapshot())),
        ("restore, all 16 MiB written to since", time(|| more(ROUND), |(pc, kept)| pc.restore(kept))),
        ("restore, 1 MiB written to since", time(|| more(until(FEW)), |(pc, kept)| pc.restore(kept))),
        ("restore, nothing written to since", time(first, |(pc, kept)| pc.restore(kept))),
        ("restore into a new machine", time(|| (guest(size), first().1), |(pc, kept)| pc.restore(kept))),
        ("clone", time(first, |(_, kept)| kept.clone())),
        ("compare, 1 MiB differs, the rest shared", time(shared, |(left, right)| left.differences(right))),
        ("compare, 16 MiB equal, nothing shared", time(|| other(0), |(left, right)| left.differences(right))),
        ("compare, 16 MiB differ, nothing shared", time(|| other(ROUND), |(left, right)| left.differences(right))),
        ("run, 16 MiB written to again", time(written, |pc| run(pc, 2 * ROUND))),
        ("run, the same after a snapshot", time(first, |(pc, _)| run(pc, 2 * ROUND))),
    ]
}

fn main() {
    // In rounds, as the allocator keeps memory that it was given once: what is timed first would be slow otherwise.
    let mut fastest = MEMORIES.map(times);
    for _ in 1..ROUNDS {
        for (fastest, size) in fastest.iter_mut().zip(MEMORIES) {
            for ((_, least), (_, time)) in fastest.iter_mut().zip(times(size)) {
                *least = time.min(*least);
            }
        }
    }
    let names = MEMORIES.map(|size| format!("{} MiB", size >> 20));
    println!("{:<42} {:>12} {:>12}", format!("snapshots: fastest of {ROUNDS}, in ms; memory:"), names[0], names[1]);
    let [small, large] = fastest;
    for ((name, small), (_, large)) in small.into_iter().zip(large) {
        println!("{name:<42} {:>12.3} {:>12.3}", small.as_secs_f64() * 1e3, large.as_secs_f64() * 1e3);
    }
}
