//! Virtual-8086 mode: what it refuses by IOPL, how it is left, and how it is entered.

use super::bytes::pushes;
use crate::case::{Case, VM};
use crate::layout::*;
use crate::tables::{gate, sensible};

/// The selector of a segment of virtual-8086 mode that begins there.
fn paragraph(address: u32) -> u16 {
    u16::try_from(address >> 4).unwrap()
}

/// A case that begins in virtual-8086 mode.
pub fn entered(case: Case) -> Case {
    Case {
        cs: paragraph(CODE),
        eip: 0,
        ss: paragraph(USER_STACK - 0x400),
        esp: 0x400,
        eflags: case.eflags | VM,
        data: [1, 2, 3, paragraph(DATA)],
        ..case
    }
}

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, code) in instructions() {
        for privilege in 0..4_u32 {
            for flags in [0, 0x200, 0x4000, 0x800, 0x4_0000] {
                let case = Case::new("virtual-8086 mode", 3, &code)
                    .about(format!("{name}, IOPL {privilege}, flags {flags:#x}"))
                    .with_flags(privilege << 12 | flags)
                    .with_gate(0x40, gate(CODES[0], TARGET, 0xee, 0))
                    .with_gate(0x41, gate(CODES[0], TARGET, 0xef, 0))
                    .with_gate(0x42, gate(OTHER_TASK, 0, 0xe5, 0))
                    .with_gate(0x43, gate(CODES[0], TARGET, 0x8e, 0))
                    .with_gate(0x44, gate(CODES[0], TARGET, 0xe6, 0))
                    .with_gate(3, gate(CODES[0], TARGET, 0xee, 0))
                    .with_gate(4, gate(CODES[0], TARGET, 0xee, 0));
                cases.push(entered(case));
            }
        }
    }
    // Handlers of every kind: only code of level 0 that does not conform may be one.
    for rights in 0..=255 {
        for rpl in [0, 3] {
            for privilege in [0, 3_u32] {
                let case = Case::new("gates from virtual-8086 mode", 3, b"\xcd\x40")
                    .about(format!("IOPL {privilege}, RPL {rpl}, rights {rights:#x}"))
                    .with_flags(privilege << 12)
                    .with_gate(0x40, gate(FREE | rpl, TARGET, 0xee, 0))
                    .with_descriptor(FREE, sensible(rights));
                cases.push(entered(case));
            }
        }
    }
    cases.extend(entries());
    cases
}

fn instructions() -> Vec<(&'static str, Vec<u8>)> {
    let of: [(&str, &[u8]); 46] = [
        ("cli", b"\xfa"),
        ("sti", b"\xfb"),
        ("pushf", b"\x9c"),
        ("pushfd", b"\x66\x9c"),
        ("popf", b"\x68\x02\x32\x9d"),
        ("popfd", b"\x66\x68\x02\x32\x07\x00\x66\x9d"),
        ("int to an interrupt gate", b"\xcd\x40"),
        ("int to a trap gate", b"\xcd\x41"),
        ("int to a task", b"\xcd\x42"),
        ("int to a gate of level 0", b"\xcd\x43"),
        ("int to a gate of 16 bits", b"\xcd\x44"),
        ("int3", b"\xcc"),
        ("into", b"\xb0\x7f\xfe\xc0\xce"),
        ("int1", b"\xf1"),
        ("iret", b"\x68\x02\x02\x68\x00\x06\x6a\x00\xcf"),
        ("iretd", b"\x66\x68\x02\x02\x00\x00\x66\x68\x00\x06\x00\x00\x66\x6a\x00\x66\xcf"),
        ("hlt", b"\xf4"),
        ("in", b"\xe4\x90"),
        ("in that is refused", b"\xba\x00\x04\xec"),
        ("clts", b"\x0f\x06"),
        ("lgdt", b"\x0f\x01\x16\x00\x00"),
        ("lidt", b"\x0f\x01\x1e\x00\x00"),
        ("lldt", b"\x0f\x00\xd0"),
        ("ltr", b"\x0f\x00\xd8"),
        ("sldt", b"\x0f\x00\xc0"),
        ("str", b"\x0f\x00\xc8"),
        ("lar", b"\x0f\x02\xc0"),
        ("lsl", b"\x0f\x03\xc0"),
        ("verr", b"\x0f\x00\xe0"),
        ("arpl", b"\x63\xc0"),
        ("lmsw", b"\x0f\x01\xf0"),
        ("mov from CR0", b"\x0f\x20\xc0"),
        ("mov to CR3", b"\x0f\x22\xd8"),
        ("mov from DR7", b"\x0f\x21\xf8"),
        ("invlpg", b"\x0f\x01\x3e\x00\x00"),
        ("wbinvd", b"\x0f\x09"),
        ("rdmsr", b"\x0f\x32"),
        ("mov to DS", b"\x8e\xd8\xa1\x00\x00"),
        ("mov to SS", b"\x8e\xd0"),
        ("far jump", b"\xea\x00\x00\x00\x06"),
        ("far call", b"\x9a\x00\x00\x00\x06"),
        ("far return", b"\x68\x00\x06\x6a\x00\xcb"),
        ("pop to ES", b"\x68\x34\x12\x07"),
        ("ud2", b"\x0f\x0b"),
        ("div", b"\x31\xc9\xf7\xf1"),
        ("sysenter", b"\x0f\x34"),
    ];
    of.into_iter().map(|(name, code)| (name, code.to_vec())).collect()
}

/// IRET with VM at each level: it is entered from level 0 only.
fn entries() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in 0..4 {
        for privilege in 0..4_u32 {
            for flags in [0, 0x200, 0x4000, 0x100, 0x1_0000, 0x4_0000] {
                let flags = VM | privilege << 12 | flags | 2;
                let words = [4, 3, 2, 1, USER_STACK >> 4, 0, flags, TARGET >> 4, 0];
                let case = Case::new("entries to virtual-8086 mode", level, &[&*pushes(&words), b"\xcf"].concat())
                    .about(format!("flags {flags:#x}"))
                    .with_gate(COMPLETED, gate(CODES[0], crate::tables::stub(COMPLETED), 0xee, 0));
                cases.push(case);
            }
        }
    }
    cases
}
