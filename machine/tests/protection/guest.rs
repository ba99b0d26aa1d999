//! A guest with tables that make sense, at either privilege.

use stos_machine::bus::Bus;
use stos_machine::machine::{Machine, Stop};
use stos_machine::memory::Memory;
use stos_machine::state::observer::Observer;
use stos_x86::registers::{CR0_PE, EntryState, TableRegister};
use stos_x86::segments::{Segment, Segments};

pub const CODE: u32 = 0x1000;
/// Each vector has a HLT of its own, four bytes apart.
const HANDLERS: u32 = 0x1800;
pub const GDT: u32 = 0x2000;
pub const IDT: u32 = 0x2800;
/// The task that the guest begins with, and another one.
pub const TASK: u32 = 0x3000;
pub const OTHER_TASK: u32 = 0x3100;
pub const OTHER_CODE: u32 = 0x1900;
/// Stacks: the program's, the kernel's.
pub const STACK: u32 = 0x6000;
pub const KERNEL_STACK: u32 = 0x7000;
/// The vector that a program may use, to say that it has come so far.
pub const DONE: u8 = 0x1e;
pub const SAYS_DONE: &[u8] = &[0xcd, DONE];

pub const KERNEL_CODE: u16 = 0x08;
pub const KERNEL_DATA: u16 = 0x10;
pub const USER_CODE: u16 = 0x1b;
pub const USER_DATA: u16 = 0x23;
pub const OTHER_TSS: u16 = 0x30;
/// To the handler of vector 0x1d, for everybody, with two parameters.
pub const CALL_GATE: u16 = 0x3b;
/// The same, for the kernel alone.
pub const KERNEL_GATE: u16 = 0x40;
/// A stack of 16 bytes.
pub const SMALL_STACK: u16 = 0x48;
pub const GATE_TARGET: u8 = 0x1d;

/// Chips that interrupt without end, with this vector.
#[derive(Default)]
pub struct Interrupts(pub Option<u8>);

impl Bus for Interrupts {
    fn is_interrupting(&self) -> bool {
        self.0.is_some()
    }
    fn acknowledge(&mut self, _now: u64) -> Option<u8> {
        self.0
    }
}

/// Nobody watches.
#[derive(Default)]
pub struct Nobody;

impl Observer for Nobody {}

pub struct Guest(pub Machine<(Interrupts, Nobody)>);

fn handler(vector: u8) -> u32 {
    HANDLERS + 4 * u32::from(vector)
}

fn descriptor(base: u32, limit: u32, access: u16) -> [u8; 8] {
    Segment { selector: 0, base, limit, access }.descriptor().to_le_bytes()
}

/// A gate of this kind, with its privilege.
pub fn gate(offset: u32, selector: u16, access: u8, parameters: u8) -> [u8; 8] {
    let [low, next, high, top] = offset.to_le_bytes();
    let [selector, above] = selector.to_le_bytes();
    [low, next, selector, above, parameters, access, high, top]
}

impl Guest {
    /// A guest that executes `code` at this privilege.
    pub fn new(level: u16, code: &[u8]) -> Self {
        let segment = |selector: u16, access: u16| Segment::flat(selector | level, access | level << 5);
        let (code_segment, data_segment) = (
            segment(if level == 0 { KERNEL_CODE } else { USER_CODE }, Segment::CODE_ACCESS),
            segment(if level == 0 { KERNEL_DATA } else { USER_DATA }, Segment::DATA_ACCESS),
        );
        let task = Segment { selector: 0x28, base: TASK, limit: 0x67, access: 0x8b };
        let entry = EntryState {
            cr0: CR0_PE,
            segments: Segments::new(code_segment, data_segment, task),
            gdtr: TableRegister { base: GDT, limit: 0x4f },
            idtr: TableRegister { base: IDT, limit: 0xff },
            eip: CODE,
            eflags: 2,
            ..EntryState::default()
        };
        let machine = Machine::new(&entry, Memory::new(0x1_0000), Interrupts::default(), Nobody);
        let mut guest = Self(machine);
        let flat = |access: u16| descriptor(0, u32::MAX, access);
        let table = [
            flat(Segment::CODE_ACCESS),
            flat(Segment::DATA_ACCESS),
            flat(Segment::CODE_ACCESS | 0x60),
            flat(Segment::DATA_ACCESS | 0x60),
            descriptor(TASK, 0x67, 0x8b),
            descriptor(OTHER_TASK, 0x67, 0x89),
            gate(handler(GATE_TARGET), KERNEL_CODE, 0xec, 2),
            gate(handler(GATE_TARGET), KERNEL_CODE, 0x8c, 0),
            descriptor(0, 0xf, 0x4093),
        ];
        guest.put(GDT + 8, table.as_flattened());
        for vector in 0..32 {
            let access = if vector == DONE { 0xee } else { 0x8e };
            guest.put(handler(vector), &[0xf4]);
            guest.put(IDT + 8 * u32::from(vector), &gate(handler(vector), KERNEL_CODE, access, 0));
        }
        guest.put_words(TASK + 4, &[KERNEL_STACK, KERNEL_DATA.into()]);
        guest.put_words(OTHER_TASK + 32, &[OTHER_CODE, 2]);
        guest.put_words(OTHER_TASK + 56, &[0x5000]);
        let data = u32::from(KERNEL_DATA);
        guest.put_words(OTHER_TASK + 72, &[data, KERNEL_CODE.into(), data, data]);
        guest.put(OTHER_CODE, &[0xf4]);
        guest.put(CODE, code);
        guest.0.core.general[4] = STACK;
        guest
    }

    pub fn put(&mut self, address: u32, bytes: &[u8]) {
        self.0.load(address.into(), bytes).unwrap();
    }

    pub fn put_words(&mut self, address: u32, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(address, &bytes);
    }

    pub fn word(&self, address: u32) -> u32 {
        u32::from_le_bytes(*self.0.core.memory.from(address.into()).first_chunk().unwrap())
    }

    /// What is on the stack, from the top.
    pub fn top<const N: usize>(&self) -> [u32; N] {
        let esp = self.0.core.general[4];
        std::array::from_fn(|place| self.word(esp + 4 * u32::try_from(place).unwrap()))
    }

    /// Executes to the first HLT. The vector whose handler it was; `None` for another one.
    pub fn run(&mut self) -> Option<u8> {
        assert_eq!(self.0.run(1000), Stop::HaltedForGood);
        let at = self.0.core.eip - 1;
        (0..32).find(|vector| handler(*vector) == at)
    }

    /// The same for an exception with an error code: its vector, and that.
    pub fn fault(&mut self) -> (Option<u8>, u32) {
        let vector = self.run();
        (vector, self.top::<1>()[0])
    }
}

/// Executes `code` at this privilege: the vector that it ends with.
pub fn run(level: u16, code: &[u8]) -> Option<u8> {
    Guest::new(level, code).run()
}
