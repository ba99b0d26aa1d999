//! Guests to begin with: code, data and tables that make sense, in each mode of the CPU.

use crate::fuzz::input::{Input, Words};

/// What a case begins with.
#[derive(Clone, Debug)]
pub struct Guest {
    /// EAX to EDI.
    pub general: [u32; 8],
    /// Where it begins.
    pub eip: u32,
    /// EFLAGS.
    pub eflags: u32,
    /// CR0.
    pub cr0: u32,
    /// CR3.
    pub cr3: u32,
    /// CR4.
    pub cr4: u32,
    /// What its devices do comes from this.
    pub noise: u32,
    /// Base and limit of the GDT.
    pub gdt: [u32; 2],
    /// Base and limit of the IDT.
    pub idt: [u32; 2],
    /// Selector, base, limit and access of CS, of SS and all data segments, and of TR.
    pub segments: [[u32; 4]; 3],
}

impl Guest {
    /// From the beginning of a case.
    pub fn read(input: &mut Input<'_>) -> Self {
        let mut words = || std::array::from_fn(|_| input.word());
        let general = words();
        let [eip, eflags, cr0, cr3, cr4, noise, _, _] = words();
        let mut pair = || [input.word(), input.word()];
        let (gdt, idt) = (pair(), pair());
        let segments = [(); 3].map(|()| std::array::from_fn(|_| input.word()));
        Self { general, eip, eflags, cr0, cr3, cr4, noise, gdt, idt, segments }
    }

    /// The beginning of a case.
    fn write(&self) -> Vec<u8> {
        let Self { general, eip, eflags, cr0, cr3, cr4, noise, gdt, idt, segments } = self;
        let others = [*eip, *eflags, *cr0, *cr3, *cr4, *noise, 0, 0];
        let mut words = Words::default();
        for word in general.iter().chain(&others).chain(gdt).chain(idt).chain(segments.iter().flatten()) {
            words.word(*word);
        }
        words.take()
    }
}

/// A piece of memory, as it stands in a case.
pub fn piece(address: u16, bytes: &[u8]) -> Vec<u8> {
    let count = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    [&address.to_le_bytes()[..], &[count], &bytes[..count.into()]].concat()
}

/// Code for a CPU in 32 bits, each the beginning of a way into another part of it.
pub const CODES: &[&[u8]] = &[
    // MOV EAX, 0x20; MOV CR4, EAX; MOV EAX, 0x6000; MOV CR3, EAX; MOV EAX, CR0; OR EAX, 0x80000000; MOV CR0, EAX.
    &[
        0xb8, 0x20, 0, 0, 0, 0x0f, 0x22, 0xe0, 0xb8, 0, 0x60, 0, 0, 0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xc0, 0x0d, 0, 0, 0,
        0x80, 0x0f, 0x22, 0xc0,
    ],
    // LTR AX, LLDT AX, with MOV EAX before each.
    &[0xb8, 0x28, 0, 0, 0, 0x0f, 0, 0xd8, 0xb8, 0x40, 0, 0, 0, 0x0f, 0, 0xd0],
    // Far: a call gate, a TSS, a task gate.
    &[0x9a, 0, 0, 0, 0, 0x38, 0, 0xea, 0, 0, 0, 0, 0x50, 0, 0x9a, 0, 0, 0, 0, 0x48, 0],
    // INT 3, INT 0x1f, INTO, IRET.
    &[0xcc, 0xcd, 0x1f, 0xce, 0xcf],
    // To privilege 3: PUSH 0x23; PUSH 0x7800; PUSHFD; PUSH 0x1b; PUSH 0x1040; IRET.
    &[0x6a, 0x23, 0x68, 0, 0x78, 0, 0, 0x9c, 0x6a, 0x1b, 0x68, 0x40, 0x10, 0, 0, 0xcf],
    // To virtual-8086 mode: a frame of nine words whose flags have VM.
    &[
        0x6a, 0, 0x6a, 0, 0x6a, 0, 0x6a, 0, 0x6a, 0, 0x68, 0, 0x78, 0, 0, 0x68, 2, 0, 2, 0, 0x6a, 0, 0x68, 0x40, 0x10,
        0, 0, 0xcf,
    ],
    // MOV ECX, 0x174; MOV EAX, 8; WRMSR; INC ECX; WRMSR; INC ECX; MOV EAX, 0x1040; WRMSR; SYSENTER.
    &[
        0xb9, 0x74, 1, 0, 0, 0xb8, 8, 0, 0, 0, 0x31, 0xd2, 0x0f, 0x30, 0x41, 0x0f, 0x30, 0x41, 0xb8, 0x40, 0x10, 0, 0,
        0x0f, 0x30, 0x0f, 0x34, 0x0f, 0x35,
    ],
    // MOV ECX, 20; MOV ESI, 0x1000; MOV EDI, 0x1030; REP MOVSD over what is executed next.
    &[0xb9, 20, 0, 0, 0, 0xbe, 0, 0x10, 0, 0, 0xbf, 0x30, 0x10, 0, 0, 0xf3, 0xa5],
    // STI; HLT; IN AL, 0x60; OUT 0x20, AL; REP INSB; REP OUTSB.
    &[0xfb, 0xf4, 0xe4, 0x60, 0xe6, 0x20, 0xf3, 0x6c, 0xf3, 0x6e],
    // MOV EAX, 0x10f01; MOV DR7, EAX; MOV EAX, 0x3000; MOV DR0, EAX; MOV [EAX], EAX; PUSHFD; OR [ESP], 0x100; POPFD.
    &[
        0xb8, 1, 0x0f, 1, 0, 0x0f, 0x23, 0xf8, 0xb8, 0, 0x30, 0, 0, 0x0f, 0x23, 0xc0, 0x89, 0, 0x9c, 0x81, 0x0c, 0x24,
        0, 1, 0, 0, 0x9d,
    ],
    // FNINIT; FLDPI; FSIN; FSTP [0x3ffa]; MOVUPS XMM0, [0x3ff8]; FXSAVE [0x3000]; CMPXCHG8B [0x3ffc].
    &[
        0xdb, 0xe3, 0xd9, 0xeb, 0xd9, 0xfe, 0xdb, 0x3d, 0xfa, 0x3f, 0, 0, 0x0f, 0x10, 0x05, 0xf8, 0x3f, 0, 0, 0x0f,
        0xae, 0x05, 0, 0x30, 0, 0, 0x0f, 0xc7, 0x0d, 0xfc, 0x3f, 0, 0,
    ],
    // The local APIC: MOV EAX, 0xFEE00000; MOV [EAX + 0xF0], 0x1FF; MOV [EAX + 0x300], 0x40030; STI; NOP.
    &[
        0xb8, 0, 0, 0xe0, 0xfe, 0xc7, 0x80, 0xf0, 0, 0, 0, 0xff, 1, 0, 0, 0xc7, 0x80, 0, 3, 0, 0, 0x30, 0, 4, 0, 0xfb,
        0x90,
    ],
    // LAR, LSL, VERR, VERW, ARPL, LDS, LSS, BOUND, ENTER, LEAVE.
    &[
        0x0f, 2, 0xc3, 0x0f, 3, 0xc3, 0x0f, 0, 0xe3, 0x0f, 0, 0xeb, 0x63, 0xd8, 0xc5, 0x06, 0x0f, 0xb2, 0x26, 0x62,
        0x06, 0xc8, 8, 0, 3, 0xc9,
    ],
    // Round and round: LOOP to itself, JMP to the beginning.
    &[0xb9, 9, 0, 0, 0, 0xe2, 0xfe, 0xe9, 0xf4, 0xff, 0xff, 0xff],
];

/// Base, limit and kind of an entry of a descriptor table.
fn descriptor(base: u64, limit: u64, access: u64) -> u64 {
    limit & 0xffff | (limit >> 16 & 0xf) << 48 | (base & 0xff_ffff) << 16 | (access & 0xff) << 40 | (access >> 8) << 52
}

/// The offset of a gate, its selector and its kind.
fn gate(offset: u64, selector: u64, access: u64) -> u64 {
    offset & 0xffff | selector << 16 | access << 40
}

/// Tables, page tables and task state that all have.
fn memory() -> Vec<u8> {
    let gdt = [
        0,
        descriptor(0, 0xf_ffff, 0xc9b),
        descriptor(0, 0xf_ffff, 0xc93),
        descriptor(0, 0xf_ffff, 0xcfb),
        descriptor(0, 0xf_ffff, 0xcf3),
        descriptor(0x3000, 0x67, 0x89),
        descriptor(0x3000, 0x67, 0x8b),
        gate(0x1040, 8, 0xec),
        descriptor(0x2400, 0xff, 0x82),
        gate(0, 0x50, 0xe5),
        descriptor(0x3100, 0x67, 0xe9),
        descriptor(0, 0xffff, 0x9b),
        descriptor(0, 0xffff, 0x93),
    ];
    // An interrupt returns, but some go through a task gate or to another privilege.
    let idt: [u64; 32] = std::array::from_fn(|vector| match vector {
        8 => gate(0, 0x50, 0x85),
        3 | 4 => gate(0x1800, 8, 0xef),
        _ => gate(0x1800, 8, 0x8e),
    });
    let words = |numbers: &[u64]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    // ESP0 and SS0, then CR3, EIP, EFLAGS, and the segments of a task.
    let task = [(4, 0x7000), (8, 0x10), (28, 0x4000), (32, 0x1040), (36, 2), (56, 0x7400)];
    let registers = [(72, 0x10), (76, 8), (80, 0x10), (84, 0x10), (100, 0x68 << 16)];
    let mut pieces = [piece(0x2000, &words(&gdt)), piece(0x2800, &words(&idt[..31])), piece(0x1800, &[0xcf])].concat();
    for (offset, value) in task.into_iter().chain(registers) {
        for base in [0x3000, 0x3100] {
            pieces.extend(piece(base + offset, &u32::to_le_bytes(value)));
        }
    }
    // One table of 16 pages, and the same with PAE: pointers at 0x6000, a directory of one large page at 0x6800.
    let pages: Vec<u8> = (0..16_u32).flat_map(|page| (page << 12 | 7).to_le_bytes()).collect();
    pieces.extend([piece(0x4000, &[7, 0x50, 0, 0]), piece(0x5000, &pages)].concat());
    pieces.extend([piece(0x6000, &words(&[0x6801])), piece(0x6000 | 0x800, &words(&[0x87]))].concat());
    pieces
}

/// All cases to begin with: each code in protected mode, with paging, in real mode and at privilege 3.
pub fn all() -> Vec<Vec<u8>> {
    let flat = |selector: u32, access: u32| [selector, 0, u32::MAX, access];
    let task = [0x28, 0x3000, 0x67, 0x8b];
    let protected = Guest {
        general: [0, 20, 0x60, 0x23, 0x7000, 0x7000, 0x3000, 0x3800],
        eip: 0x1000,
        eflags: 2,
        cr0: 0x11,
        cr3: 0x4000,
        cr4: 0x610,
        noise: 1,
        gdt: [0x2000, 0x67],
        idt: [0x2800, 0xff],
        segments: [flat(8, 0xc09b), flat(16, 0xc093), task],
    };
    let paged = Guest { cr0: 0x8005_0033, ..protected.clone() };
    let small = |access: u32| [0, 0, 0xffff, access];
    let real = Guest { cr0: 0x10, idt: [0, 0x3ff], segments: [small(0x9b), small(0x93), task], ..protected.clone() };
    let user = Guest { eflags: 0x4_3202, segments: [flat(0x1b, 0xc0fb), flat(0x23, 0xc0f3), task], ..paged.clone() };
    let mut cases = Vec::new();
    for guest in [protected, paged, real, user] {
        for code in CODES {
            cases.push([guest.write(), memory(), piece(0x1000, code), piece(0x1040, &[0x90, 0xeb, 0xfe])].concat());
        }
    }
    cases
}
