//! Interrupt gates and call gates (Intel SDM volume 3A, sections 5.8 and 6.12).

use crate::guest::{
    CALL_GATE, CODE, DONE, GATE_TARGET, GDT, Guest, KERNEL_DATA, KERNEL_GATE, SAYS_DONE, SMALL_STACK, STACK, TASK,
    USER_CODE, USER_DATA,
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
    guest.put(crate::guest::IDT + 8 * 12, &crate::guest::gate(0, crate::guest::OTHER_TSS, 0x85, 0));
    assert_eq!(guest.run(), None);
    assert_eq!(guest.top::<1>(), [SMALL_STACK.into()]);
    assert_eq!(guest.word(GDT + 0x34) & 0x200, 0x200, "the task is busy");
}
