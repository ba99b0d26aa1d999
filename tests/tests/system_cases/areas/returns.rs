//! IRET: to the same level and to outer ones, with 32 and 16 bits, flags that it may change, and back to another task.

use super::bytes::pushes;
use crate::case::Case;
use crate::layout::*;
use crate::tables::sensible;

const NT: u32 = 0x4000;

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in 0..4 {
        for rights in 0..=255 {
            for rpl in 0..4_u16 {
                let stack = DATAS[usize::from(rpl)];
                cases.push(
                    to(level, (FREE | rpl, rights), (stack, 0x93), 2).about(format!("CS with RPL {rpl}, {rights:#x}")),
                );
                if rpl >= level.into() {
                    let about = format!("SS with RPL {rpl}, {rights:#x}");
                    cases.push(to(level, (CODES[3], 0), (FREE_TOO | rpl, rights), 2).about(about));
                }
            }
            // Segments that the outer level may not use are lost.
            let case = to(level, (CODES[3], 0), (DATAS[3], 0), 2).about(format!("data segments of {rights:#x}"));
            let is_data = rights & 0x90 == 0x90 && rights & 0xa != 8 && rights >> 5 & 3 >= level;
            if is_data {
                cases.push(Case { data: [FREE; 4], ..case.with_descriptor(FREE, sensible(rights)) });
            }
        }
        for outer in 0..4 {
            for privilege in 0..4_u32 {
                for flags in [
                    0,
                    0xd5,
                    0x100,
                    0x200,
                    0x400,
                    0x800,
                    0x1000,
                    0x3000,
                    NT,
                    0x1_0000,
                    0x4_0000,
                    0x8_0000,
                    0x20_0000,
                    0xfffd_0028,
                ] {
                    let case = to(level, (CODES[outer], 0), (DATAS[outer], 0), flags)
                        .about(format!("to level {outer}, IOPL {privilege}, flags {flags:#x}"))
                        .with_flags(privilege << 12);
                    cases.push(Case { area: "flags of IRET", ..case });
                }
            }
        }
    }
    cases.extend(of_16_bits());
    cases.extend(nested());
    cases
}

fn to(level: u8, (cs, code): (u16, u8), (ss, stack): (u16, u8), flags: u32) -> Case {
    let words = [ss.into(), USER_STACK, flags, cs.into(), TARGET];
    Case::new("IRET", level, &[&*pushes(&words), b"\xcf"].concat())
        .with_descriptor(FREE, sensible(code))
        .with_descriptor(FREE_TOO, sensible(stack))
}

fn of_16_bits() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in 0..4 {
        for outer in 0..4 {
            for flags in [0, 0xd5, 0x100, 0x200, 0x3000, 0x4000] {
                let words: [u16; 5] = [DATAS[outer], 0x7f00, flags, CODES[outer], 0x6000];
                let pushed = words.iter().flat_map(|word| [&[0x66, 0x68][..], &word.to_le_bytes()].concat());
                let code: Vec<u8> = pushed.chain([0x66, 0xcf]).collect();
                for privilege in [0, 3_u32] {
                    let case = Case::new("flags of IRET", level, &code)
                        .about(format!("16 bits to level {outer}, IOPL {privilege}, flags {flags:#x}"))
                        .with_flags(privilege << 12 | 0x4_0000);
                    cases.push(case);
                }
            }
        }
    }
    cases
}

/// With NT, to the task that the link names.
fn nested() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in 0..4 {
        for rights in 0..=255 {
            for rpl in [0, 3] {
                let case = Case::new("IRET to a task", level, b"\xcf")
                    .about(format!("link with RPL {rpl}, rights {rights:#x}"))
                    .with_flags(NT)
                    .with_descriptor(FREE, sensible(rights))
                    .with(TSS, &(FREE | rpl).to_le_bytes());
                cases.push(case);
            }
        }
        for link in [0, 3, 4, 7, FREE | 4, 0x2f8, 0x300] {
            let case = Case::new("IRET to a task", level, b"\xcf")
                .about(format!("link {link:#x}"))
                .with_flags(NT)
                .with_descriptor(0x2f8, sensible(0x8b))
                .with(TSS, &link.to_le_bytes());
            cases.push(case);
        }
    }
    cases
}
