//! Far jumps, calls and returns: to code of every type and privilege, and through call gates.

use super::bytes::{at, far, push, pushes};
use crate::case::Case;
use crate::layout::*;
use crate::tables::{descriptor, gate, sensible};

const JUMP: u8 = 0xea;
pub const CALL: u8 = 0x9a;

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in 0..4 {
        for rights in 0..=255 {
            for rpl in 0..4 {
                for opcode in [JUMP, CALL] {
                    cases.push(direct(level, opcode, rights, rpl));
                    cases.push(gate_of(level, opcode, rights, rpl));
                }
                cases.push(back(level, rights, rpl));
                cases.push(back_to_stack(level, rights, rpl));
            }
        }
        for rights in 0x80..=255 {
            for (opcode, kind) in [(JUMP, 0xec), (CALL, 0xec), (CALL, 0xe4)] {
                cases.push(through_gate(level, opcode, kind, rights));
            }
        }
        for count in 0..32 {
            for kind in [0xec, 0xe4] {
                cases.push(parameters(level, kind, count));
            }
        }
    }
    cases.extend(other_sizes());
    cases.extend(limits());
    cases
}

fn direct(level: u8, opcode: u8, rights: u8, rpl: u16) -> Case {
    Case::new("far jumps and calls", level, &far(opcode, FREE | rpl, TARGET))
        .about(format!("{opcode:#x}, RPL {rpl}, rights {rights:#x}"))
        .with_descriptor(FREE, sensible(rights))
}

/// A gate of every type and privilege to code of level 0, or of the same level.
fn gate_of(level: u8, opcode: u8, rights: u8, rpl: u16) -> Case {
    let selector =
        if rights & 0x1f == 5 { OTHER_TASK } else { CODES[if opcode == JUMP { usize::from(level) } else { 0 }] };
    let entry = if rights & 0x17 == 4 { gate(selector, TARGET, rights, 2) } else { sensible(rights) };
    Case::new("call gates", level, &[pushes(&[1, 2, 3]), far(opcode, FREE | rpl, TARGET)].concat())
        .about(format!("{opcode:#x}, RPL {rpl}, rights of the gate {rights:#x}"))
        .with_descriptor(FREE, entry)
}

/// A gate for everybody to a segment with these rights.
fn through_gate(level: u8, opcode: u8, kind: u8, rights: u8) -> Case {
    Case::new("call gates", level, &[pushes(&[1, 2, 3]), far(opcode, FREE | 3, TARGET)].concat())
        .about(format!("{opcode:#x}, gate {kind:#x} to rights {rights:#x}"))
        .with_descriptor(FREE, gate(FREE_TOO | u16::from(rights) & 3, TARGET, kind, 1))
        .with_descriptor(FREE_TOO, sensible(rights))
}

fn parameters(level: u8, kind: u8, count: u8) -> Case {
    Case::new("call gates", level, &far(CALL, FREE | 3, 0))
        .about(format!("gate {kind:#x} with {count} parameters"))
        .with_descriptor(FREE, gate(CODES[0], TARGET, kind, count))
        .with(USER_STACK, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
}

/// RETF to code with these rights, and to the stack that it should have.
fn back(level: u8, rights: u8, rpl: u16) -> Case {
    let stack = DATAS[usize::from(rpl)];
    let code = [pushes(&[stack.into(), USER_STACK, (FREE | rpl).into(), TARGET]), vec![0xcb]].concat();
    Case::new("far returns", level, &code)
        .about(format!("RPL {rpl}, rights {rights:#x}"))
        .with_descriptor(FREE, sensible(rights))
}

/// RETF to the code that it should have, with a stack of these rights.
fn back_to_stack(level: u8, rights: u8, rpl: u16) -> Case {
    let code = CODES[3];
    let frame = pushes(&[(FREE | rpl).into(), USER_STACK, 7, code.into(), TARGET]);
    // RETF 4.
    Case::new("far returns", level, &[frame, vec![0xca, 4, 0]].concat())
        .about(format!("to level 3, RPL of SS {rpl}, its rights {rights:#x}"))
        .with_descriptor(FREE, sensible(rights))
}

/// Offsets of 16 bits, and pointers in memory.
fn other_sizes() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in [0, 3] {
        for rights in 0..=255 {
            for rpl in [0, 3] {
                let [low, high] = (FREE | rpl).to_le_bytes();
                let stack = DATAS[usize::from(rpl)].to_le_bytes();
                let ways: [(&str, Vec<u8>); 8] = [
                    ("jump of 16 bits", vec![0x66, JUMP, 0, 0x60, low, high]),
                    ("call of 16 bits", vec![0x66, CALL, 0, 0x60, low, high]),
                    ("jump by memory", at(b"\xff\x2d", DATA)),
                    ("call by memory", at(b"\xff\x1d", DATA)),
                    ("jump of 16 bits by memory", at(b"\x66\xff\x2d", DATA + 2)),
                    ("call of 16 bits by memory", at(b"\x66\xff\x1d", DATA + 2)),
                    ("return of 16 bits", at(b"\xbc", USER_STACK - 8)),
                    ("return of 16 bits that drops", at(b"\xbc", USER_STACK - 8)),
                ];
                for (name, mut code) in ways {
                    if name.starts_with("return") {
                        code.extend(if name.ends_with("drops") { &b"\x66\xca\x02\x00"[..] } else { b"\x66\xcb" });
                    }
                    let drops = if name.ends_with("drops") { 2 } else { 0 };
                    let frame = USER_STACK - 8;
                    let case = Case::new("far transfers of other sizes", level, &code)
                        .about(format!("{name}, RPL {rpl}, rights {rights:#x}"))
                        .with_descriptor(FREE, sensible(rights))
                        .with(DATA, &[0, 0x60, 0, 0x60, low, high])
                        .with(frame, &[0, 0x60, low, high])
                        .with(frame + 4 + drops, &[0, 0x7e, stack[0], stack[1]]);
                    // A pointer of 32 bits has its selector behind four bytes.
                    let is_32 = name.ends_with(" by memory") && !name.contains("16");
                    cases.push(if is_32 { case.with(DATA, &[0, 0x60, 0, 0]) } else { case });
                }
            }
        }
    }
    cases
}

/// Targets at the limit of their segment and past it.
fn limits() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in [0, 3] {
        for limit in [TARGET - 1, TARGET, TARGET + 1, TARGET + 2] {
            for flags in [0x0000, 0x4000] {
                let rights = flags | 0x9b | u16::from(level) << 5;
                let cs = FREE_TOO | u16::from(level);
                let ways = [
                    ("jump", far(JUMP, cs, TARGET)),
                    ("call", far(CALL, cs, TARGET)),
                    ("gate", far(CALL, FREE | 3, 0)),
                    ("return", [push(cs.into()), push(TARGET), vec![0xcb]].concat()),
                    ("IRET", [push(2), push(cs.into()), push(TARGET), vec![0xcf]].concat()),
                ];
                for (name, code) in ways {
                    let case = Case::new("limits of code", level, &code)
                        .about(format!("{name}, limit {limit:#x}, flags {flags:#x}"))
                        .with_descriptor(FREE, gate(cs, TARGET, 0xec, 0))
                        .with_descriptor(FREE_TOO, descriptor(0, limit, rights))
                        // The interrupt that ends the case has two bytes.
                        .ending_with(if limit > TARGET { COMPLETED } else { 13 });
                    cases.push(case);
                }
            }
        }
    }
    cases
}
