//! Interrupt gates and call gates (Intel SDM volume 3A, sections 5.8 and 6.12).

use stos_x86::segments::Segment;

use crate::guest::{
    CALL_GATE, CODE, DONE, GATE_TARGET, GDT, Guest, IDT, KERNEL_DATA, KERNEL_GATE, SAYS_DONE, SMALL_STACK, STACK, TASK,
    USER_CODE, USER_DATA, gate,
};

fn call(selector: u16) -> Vec<u8> {
    let [low, high] = selector.to_le_bytes();
    vec![0x9a, 0, 0, 0, 0, low, high]
}

/// Section 6.12.1.1.
#[test]
fn a_program_reaches_the_gates_that_are_for_it() {
    assert_eq!(Guest::new(3, SAYS_DONE).run(), Some(DONE));
    assert_eq!(Guest::new(3, &[0xcd, 5]).fault(), (Some(13), 5 << 3 | 2));
    assert_eq!(Guest::new(0, &[0xcd, 5]).run(), Some(5));
}

/// Section 5.8.5.
#[test]
fn a_call_gate_copies_parameters_to_the_new_stack() {
    // PUSH 0x11; PUSH 0x22.
    let mut guest = Guest::new(3, &[&[0x6a, 0x11, 0x6a, 0x22][..], &call(CALL_GATE)].concat());
    assert_eq!(guest.run(), Some(GATE_TARGET));
    let frame = [CODE + 11, USER_CODE.into(), 0x22, 0x11, STACK - 8, USER_DATA.into()];
    assert_eq!(guest.top::<6>(), frame);
    assert_eq!((guest.0.core.cpl, guest.0.core.segments[2].selector), (0, KERNEL_DATA));
}

/// Section 5.8.4, table 5-1.
#[test]
fn a_gate_is_for_the_lesser_of_both_privileges() {
    assert_eq!(Guest::new(0, &call(KERNEL_GATE)).run(), Some(GATE_TARGET));
    assert_eq!(Guest::new(0, &call(KERNEL_GATE | 3)).fault(), (Some(13), KERNEL_GATE.into()));
    assert_eq!(Guest::new(3, &call(KERNEL_GATE)).fault(), (Some(13), KERNEL_GATE.into()));
}

/// Volume 2A, "CALL", #SS(selector).
#[test]
fn the_fault_of_a_new_stack_that_is_too_small_names_it() {
    let mut guest = Guest::new(3, &call(CALL_GATE));
    guest.put_words(TASK + 4, &[0x10, SMALL_STACK.into()]);
    // The handler of #SS is a task, as its frame would not fit, either.
    guest.put(IDT + 8 * 12, &gate(0, crate::guest::OTHER_TSS, 0x85, 0));
    assert_eq!(guest.run(), None);
    assert_eq!(guest.top::<1>(), [SMALL_STACK.into()]);
    assert_eq!(guest.word(GDT + 0x34) & 0x200, 0x200, "the task is busy");
}

/// Volume 2A, "INT n": a handler's code that is not present is told of before its privilege is, if VM is set.
#[test]
fn virtual_8086_mode_is_left_for_present_code_of_level_0_alone() {
    for (access, fault) in [(0x1c, (Some(11), 0x40)), (0x9c, (Some(13), 0x40)), (0xba, (Some(13), 0x40))] {
        // Zeros for the segments; PUSH of ESP, of EFLAGS with VM and IOPL 3, of CS, of IP; IRET; INT.
        let code = b"\x6a\0\x6a\0\x6a\0\x6a\0\x6a\0\x68\0\x60\0\0\x68\x02\x30\x02\0\x68\0\x01\0\0\x6a\x1c\xcf";
        let mut guest = Guest::new(0, &[code, SAYS_DONE].concat());
        guest.put(GDT + 0x40, &Segment::flat(0, Segment::CODE_ACCESS & 0xff00 | access).descriptor().to_le_bytes());
        guest.put(IDT + 8 * u32::from(DONE), &gate(0, KERNEL_GATE, 0xee, 0));
        assert_eq!(guest.fault(), fault, "{access:#x}");
    }
}

/// Section 6.15, #GP: an instruction of more than 15 bytes.
#[test]
fn an_instruction_has_15_bytes_at_most() {
    let nop = |prefixes: usize| [&vec![0x66; prefixes][..], &[0x90], SAYS_DONE].concat();
    assert_eq!(Guest::new(3, &nop(14)).run(), Some(DONE));
    assert_eq!(Guest::new(3, &nop(15)).fault(), (Some(13), 0));
    assert_eq!(Guest::new(3, &[0x0f, 0x0a]).run(), Some(6));
}
