//! Gates of the IDT of every type and privilege, what they lead to, and the instructions and exceptions that use them.

use super::bytes::{at, far, mov};
use crate::case::{Case, VM};
use crate::layout::*;
use crate::tables::{gate, sensible, stub};

/// A vector that no exception has.
pub const VECTOR: u8 = 0x40;

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in 0..4 {
        for rights in 0..=255 {
            cases.push(gate_of(level, rights, &[0xcd, VECTOR], VECTOR));
            cases.push(gate_of(level, rights, b"\xcc", 3));
            cases.push(gate_of(level, rights, b"\x0f\x0b", 6));
            // HLT, which is no fault at level 0.
            if level > 0 {
                cases.push(gate_of(level, rights, b"\xf4", 13));
            }
            for rpl in 0..4 {
                for kind in [0xee, 0xe7] {
                    cases.push(target(level, kind, rights, rpl));
                }
            }
        }
    }
    cases.extend(to_tasks());
    cases.extend(instructions());
    cases.extend(ends_of_table());
    cases.extend(single_steps());
    cases
}

/// A gate with these rights, used by code that raises its vector.
fn gate_of(level: u8, rights: u8, code: &[u8], vector: u8) -> Case {
    let selector = if rights & 0x1f == 5 { OTHER_TASK } else { CODES[0] };
    Case::new("interrupt gates", level, code)
        .about(format!("vector {vector:#x}, rights {rights:#x}"))
        .with_flags(0x200)
        .with_gate(vector, gate(selector, TARGET, rights, 0))
}

/// A gate for everybody to a segment with these rights.
fn target(level: u8, kind: u8, rights: u8, rpl: u16) -> Case {
    Case::new("targets of gates", level, &[0xcd, VECTOR])
        .about(format!("gate {kind:#x}, RPL {rpl}, rights {rights:#x}"))
        .with_gate(VECTOR, gate(FREE | rpl, TARGET, kind, 0))
        .with_descriptor(FREE, sensible(rights))
}

/// Task gates in the IDT to selectors of every kind, by instructions and by exceptions with and without an error code.
fn to_tasks() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in [0, 3] {
        for (code, vector) in [(&[0xcd, VECTOR][..], VECTOR), (b"\x0f\x0b", 6), (b"\x8e\xd8", 13)] {
            for rights in 0..=255 {
                let mut case = Case::new("task gates", level, code)
                    .about(format!("vector {vector:#x}, rights of the task {rights:#x}"))
                    .with_gate(vector, gate(FREE, 0, 0xe5, 0))
                    .with_descriptor(FREE, sensible(rights));
                case.general[0] = 0x1231;
                // An exception that can't be delivered to itself: a double fault.
                cases.push(case.with_gate(8, gate(FAULT_TASK, 0, 0x85, 0)));
            }
            for selector in [0, 1, 4, FREE | 4, 0x300, FREE | 1, FREE | 3] {
                let mut case = Case::new("task gates", level, code)
                    .about(format!("vector {vector:#x}, selector {selector:#x}"))
                    .with_gate(vector, gate(selector, 0, 0xe5, 0))
                    .with_descriptor(FREE, sensible(0x89))
                    .with_gate(8, gate(FAULT_TASK, 0, 0x85, 0));
                case.general[0] = 0x1231;
                cases.push(case);
            }
        }
    }
    cases
}

/// INT, INT3, INT1, INTO, BOUND and faults at each level, with every flag that delivery changes.
fn instructions() -> Vec<Case> {
    let mut cases = Vec::new();
    let of: [(&str, &[u8]); 14] = [
        ("int3", b"\xcc"),
        ("int 3", b"\xcd\x03"),
        ("int1", b"\xf1"),
        ("into", b"\xce"),
        ("int 4", b"\xcd\x04"),
        ("int 13", b"\xcd\x0d"),
        ("int 14", b"\xcd\x0e"),
        ("int 8", b"\xcd\x08"),
        ("int 0xff", b"\xcd\xff"),
        ("div", b"\x31\xc9\xf7\xf1"),
        ("aam 0", b"\xd4\x00"),
        ("bound", b"\x62\x05\x00\x80\x00\x00"),
        ("ud2", b"\x0f\x0b"),
        ("lock nop", b"\xf0\x90"),
    ];
    for (name, code) in of {
        for level in 0..4 {
            for flags in [0, 0x200, 0x800, 0x4000, 0x4_0000, 0x3000, 0x400, 0x21_0000] {
                for rights in [0x8e, 0xee, 0xef] {
                    let mut case = Case::new("raising instructions", level, code)
                        .about(format!("{name}, flags {flags:#x}, gates {rights:#x}"))
                        .with_flags(flags);
                    for vector in [3, 4, 5, 8, 13, 14, 0xff] {
                        case = case.with_gate(vector, gate(CODES[0], stub(vector), rights, 0));
                    }
                    cases.push(case);
                }
            }
        }
    }
    cases
}

/// An IDT that is shorter.
fn ends_of_table() -> Vec<Case> {
    let mut cases = Vec::new();
    for limit in [0x200, 0x201, 0x206, 0x207, 0x208, 0x20f] {
        for vector in [0x3f_u8, 0x40, 0x41, 0xff] {
            let code = [at(b"\x0f\x01\x1d", DATA), vec![0xcd, vector]].concat();
            let case = Case::new("interrupt gates", 0, &code)
                .about(format!("limit {limit:#x}, vector {vector:#x}"))
                .with_word(DATA, IDT << 16 | limit)
                .with_word(DATA + 4, 0);
            cases.push(case);
        }
    }
    cases
}

/// TF, at each level and before each kind of instruction.
fn single_steps() -> Vec<Case> {
    let mut cases = Vec::new();
    let of: [(&str, Vec<u8>); 12] = [
        ("nop", vec![0x90]),
        ("int3", vec![0xcc]),
        ("int", vec![0xcd, VECTOR]),
        ("mov to SS", b"\x8c\xd0\x8e\xd0\x90\x90".to_vec()),
        ("popf", b"\x6a\x02\x9d\x90\x90".to_vec()),
        ("pushf", b"\x9c\x58\x90".to_vec()),
        ("ud2", b"\x0f\x0b".to_vec()),
        ("cli", b"\xfa\x90".to_vec()),
        ("rep stosb", [mov(1, 3), mov(7, DATA), b"\xf3\xaa\x90".to_vec()].concat()),
        ("far jump", far(0xea, CODES[3], TARGET)),
        ("loop", b"\xe2\xfe".to_vec()),
        ("task", far(0x9a, TASK_GATE | 3, 0)),
    ];
    for (name, code) in of {
        for level in 0..4 {
            for flags in [0x100, 0x1_0100, 0x3100] {
                let case = Case::new("single steps", level, &code)
                    .about(format!("{name}, flags {flags:#x}"))
                    .with_flags(flags)
                    .with_gate(VECTOR, gate(CODES[0], TARGET, 0xee, 0));
                cases.push(Case { debugs: true, ..case });
                if level == 3 && name != "far jump" && name != "task" {
                    let case = Case::new("single steps", level, &code[..])
                        .about(format!("{name} in virtual-8086 mode, flags {flags:#x}"))
                        .with_flags(flags | VM)
                        .with_gate(VECTOR, gate(CODES[0], TARGET, 0xee, 0));
                    cases.push(Case { debugs: true, ..super::v86::entered(case) });
                }
            }
        }
    }
    cases
}
