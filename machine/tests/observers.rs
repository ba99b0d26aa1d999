//! What observers are told, and that nobody's watching changes anything: `CASES=1000000 cargo test --release -p stos-machine --test observers`
//! looks at more guests, and `SEED=2` at others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod random;

use fastrand::Rng;
use random::{machine, seeds};
use stos_machine::bus::Empty;
use stos_machine::machine::{Machine, Stop};
use stos_machine::memory::Memory;
use stos_machine::state::fault::{Fault, Use};
use stos_machine::state::observer::{Access, Control, Delivery, Executed, Observer, PortUse, Stale};
use stos_x86::registers::{CR0_ET, CR0_PE, CpuState, EntryState, GeneralRegisters, TableRegister};
use stos_x86::segments::{Segment, Segments};

/// Sees everything, in words.
#[derive(Default)]
struct Everything {
    words: Vec<String>,
    executed: Vec<u32>,
    repeated: u64,
}

impl Observer for Everything {
    const SEES_INSTRUCTIONS: bool = true;
    const SEES_MEMORY: bool = true;
    const SEES_STALE: bool = true;

    fn executing(&mut self, executed: Executed) {
        assert_eq!(executed.physical & 0xfff, u64::from(executed.linear & 0xfff));
        self.executed.push(executed.eip);
    }
    fn executed(&mut self, executed: Executed, next: u32) {
        self.repeated += u64::from(next == executed.eip);
    }
    fn accessed(&mut self, access: Access<'_>) {
        let Access { is_write, linear, physical, bytes, eip, .. } = access;
        let verb = if is_write { "writes" } else { "reads" };
        self.words.push(format!("{eip:x} {verb} {linear:x} at {physical:x}: {bytes:x?}"));
    }
    fn stale(&mut self, Stale { linear, wanted, used, now, eip }: Stale) {
        self.words.push(format!("{eip:x} stale {linear:x} for {wanted:?} at {used:x}, now {now:x?}"));
    }
    fn missed(&mut self, linear: u32, wanted: Use, is_user: bool) {
        self.words.push(format!("missed {linear:x} for {wanted:?}, user {is_user}"));
    }
    fn port(&mut self, PortUse { port, width, is_write, value, eip }: PortUse) {
        self.words.push(format!("{eip:x} port {port:x} {width} {is_write} {value:x}"));
    }
    fn controlled(&mut self, register: Control, old: u32, new: u32) {
        self.words.push(format!("{register:?} {old:x} {new:x}"));
    }
    fn switched(&mut self, old: u16, new: u16) {
        self.words.push(format!("task {old:x} {new:x}"));
    }
    fn raised(&mut self, fault: &Fault, eip: u32) {
        self.words.push(format!("{eip:x} raised {}", fault.vector));
    }
    fn sees_deliveries(&self) -> bool {
        true
    }
    fn delivering(&mut self, delivery: Delivery) {
        self.words.push(format!("delivers {} of {:?}", delivery.vector, delivery.cause));
    }
    fn returned(&mut self, eip: u32, cpu: CpuState) {
        self.words.push(format!("{eip:x} returned to {:x}", cpu.eip));
    }
    fn gave_up(&mut self, vector: u8) {
        self.words.push(format!("gave up at {vector}"));
    }
}

/// A guest's code, from 0x1000 on. Its breakpoint handler is at 0x1100.
const CODE: &[&[u8]] = &[
    // mov eax, 0x12345678
    &[0xb8, 0x78, 0x56, 0x34, 0x12],
    // mov [0x2ffe], eax
    &[0xa3, 0xfe, 0x2f, 0, 0],
    // out 0xe9, al; in al, 0x60
    &[0xe6, 0xe9],
    &[0xe4, 0x60],
    // int3
    &[0xcc],
    // mov eax, 0x6000; mov cr3, eax
    &[0xb8, 0, 0x60, 0, 0],
    &[0x0f, 0x22, 0xd8],
    // mov eax, 0x80000011; mov cr0, eax
    &[0xb8, 0x11, 0, 0, 0x80],
    &[0x0f, 0x22, 0xc0],
    // mov bl, [0x9000]
    &[0x8a, 0x1d, 0, 0x90, 0, 0],
    // mov byte [0x7024], 0: the page at 0x9000 is there no more
    &[0xc6, 0x05, 0x24, 0x70, 0, 0, 0],
    // mov bl, [0x9001]
    &[0x8a, 0x1d, 1, 0x90, 0, 0],
    // invlpg [0x9000]; mov bl, [0x9001]
    &[0x0f, 0x01, 0x3d, 0, 0x90, 0, 0],
    &[0x8a, 0x1d, 1, 0x90, 0, 0],
];

fn guest() -> Machine<(Empty, Everything)> {
    let mut memory = Memory::new(0x1_0000);
    memory.load(0x1000, &CODE.concat()).unwrap();
    // iret
    memory.load(0x1100, &[0xcf]).unwrap();
    // The gate of vector 3, and flat segments.
    memory.load(0x4018, &0x0000_8e00_0008_1100_u64.to_le_bytes()).unwrap();
    memory.load(0x5008, &0x00cf_9b00_0000_ffff_u64.to_le_bytes()).unwrap();
    memory.load(0x5010, &0x00cf_9300_0000_ffff_u64.to_le_bytes()).unwrap();
    memory.load(0x6000, &0x7003_u32.to_le_bytes()).unwrap();
    for page in 0..16_u32 {
        memory.load(u64::from(0x7000 + page * 4), &(page << 12 | 3).to_le_bytes()).unwrap();
    }
    let entry = EntryState {
        general: GeneralRegisters { esp: 0x9000, ..GeneralRegisters::default() },
        eip: 0x1000,
        eflags: 2,
        cr0: CR0_ET | CR0_PE,
        cr3: 0,
        cr4: 0,
        gdtr: TableRegister { base: 0x5000, limit: 0x17 },
        idtr: TableRegister { base: 0x4000, limit: 0x1f },
        segments: Segments::new(
            Segment::flat(8, Segment::CODE_ACCESS),
            Segment::flat(16, Segment::DATA_ACCESS),
            Segment::flat(0, 0x8b),
        ),
    };
    Machine::new(&entry, memory, Empty, Everything::default())
}

#[test]
fn an_observer_is_told_what_a_guest_does() {
    let mut guest = guest();
    let stop = guest.run(10_000);
    assert_eq!(stop, Stop::TripleFault, "{:#?}", guest.core.observer.words);
    let Everything { words, executed, repeated } = &guest.core.observer;
    let expected = [
        // Two pages.
        "1005 writes 2ffe at 2ffe: [78, 56]",
        "1005 writes 3000 at 3000: [34, 12]",
        "100a port e9 1 true 78",
        "100c port 60 1 false ff",
        "delivers 3 of Software",
        // The gate, the handler's segment, and the frame.
        "100e reads 4018 at 4018: [0, 11, 8, 0]",
        "100e reads 401c at 401c: [0, 8e, 0, 0]",
        "100e reads 5008 at 5008: [ff, ff, 0, 0]",
        "100e reads 500c at 500c: [0, 9b, cf, 0]",
        "100e writes 8ffc at 8ffc: [2, 0, 0, 0]",
        "100e writes 8ff8 at 8ff8: [8, 0, 0, 0]",
        "100e writes 8ff4 at 8ff4: [f, 10, 0, 0]",
        "1100 reads 8ff4 at 8ff4: [f, 10, 0, 0]",
        "1100 reads 8ff8 at 8ff8: [8, 0, 0, 0]",
        "1100 reads 8ffc at 8ffc: [2, 0, 0, 0]",
        "1100 reads 5008 at 5008: [ff, ff, 0, 0]",
        "1100 reads 500c at 500c: [0, 9b, cf, 0]",
        "1100 returned to 100f",
        "Cr3 0 6000",
        "Cr0 11 80000011",
        "missed 101f for Fetch, user false",
        "missed 9000 for Read, user false",
        "101f reads 9000 at 9000: [0]",
        "missed 7024 for Write, user false",
        "1025 writes 7024 at 7024: [0]",
        "102c stale 9001 for Read at 9001, now None",
        "102c reads 9001 at 9001: [0]",
        "missed 9001 for Read, user false",
        "1039 raised 14",
        "delivers 14 of Exception",
    ];
    assert_eq!(words[..expected.len()], expected);
    assert_eq!(words.last().map(String::as_str), Some("gave up at 13"));
    let places: Vec<u32> = CODE
        .iter()
        .scan(0x1000_u32, |next, bytes| Some(std::mem::replace(next, *next + u32::try_from(bytes.len()).ok()?)))
        .collect();
    assert!(executed.iter().filter(|eip| **eip != 0x1100).eq(&places));
    assert_eq!((executed.len(), *repeated), (CODE.len() + 1, 0));
}

#[test]
fn a_guest_that_is_watched_does_the_same() {
    let mut seen = 0;
    for seed in seeds(200) {
        let mut alone = machine(Rng::with_seed(seed), ());
        let mut watched = machine(Rng::with_seed(seed), Everything::default());
        assert_eq!(alone.run(3000), watched.run(3000), "{seed}");
        assert_eq!(alone.snapshot().differences(&watched.snapshot()), [], "{seed}");
        seen += watched.core.observer.executed.len();
    }
    println!("{seen} instructions");
    assert!(seen > 2000, "{seen}");
}
