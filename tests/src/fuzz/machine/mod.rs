//! Guests of the embedded machine: any memory, tables and registers. What executes them is not to panic or to stand still,
//! and in pieces it does what it does at once.

#[path = "../../../../machine/tests/random/noise.rs"]
mod noise;
mod seeds;

use std::io;

use fastrand::Rng;
use stos_machine::chips::board::Board;
use stos_machine::machine::{Machine, Stop};
use stos_machine::memory::Memory;
use stos_x86::registers::{EntryState, GeneralRegisters, TableRegister};
use stos_x86::segments::{Segment, Segments};

use self::noise::Noise;
use self::seeds::Guest;
use crate::fuzz::bytes::splice;
use crate::fuzz::input::Input;
use crate::fuzz::target::{ChangeBytes, Target};

/// Guest memory: what is past it is met, too.
const MEMORY: usize = 0x1_0000;
/// How long a guest may go on, in instructions, and the length of a piece.
const TIME: u64 = 4000;
const PIECE: u64 = 97;

/// A guest's machine.
type Guests = Machine<(Board<Noise>, ())>;

/// The embedded machine.
#[derive(Clone, Copy, Debug)]
pub struct MachineTarget;

impl Target for MachineTarget {
    fn seeds(&self) -> io::Result<Vec<Vec<u8>>> {
        Ok(seeds::all())
    }

    fn mutate(&self, case: &mut Vec<u8>, other: &[u8], rng: &mut Rng, change: &mut ChangeBytes<'_>) {
        let more = match rng.u8(..8) {
            0 | 1 => return change(case, rng),
            2 => return splice(case, other, rng),
            3 => seeds::piece(0x2000 + rng.u16(..16) * 8, &descriptor(rng).to_le_bytes()),
            4 => seeds::piece(0x2800 + rng.u16(..32) * 8, &descriptor(rng).to_le_bytes()),
            5 => seeds::piece(0x4000 + rng.u16(..0x400) * 8, &(rng.u64(..0x200) | rng.u64(..20) << 12).to_le_bytes()),
            _ => {
                let code = rng.choice(seeds::CODES).copied().unwrap_or_default();
                seeds::piece(0x1000 + rng.u16(..64), code)
            }
        };
        case.extend(more);
    }

    fn run(&self, case: &[u8]) -> bool {
        let (mut whole, mut pieces) = (machine(case), machine(case));
        let stop = whole.run(TIME);
        assert_eq!(execute(&mut pieces), stop, "in pieces, it ends otherwise");
        assert_eq!(pieces.snapshot().differences(&whole.snapshot()), [], "in pieces");
        stop == Stop::Count
    }
}

/// Executes for [`TIME`], in pieces.
fn execute(machine: &mut Guests) -> Stop {
    let mut before = 0;
    loop {
        let stop = machine.run((before + PIECE).min(TIME));
        let now = machine.core.count;
        assert!(stop != Stop::Count || now > before, "no time has passed");
        if stop != Stop::Count || now >= TIME {
            return stop;
        }
        before = now;
    }
}

/// A descriptor, gate or entry of which much makes sense.
fn descriptor(rng: &mut Rng) -> u64 {
    let access = u64::from(rng.u8(..)) << 40;
    match rng.u8(..3) {
        0 => 0x00cf_0000_0000_ffff | access,
        1 => rng.u64(..0x1_0000) | rng.u64(..0x80) << 16 | access,
        _ => rng.u64(..0x8000) << 16 | 0x67 | access,
    }
}

/// The guest of a case: its registers, then pieces of memory, each with its address and its length.
fn machine(case: &[u8]) -> Guests {
    let mut input = Input::new(case);
    let guest = Guest::read(&mut input);
    let mut memory = Memory::new(MEMORY);
    while !input.is_empty() {
        let (at, count) = (input.half(), input.byte());
        let bytes = input.bytes(count.into());
        // What does not fit is left out.
        let room = MEMORY - usize::from(at);
        let _ = memory.load(at.into(), &bytes[..bytes.len().min(room)]);
    }
    Machine::new(&entry(&guest), memory, Board::new(Noise(Rng::with_seed(guest.noise.into()))), ())
}

fn entry(guest: &Guest) -> EntryState {
    let table = |[base, limit]: [u32; 2]| TableRegister { base, limit: u16::try_from(limit & 0xffff).unwrap_or(0) };
    let segment = |[selector, base, limit, access]: [u32; 4]| {
        let half = |word: u32| u16::try_from(word & 0xffff).unwrap_or(0);
        Segment { selector: half(selector), base, limit, access: half(access) }
    };
    let [code, data, task] = guest.segments.map(segment);
    EntryState {
        general: GeneralRegisters::from_numbers(guest.general),
        eip: guest.eip,
        // Bit 1 is always set.
        eflags: guest.eflags & 0x3f_7fd7 | 2,
        cr0: guest.cr0,
        cr3: guest.cr3,
        cr4: guest.cr4 & 0x7fc,
        gdtr: table(guest.gdt),
        idtr: table(guest.idt),
        segments: Segments::new(code, data, task),
    }
}
