//! Who hears of an x87 error, and who may use the FPU: CR0's EM, TS, MP and NE.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod nothing;

use nothing::Nothing;
use stos_machine::bus::Bus;
use stos_machine::chips::board::Board;
use stos_machine::machine::{Machine, Stop};
use stos_machine::memory::Memory;
use stos_machine::state::fault::Fault;
use stos_machine::state::observer::Observer;
use stos_x86::registers::{CR0_EM, CR0_MP, CR0_NE, CR0_PE, CR0_TS, CR4_OSFXSR, CR4_OSXMMEXCPT, EntryState};
use stos_x86::segments::{Segment, Segments};

/// FLDCW [0x2000]; FLDZ; FLD ST(0); FDIVP, which is invalid; FWAIT.
const DIVIDES: &[u8] = &[0xd9, 0x2d, 0, 0x20, 0, 0, 0xd9, 0xee, 0xd9, 0xc0, 0xde, 0xf9, 0x9b];
const WAITS_AT: u32 = 0x1000 + 12;
const FWAIT: &[u8] = &[0x9b];
const FLDZ: &[u8] = &[0xd9, 0xee];
const EMMS: &[u8] = &[0x0f, 0x77];
const XORPS: &[u8] = &[0x0f, 0x57, 0xc0];
const FXSAVE: &[u8] = &[0x0f, 0xae, 0x05, 0, 0x20, 0, 0];
/// LDMXCSR [0x2004]; SQRTSS of -1 at 0x2008, with no exception masked.
const ROOT: &[u8] = &[0x0f, 0xae, 0x15, 4, 0x20, 0, 0, 0xf3, 0x0f, 0x51, 0x05, 8, 0x20, 0, 0];

#[derive(Default)]
struct First(Option<u8>);

impl Observer for First {
    fn raised(&mut self, fault: &Fault, _eip: u32) {
        self.0.get_or_insert(fault.vector);
    }
}

/// Counts what the chips are told.
#[derive(Default)]
struct Line(u32);

impl Bus for Line {
    fn report_x87_error(&mut self, _now: u64) {
        self.0 += 1;
    }
}

fn run(code: &[u8], cr0: u32, cr4: u32) -> (Machine<(Line, First)>, Stop) {
    let mut memory = Memory::new(0x3000);
    memory.load(0x1000, code).unwrap();
    // No x87 exception is masked but denormal and inexact; then MXCSR with none masked, and -1.
    memory.load(0x2000, &[0x62, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xbf]).unwrap();
    let segments = Segments::new(
        Segment::flat(8, Segment::CODE_ACCESS),
        Segment::flat(16, Segment::DATA_ACCESS),
        Segment::default(),
    );
    let entry = EntryState { cr0: CR0_PE | cr0, cr4, segments, eip: 0x1000, eflags: 2, ..EntryState::default() };
    let mut machine: Machine<(Line, First)> = Machine::new(&entry, memory, Line::default(), First::default());
    let mut stop = Stop::Count;
    let end = 0x1000 + u32::try_from(code.len()).unwrap();
    while stop == Stop::Count && machine.core.eip < end && machine.core.observer.0.is_none() {
        stop = machine.run(machine.core.count + 1);
    }
    (machine, stop)
}

fn first_exception(code: &[u8], cr0: u32, cr4: u32) -> Option<u8> {
    run(code, cr0, cr4).0.core.observer.0
}

#[test]
fn an_error_that_is_not_masked_is_an_exception_at_the_next_instruction_that_waits() {
    let (machine, _) = run(DIVIDES, CR0_NE, 0);
    assert_eq!(machine.core.observer.0, Some(16));
    assert_eq!(machine.core.bus.0, 0);
}

#[test]
fn without_ne_the_cpu_stands_still_there_and_the_chips_are_told() {
    let (machine, stop) = run(DIVIDES, 0, 0);
    assert_eq!(stop, Stop::HaltedForGood);
    assert_eq!((machine.core.eip, machine.core.bus.0, machine.core.observer.0), (WAITS_AT, 1, None));
}

#[test]
fn em_and_ts_decide_who_may_use_what() {
    let all = CR4_OSFXSR | CR4_OSXMMEXCPT;
    for (code, cr0, cr4, expected) in [
        (FLDZ, 0, 0, None),
        (FLDZ, CR0_TS, 0, Some(7)),
        (FLDZ, CR0_EM, 0, Some(7)),
        (FWAIT, CR0_TS, 0, None),
        (FWAIT, CR0_TS | CR0_MP, 0, Some(7)),
        (FWAIT, CR0_EM, 0, None),
        (EMMS, CR0_EM, 0, Some(6)),
        (EMMS, CR0_TS, 0, Some(7)),
        (XORPS, 0, 0, Some(6)),
        (XORPS, 0, all, None),
        (XORPS, CR0_TS, all, Some(7)),
        (XORPS, CR0_EM, all, Some(6)),
        (FXSAVE, 0, 0, None),
        (FXSAVE, CR0_TS, all, Some(7)),
        (FXSAVE, CR0_EM, all, Some(7)),
        (ROOT, 0, all, Some(19)),
        (ROOT, 0, CR4_OSFXSR, Some(6)),
    ] {
        assert_eq!(first_exception(code, cr0, cr4), expected, "{code:02x?} {cr0:#x} {cr4:#x}");
    }
}

#[test]
fn fxsave_leaves_the_registers_of_sse_alone_that_the_kernel_has_not_asked_for() {
    let with = run(FXSAVE, 0, CR4_OSFXSR).0;
    let without = run(FXSAVE, 0, 0).0;
    let mxcsr = |machine: &Machine<(Line, First)>| machine.core.memory.from(0x2018)[..4].to_vec();
    assert_eq!(mxcsr(&with), 0x1f80_u32.to_le_bytes());
    assert_eq!(mxcsr(&without), [0; 4]);
}

#[test]
fn on_the_board_it_is_interrupt_13_until_port_f0_is_written() {
    let mut board = Board::new(Nothing);
    // Vectors from 0x20 and 0x28; nothing but the cascade and input 13 is open.
    let first = [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, 0xfb)];
    let second = [(0xa0, 0x11), (0xa1, 0x28), (0xa1, 2), (0xa1, 1), (0xa1, 0xdf)];
    let ends = [(0xa0, 0x20), (0x20, 0x20)];
    let write = |board: &mut Board<Nothing>, ports: &[(u16, u32)]| {
        for (port, value) in ports {
            board.write_port(*port, 1, *value, 0);
        }
    };
    write(&mut board, &first);
    write(&mut board, &second);
    assert!(!board.is_interrupting());
    board.report_x87_error(0);
    assert_eq!(board.acknowledge(0), Some(0x2d));
    write(&mut board, &ends);
    board.report_x87_error(0);
    assert!(!board.is_interrupting(), "the line was high all the time");
    write(&mut board, &[(0xf0, 0)]);
    board.report_x87_error(0);
    assert_eq!(board.acknowledge(0), Some(0x2d));
}

/// Intel SDM volume 1, section 8.5.5: where underflow is not masked, a tiny result is told of though it is exact. The processor does the same.
#[test]
fn a_tiny_number_that_stays_as_it_is_underflows() {
    // MOV DWORD [0x2010], 0x5ee; MOV DWORD [0x2024], 0x80000000; MOV WORD [0x2028], 0x7fff: a denormal number, and infinity.
    const NUMBERS: &[u8] = &[
        0xc7, 0x05, 0x10, 0x20, 0, 0, 0xee, 5, 0, 0, 0xc7, 0x05, 0x24, 0x20, 0, 0, 0, 0, 0, 0x80, 0x66, 0xc7, 0x05,
        0x28, 0x20, 0, 0, 0xff, 0x7f,
    ];
    const FLDCW: &[u8] = &[0xd9, 0x2d, 0, 0x20, 0, 0];
    const FLD_DENORMAL: &[u8] = &[0xdb, 0x2d, 0x10, 0x20, 0, 0];
    const FLD_INFINITY: &[u8] = &[0xdb, 0x2d, 0x20, 0x20, 0, 0];
    const FNSAVE: &[u8] = &[0xdd, 0x35, 0, 0x28, 0, 0];
    for (name, other, operation) in
        [("FSCALE", FLDZ, [0xd9, 0xfd]), ("FPREM", FLD_INFINITY, [0xd9, 0xf8]), ("FPREM1", FLD_INFINITY, [0xd9, 0xf5])]
    {
        let code = [NUMBERS, FLDCW, other, FLD_DENORMAL, &operation, FNSAVE].concat();
        let (machine, _) = run(&code, CR0_NE, 0);
        assert_eq!(machine.core.observer.0, None, "{name}");
        let saved = &machine.core.memory.from(0x2800)[..38];
        // Scaled by 2 to the 24576.
        assert_eq!((saved[4] & 0x10, &saved[28..]), (0x10, &[0, 0, 0, 0, 0, 0, 0xc0, 0xbd, 0xcc, 0x5f][..]), "{name}");
    }
}
