//! The code of the witness, and where what it uses lies.

use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, al, ax, cr0, cr3, cr4, cs, dr7, ds, dword_ptr, dx, eax, ebx, ecx, edx, es, esi, esp, fs, gs, ptr, ss,
};

/// Where the witness begins.
pub const CODE: u32 = 0x10_0000;
/// Its stack, and a text with the hexadecimal digits.
pub const STACK: u32 = 0x9000;
pub const DIGITS: u32 = 0x3000;
/// The one page below 1 MiB that it leaves to the exporter.
pub const HANDOVER: u32 = 0x4000;
/// Where its FS begins.
pub const FS: u32 = 0x3100;

/// Memory of which it prints a sum: all below `end` but the handover's, the firmware's data and the PC's hole.
pub const fn summed(end: u32) -> [(u32, u32); 3] {
    [(0, HANDOVER), (HANDOVER + 0x1000, 0x9_fc00), (0x10_0000, end)]
}

/// The code, which sums up memory below `end`.
///
/// # Errors
/// When an instruction does not exist.
pub fn code(end: u32) -> Result<Vec<u8>, IcedError> {
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
    // A sum that depends on the order.
    asm.xor(ebx, ebx)?;
    for (start, end) in summed(end) {
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
