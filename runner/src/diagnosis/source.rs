//! What made the CPU enter the fault catcher: the exception of that vector, an `int` with it, or a hardware interrupt that has it.

use iced_x86::Mnemonic;
use stos_image::FaultRecord;
use stos_x86::interrupts::{ExceptionClass, has_error_code};
use stos_x86::registers::{CpuState, EFLAGS_FIXED, EFLAGS_RESERVED};

use super::exception::{BREAKPOINT, DOUBLE_FAULT, OVERFLOW, exception};
use super::hint::extension_of;
use super::instruction::{at_eip, follows};
use super::scene::{Guest, Scene};
use super::switch::Switch;
use crate::machine::{Delivery, Source};

/// Bytes of `int n`.
const INT_LENGTH: u32 = 2;
/// `int`, `int3` and `into`.
const INT: u8 = 0xcd;
const INT3: u8 = 0xcc;
const INTO: u8 = 0xce;

/// What the fault catcher was entered for, and with which CPU. For `int`, EIP is that of the instruction itself.
pub fn delivery(guest: Guest<'_>, record: &FaultRecord) -> Delivery {
    let shifted = without_error_code(record);
    let scene = guest.caught(&shifted);
    let is_interrupt = is_software(&scene) || scene.cpu.takes_interrupts();
    // An EIP that is read from the wrong place may be anything.
    let is_shifted = shifted != *record && is_interrupt && scene.is_code(shifted.eip);
    let scene = guest.caught(if is_shifted { &shifted } else { record });
    let source = if is_software(&scene) {
        Source::Software
    } else if is_shifted || is_hardware(&scene) {
        Source::Hardware
    } else {
        Source::Exception
    };
    let Scene { vector, error_code, .. } = scene;
    let mut cpu = scene.cpu.clone();
    if source == Source::Software {
        cpu.eip = cpu.eip.wrapping_sub(INT_LENGTH);
    }
    if vector == DOUBLE_FAULT {
        cpu.cr3 = Switch::lost_cr3(guest, &cpu).unwrap_or(cpu.cr3);
    }
    let error_code = if source == Source::Exception { error_code } else { 0 };
    Delivery { vector, error_code, source, during: None, raised: None, eip: cpu.eip, cpu }
}

/// The record as it is when the CPU pushed no error code although the vector has one, as for `int` and hardware interrupts;
/// the same record when it does not look like that. The catcher takes each word of such a frame for the one below it.
fn without_error_code(record: &FaultRecord) -> FaultRecord {
    let pushes = u8::try_from(record.vector).is_ok_and(has_error_code) && record.vector != DOUBLE_FAULT;
    let is_selector = record.eip & !0xffff == 0;
    let is_eflags = record.cs & (EFLAGS_RESERVED | EFLAGS_FIXED) == EFLAGS_FIXED;
    if !(pushes && is_selector && is_eflags) {
        return record.clone();
    }
    FaultRecord {
        error_code: 0,
        eip: record.error_code,
        cs: record.eip,
        eflags: record.cs,
        esp: record.esp.wrapping_sub(4),
        ..record.clone()
    }
}

/// True when the instruction before EIP is an `int` with this vector. `int $3` and `int $4` are as good as `int3` and `into`.
fn is_software(scene: &Scene<'_>) -> bool {
    let vector = scene.vector;
    let int = u8::try_from(vector).map(|vector| [INT, vector]);
    int.is_ok_and(|int| follows(scene, &int)) && !matches!(vector, BREAKPOINT | OVERFLOW)
}

/// True when interrupts are on, and neither the instruction at EIP nor the one before it can have raised this exception.
fn is_hardware(scene: &Scene<'_>) -> bool {
    let CpuState { cr0, cr2, cr4, ref general, .. } = scene.cpu;
    let (vector, esp) = (scene.vector, general.esp);
    let instruction = at_eip(scene);
    let is_one_of =
        |mnemonics: &[Mnemonic]| instruction.is_none_or(|instruction| mnemonics.contains(&instruction.mnemonic()));
    let can_be_raised = match vector {
        0 => is_one_of(&[Mnemonic::Div, Mnemonic::Idiv, Mnemonic::Aam]),
        BREAKPOINT => follows(scene, &[INT3]) || follows(scene, &[INT, 3]),
        OVERFLOW => follows(scene, &[INTO]) || follows(scene, &[INT, 4]),
        5 => is_one_of(&[Mnemonic::Bound]),
        7 => instruction.is_none_or(|instruction| {
            let refusal = extension_of(&instruction).and_then(|extension| extension.refusal(cr0, cr4));
            refusal.is_some_and(|(raised, _)| u32::from(raised) == vector)
        }),
        // The catcher's gates are good as long as its task is found, so only the stack can make a double fault.
        DOUBLE_FAULT => {
            cr2.wrapping_sub(esp.wrapping_sub(16)) < 16 || scene.refuses_write(esp.wrapping_sub(4)).is_some()
        }
        9 => false,
        _ => exception(vector).class != ExceptionClass::Reserved,
    };
    scene.cpu.takes_interrupts() && !can_be_raised
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    const ON: u32 = 0x202;

    /// What a record with this vector is, whose EIP is 0x1002, in code that has `before` up to there and `at` from there on.
    fn source(record: FaultRecord, before: [u8; 2], at: &[u8]) -> Source {
        told(record, before, at).source
    }

    fn told(record: FaultRecord, before: [u8; 2], at: &[u8]) -> Delivery {
        let case = Case::new(record).with(0x1000, &before).with(0x1002, at);
        delivery(case.guest(), &case.record)
    }

    fn record(vector: u32, eflags: u32) -> FaultRecord {
        FaultRecord { vector, eip: 0x1002, cs: 8, eflags, esp: 0x8000, ..FaultRecord::default() }
    }

    const NOPS: [u8; 2] = [0x90, 0x90];
    const DIV: [u8; 2] = [0xf7, 0xf1];

    #[test]
    fn an_exception_that_no_instruction_can_have_raised_is_an_interrupt() {
        for (vector, eflags, before, at, expected) in [
            (0, ON, NOPS, NOPS, Source::Hardware),
            (0, ON, NOPS, DIV, Source::Exception),
            (0, 2, NOPS, NOPS, Source::Exception),
            (1, ON, NOPS, NOPS, Source::Exception),
            (3, ON, NOPS, NOPS, Source::Hardware),
            (3, ON, [0x90, 0xcc], NOPS, Source::Exception),
            (4, ON, NOPS, NOPS, Source::Hardware),
            (4, ON, [0x90, 0xce], NOPS, Source::Exception),
            (7, ON, NOPS, NOPS, Source::Hardware),
            (8, ON, NOPS, NOPS, Source::Hardware),
            (9, ON, NOPS, NOPS, Source::Hardware),
            (15, ON, NOPS, NOPS, Source::Hardware),
            (16, ON, NOPS, NOPS, Source::Exception),
        ] {
            assert_eq!(
                source(record(vector, eflags), before, &at),
                expected,
                "{vector} {eflags:x} {before:x?} {at:x?}"
            );
        }
        let stack = FaultRecord { cr2: 0x7ffc, ..record(8, ON) };
        assert_eq!(source(stack, NOPS, &NOPS), Source::Exception, "a double fault for want of a stack");
        let unavailable = FaultRecord { cr0: 1 << 2, ..record(7, ON) };
        assert_eq!(source(unavailable, NOPS, &[0xd9, 0xe8]), Source::Exception, "`fld1` with CR0.EM set");
    }

    #[test]
    fn an_int_is_told_from_the_exception_of_its_vector() {
        let int = told(record(0x13, 2), [0xcd, 0x13], &NOPS);
        assert_eq!((int.source, int.eip, int.cpu.eip), (Source::Software, 0x1000, 0x1000));
        assert_eq!(source(record(0x13, 2), [0xcd, 0x10], &NOPS), Source::Exception);
        // The end of `mov $0x13cd,%ax`.
        let case = Case::new(record(0x13, 2)).with(0xffe, &[0x66, 0xb8, 0xcd, 0x13]).with_symbol(0xffe, 0x10, "main");
        assert_eq!(delivery(case.guest(), &case.record).source, Source::Exception);
    }

    #[test]
    fn a_frame_without_the_error_code_of_its_vector_is_read_right() {
        // `int $0x15`, and IRQ 4 with vector 12: EIP, CS and EFLAGS lie one word lower than the catcher looks for them.
        let shifted = |vector, eflags| FaultRecord {
            error_code: 0x1002,
            eip: 8,
            cs: eflags,
            eflags: 0x5555,
            esp: 0x8004,
            ..record(vector, 0)
        };
        let int = told(shifted(0x15, 0x46), [0xcd, 0x15], &NOPS);
        assert_eq!((int.source, int.eip, int.error_code), (Source::Software, 0x1000, 0));
        assert_eq!((int.cpu.selectors.cs, int.cpu.eflags, int.cpu.general.esp), (8, 0x46, 0x8000));
        let irq = told(shifted(12, ON), NOPS, &NOPS);
        assert_eq!((irq.source, irq.eip, irq.cpu.eflags), (Source::Hardware, 0x1002, ON));
        // A real one: no interrupt was possible, and EIP is NULL.
        let null = FaultRecord { error_code: 0, eip: 0, cs: 8, ..record(14, 2) };
        assert_eq!((told(null.clone(), NOPS, &NOPS).source, told(null, NOPS, &NOPS).eip), (Source::Exception, 0));
    }
}
