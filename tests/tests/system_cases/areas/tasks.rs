//! Switches between tasks: by jumps, calls, gates and IRET, to states that are too small or have bad segments.

use super::bytes::{far, mov_ax};
use crate::case::Case;
use crate::layout::*;
use crate::tables::{descriptor, flat, gate, sensible, stub};

const NT: u32 = 0x4000;
/// What a task state has of segments: the offset of each selector, and its name.
const SELECTORS: [(u32, &str); 7] =
    [(72, "ES"), (76, "CS"), (80, "SS"), (84, "DS"), (88, "FS"), (92, "GS"), (96, "LDT")];

/// The ways to another task; the interrupt's is through a gate.
fn ways(selector: u16) -> [(&'static str, Vec<u8>, u32); 4] {
    [
        ("jump", far(0xea, selector, 0), 0),
        ("call", far(0x9a, selector, 0), 0),
        ("interrupt", vec![0xcd, 0x40], 0),
        ("IRET", vec![0xcf], NT),
    ]
}

/// A case in which faults that come in the midst of a switch are handled by tasks, as the stack may be bad then.
fn guarded(case: Case) -> Case {
    let handlers = [
        (10, FAULT_TASK, FAULT_TSS),
        (11, THIRD_TASK, THIRD_TSS),
        (12, FOURTH_TASK, FOURTH_TSS),
        (13, FIFTH_TASK, FIFTH_TSS),
        (14, SIXTH_TASK, SIXTH_TSS),
    ];
    handlers.into_iter().fold(case, |case, (vector, task, state)| {
        case.with_gate(vector, gate(task, 0, 0x85, 0)).with_word(state + 32, stub(vector))
    })
}

/// A switch at this level to the task that [`FREE`] names, or for IRET, the link.
fn switch(level: u8, way: &(&'static str, Vec<u8>, u32), target: [u8; 8]) -> Case {
    let (name, code, flags) = way;
    Case::new("task switches", level, code)
        .about(*name)
        .with_flags(*flags)
        .with_descriptor(FREE, target)
        .with_gate(0x40, gate(FREE, 0, 0xe5, 0))
        .with(TSS, &FREE.to_le_bytes())
}

/// The right type of a task state for a way.
fn rights(way: &str, is_small: bool) -> u8 {
    let busy = if way == "IRET" { 2 } else { 0 };
    if is_small { 0xe1 | busy } else { 0xe9 | busy }
}

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in [0, 3] {
        for way in ways(FREE) {
            for limit in [0, 0x29, 0x2a, 0x2b, 0x2c, 0x66, 0x67, 0x68, 0xfff] {
                for is_small in [false, true] {
                    let base = if is_small { SMALL_TSS } else { OTHER_TSS };
                    let entry = descriptor(base, limit, rights(way.0, is_small).into());
                    let case = switch(level, &way, entry);
                    let text = format!("{}, limit {limit:#x}, 16 bits: {is_small}", way.0);
                    cases.push(case.about(text));
                }
            }
            for flags in [0, 0x100, 0x200, 0x4000, 0x3000, 0x1_0000, 0xd5, 0x4_0000] {
                let entry = descriptor(OTHER_TSS, 0x67, rights(way.0, false).into());
                let case = switch(level, &way, entry).with_word(OTHER_TSS + 36, flags | 2);
                cases.push(Case { debugs: true, ..case.about(format!("{}, flags {flags:#x}", way.0)) });
            }
            // The bit by which a task begins with an exception.
            let entry = descriptor(OTHER_TSS, 0x67, rights(way.0, false).into());
            let case = switch(level, &way, entry).with(OTHER_TSS + 100, &[1]);
            cases.push(Case { debugs: true, ..case.about(format!("{}, T", way.0)) });
            cases.extend(segments(level, &way));
            cases.extend(to_level_3(level, &way));
        }
    }
    cases.extend(gates());
    cases
}

/// New segments of every type and privilege, one of them after the other.
fn segments(level: u8, way: &(&'static str, Vec<u8>, u32)) -> Vec<Case> {
    let mut cases = Vec::new();
    let entry = descriptor(OTHER_TSS, 0x67, rights(way.0, false).into());
    for (offset, name) in SELECTORS {
        let of = |selector: u16, text: String| {
            let case = switch(level, way, entry).about(format!("{}, {name}: {text}", way.0));
            let case = case.with_word(OTHER_TSS + offset, selector.into());
            Case { area: "segments of tasks", ..guarded(case) }
        };
        for rights in 0..=255 {
            for rpl in [0, 3] {
                let case = of(FREE_TOO | rpl, format!("RPL {rpl}, rights {rights:#x}"));
                cases.push(case.with_descriptor(FREE_TOO, sensible(rights)));
            }
        }
        for selector in [0, 3, 4, 7, 0xc, 0x300] {
            cases.push(of(selector, format!("{selector:#x}")));
        }
    }
    for eip in [0x5fff_u32, 0x6000, 0x6001, 0x1_0000] {
        let case = switch(level, way, entry).about(format!("{}, EIP {eip:#x} and a limit", way.0));
        let case = case.with_word(OTHER_TSS + 32, eip).with_word(OTHER_TSS + 76, FREE_TOO.into());
        let case = case.with_descriptor(FREE_TOO, descriptor(0, 0x6001, 0x409b));
        // The interrupt that ends the case has two bytes.
        let case = case.ending_with(if eip == 0x6000 { COMPLETED } else { 13 });
        cases.push(Case { area: "segments of tasks", ..guarded(case) });
    }
    cases
}

/// To a task of level 3 with an LDT of its own, or in virtual-8086 mode.
fn to_level_3(level: u8, way: &(&'static str, Vec<u8>, u32)) -> Vec<Case> {
    let entry = descriptor(OTHER_TSS, 0x67, rights(way.0, false).into());
    let new = |text: &str| {
        let case = switch(level, way, entry).about(format!("{}, {text}", way.0));
        case.with_word(OTHER_TSS + 56, USER_STACK)
    };
    let data = DATAS[3].into();
    let user = |case: Case| {
        let case = case.with_word(OTHER_TSS + 76, CODES[3].into()).with_word(OTHER_TSS + 80, data);
        [72, 84, 88, 92].into_iter().fold(case, |case, offset| case.with_word(OTHER_TSS + offset, data))
    };
    let local = |case: Case| {
        let case = case.with_word(OTHER_TSS + 96, TABLE_LDT.into()).with_word(OTHER_TSS + 84, 0xf);
        case.with(LDT + 8, &flat(0xf2))
    };
    let virtual_8086 = [(32, 0), (36, 0x2_3002), (72, 1), (76, TARGET >> 4), (80, 0x700), (84, 2), (88, 3), (92, 4)];
    let real = |flags: u32| {
        let case = new("virtual-8086 mode").with_word(OTHER_TSS + 56, 0xf00);
        let case = virtual_8086.into_iter().fold(case, |case, (offset, word)| case.with_word(OTHER_TSS + offset, word));
        case.with_word(OTHER_TSS + 36, 0x2_0002 | flags)
    };
    vec![user(new("level 3")), local(user(new("level 3 with an LDT"))), real(0), real(0x3000)]
}

/// Task gates of each privilege, through which a busy or missing task is reached.
fn gates() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in 0..4 {
        for rpl in 0..4_u16 {
            for gate_rights in [0x85, 0xa5, 0xc5, 0xe5, 0x65] {
                for task_rights in [0x89, 0xe9, 0x8b, 0x09, 0x0b, 0x81, 0x83, 0x93, 0x82] {
                    for opcode in [0xea, 0x9a] {
                        let case = Case::new("task gates", level, &far(opcode, FREE | rpl, 0))
                            .about(format!("{opcode:#x}, RPL {rpl}, gate {gate_rights:#x}, task {task_rights:#x}"))
                            .with_descriptor(FREE, gate(FREE_TOO | rpl, 0, gate_rights, 0))
                            .with_descriptor(FREE_TOO, sensible(task_rights));
                        cases.push(case);
                    }
                }
            }
        }
    }
    for selector in [0, 3, 4, FREE_TOO | 4, 0x300, TASK] {
        let code = [mov_ax(0), far(0x9a, FREE, 0)].concat();
        let case = Case::new("task gates", 0, &code)
            .about(format!("to {selector:#x}"))
            .with_descriptor(FREE, gate(selector, 0, 0x85, 0));
        cases.push(case);
    }
    cases
}
