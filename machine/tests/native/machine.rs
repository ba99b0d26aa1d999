//! Executes a case on the embedded machine.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Mnemonic};
use stos_machine::bus::Empty;
use stos_machine::machine::Machine;
use stos_machine::memory::Memory;
use stos_machine::state::core::Activity;
use stos_machine::state::fault::Fault;
use stos_machine::state::flags::Flags;
use stos_machine::state::observer::Observer;
use stos_x86::registers::{CR0_MP, CR0_NE, CR0_PE, CR0_PG, CR4_OSFXSR, CR4_OSXMMEXCPT, EntryState};
use stos_x86::segments::{Segment, Segments};

use super::case::{CODE, DATA, Found, Given, MARGIN, Registers, SLOT, SLOTS, Trap, WINDOW, WINDOW_SIZE};

/// Where its pages are in memory.
const DIRECTORY: u32 = 0x1000;
const TABLE: u32 = 0x2000;
const CODE_FRAME: u32 = 0x3000;
const CODE_SIZE: u32 = SLOT * SLOTS as u32;
const DATA_FRAME: u32 = CODE_FRAME + CODE_SIZE;
const SIZE: usize = DATA_FRAME as usize + 0x1000;
/// HLT ends what is decoded at once.
const HLT: u8 = 0xf4;
/// A branch to itself: what follows an instruction in a block, and may be executed.
const STAY: [u8; 2] = [0xeb, 0xfe];
/// Present, writable, user.
const FREE: u32 = 7;
/// Undefined flags may differ. RF is what the kernel shows of a fault.
const RF: u32 = 1 << 16;

/// Sees the first exception.
#[derive(Default)]
struct First(Option<Fault>);

impl Observer for First {
    fn raised(&mut self, fault: &Fault, _eip: u32) {
        self.0.get_or_insert_with(|| fault.clone());
    }
}

/// A machine that is like a 32-bit process: flat segments of privilege level 3, pages of code and one of data.
pub struct Embedded {
    machine: Machine<(Empty, First)>,
    /// How many instructions are executed of each slot: two where the block is executed as one, which is another way than one by itself.
    steps: Vec<u64>,
}

/// True for an instruction after which the one behind it is executed in any case.
fn is_followed(code: &[u8]) -> bool {
    let instruction = Decoder::new(32, code, DecoderOptions::NONE).decode();
    let is_repeated = instruction.has_rep_prefix() || instruction.has_repne_prefix();
    instruction.flow_control() == FlowControl::Next
        && !is_repeated
        && !matches!(instruction.mnemonic(), Mnemonic::Popf | Mnemonic::Popfd)
}

impl Default for Embedded {
    fn default() -> Self {
        let mut memory = Memory::new(SIZE);
        let mut put = |address: u32, word: u32| memory.load(address.into(), &word.to_le_bytes()).expect("it is there");
        put(DIRECTORY + (CODE >> 22 << 2), TABLE | FREE);
        for at in (0..CODE_SIZE).step_by(0x1000) {
            put(TABLE + (((CODE + at) >> 12 & 0x3ff) << 2), (CODE_FRAME + at) | FREE);
        }
        put(TABLE + ((DATA >> 12 & 0x3ff) << 2), DATA_FRAME | FREE);
        let user = |selector, access| Segment::flat(selector, access | 3 << 5);
        let segments =
            Segments::new(user(0x23, Segment::CODE_ACCESS), user(0x2b, Segment::DATA_ACCESS), Segment::default());
        let entry = EntryState {
            cr0: CR0_PE | CR0_MP | CR0_NE | CR0_PG,
            cr4: CR4_OSFXSR | CR4_OSXMMEXCPT,
            cr3: DIRECTORY,
            segments,
            eip: CODE,
            eflags: 2,
            ..EntryState::default()
        };
        Self { machine: Machine::new(&entry, memory, Empty, First::default()), steps: Vec::new() }
    }
}

impl Embedded {
    /// Puts the instructions of a batch into their slots.
    pub fn place(&mut self, cases: &[Given]) {
        let mut code = vec![HLT; CODE_SIZE as usize];
        for (slot, given) in code.chunks_exact_mut(SLOT as usize).zip(cases) {
            slot[..given.code.len()].copy_from_slice(&given.code);
            slot[given.code.len()..][..STAY.len()].copy_from_slice(&STAY);
        }
        let steps = |(slot, given): (usize, &Given)| if slot % 2 == 1 && is_followed(&given.code) { 2 } else { 1 };
        self.steps = cases.iter().enumerate().map(steps).collect();
        self.machine.load(CODE_FRAME.into(), &code).expect("it is there");
    }

    /// Executes the case whose instruction is in this slot.
    pub fn execute(&mut self, slot: usize, given: &Given) -> Found {
        let machine = &mut self.machine;
        let start = CODE + SLOT * slot as u32;
        let mut data = [0; MARGIN + WINDOW_SIZE + MARGIN];
        data[MARGIN..][..WINDOW_SIZE].copy_from_slice(&given.data);
        machine.load((DATA_FRAME + WINDOW - MARGIN as u32).into(), &data).expect("it is there");
        machine.core.general[..8].copy_from_slice(&given.registers.general);
        machine.core.flags = Flags::from_bits(given.registers.eflags);
        if let Some(floats) = &given.floats {
            machine.core.set_float_image(floats);
        }
        machine.core.eip = start;
        machine.core.activity = Activity::Running;
        machine.core.observer.0 = None;
        // A string instruction is as many as it has elements.
        for _ in 0..256 {
            machine.run(machine.core.count + self.steps[slot]);
            if machine.core.eip != start || machine.core.observer.0.is_some() {
                break;
            }
        }
        let core = &mut machine.core;
        let trap = core.observer.0.take().map(|fault| Trap {
            vector: fault.vector,
            error_code: fault.error_code.unwrap_or(0),
            address: (fault.vector == 14).then_some(core.cr2),
        });
        let mut general = [0; 8];
        general.copy_from_slice(&core.general[..8]);
        let mut data = [0; WINDOW_SIZE];
        let from = core.memory.from((DATA_FRAME + WINDOW).into());
        data.copy_from_slice(&from[..WINDOW_SIZE]);
        let floats = given.floats.map(|before| {
            let mut image = before;
            core.write_float_image(&mut image);
            image
        });
        let eflags = core.flags.bits() | if trap.is_some() { RF } else { 0 };
        Found { registers: Registers { general, eflags }, eip: core.eip.wrapping_sub(start), trap, data, floats }
    }
}
