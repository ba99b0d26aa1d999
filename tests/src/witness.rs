//! The witness: a guest that prints the state in which it is entered, and a sum of its memory, and ends with status 0. Whoever
//! enters it rightly gets the same text.

use std::fs;
use std::path::{Path, PathBuf};

use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, al, ax, cr0, cr3, cr4, cs, dr7, ds, dword_ptr, dx, eax, ebx, ecx, edx, es, esi, esp, fs, gs, ptr, ss,
};
use stos_image::{
    CR0_ET, CR0_PE, CR4_PSE, EFLAGS_FIXED, EntryState, GeneralRegisters, GuestRange, Permissions, Region, RegionKind,
    Segment, Segments, TableRegister,
};

use crate::bare::{BareGuest, flat_entry};

/// Where the witness begins, and its memory ends.
const CODE: u32 = 0x10_0000;
const MEMORY: u32 = 16 << 20;
/// Its stack, and a text with the hexadecimal digits.
const STACK: u32 = 0x9000;
const DIGITS: u32 = 0x3000;
/// The one page below 1 MiB that it leaves to the exporter.
const HANDOVER: u32 = 0x4000;
/// Where its FS begins.
const FS: u32 = 0x3100;

/// An image of the witness in `folder`.
///
/// # Panics
/// When it can't be written.
pub fn image(folder: &Path) -> PathBuf {
    let path = folder.join("witness.img");
    write_guest(&path, &entry(), &pieces());
    path
}

/// Writes the image of a guest in which all but one page below 1 MiB is owned.
///
/// # Panics
/// When it can't be written.
pub fn write_guest(path: &Path, entry: &EntryState, pieces: &[(u64, Vec<u8>)]) {
    let region = |start: u32, end: u32| Region {
        range: GuestRange::new(start.into(), (end - start).into()),
        kind: RegionKind::Hole,
        permissions: Permissions::NONE,
        name: format!("memory from {start:#x}"),
    };
    let mut guest = BareGuest::entered_in(entry.clone());
    guest.description.memory_size = MEMORY.into();
    guest.description.regions = vec![region(0, HANDOVER), region(HANDOVER + 0x1000, 0xa_0000)];
    let guest = pieces.iter().fold(guest, |guest, (start, bytes)| guest.with(*start, bytes));
    fs::write(path, guest.image()).unwrap();
}

/// A state in which no two registers are alike.
fn entry() -> EntryState {
    let flat = flat_entry(CODE);
    let data = Segment::flat(0x18, Segment::DATA_ACCESS);
    EntryState {
        general: GeneralRegisters {
            eax: 0x0a0a_0a0a,
            ebx: 0x0b0b_0b0b,
            ecx: 0x0c0c_0c0c,
            edx: 0x0d0d_0d0d,
            esi: 0x0e0e_0e0e,
            edi: 0x0f0f_0f0f,
            ebp: 0x1a1a_1a1a,
            esp: STACK,
        },
        // Below CS's base, so that the address wraps.
        eip: CODE.wrapping_sub(0x20_0000),
        // CF, DF and IOPL 3.
        eflags: EFLAGS_FIXED | 0x3401,
        cr0: CR0_PE | CR0_ET | 1 << 16,
        cr3: 0x2000,
        cr4: CR4_PSE | 1 << 7,
        gdtr: TableRegister { base: 0x1234_5678, limit: 0x9abf },
        idtr: TableRegister { base: 0x8765_4321, limit: 0x7ff },
        segments: Segments {
            cs: Segment { base: 0x20_0000, ..flat.segments.cs },
            ds: data.clone(),
            es: data,
            fs: Segment { selector: 0x40, base: FS, limit: 0xff, access: 0x4093 },
            gs: Segment::default(),
            tr: Segment { selector: 0x28, ..flat.segments.tr },
            ss: flat.segments.ss,
        },
    }
}

/// What its memory holds, and where; the rest is zero.
///
/// # Panics
/// When its code can't be assembled.
pub fn pieces() -> Vec<(u64, Vec<u8>)> {
    let code = code().unwrap_or_else(|error| panic!("the witness can't be assembled: {error}"));
    vec![
        (CODE.into(), code),
        (DIGITS.into(), b"0123456789ABCDEF".to_vec()),
        (FS.into(), b"this is FS".to_vec()),
        // Content in a place of each sort: among the firmware's variables, below 1 MiB, in the middle, at the end.
        (0x410, b"variables".to_vec()),
        (0x9_8fff, b"low".to_vec()),
        (0x70_1001, vec![0x5a; 0x3000]),
        (u64::from(MEMORY) - 4, b"last".to_vec()),
    ]
}

fn code() -> Result<Vec<u8>, IcedError> {
    let mut asm = CodeAssembler::new(32)?;
    asm.pushad()?;
    asm.pushfd()?;
    asm.cld()?;
    for segment in [cs, ds, es, fs, gs, ss] {
        asm.xor(eax, eax)?;
        asm.mov(ax, segment)?;
        asm.push(eax)?;
    }
    asm.mov(eax, dword_ptr(0).fs())?;
    asm.push(eax)?;
    asm.mov(eax, cr0)?;
    asm.push(eax)?;
    asm.mov(eax, cr3)?;
    asm.push(eax)?;
    asm.mov(eax, cr4)?;
    asm.push(eax)?;
    asm.mov(eax, dr7)?;
    asm.push(eax)?;
    asm.xor(eax, eax)?;
    asm.str(ax)?;
    asm.push(eax)?;
    asm.sldt(ax)?;
    asm.push(eax)?;
    for _ in 0..4 {
        asm.push(0)?;
    }
    asm.sgdt(ptr(esp).ss())?;
    asm.sidt(ptr(esp + 8).ss())?;
    // A sum that depends on the order: of all memory but the handover's, the firmware's data and the PC's hole.
    asm.xor(ebx, ebx)?;
    for (start, end) in [(0, HANDOVER), (HANDOVER + 0x1000, 0x9_fc00), (0x10_0000, MEMORY)] {
        let mut next = asm.create_label();
        asm.mov(esi, start)?;
        asm.set_label(&mut next)?;
        asm.lodsd()?;
        asm.add(ebx, eax)?;
        asm.rol(ebx, 1)?;
        asm.cmp(esi, end)?;
        asm.jne(next)?;
    }
    asm.push(ebx)?;
    // Each word of the stack in hexadecimal, and a space after it.
    let (mut word, mut digit, mut wait) = (asm.create_label(), asm.create_label(), asm.create_label());
    asm.mov(esi, esp)?;
    asm.mov(ebx, DIGITS)?;
    asm.set_label(&mut word)?;
    asm.mov(ecx, 8)?;
    asm.set_label(&mut digit)?;
    asm.rol(dword_ptr(esi), 4)?;
    asm.mov(eax, dword_ptr(esi))?;
    asm.and(eax, 15)?;
    asm.xlatb()?;
    asm.mov(edx, 0x3f8)?;
    asm.out(dx, al)?;
    asm.mov(edx, 0x3fd)?;
    asm.set_label(&mut wait)?;
    asm.in_(al, dx)?;
    asm.test(al, 0x20)?;
    asm.je(wait)?;
    asm.dec(ecx)?;
    asm.jne(digit)?;
    asm.mov(al, u32::from(b' '))?;
    asm.mov(edx, 0x3f8)?;
    asm.out(dx, al)?;
    asm.add(esi, 4)?;
    asm.cmp(esi, STACK)?;
    asm.jne(word)?;
    asm.mov(edx, 0xf4)?;
    asm.xor(eax, eax)?;
    asm.out(dx, eax)?;
    asm.hlt()?;
    asm.assemble(CODE.into())
}
