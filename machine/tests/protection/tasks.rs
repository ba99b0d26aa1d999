//! Switches from task to task (Intel SDM volume 3A, section 8.3).

use stos_x86::registers::{CR0_TS, EFLAGS_NT};

use crate::guest::{CODE, GDT, Guest, IDT, OTHER_CODE, OTHER_TASK, OTHER_TSS, TASK, gate};

const JUMPS: &[u8] = &[0xea, 0, 0, 0, 0, 0x30, 0];
const CALLS: &[u8] = &[0x9a, 0, 0, 0, 0, 0x30, 0];
/// The busy bit in the high word of a descriptor.
const BUSY: u32 = 1 << 9;

fn is_busy(guest: &Guest, selector: u32) -> bool {
    guest.word(GDT + selector + 4) & BUSY != 0
}

/// Table 8-2.
#[test]
fn a_jump_leaves_the_old_task_for_good_and_a_call_links_it() {
    for (code, is_nested) in [(JUMPS, false), (CALLS, true)] {
        let mut guest = Guest::new(0, code);
        assert_eq!(guest.run(), None);
        let core = &guest.0.core;
        assert_eq!((core.eip, core.tr.selector), (OTHER_CODE + 1, OTHER_TSS));
        assert_eq!((core.flags.has(EFLAGS_NT), core.cr0 & CR0_TS), (is_nested, CR0_TS));
        assert_eq!((is_busy(&guest, 0x28), is_busy(&guest, 0x30)), (is_nested, true));
        assert_eq!(guest.word(OTHER_TASK), if is_nested { 0x28 } else { 0 });
        assert_eq!(guest.word(TASK + 32), CODE + 7, "where it would go on");
    }
}

/// Volume 2A, "IRET", TASK-RETURN.
#[test]
fn iret_goes_back_to_the_task_that_has_called() {
    let mut guest = Guest::new(0, &[CALLS, &[0xf4]].concat());
    guest.put(OTHER_CODE, &[0xcf]);
    assert_eq!(guest.run(), None);
    assert_eq!((guest.0.core.eip, guest.0.core.tr.selector), (CODE + 8, 0x28));
    assert_eq!((is_busy(&guest, 0x28), is_busy(&guest, 0x30)), (true, false));
    assert_eq!(guest.word(OTHER_TASK + 36) & EFLAGS_NT, 0);
}

/// Volume 3A, section 6.13: EXT tells that an event from outside of the program was delivered.
#[test]
fn an_error_in_a_task_gate_says_whether_the_program_has_asked_for_it() {
    let absent = |code: &[u8], vector: u32| {
        let mut guest = Guest::new(0, code);
        guest.put(IDT + 8 * vector, &gate(0, OTHER_TSS, 0x85, 0));
        // Not present.
        guest.put(GDT + 0x35, &[0x09]);
        guest.fault()
    };
    assert_eq!(absent(&[0xcd, 9], 9), (Some(11), OTHER_TSS.into()), "INT 9");
    assert_eq!(absent(&[0x0f, 0x0b], 6), (Some(11), u32::from(OTHER_TSS) | 1), "UD2");
}

/// Volume 2A, "JMP", TASK-STATE-SEGMENT.
#[test]
fn a_task_that_is_busy_and_not_present_is_refused_as_busy() {
    for code in [JUMPS, CALLS] {
        for (access, fault) in [(0x09, (Some(11), 0x30)), (0x0b, (Some(13), 0x30)), (0x8b, (Some(13), 0x30))] {
            let mut guest = Guest::new(0, code);
            guest.put(GDT + 0x35, &[access]);
            assert_eq!(guest.fault(), fault, "{access:#x}");
        }
    }
}
