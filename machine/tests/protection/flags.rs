//! Who may change which flags, and when interrupts come.

use stos_x86::registers::{EFLAGS_AC, EFLAGS_IF, EFLAGS_IOPL};

use crate::guest::{CODE, DONE, GATE_TARGET, Guest, SAYS_DONE, run};

const CLI: &[u8] = &[0xfa];
const STI: &[u8] = &[0xfb];
const HLT: &[u8] = &[0xf4];

/// Volume 2B, "POPF".
#[test]
fn a_program_can_neither_pop_the_interrupt_flag_nor_its_privilege() {
    // PUSH 0x3202; POPFD; PUSHFD; POP EAX.
    let pops = [&[0x68, 2, 0x32, 0, 0, 0x9d, 0x9c, 0x58], SAYS_DONE].concat();
    let mut program = Guest::new(3, &pops);
    assert_eq!(program.run(), Some(DONE));
    assert_eq!(program.0.core.general[0] & (EFLAGS_IF | EFLAGS_IOPL), 0);
    let mut kernel = Guest::new(0, &pops);
    assert_eq!(kernel.run(), Some(DONE));
    assert_eq!(kernel.0.core.general[0] & (EFLAGS_IF | EFLAGS_IOPL), EFLAGS_IF | EFLAGS_IOPL);
}

/// Volume 2A, "CLI"; volume 2B, "STI"; volume 1, section 19.5.1.
#[test]
fn programs_change_the_interrupt_flag_where_iopl_lets_them() {
    for code in [CLI, STI] {
        let code = [code, SAYS_DONE].concat();
        assert_eq!(run(3, &code), Some(13));
        let mut allowed = Guest::new(3, &code);
        allowed.0.core.flags.set(EFLAGS_IOPL, true);
        assert_eq!(allowed.run(), Some(DONE));
    }
    assert_eq!(run(3, HLT), Some(13), "HLT is the kernel's, whatever IOPL is");
}

/// Volume 2B, "STI"; volume 3A, section 6.12.1.3.
#[test]
fn an_interrupt_comes_one_instruction_after_sti_and_turns_interrupts_off() {
    let mut guest = Guest::new(0, &[0xfb, 0x90, 0x90, 0x90]);
    guest.0.core.bus.0 = Some(GATE_TARGET);
    assert_eq!(guest.run(), Some(GATE_TARGET));
    let [eip, _, flags] = guest.top();
    assert_eq!((eip, flags & EFLAGS_IF), (CODE + 2, EFLAGS_IF));
    assert!(!guest.0.core.flags.has(EFLAGS_IF));
}

/// Volume 3A, section 6.15, interrupt 17.
#[test]
fn alignment_is_checked_of_what_a_program_uses_and_not_of_tables() {
    let checks = |code: &[u8]| {
        let mut guest = Guest::new(3, &[code, SAYS_DONE].concat());
        guest.0.core.cr0 |= 1 << 18;
        guest.0.core.flags.set(EFLAGS_AC, true);
        // An IDT, a GDT and a kernel's stack that are not aligned.
        let tables: Vec<u8> = guest.0.core.memory.from(0x2000)[..0xfff].to_vec();
        guest.put(0x2001, &tables);
        guest.0.core.gdtr.base += 1;
        guest.0.core.idtr.base += 1;
        guest.put_words(0x3004, &[0x7003]);
        guest.run()
    };
    assert_eq!(checks(&[0xa1, 0, 0x50, 0, 0]), Some(DONE));
    assert_eq!(checks(&[0xa1, 2, 0x50, 0, 0]), Some(17), "MOV EAX, [0x5002]");
    assert_eq!(checks(&[0x83, 0x05, 2, 0x50, 0, 0, 1]), Some(17), "ADD DWORD [0x5002], 1");
}

/// Whoever looks at flags finds those of the last instruction that has changed each of them, however many changed them before.
#[test]
fn flags_that_are_seen_are_those_of_the_last_that_changed_them() {
    const SET_CARRY: &[u8] = &[0x31, 0xc0, 0x83, 0xe8, 1]; // xor eax, eax; sub eax, 1
    const LOOK: &[u8] = &[0x9c, 0x5b]; // pushfd; pop ebx
    let carry = |between: &[&[u8]]| {
        let code = [&[SET_CARRY], between, &[LOOK, SAYS_DONE]].concat().concat();
        let mut guest = Guest::new(0, &code);
        assert_eq!(guest.run(), Some(DONE));
        guest.0.core.general[3] & 1
    };
    assert_eq!(carry(&[]), 1);
    assert_eq!(carry(&[&[0x41]]), 1, "INC ECX keeps it");
    assert_eq!(carry(&[&[0x89, 0xca], &[0x8d, 0x0a], &[0x41]]), 1, "MOV, LEA and INC keep it");
    assert_eq!(carry(&[&[0xc1, 0xe2, 0]]), 1, "SHL EDX, 0 keeps it");
    assert_eq!(carry(&[&[0xb1, 0], &[0xd3, 0xe2]]), 1, "SHL EDX, CL by nothing keeps it");
    assert_eq!(carry(&[&[0x41], &[0x21, 0xc9]]), 0, "INC ECX; AND ECX, ECX");
    assert_eq!(carry(&[&[0x21, 0xc9], &[0xc1, 0xc9, 1]]), 0, "AND; ROR by 1 of an even ECX");
    // A fault shows them, whatever comes behind it: DIV ECX; CMP EAX, EAX.
    let mut guest = Guest::new(0, &[SET_CARRY, &[0xf7, 0xf1, 0x39, 0xc0]].concat());
    assert_eq!(guest.run(), Some(0));
    let [_, _, flags] = guest.top();
    assert_eq!(flags & 1, 1);
}
