//! Calls and interrupts to a level whose stack is not as it should be.

use super::bytes::{far, mov_ax, pushes};
use super::far::CALL;
use super::interrupts::VECTOR;
use crate::case::Case;
use crate::layout::*;
use crate::tables::{descriptor, flat, gate, sensible};

/// What leads to a level, in words and code, and the gate to this code segment that it takes.
type Way = (&'static str, Vec<u8>, fn(Case, u16) -> Case);

pub fn all() -> Vec<Case> {
    let ways: [Way; 2] = [
        ("call", far(CALL, FREE | 3, 0), |case, code| case.with_descriptor(FREE, gate(code, TARGET, 0xec, 0))),
        ("interrupt", vec![0xcd, VECTOR], |case, code| case.with_gate(VECTOR, gate(code, TARGET, 0xee, 0))),
    ];
    let mut cases = Vec::new();
    // Level 0's would be used once more by what ends the case.
    for (way, code, to) in ways {
        for (target, slot) in [(1, TSS + 0x10), (2, TSS + 0x18)] {
            let case = |words: String, selector: u16| {
                let case = Case::new("inner stacks", 3, &code).about(format!("{way} to level {target}, {words}"));
                to(case, CODES[target]).with_word(slot, selector.into())
            };
            for rights in 0..=255 {
                for rpl in 0..4 {
                    let case = case(format!("RPL {rpl}, rights {rights:#x}"), FREE_TOO | rpl);
                    cases.push(case.with_descriptor(FREE_TOO, sensible(rights)));
                }
            }
            for selector in [0, 1, 4, 0x2f8, 0x300] {
                cases.push(case(format!("selector {selector:#x}"), selector).with_descriptor(0x2f8, flat(0x93)));
            }
        }
    }
    // A task state that is too short for the stacks of its levels.
    for limit in [3_u32, 7, 8, 9, 0xb, 0x10, 0x67] {
        for (target, code_segment) in [(1, CODES[1]), (2, CODES[2])] {
            let code = [mov_ax(FREE), b"\x0f\x00\xd8".to_vec(), leave(), vec![0xcd, VECTOR]].concat();
            let case = Case::new("inner stacks", 0, &code)
                .about(format!("interrupt to level {target}, limit of the task {limit:#x}"))
                .with_descriptor(FREE, descriptor(TSS, limit, 0x89))
                .with_gate(VECTOR, gate(code_segment, TARGET, 0xee, 0))
                .with_gate(8, gate(FAULT_TASK, 0, 0x85, 0))
                .with_gate(10, gate(FAULT_TASK, 0, 0x85, 0));
            cases.push(case);
        }
    }
    cases
}

/// To level 3, where the interrupt is raised.
fn leave() -> Vec<u8> {
    let words = [DATAS[3].into(), USER_STACK, 2, CODES[3].into(), CODE + 0x60];
    let mut code = pushes(&words);
    code.push(0xcf);
    // Behind what comes before.
    code.resize(0x60 - 7, 0x90);
    code
}
