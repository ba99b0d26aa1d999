//! Exceptions that can't be delivered: what becomes of each pair of them, by a task gate for double faults.

use super::bytes::{at, mov, mov_ax};
use crate::case::Case;
use crate::layout::*;
use crate::tables::{descriptor, gate};

/// What raises an exception, and its vector.
fn raised() -> Vec<(&'static str, Vec<u8>, u8)> {
    vec![
        ("#DE", b"\x31\xc9\xf7\xf1".to_vec(), 0),
        ("#DB", b"\xf1".to_vec(), 1),
        ("#BP", b"\xcc".to_vec(), 3),
        ("#OF", b"\xb0\x7f\xfe\xc0\xce".to_vec(), 4),
        ("#BR", b"\x62\x05\x00\x80\x00\x00".to_vec(), 5),
        ("#UD", b"\x0f\x0b".to_vec(), 6),
        ("#NP", [mov_ax(FREE), b"\x8e\xd8".to_vec()].concat(), 11),
        ("#SS", [mov_ax(FREE), b"\x8e\xd0".to_vec()].concat(), 12),
        ("#GP", [mov_ax(0x300), b"\x8e\xd8".to_vec()].concat(), 13),
        ("#PF", at(b"\xa1", PAGES), 14),
        ("INT 0x40", vec![0xcd, 0x40], 0x40),
    ]
}

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in [0, 1, 3] {
        for (name, code, vector) in raised() {
            for (how, entry, moves_table) in second() {
                let rights = 0x13 | level << 5;
                let is_data =
                    |case: Case| case.with_descriptor(FREE, descriptor(0, u32::MAX, 0xc000 | u16::from(rights)));
                let case = Case::new("double faults", level, &code)
                    .about(format!("{name}, then {how}"))
                    .with_gate(vector, entry)
                    .with_gate(8, gate(FAULT_TASK, 0, 0x85, 0));
                let case = is_data(case);
                // The page of the TSS's stack is not there.
                let case = if moves_table { case.with_word(TSS + 4, PAGES + 0x4000) } else { case };
                if !moves_table || level > 0 {
                    cases.push(Case { eflags: 0x202, ..case });
                }
            }
        }
    }
    // Of double faults by an interrupt gate, whose stack is well.
    for (name, code, vector) in raised() {
        for (how, entry, moves_table) in second() {
            if !moves_table {
                let case = Case::new("double faults", 3, &code)
                    .about(format!("{name}, then {how}, by an interrupt gate"))
                    .with_gate(vector, entry)
                    .with_descriptor(FREE, descriptor(0, u32::MAX, 0xc073));
                cases.push(case);
            }
        }
    }
    cases.extend(third(&mov(0, PAGES)));
    cases
}

/// The gate of the first exception, which raises the second.
fn second() -> Vec<(&'static str, [u8; 8], bool)> {
    vec![
        ("a gate that is not present", gate(CODES[0], TARGET, 0x6e, 0), false),
        ("a gate that is none", gate(CODES[0], TARGET, 0xec, 0), false),
        ("code that is not there", gate(0x300, TARGET, 0xee, 0), false),
        ("code that is data", gate(DATAS[0], TARGET, 0xee, 0), false),
        ("code that is not present", gate(FREE, TARGET, 0xee, 0), false),
        ("a null selector", gate(0, TARGET, 0xee, 0), false),
        ("a task that is busy", gate(TASK, 0, 0xe5, 0), false),
        ("a task that is code", gate(CODES[0], 0, 0xe5, 0), false),
        ("a stack in a page that is not there", gate(CODES[0], TARGET, 0xee, 0), true),
    ]
}

/// A page fault within the delivery of a page fault: the IDT's page is not there for the first, or its own gate is bad.
fn third(load: &[u8]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (how, entry) in [("not present", gate(CODES[0], TARGET, 0x6e, 0)), ("none", gate(CODES[0], TARGET, 0xec, 0))] {
        for access in [&b"\x8b\x18"[..], b"\x89\x18", b"\xff\x10", b"\xff\xe0"] {
            for level in [0, 3] {
                let case = Case::new("double faults", level, &[load, access].concat())
                    .about(format!("#PF, whose gate is {how}"))
                    .with_gate(14, entry)
                    .with_gate(8, gate(FAULT_TASK, 0, 0x85, 0));
                cases.push(case);
            }
        }
    }
    cases
}
