//! The bitmap of ports, IOPL, and the limits of the task state.

use super::bytes::{mov, mov_ax, pushes};
use crate::case::Case;
use crate::layout::*;
use crate::tables::descriptor;

/// Reads from ports that nothing has, 8, 32 and 16 bits wide; the port is in DX.
const READS: [(&str, &[u8], u32); 4] =
    [("in al", b"\xec", 1), ("in eax", b"\xed", 4), ("in ax", b"\x66\xed", 2), ("insb", b"\x6c", 1)];

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, code, _) in READS {
        for level in 0..4 {
            for privilege in 0..4_u32 {
                for open in [0, 1, 2, 3, 0xf, 0xfe, 0xf0, 0xff] {
                    for port in [0x2a0, 0x2a1, 0x2a5, 0x2a7] {
                        cases.push(read(level, name, code, port, privilege, open));
                    }
                }
            }
        }
        for port in [0x3f0, 0x3f8 - 1, 0x3fd, 0x3ff, 0x400, 0x401, 0xffff] {
            for offset in [BITMAP, BITMAP + 0x40, TSS_LIMIT - 1, TSS_LIMIT, TSS_LIMIT + 1, 0xffff] {
                // Nothing is there to be read at all of these.
                let case = read(3, name, code, port | 0x100_0000, 0, 0xff)
                    .about(format!("{name}, port {port:#x}, the bitmap at {offset:#x}"))
                    .with_word(TSS + 100, offset << 16);
                if port > 0x3ff || offset > BITMAP + 0x40 {
                    cases.push(case);
                }
            }
        }
        for limit in [0x67, 0x68, 0xbb, 0xbc, 0xbd, 0xbe, 0xe7, 0xe8] {
            for port in [0x2a0, 0x2a7] {
                cases.push(with_limit(name, code, port, limit));
            }
        }
    }
    cases
}

fn read(level: u8, name: &str, code: &[u8], port: u32, privilege: u32, open: u8) -> Case {
    // What is read is not the CPU's.
    let mut case = Case::new("ports", level, &[code, &mov(0, 0)].concat())
        .about(format!("{name}, port {port:#x}, IOPL {privilege}, bitmap {open:#x}"))
        .with_flags(privilege << 12)
        .with(TSS + BITMAP + (port & 0x3ff) / 8, &[!open]);
    case.general[2] = port & 0xffff;
    case.general[6] = DATA;
    case
}

/// In a task whose limit ends within the bitmap.
fn with_limit(name: &str, code: &[u8], port: u32, limit: u32) -> Case {
    let mut bytes = [&mov_ax(FREE), &b"\x0f\x00\xd8"[..], &mov(2, port), &mov(7, DATA)].concat();
    let back = CODE + u32::try_from(bytes.len()).unwrap() + 26;
    bytes.extend(pushes(&[DATAS[3].into(), USER_STACK, 2, CODES[3].into(), back]));
    bytes.push(0xcf);
    bytes.extend(code);
    bytes.extend(mov(0, 0));
    let case = Case::new("ports", 0, &bytes)
        .about(format!("{name}, port {port:#x}, limit of the task {limit:#x}"))
        .with_descriptor(FREE, descriptor(TSS, limit, 0x89))
        .with(TSS + BITMAP + port / 8, &[0, 0]);
    Case { data: [DATAS[3]; 4], ..case }
}
