//! Loads of segment registers, and questions about selectors, with descriptors of every type and privilege.

use super::bytes::{at, mov_ax};
use crate::case::Case;
use crate::layout::*;
use crate::tables::{descriptor, flat, sensible};

/// What is done with the selector in AX.
const LOADS: [(&str, &[u8]); 5] = [
    ("mov to DS", b"\x8e\xd8"),
    ("mov to ES", b"\x8e\xc0"),
    ("mov to FS", b"\x8e\xe0"),
    ("mov to GS", b"\x8e\xe8"),
    ("mov to SS", b"\x8e\xd0"),
];
const QUESTIONS: [(&str, &[u8]); 6] = [
    ("LAR", b"\x0f\x02\xd8"),
    ("LSL", b"\x0f\x03\xd8"),
    ("VERR", b"\x0f\x00\xe0"),
    ("VERW", b"\x0f\x00\xe8"),
    ("LAR of 16 bits", b"\x66\x0f\x02\xd8"),
    ("LSL of 16 bits", b"\x66\x0f\x03\xd8"),
];
const TABLES: [(&str, &[u8]); 2] = [("LLDT", b"\x0f\x00\xd0"), ("LTR", b"\x0f\x00\xd8")];

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let instructions =
        [("segment loads", &LOADS[..]), ("selector questions", &QUESTIONS[..4]), ("LLDT, LTR", &TABLES[..])];
    for (area, instructions) in instructions {
        for (name, code) in instructions {
            for level in 0..4 {
                for rights in 0..=255 {
                    for rpl in 0..4 {
                        // At other levels than 0, the tables' registers are refused before anything is looked at.
                        if area == "LLDT, LTR" && level > 0 && rights % 64 != 2 {
                            continue;
                        }
                        cases.push(of(area, level, name, code, FREE | rpl, rights));
                    }
                }
            }
        }
    }
    for (name, code) in [&LOADS[..], &QUESTIONS[..], &TABLES[..]].concat() {
        for level in [0, 3] {
            cases.extend(strange(level, name, code));
        }
    }
    cases.extend(from_memory());
    cases.extend(ends_of_table());
    cases.extend(limits());
    cases.extend(adjusting());
    cases
}

fn of(area: &'static str, level: u8, name: &str, code: &[u8], selector: u16, rights: u8) -> Case {
    Case::new(area, level, &[&mov_ax(selector), code].concat())
        .about(format!("{name}, selector {selector:#x}, rights {rights:#x}"))
        .with_descriptor(selector, sensible(rights))
        .with_flags(u32::from(rights) << 4 & 0x40)
}

/// Selectors that lead to the ends of tables, or nowhere.
fn strange(level: u8, name: &str, code: &[u8]) -> Vec<Case> {
    // The last one of the LDT.
    let local = 0x7c;
    let ends = [0, 1, 2, 3, 4, 7, 0xc, local, local + 8, 0x2f8, 0x2fb, 0x300, 0x303, 0xfff8, 0xffff];
    let mut cases = Vec::new();
    for selector in ends {
        for ldtr in [0, TABLE_LDT] {
            let rights = 0x93 | level << 5;
            let case = Case::new("strange selectors", level, &[&mov_ax(selector), code].concat())
                .about(format!("{name}, selector {selector:#x}, LDT {ldtr:#x}"))
                .with_descriptor(0x2f8, flat(rights))
                .with(LDT + 8, &flat(rights))
                .with(LDT + u32::from(local & !7), &flat(rights));
            cases.push(Case { ldtr, ..case });
        }
    }
    cases
}

/// Loads from the stack and of far pointers, which change another register, too, unless they are refused.
fn from_memory() -> Vec<Case> {
    let loads: [(&str, Vec<u8>); 9] = [
        ("pop to DS", b"\x50\x1f".to_vec()),
        ("pop to ES", b"\x50\x07".to_vec()),
        ("pop to SS", b"\x50\x17".to_vec()),
        ("pop of 16 bits to FS", b"\x66\x50\x66\x0f\xa1".to_vec()),
        ("lds", at(b"\xc5\x1d", DATA)),
        ("les", at(b"\xc4\x1d", DATA)),
        ("lss", at(b"\x0f\xb2\x1d", DATA)),
        ("lgs", at(b"\x0f\xb5\x1d", DATA)),
        ("lfs of 16 bits", at(b"\x66\x0f\xb4\x1d", DATA)),
    ];
    let mut cases = Vec::new();
    for (name, code) in loads {
        for level in [0, 3] {
            for rights in 0..=255 {
                for rpl in [0, 3] {
                    let case = of("loads from memory", level, name, &code, FREE | rpl, rights);
                    let [low, high] = (FREE | rpl).to_le_bytes();
                    cases.push(case.with(DATA, &[1, 2, low, high, low, high]));
                }
            }
        }
    }
    cases
}

/// A GDT that ends within a descriptor, or before it.
fn ends_of_table() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, code) in [&LOADS[..], &QUESTIONS[..], &TABLES[..]].concat() {
        for limit in [0x97_u32, 0x98, 0x9b, 0x9e, 0x9f, 0xa0] {
            for rights in [0x93, 0x89, 0x82] {
                let code = [&at(b"\x0f\x01\x15", DATA), &*mov_ax(FREE), code].concat();
                let case = Case::new("strange selectors", 0, &code)
                    .about(format!("{name}, limit of the GDT {limit:#x}, rights {rights:#x}"))
                    .with_descriptor(FREE, sensible(rights))
                    .with_word(DATA, GDT << 16 | limit)
                    .with_word(DATA + 4, 0);
                cases.push(case);
            }
        }
    }
    cases
}

/// What LSL and LAR give of limits and bits that are not in the byte of rights.
fn limits() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, code) in QUESTIONS {
        for flags in 0..16_u16 {
            for limit in [0_u32, 0xfff, 0x12345] {
                for rights in [0x93_u16, 0x97, 0x9b, 0x89, 0x82, 0x8c] {
                    let shown = if flags & 8 == 0 { limit } else { limit << 12 | 0xfff };
                    let code = [&mov_ax(FREE), code].concat();
                    let case = Case::new("selector questions", 0, &code)
                        .about(format!("{name}, limit {limit:#x}, flags {flags:#x}, rights {rights:#x}"))
                        .with_descriptor(FREE, descriptor(0x1234_5678, shown, flags << 12 | rights));
                    cases.push(case);
                }
            }
        }
    }
    cases
}

fn adjusting() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in [0, 3] {
        for pair in 0..16_u16 {
            for zero in [0, 0x40] {
                // ARPL AX, BX; ARPL [DATA], BX.
                for code in [b"\x63\xd8".to_vec(), at(b"\x63\x1d", DATA)] {
                    let mut case = Case::new("ARPL", level, &code).about(format!("{pair:#x}")).with_flags(zero);
                    case.general[0] = 0xabcd_1230 | u32::from(pair & 3);
                    case.general[3] = 0x4321_0ff0 | u32::from(pair >> 2);
                    cases.push(case.with_word(DATA, 0x7654_3210 | u32::from(pair & 3)));
                }
            }
        }
    }
    cases
}
