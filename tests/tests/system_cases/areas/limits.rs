//! Limits and types of data segments, and alignment. QEMU checks none of them when data is accessed, and so does no KVM within it: the manual is the witness.

use super::bytes::{at, mov_ax};
use crate::case::Case;
use crate::layout::*;
use crate::tables::descriptor;

const GENERAL_PROTECTION: u8 = 13;
const ALIGNMENT: u8 = 17;

/// Accesses through FS: the code before the address, how many bytes, whether it is written.
const ACCESSES: [(&str, &[u8], u32, bool); 7] = [
    ("read of 1", b"\x64\x8a\x1d", 1, false),
    ("read of 2", b"\x64\x66\x8b\x1d", 2, false),
    ("read of 4", b"\x64\x8b\x1d", 4, false),
    ("write of 1", b"\x64\x88\x1d", 1, true),
    ("write of 4", b"\x64\x89\x1d", 4, true),
    ("read and write of 4", b"\x64\xff\x05", 4, true),
    ("question of 2", b"\x64\x0f\x02\x1d", 2, false),
];

/// Whether the manual lets these bytes be accessed (Intel SDM volume 3A, sections 5.3 and 5.5).
fn allows(rights: u8, limit: u32, big: bool, offset: u32, size: u32, writes: bool) -> bool {
    let is_code = rights & 8 != 0;
    let may = if writes { !is_code && rights & 2 != 0 } else { !is_code || rights & 2 != 0 };
    let last = u64::from(offset) + u64::from(size) - 1;
    let expands_down = !is_code && rights & 4 != 0;
    let top = if big { u64::from(u32::MAX) } else { 0xffff };
    may && if expands_down { offset > limit && last <= top } else { last <= limit.into() }
}

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, code, size, writes) in ACCESSES {
        for kind in 0..16 {
            let rights = 0xf0 | kind;
            for (limit, flags) in [(0x0f_u32, 0x4000), (0xfff, 0xc000), (0x20, 0)] {
                let base = if limit == 0xfff { PAGES } else { DATA };
                for offset in [
                    0,
                    limit - 4,
                    limit - 3,
                    limit - 2,
                    limit - 1,
                    limit,
                    limit + 1,
                    limit + 2,
                    0xfffc,
                    0xfffe,
                    0x1_0000,
                ] {
                    // What can be loaded into FS at all.
                    if kind & 0xa == 8 {
                        continue;
                    }
                    let code = [mov_ax(FREE | 3), b"\x8e\xe0".to_vec(), at(code, offset)].concat();
                    let ends = allows(rights, limit, flags & 0x4000 != 0, offset, size, writes);
                    // All that is accessed is there, so that nothing but the segment is in the way.
                    let case = Case::new("limits of data", 3, &code)
                        .about(format!("{name} at {offset:#x}, rights {rights:#x}, limit {limit:#x}, flags {flags:#x}"))
                        .with_descriptor(FREE, descriptor(base, limit, flags | u16::from(rights)))
                        .with_word(TEST_TABLE, DATA | 0x67)
                        .with_word(TEST_TABLE + 4, DATA | 0x67)
                        .with_word(TEST_TABLE + 0x3c, DATA | 0x67)
                        .with_word(TEST_TABLE + 0x40, DATA | 0x67)
                        .ending_with(if ends { COMPLETED } else { GENERAL_PROTECTION });
                    if base == PAGES || offset <= 0x24 {
                        cases.push(case);
                    }
                }
            }
        }
    }
    // A null selector is loaded, and may not be used.
    for (name, code, ..) in ACCESSES {
        for selector in 0..4 {
            let code = [mov_ax(selector), b"\x8e\xe0".to_vec(), at(code, DATA)].concat();
            let case = Case::new("limits of data", 3, &code).about(format!("{name}, null selector {selector}"));
            cases.push(case.ending_with(GENERAL_PROTECTION));
        }
    }
    cases.extend(alignment());
    cases
}

/// Accesses that are not aligned (Intel SDM volume 3A, section 6.15, #AC).
fn alignment() -> Vec<Case> {
    let mut cases = Vec::new();
    let accesses: [(&str, &[u8], u32); 4] = [
        ("read", b"\x8b\x1d", 4),
        ("write", b"\x89\x1d", 4),
        ("read of 2", b"\x66\x8b\x1d", 2),
        ("read of 1", b"\x8a\x1d", 1),
    ];
    for (name, code, size) in accesses {
        for level in 0..4 {
            for offset in 0..4 {
                for mask in [0, 1 << 18] {
                    for flag in [0, 1 << 18] {
                        let is_checked = level == 3 && mask != 0 && flag != 0 && offset % size != 0;
                        let case = Case::new("alignment", level, &at(code, DATA + offset))
                            .about(format!("{name} at {offset}, AM {mask:#x}, AC {flag:#x}"))
                            .with_flags(flag)
                            .ending_with(if is_checked { ALIGNMENT } else { COMPLETED });
                        cases.push(Case { cr0: CR0 | mask, ..case });
                    }
                }
            }
        }
    }
    cases
}
