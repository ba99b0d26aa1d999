//! Instructions that a page fault stops in the midst: what they have changed by then, so that they can be begun again.

use super::bytes::{at, far, mov, mov_ax, pushes};
use crate::case::Case;
use crate::layout::*;
use crate::tables::gate;

/// Where the first page of two ends.
const EDGE: u32 = PAGES + 0x1000;
/// What is tried of the two pages: rights of the first and the second.
const RIGHTS: [(u32, u32); 7] = [(7, 7), (7, 0), (0, 7), (7, 5), (5, 7), (7, 3), (3, 7)];
/// How far from the edge.
const DISTANCES: [i32; 11] = [-16, -8, -6, -4, -3, -2, 0, 2, 4, 8, 16];

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (first, second) in RIGHTS {
        for distance in DISTANCES {
            let address = EDGE.wrapping_add_signed(distance);
            let paged = |area: &'static str, level: u8, name: &str, code: &[u8]| {
                Case::new(area, level, code)
                    .about(format!("{name} at {distance}, rights {first} and {second}"))
                    .with_word(TEST_TABLE, (DATA + 0x1000) | 0x60 | first)
                    .with_word(TEST_TABLE + 4, DATA | 0x60 | second)
                    .with(DATA, &words(DATAS[3]))
                    .with(DATA + 0x1fc0, &words(CODES[3]))
            };
            for (name, code) in of_stack() {
                // Flags with VM are cases of their own.
                if name == "iret" && distance % 4 != 0 {
                    continue;
                }
                let case = paged("restarts on the stack", 3, name, &code);
                // What ends a case at level 0 would use the same stack.
                cases.push(Case { esp: address, ..case });
            }
            for level in [0, 3] {
                for (name, code) in of_strings(address) {
                    let code = [mov(1, 5), code].concat();
                    let case = paged("restarts of strings", level, name, &code);
                    cases.push(case);
                }
                for (name, code) in of_memory(address) {
                    cases.push(paged("restarts", level, name, &code));
                }
            }
            for kind in [0xec, 0xe4] {
                let gated = |name: &str, code: &[u8]| {
                    paged("restarts on inner stacks", 3, &format!("{name} of {kind:#x}"), code)
                        .with_descriptor(FREE, gate(CODES[1], TARGET, kind, 2))
                        .with_gate(0x40, gate(CODES[1], TARGET, kind | 2, 0))
                        .with_word(TSS + 12, address)
                };
                cases.push(gated("call gate", &far(0x9a, FREE | 3, 0)));
                cases.push(gated("interrupt gate", b"\xcd\x40"));
                // The parameters are at the edge.
                let case = gated("parameters of a call gate", &far(0x9a, FREE | 3, 0));
                cases.push(Case { esp: address, ..case.with_word(TSS + 12, INNER_STACKS[1]) });
            }
        }
    }
    cases
}

/// Sixteen words with this selector: flags of a frame, too, that change nothing.
fn words(selector: u16) -> [u8; 64] {
    *u32::from(selector).to_le_bytes().repeat(16).first_chunk().unwrap()
}

/// What uses the stack alone.
fn of_stack() -> Vec<(&'static str, Vec<u8>)> {
    let of: [(&str, &[u8]); 24] = [
        ("push", b"\x50"),
        ("push of 16 bits", b"\x66\x50"),
        ("push of FS", b"\x0f\xa0"),
        ("pusha", b"\x60"),
        ("pusha of 16 bits", b"\x66\x60"),
        ("pushf", b"\x9c"),
        ("pop", b"\x58"),
        ("pop of 16 bits", b"\x66\x58"),
        ("pop of ESP", b"\x5c"),
        ("popa", b"\x61"),
        ("popf", b"\x9d"),
        ("pop to ES", b"\x07"),
        ("pop to memory", b"\x8f\x04\x24"),
        ("pop to memory above", b"\x8f\x44\x24\x04"),
        ("push of memory", b"\xff\x34\x24"),
        ("call", b"\xe8\x00\x00\x00\x00"),
        ("call of memory", b"\xff\x14\x24"),
        ("ret", b"\xc3"),
        ("ret that drops", b"\xc2\x04\x00"),
        ("enter", b"\xc8\x08\x00\x00"),
        ("enter of level 2", b"\x89\xe5\xc8\x08\x00\x02"),
        ("leave", b"\x89\xe5\xbc\x00\x7f\x00\x00\xc9"),
        ("retf", b"\xcb"),
        ("iret", b"\xcf"),
    ];
    let mut all: Vec<_> = of.map(|(name, code)| (name, code.to_vec())).into();
    all.push(("far call", far(0x9a, CODES[3], TARGET)));
    all
}

/// String instructions, five times each, with their source or destination at an address.
fn of_strings(address: u32) -> Vec<(&'static str, Vec<u8>)> {
    let there = |source: u32, destination: u32, code: &[u8]| [&mov(6, source), &*mov(7, destination), code].concat();
    let of: [(&str, Vec<u8>); 14] = [
        ("rep movsb from there", there(address, DATA + 0x20, b"\xf3\xa4")),
        ("rep movsb", there(DATA + 0x20, address, b"\xf3\xa4")),
        ("rep movsd from there", there(address, DATA + 0x20, b"\xf3\xa5")),
        ("rep movsd", there(DATA + 0x20, address, b"\xf3\xa5")),
        ("rep movsw down", [b"\xfd".to_vec(), there(DATA + 0x20, address, b"\x66\xf3\xa5")].concat()),
        ("rep stosd", there(0, address, b"\xf3\xab")),
        ("rep stosd down", [b"\xfd".to_vec(), there(0, address, b"\xf3\xab")].concat()),
        ("rep lodsw", there(address, 0, b"\xf3\x66\xad")),
        ("repe cmpsb", there(address, address, b"\xf3\xa6")),
        ("repne scasd", there(0, address, b"\xf2\xaf")),
        ("movsd", there(address, DATA + 0x20, b"\xa5")),
        ("stosd", there(0, address, b"\xab")),
        ("cmpsd", there(DATA + 0x20, address, b"\xa7")),
        ("rep insb", [mov(2, 0x2a0), there(0, address, b"\xf3\x6c")].concat()),
    ];
    of.into()
}

/// What changes memory and a register, or reads twice.
fn of_memory(address: u32) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("xchg", at(b"\x87\x1d", address)),
        ("xadd", at(b"\x0f\xc1\x1d", address)),
        ("cmpxchg", at(b"\x0f\xb1\x1d", address)),
        ("cmpxchg8b", at(b"\x0f\xc7\x0d", address)),
        ("lds", at(b"\xc5\x1d", address)),
        ("lss", at(b"\x0f\xb2\x1d", address)),
        ("bound", at(b"\x62\x05", address)),
        ("far jump", at(b"\xff\x2d", address)),
        ("far call", at(b"\xff\x1d", address)),
        ("bts", at(b"\x0f\xab\x1d", address.wrapping_sub(0x4444_4444 / 32 * 4))),
        ("shld", at(b"\x0f\xa4\x1d", address).into_iter().chain([1]).collect()),
        ("sgdt", at(b"\x0f\x01\x05", address)),
        ("arpl", at(b"\x63\x1d", address)),
        ("verr", at(b"\x0f\x00\x25", address)),
        ("mov from DS", at(b"\x8c\x1d", address)),
        ("mov to ES", at(b"\x8e\x05", address)),
        ("xlat", [mov(3, address.wrapping_sub(0x11)), b"\xd7".to_vec()].concat()),
        ("push of it", at(b"\xff\x35", address)),
        ("pop to it", [pushes(&[7]), at(b"\x8f\x05", address)].concat()),
        ("lar", [mov_ax(0), at(b"\x0f\x02\x1d", address)].concat()),
    ]
}
