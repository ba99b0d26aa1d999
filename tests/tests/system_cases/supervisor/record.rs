//! The record of how a case ended: registers, the top of the stack, and what of the tables is another.

use iced_x86::code_asm::{
    CodeAssembler, ax, cr0, cr2, cr3, cr4, dr6, dr7, ds, dword_ptr, eax, ebp, ebx, ecx, edi, edx, es, esi, esp, fs, gs,
    ptr, ss,
};

use super::{CASE, CASE_LDT, EXPECTED, Emitted, GDTR, IDTR, NUMBER, OUT, SUM, patch};
use crate::layout::*;

/// How many words of the tables are others.
const DIFFERENCES: u32 = VARIABLES + 0x2c;
/// What a record begins with.
const SAVED: u32 = VARIABLES + 0x40;

/// The words of a record by their number, up to the stack, and what follows.
pub const VECTOR: u32 = 0;
pub const ESP: u32 = 1;
pub const SELECTORS: u32 = 2;
pub const EFLAGS: u32 = 7;
pub const TR: u32 = 8;
pub const LDTR: u32 = 9;
pub const CONTROL: u32 = 10;
pub const GENERAL: u32 = 14;
pub const DUMP: u32 = 21;
pub const DUMPED: u32 = 16;
/// The most changes of tables that are kept.
pub const KEPT: u32 = 48;

/// RF. QEMU pushes it clear (Intel SDM volume 3B, section 17.3.1.1), so that it is left out.
const RF: i32 = 1 << 16;

/// Saves all registers, and goes on with those of the supervisor.
pub(super) fn save(asm: &mut CodeAssembler) -> Emitted {
    let saved = |word: u32| dword_ptr(SAVED + 4 * word);
    asm.push(ds)?;
    asm.push(u32::from(DATAS[0]))?;
    asm.pop(ds)?;
    asm.mov(saved(GENERAL), eax)?;
    asm.pop(eax)?;
    asm.movzx(eax, ax)?;
    asm.mov(saved(SELECTORS + 1), eax)?;
    asm.pop(eax)?;
    asm.mov(saved(VECTOR), eax)?;
    asm.mov(saved(ESP), esp)?;
    asm.pushfd()?;
    asm.pop(eax)?;
    asm.mov(saved(EFLAGS), eax)?;
    for (word, register) in [(1, ecx), (2, edx), (3, ebx), (4, ebp), (5, esi), (6, edi)] {
        asm.mov(saved(GENERAL + word), register)?;
    }
    for (word, register) in [(0, ss), (2, es), (3, fs), (4, gs)] {
        asm.xor(eax, eax)?;
        asm.mov(ax, register)?;
        asm.mov(saved(SELECTORS + word), eax)?;
    }
    asm.mov(eax, u32::from(DATAS[0]))?;
    asm.mov(ss, eax)?;
    asm.mov(esp, SUPERVISOR_STACK)?;
    asm.mov(es, eax)?;
    asm.mov(fs, eax)?;
    asm.mov(gs, eax)?;
    asm.push(2)?;
    asm.popfd()?;
    asm.xor(eax, eax)?;
    asm.str(ax)?;
    asm.mov(saved(TR), eax)?;
    asm.sldt(ax)?;
    asm.mov(saved(LDTR), eax)?;
    for (word, register, usual) in [(0, cr0, CR0), (2, cr3, DIRECTORY), (3, cr4, CR4)] {
        let mut same = asm.create_label();
        asm.mov(eax, register)?;
        asm.mov(saved(CONTROL + word), eax)?;
        asm.mov(ecx, usual)?;
        asm.cmp(eax, ecx)?;
        asm.je(same)?;
        asm.mov(register, ecx)?;
        asm.set_label(&mut same)?;
    }
    asm.mov(eax, cr2)?;
    asm.mov(saved(CONTROL + 1), eax)?;
    asm.lgdt(ptr(GDTR))?;
    asm.lidt(ptr(IDTR))
}

/// Writes the record behind two words, which are its number and its length.
pub(super) fn write(asm: &mut CodeAssembler) -> Emitted {
    asm.mov(edi, dword_ptr(OUT))?;
    asm.add(edi, 8)?;
    asm.mov(esi, SAVED)?;
    asm.mov(ecx, DUMP)?;
    asm.rep().movsd()?;
    let (mut nowhere, mut dumped) = (asm.create_label(), asm.create_label());
    asm.mov(ecx, DUMPED)?;
    asm.mov(esi, dword_ptr(SAVED + 4 * ESP))?;
    asm.cmp(esi, 0xf000)?;
    asm.ja(nowhere)?;
    asm.rep().movsd()?;
    asm.jmp(dumped)?;
    asm.set_label(&mut nowhere)?;
    asm.xor(eax, eax)?;
    asm.rep().stosd()?;
    asm.set_label(&mut dumped)?;
    for place in [2, 3] {
        asm.and(dword_ptr(edi - 4 * (DUMPED - place)), !RF)?;
    }
    // How many words of the tables are others, and which: EBP is where they go.
    asm.mov(ebp, edi)?;
    asm.add(ebp, 4)?;
    asm.mov(dword_ptr(DIFFERENCES), 0)?;
    for (start, words) in RANGES {
        let [mut again, mut done, mut left_out] = [asm.create_label(), asm.create_label(), asm.create_label()];
        asm.push(edi)?;
        asm.mov(esi, start + TEMPLATE)?;
        asm.mov(edi, start)?;
        asm.mov(ecx, words)?;
        asm.set_label(&mut again)?;
        // With ECX 0 it leaves the flags as they are.
        asm.cmp(eax, eax)?;
        asm.repe().cmpsd()?;
        asm.je(done)?;
        asm.lea(eax, ptr(edi - 4))?;
        asm.mov(edx, eax)?;
        asm.sub(edx, dword_ptr(SAVED + 4 * ESP))?;
        asm.cmp(edx, 4 * DUMPED)?;
        asm.jb(left_out)?;
        asm.inc(dword_ptr(DIFFERENCES))?;
        asm.cmp(dword_ptr(DIFFERENCES), KEPT)?;
        asm.ja(left_out)?;
        asm.mov(dword_ptr(ebp), eax)?;
        asm.mov(eax, dword_ptr(eax))?;
        asm.mov(dword_ptr(ebp + 4), eax)?;
        asm.add(ebp, 8)?;
        asm.set_label(&mut left_out)?;
        asm.test(ecx, ecx)?;
        asm.jne(again)?;
        asm.set_label(&mut done)?;
        asm.pop(edi)?;
    }
    asm.mov(eax, dword_ptr(DIFFERENCES))?;
    asm.mov(dword_ptr(edi), eax)?;
    // Its number, and its length in words.
    asm.mov(edi, dword_ptr(OUT))?;
    asm.mov(eax, dword_ptr(NUMBER))?;
    asm.mov(dword_ptr(edi), eax)?;
    asm.lea(ecx, ptr(ebp - 8))?;
    asm.sub(ecx, edi)?;
    asm.shr(ecx, 2)?;
    asm.mov(dword_ptr(edi + 4), ecx)
}

/// Sums the record up, keeps it unless it is what was expected, and goes on to the next case.
pub(super) fn judge(asm: &mut CodeAssembler) -> Emitted {
    let [mut sum, mut kept, mut over] = [asm.create_label(), asm.create_label(), asm.create_label()];
    asm.mov(eax, dword_ptr(SUM))?;
    asm.lea(esi, ptr(edi + 4))?;
    asm.lea(edx, ptr(ecx + 1))?;
    asm.set_label(&mut sum)?;
    asm.rol(eax, 1)?;
    asm.add(eax, dword_ptr(esi))?;
    asm.add(esi, 4)?;
    asm.dec(edx)?;
    asm.jne(sum)?;
    asm.mov(dword_ptr(SUM), eax)?;
    // What is expected begins with its length, too.
    asm.mov(edi, dword_ptr(EXPECTED))?;
    asm.test(edi, edi)?;
    asm.je(kept)?;
    asm.mov(eax, dword_ptr(edi))?;
    asm.lea(eax, ptr(edi + eax * 4 + 4))?;
    asm.mov(dword_ptr(EXPECTED), eax)?;
    asm.mov(esi, dword_ptr(OUT))?;
    asm.add(esi, 4)?;
    asm.inc(ecx)?;
    asm.repe().cmpsd()?;
    asm.je(over)?;
    asm.set_label(&mut kept)?;
    asm.mov(dword_ptr(OUT), ebp)?;
    asm.set_label(&mut over)?;
    asm.mov(ebx, dword_ptr(CASE))?;
    patch(asm, 2)?;
    let mut undebugged = asm.create_label();
    asm.test(dword_ptr(ebx + 4 * CASE_LDT), 1 << 16)?;
    asm.je(undebugged)?;
    asm.xor(eax, eax)?;
    asm.mov(dr7, eax)?;
    asm.mov(dr6, eax)?;
    asm.set_label(&mut undebugged)?;
    asm.mov(eax, dword_ptr(ebx))?;
    asm.add(dword_ptr(CASE), eax)?;
    asm.inc(dword_ptr(NUMBER))
}
