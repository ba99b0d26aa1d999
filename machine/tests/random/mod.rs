//! Any bytes as code, tables and registers, from a seed.

mod noise;

use fastrand::Rng;
use noise::Noise;
use stos_machine::chips::board::Board;
use stos_machine::machine::Machine;
use stos_machine::memory::Memory;
use stos_machine::state::observer::Observer;
use stos_x86::registers::{CR0_ET, CR0_PE, CR0_PG, EntryState, GeneralRegisters, TableRegister};
use stos_x86::segments::{Segment, Segments};

/// Guest memory: what is past it is met, too.
const MEMORY: usize = 0x1_0000;

/// Seeds of as many cases as `CASES` says, which are others for each `SEED`.
pub fn seeds(usually: u64) -> impl Iterator<Item = u64> {
    let setting = |name: &str, otherwise: u64| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let (seed, cases) = (setting("SEED", 1), setting("CASES", usually));
    println!("SEED={seed} CASES={cases}");
    (0..cases).map(move |case| seed << 32 | case)
}

/// A machine that has come out of a seed.
pub fn machine<O: Observer>(mut rng: Rng, observer: O) -> Machine<(Board<Noise>, O)> {
    let mut memory = Memory::new(MEMORY);
    memory.load(0, &bytes(&mut rng)).unwrap();
    let entry = entry(&mut rng);
    Machine::new(&entry, memory, Board::new(Noise(rng.fork())), observer)
}

/// Opcodes that lead to tables, control registers and tasks; random bytes rarely do.
const STARTS: [&[u8]; 24] = [
    &[0x0f, 0x22],
    &[0x0f, 0x23],
    &[0x0f, 0x20],
    &[0x0f, 0x00],
    &[0x0f, 0x01],
    &[0x0f, 0x30],
    &[0x0f, 0x32],
    &[0x0f, 0xae],
    &[0x0f, 0xa1],
    &[0x0f, 0xb2],
    &[0x0f, 0xc7],
    &[0x0f, 0x34],
    &[0x0f, 0x35],
    &[0x8e],
    &[0x9a],
    &[0xcd],
    &[0xcf],
    &[0xea],
    &[0xcb],
    &[0xf3, 0xa4],
    &[0xf3, 0x6d],
    &[0xfb],
    &[0xf4],
    &[0x9d],
];

/// A number that often lies in memory, or at an edge.
fn number(rng: &mut Rng) -> u32 {
    match rng.u8(0..4) {
        0 => rng.u32(..),
        1 => [0, 1, 0xfff, 0x1000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX][rng.usize(0..9)],
        2 => 0xfee0_0000 + (rng.u32(0..0x40) << 4),
        _ => rng.u32(0..0x1_0000),
    }
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..MEMORY).map(|_| rng.u8(..)).collect();
    // Descriptors, gates and page tables whose fields make sense now and then.
    for at in (0..MEMORY / 2).step_by(8) {
        let value = match rng.u8(0..4) {
            0 => 0x00cf_9200_0000_ffff | u64::from(rng.u8(..)) << 40,
            1 => 0x0000_8000_0008_0000 | u64::from(rng.u8(..)) << 40 | rng.u64(0..0x1_0000),
            2 => ((rng.u64(0..16) << 12) | rng.u64(0..0x200)) * 0x1_0000_0001,
            _ => continue,
        };
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    for _ in 0..600 {
        let start = STARTS[rng.usize(0..STARTS.len())];
        let at = rng.usize(0..MEMORY - start.len());
        bytes[at..at + start.len()].copy_from_slice(start);
    }
    bytes
}

fn segment(rng: &mut Rng, access: u16) -> Segment {
    let usual = Segment::flat(rng.u16(0..64), access | rng.u16(0..4) << 5);
    match rng.u8(0..4) {
        0 => Segment { base: number(rng), limit: number(rng), access: rng.u16(..), ..usual },
        _ => usual,
    }
}

fn entry(rng: &mut Rng) -> EntryState {
    let paging = if rng.bool() { CR0_PG } else { 0 };
    let table = |rng: &mut Rng| TableRegister { base: number(rng), limit: rng.u16(..) };
    let segments = Segments::new(
        segment(rng, Segment::CODE_ACCESS & !0x60),
        segment(rng, Segment::DATA_ACCESS & !0x60),
        segment(rng, 0x8b),
    );
    EntryState {
        general: GeneralRegisters::from_numbers(std::array::from_fn(|_| number(rng))),
        eip: rng.u32(0..0x1_0000),
        eflags: rng.u32(..) & 0x3f_7fd7 | 2,
        cr0: CR0_ET | if rng.u8(0..8) == 0 { rng.u32(0..0x10) } else { CR0_PE | paging | rng.u32(0..0x10) },
        cr3: rng.u32(0..16) * 0x1000,
        cr4: rng.u32(..) & 0x7fc,
        gdtr: table(rng),
        idtr: table(rng),
        segments,
    }
}
