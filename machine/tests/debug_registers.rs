//! What debug registers, TF and RF ask for (Intel SDM volume 3B, sections 17.2 and 17.3), and what blocks NMIs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use stos_machine::bus::Bus;
use stos_machine::machine::Machine;
use stos_machine::memory::Memory;
use stos_machine::state::observer::{Delivery, Observer};
use stos_x86::registers::{CR0_PE, EFLAGS_RF, EFLAGS_TF, EntryState, TableRegister};
use stos_x86::segments::{Segment, Segments};

const CODE: u32 = 0x1000;
const HANDLER: u32 = 0x1800;
const GDT: u32 = 0x2000;
const IDT: u32 = 0x2100;
const DATA: u32 = 0x3000;
const STACK: u32 = 0x4000;

/// Enables register 0 and says what it watches: kind, then size.
const fn watch(kind: u32, size: u32) -> u32 {
    1 | kind << 16 | size << 18
}
const EXECUTION: u32 = 0;
const WRITES: u32 = 1;
const PORTS: u32 = 2;
const ACCESSES: u32 = 3;
const FOUR: u32 = 3;

/// What was delivered: the vector, and where.
#[derive(Default)]
struct Delivered(Vec<(u8, u32)>);

impl Observer for Delivered {
    fn sees_deliveries(&self) -> bool {
        true
    }
    fn delivering(&mut self, delivery: Delivery) {
        self.0.push((delivery.vector, delivery.cpu.eip - CODE));
    }
}

/// Sends NMIs.
#[derive(Default)]
struct Nmis(u32);

impl Bus for Nmis {
    fn take_nmi(&mut self) -> bool {
        let has = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        has
    }
}

type Tried = Machine<(Nmis, Delivered)>;

/// A machine whose handlers are IRET, or what `handler` says.
fn machine(code: &[u8], handler: &[u8]) -> Tried {
    let mut memory = Memory::new(0x5000);
    let mut put = |address: u32, bytes: &[u8]| memory.load(address.into(), bytes).unwrap();
    let (code_segment, data_segment) =
        (Segment::flat(8, Segment::CODE_ACCESS), Segment::flat(16, Segment::DATA_ACCESS));
    put(GDT + 8, &code_segment.descriptor().to_le_bytes());
    put(GDT + 16, &data_segment.descriptor().to_le_bytes());
    for vector in 0..32 {
        put(IDT + 8 * vector, &(0x8e00_0000_0000 | u64::from(8 << 16 | HANDLER)).to_le_bytes());
    }
    put(CODE, code);
    put(HANDLER, handler);
    let entry = EntryState {
        cr0: CR0_PE,
        segments: Segments::new(code_segment, data_segment, Segment::default()),
        gdtr: TableRegister { base: GDT, limit: 23 },
        idtr: TableRegister { base: IDT, limit: 255 },
        eip: CODE,
        eflags: 2,
        ..EntryState::default()
    };
    let mut machine: Tried = Machine::new(&entry, memory, Nmis::default(), Delivered::default());
    machine.core.general[4] = STACK;
    machine
}

const IRET: &[u8] = &[0xcf];

/// What is delivered while `code` is executed with these in DR0 and DR7, and DR6 afterwards.
fn delivered(code: &[u8], dr0: u32, dr7: u32, eflags: u32) -> (Vec<(u8, u32)>, u32) {
    let setup = [&[0xb8][..], &dr0.to_le_bytes(), &[0x0f, 0x23, 0xc0, 0xb8], &dr7.to_le_bytes(), &[0x0f, 0x23, 0xf8]];
    let setup = setup.concat();
    let mut machine = machine(&[&setup[..], code].concat(), IRET);
    while machine.core.eip < CODE + u32::try_from(setup.len()).unwrap() {
        machine.run(machine.core.count + 1);
    }
    machine.core.flags.set(eflags, true);
    for _ in 0..40 {
        machine.run(machine.core.count + 1);
    }
    let start = u32::try_from(setup.len()).unwrap();
    let found = std::mem::take(&mut machine.core.observer.0);
    (found.into_iter().map(|(vector, at)| (vector, at.wrapping_sub(start))).collect(), machine.core.debug[6])
}

/// NOP; NOP; NOP; JMP to itself.
const NOPS: &[u8] = &[0x90, 0x90, 0x90, 0xeb, 0xfe];
/// Where code begins after what sets the registers.
const START: u32 = CODE + 16;

#[test]
fn an_instruction_is_stopped_before_it_is_executed_and_goes_on_after_the_handler() {
    let (found, status) = delivered(NOPS, START + 1, watch(EXECUTION, 0), 0);
    assert_eq!((found, status), (vec![(1, 1)], 0xffff_0ff1));
}

#[test]
fn resume_lets_one_instruction_pass() {
    assert_eq!(delivered(NOPS, START, watch(EXECUTION, 0), EFLAGS_RF).0, []);
    // The second time round it is stopped: RF was for one instruction.
    let round = &[0x90, 0x40, 0x3c, 0x02, 0x75, 0xfa, 0xeb, 0xfe];
    let (found, _) = delivered(&[&[0x31, 0xc0][..], round].concat(), START + 2, watch(EXECUTION, 0), 0);
    assert_eq!(found, [(1, 2), (1, 2)]);
}

#[test]
fn data_are_told_after_the_instruction() {
    // MOV EAX, [DATA]; MOV [DATA + 3], AL; NOP; JMP to itself.
    let uses = &[0xa1, 0, 0x30, 0, 0, 0xa2, 3, 0x30, 0, 0, 0x90, 0xeb, 0xfe];
    assert_eq!(delivered(uses, DATA, watch(ACCESSES, FOUR), 0).0, [(1, 5), (1, 10)]);
    assert_eq!(delivered(uses, DATA, watch(WRITES, FOUR), 0), (vec![(1, 10)], 0xffff_0ff1));
    assert_eq!(delivered(uses, DATA + 4, watch(ACCESSES, FOUR), 0).0, []);
    assert_eq!(delivered(uses, DATA, watch(WRITES, 0), 0).0, [], "one byte, and it was another");
}

#[test]
fn ports_are_watched_with_de() {
    let out = &[0xe6, 0x80, 0x90, 0xeb, 0xfe];
    assert_eq!(delivered(out, 0x80, watch(PORTS, 0), 0).0, []);
    // MOV EAX, 8; MOV CR4, EAX before it.
    let with_de = &[0xb8, 8, 0, 0, 0, 0x0f, 0x22, 0xe0, 0xe6, 0x80, 0x90, 0xeb, 0xfe];
    assert_eq!(delivered(with_de, 0x80, watch(PORTS, 0), 0), (vec![(1, 10)], 0xffff_0ff1));
}

#[test]
fn elements_of_strings_are_told_one_by_one() {
    // MOV EDI, DATA; MOV ECX, 3; REP STOSB; JMP to itself.
    let store = &[0xbf, 0, 0x30, 0, 0, 0xb9, 3, 0, 0, 0, 0xf3, 0xaa, 0xeb, 0xfe];
    let (found, _) = delivered(store, DATA, watch(WRITES, FOUR), 0);
    assert_eq!(found, [(1, 10), (1, 10), (1, 12)]);
}

#[test]
fn single_steps_come_after_each_instruction_and_not_after_a_load_of_ss() {
    // NOP; MOV SS, DX; NOP; NOP; INT 0x10; JMP to itself. Flags of the handler's frame have TF.
    let mut stepping = machine(&[0x90, 0x8e, 0xd2, 0x90, 0x90, 0xcd, 0x10, 0xeb, 0xfe], IRET);
    stepping.core.general[2] = 16;
    stepping.core.flags.set(EFLAGS_TF, true);
    for _ in 0..30 {
        stepping.run(stepping.core.count + 1);
    }
    let found = &stepping.core.observer.0[..];
    // The interrupt has none; the instruction after the way back has one again.
    assert_eq!(found[..6], [(1, 1), (1, 4), (1, 5), (0x10, 5), (1, 7), (1, 7)]);
    assert_eq!(stepping.core.debug[6], 0xffff_4ff0);
}

#[test]
fn general_detection_stops_the_use_of_debug_registers_once() {
    let read = &[0x0f, 0x21, 0xf0, 0x0f, 0x21, 0xf0, 0xeb, 0xfe];
    let (found, status) = delivered(read, 0, 1 << 13, 0);
    assert_eq!((found, status), (vec![(1, 0)], 0xffff_2ff0), "the handler is entered with it off");
}

#[test]
fn a_second_nmi_waits_for_iret() {
    // The handler: NOP; NOP; IRET.
    let mut machine = machine(NOPS, &[0x90, 0x90, 0xcf]);
    machine.core.bus.0 = 2;
    machine.run(3);
    assert_eq!(machine.core.observer.0, [(2, 0)]);
    machine.run(20);
    assert_eq!(machine.core.observer.0, [(2, 0), (2, 0)]);
}
