//! Instructions of the system: at each level, with operands that are refused, and what they change.

use super::bytes::{at, mov, pushes};
use crate::case::Case;
use crate::layout::*;

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, code) in instructions() {
        for level in 0..4 {
            for flags in [0, 0x3000, 0x200] {
                if level > 0 || name != "hlt" {
                    let case = Case::new("system instructions", level, &code)
                        .about(name)
                        .with_flags(flags)
                        .with_word(DATA, GDT << 16 | GDT_LIMIT)
                        .with_word(DATA + 8, IDT << 16 | IDT_LIMIT);
                    cases.push(Case { debugs: name.contains("DR"), ..case });
                }
            }
        }
    }
    cases.extend(control_registers());
    cases.extend(debug_registers());
    cases.extend(flags());
    cases.extend(fast_calls());
    cases
}

fn instructions() -> Vec<(&'static str, Vec<u8>)> {
    let mut all: Vec<(&'static str, Vec<u8>)> = [
        ("hlt", &b"\xf4"[..]),
        ("clts", b"\x0f\x06"),
        ("invd", b"\x0f\x08"),
        ("wbinvd", b"\x0f\x09"),
        ("lldt of null", b"\x31\xc0\x0f\x00\xd0"),
        ("sldt", b"\x0f\x00\xc0"),
        ("str", b"\x0f\x00\xc8"),
        ("smsw", b"\x0f\x01\xe0"),
        ("smsw of 16 bits", b"\x66\x0f\x01\xe0"),
        ("lmsw", b"\x66\xb8\x0b\x00\x0f\x01\xf0"),
        ("lmsw that clears PE", b"\x66\xb8\x00\x00\x0f\x01\xf0"),
        ("cli", b"\xfa"),
        ("sti", b"\xfb"),
        ("mov to CS", b"\x8e\xc8"),
        ("mov to segment 6", b"\x8e\xf0"),
        ("mov from segment 6", b"\x8c\xf0"),
        ("lgdt of a register", b"\x0f\x01\xd0"),
        ("invlpg of a register", b"\x0f\x01\xff"),
        ("bound of a register", b"\x62\xc0"),
        ("lds of a register", b"\xc5\xc0"),
        ("far call of a register", b"\xff\xd8"),
        ("lock before clts", b"\xf0\x0f\x06"),
        ("lock before mov to CR2", b"\xf0\x0f\x22\xd0"),
        ("rsm", b"\x0f\xaa"),
        ("0f 0a", b"\x0f\x0a"),
        ("0f ff", b"\x0f\xff\xc0"),
        ("f6 /1", b"\xfe\xf8"),
        ("fifteen bytes", b"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90"),
        ("sixteen bytes", b"\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90"),
    ]
    .map(|(name, code)| (name, code.to_vec()))
    .into();
    for (name, opcode) in [
        ("lgdt", &b"\x0f\x01\x15"[..]),
        ("lidt", b"\x0f\x01\x1d"),
        ("lgdt of 16 bits", b"\x66\x0f\x01\x15"),
        ("lidt of 16 bits", b"\x66\x0f\x01\x1d"),
        ("sgdt", b"\x0f\x01\x05"),
        ("sidt", b"\x0f\x01\x0d"),
        ("invlpg", b"\x0f\x01\x3d"),
    ] {
        all.push((name, at(opcode, if opcode.contains(&0x1d) { DATA + 8 } else { DATA })));
    }
    for number in 0..8_u8 {
        let register = 0xc0 | number << 3;
        all.push(("mov from CR", vec![0x0f, 0x20, register]));
        all.push(("mov from DR", vec![0x0f, 0x21, register]));
        if number != 0 && number != 3 && number != 4 {
            all.push(("mov to CR", vec![0x0f, 0x22, register]));
        }
        if number < 4 {
            all.push(("mov to DR", vec![0x0f, 0x23, register]));
        }
    }
    all
}

/// Values that control registers take, and those that they refuse.
fn control_registers() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut of = |register: u8, value: u32| {
        let code =
            [mov(0, value), vec![0x0f, 0x22, 0xc0 | register << 3], vec![0x0f, 0x20, 0xc3 | register << 3]].concat();
        cases.push(Case::new("control registers", 0, &code).about(format!("CR{register} {value:#x}")));
    };
    for bits in [0, 2, 4, 8, 6, 0xe, 0x4_0000, 0x6000_0000, 0x4000_0000, 0x1000, 0x1f00_ff40] {
        of(0, CR0 | bits);
        of(0, CR0 & !0x1_0020 | bits);
    }
    // NW without CD, PG without PE.
    of(0, CR0 | 0x2000_0000);
    for bits in [0, 4, 8, 0x40, 0x80, 0x100, 0x200, 0x400, 0xdc] {
        of(4, CR4 | bits);
    }
    for bits in [0, 8, 0x10, 0x18, 0xfff] {
        of(3, DIRECTORY | bits);
    }
    for value in [0, 0xffff_ffff, 0x1234_5678] {
        of(2, value);
    }
    // CR4.TSD, and CR0.TS, EM and MP with what they make fault.
    for level in [0, 3] {
        for (name, code) in
            [("fnop", &b"\xd9\xd0"[..]), ("fwait", b"\x9b"), ("movups", b"\x0f\x10\xc0"), ("emms", b"\x0f\x77")]
        {
            for bits in [0, 2, 4, 6, 8, 0xa, 0xc, 0xe] {
                for cr4 in [CR4, CR4 | 0x200] {
                    let case = Case::new("control registers", level, code)
                        .about(format!("{name}, CR0 bits {bits:#x}, CR4 {cr4:#x}"));
                    cases.push(Case { cr0: CR0 & !0xe | bits, cr4, ..case });
                }
            }
        }
        for cr4 in [CR4, CR4 | 4] {
            // RDTSC; XOR EAX, EAX; XOR EDX, EDX.
            let case = Case::new("control registers", level, b"\x0f\x31\x31\xc0\x31\xd2")
                .about(format!("rdtsc, CR4 {cr4:#x}"));
            cases.push(Case { cr4, ..case });
        }
        for register in [0x174, 0x175, 0x176, 0x1b, 0x10] {
            let code = [mov(1, register), b"\x0f\x32".to_vec()].concat();
            // What is read at level 0 is not the same on all.
            if level > 0 {
                cases.push(Case::new("control registers", level, &code).about(format!("rdmsr {register:#x}")));
                let code = [mov(1, register), b"\x0f\x30".to_vec()].concat();
                cases.push(Case::new("control registers", level, &code).about(format!("wrmsr {register:#x}")));
            }
        }
    }
    cases
}

/// Debug registers: their aliases, bits that are fixed, general detection, and breakpoints on code and data.
fn debug_registers() -> Vec<Case> {
    let mut cases = Vec::new();
    for cr4 in [CR4, CR4 | 8] {
        for number in 4..8_u8 {
            for value in [0, 0xffff_dfff, 0x400, 0xffff_0ff0, 0x1_e000 & 0xd7ff] {
                let register = 0xc0 | number << 3;
                let code = [mov(0, value), vec![0x0f, 0x23, register, 0x0f, 0x21, register | 3]].concat();
                let off = b"\x31\xc0\x0f\x23\xf8".to_vec();
                let case = Case::new("debug registers", 0, &[code, off].concat());
                cases.push(Case { cr4, debugs: true, ..case.about(format!("DR{number} {value:#x}, CR4 {cr4:#x}")) });
            }
        }
    }
    for number in 0..8_u8 {
        // GD: each access to a debug register is an exception.
        for opcode in [0x21, 0x23] {
            let code = [mov(0, 0x2400), b"\x0f\x23\xf8".to_vec(), vec![0x0f, opcode, 0xc0 | number << 3]].concat();
            let case = Case::new("debug registers", 0, &code).about(format!("GD, {opcode:#x}, DR{number}"));
            cases.push(Case { debugs: true, ..case });
        }
    }
    let address = PAGES + 0x10;
    for level in [0, 3] {
        for kind in 0..16_u32 {
            for access in [&b"\x8a\x1d"[..], b"\x88\x1d", b"\x8b\x1d", b"\x89\x1d"] {
                for offset in [0, 1, 3, 4] {
                    let set = [
                        mov(0, address),
                        b"\x0f\x23\xc0".to_vec(),
                        mov(0, 0x402 | kind << 16),
                        b"\x0f\x23\xf8".to_vec(),
                    ]
                    .concat();
                    let out = pushes(&[DATAS[3].into(), USER_STACK, 2, CODES[3].into(), CODE + 0x50]);
                    let mut code = [set, out, vec![0xcf]].concat();
                    if level == 0 {
                        code.truncate(16);
                    } else {
                        code.resize(0x50, 0x90);
                    }
                    code.extend(at(access, address - 1 + offset));
                    // I/O breakpoints are undefined without CR4.DE, and breakpoints on code have a length of 1.
                    if kind & 3 == 2 || [4, 8, 12].contains(&kind) || kind >> 2 == 2 {
                        continue;
                    }
                    let case = Case::new("debug registers", 0, &code)
                        .about(format!("breakpoint {kind:#x}, access of level {level} at {offset}"))
                        .with_word(TEST_TABLE, DATA | 0x67);
                    cases.push(Case { debugs: true, data: [DATAS[3]; 4], ..case });
                }
            }
        }
    }
    cases
}

/// POPF, PUSHF, CLI and STI by level and IOPL.
fn flags() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in 0..4 {
        for privilege in 0..4_u32 {
            for before in [0, 0x200] {
                for value in [
                    0, 0xd5, 0x100, 0x200, 0x400, 0x800, 0x1000, 0x3000, 0x4000, 0x1_0000, 0x2_0000, 0x4_0000,
                    0x18_0000, 0x20_0000,
                ] {
                    let words: [(&str, Vec<u8>); 2] = [
                        ("popfd", [pushes(&[value]), b"\x9d\x9c\x5b".to_vec()].concat()),
                        ("popf", [pushes(&[value]), b"\x66\x9d\x66\x9c\x66\x5b".to_vec()].concat()),
                    ];
                    for (name, code) in words {
                        let case = Case::new("flags", level, &code)
                            .about(format!("{name} of {value:#x}, IOPL {privilege}"))
                            .with_flags(before | privilege << 12);
                        cases.push(case);
                    }
                }
                for (name, code) in [
                    ("cli", &b"\xfa"[..]),
                    ("sti", b"\xfb"),
                    ("sti, cli", b"\xfb\xfa"),
                    ("cld", b"\xfc"),
                    ("std", b"\xfd"),
                ] {
                    let case = Case::new("flags", level, code).about(name).with_flags(before | privilege << 12);
                    cases.push(case);
                }
            }
        }
    }
    cases
}

/// SYSENTER and SYSEXIT; the model's registers are set by the case itself, at level 0.
fn fast_calls() -> Vec<Case> {
    let mut cases = Vec::new();
    for cs in [0_u16, 1, 3, 4, 8, 9, 0x18, 0x98, 0xfff8] {
        let set = |register: u32, value: u32| [mov(1, register), mov(0, value), b"\x31\xd2\x0f\x30".to_vec()].concat();
        let all = [set(0x174, cs.into()), set(0x175, INNER_STACKS[0]), set(0x176, TARGET)].concat();
        let user = pushes(&[DATAS[3].into(), USER_STACK, 0x202, CODES[3].into(), CODE + 0x60]);
        let mut from_user = [all.clone(), user, vec![0xcf]].concat();
        from_user.resize(0x60, 0x90);
        from_user.extend(b"\x0f\x34");
        let ways = [
            ("sysenter at level 0", [all.clone(), b"\x0f\x34".to_vec()].concat()),
            ("sysenter at level 3", from_user.clone()),
            ("sysexit", [all, mov(1, USER_STACK), mov(2, TARGET), b"\x0f\x35".to_vec()].concat()),
            ("sysexit at level 3", [&from_user[..0x60], b"\x0f\x35"].concat()),
        ];
        for (name, code) in ways {
            for flags in [0, 0x3200, 0x1_0000] {
                cases.push(Case::new("fast calls", 0, &code).about(format!("{name}, CS {cs:#x}")).with_flags(flags));
            }
        }
    }
    cases
}
