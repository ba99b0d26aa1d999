//! The guest's code: it restores the tables, changes them as a case says, enters the case, and records how that ends.

use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, CodeLabel, al, ax, byte_ptr, cr0, cr2, cr3, cr4, ds, dword_ptr, dx, eax, ebx, ecx, edi, edx, es,
    esi, esp, fs, gs, ptr, ss,
};

use crate::layout::*;

mod record;

pub use record::{CONTROL, DUMP, DUMPED, EFLAGS, ESP, GENERAL, KEPT, LDTR, SELECTORS, TR, VECTOR};

/// Its variables: what LGDT and LIDT read, the case at hand and its number, where the next record goes, the sum of all
/// records, what is expected next (0: nothing is, and all is printed).
const GDTR: u32 = VARIABLES;
const IDTR: u32 = VARIABLES + 8;
const CASE: u32 = VARIABLES + 0x10;
const NUMBER: u32 = VARIABLES + 0x14;
const OUT: u32 = VARIABLES + 0x18;
const SUM: u32 = VARIABLES + 0x1c;
const EXPECTED: u32 = VARIABLES + 0x20;
const OUT_START: u32 = VARIABLES + 0x24;
/// Whether each case's number is printed before it.
const TELLS: u32 = VARIABLES + 0x28;
/// The words of a case by their number: see `case.rs`.
const CASE_CR0: u32 = 1;
const CASE_CR4: u32 = 2;
const CASE_LDT: u32 = 3;
const CASE_PATCHES: u32 = 4;
const CASE_BLOCK: u32 = 5;
const CASE_REST: u32 = 6;

type Emitted = Result<(), IcedError>;

/// What is not the same in each image.
pub struct Settings {
    /// Where what is expected lies, or 0.
    pub expected: u32,
    /// Where records go.
    pub out: u32,
    /// Whether each case's number is printed before it.
    pub tells: bool,
}

/// The variables as they are at first.
pub fn variables(settings: &Settings) -> Vec<u8> {
    let mut bytes = vec![0; 0x40];
    let mut put = |at: u32, value: u32| {
        bytes[(at - VARIABLES) as usize..][..4].copy_from_slice(&value.to_le_bytes());
    };
    put(GDTR, GDT << 16 | GDT_LIMIT);
    put(IDTR, IDT << 16 | IDT_LIMIT);
    put(CASE, CASES);
    put(OUT, settings.out);
    put(OUT_START, settings.out);
    put(EXPECTED, settings.expected);
    put(TELLS, settings.tells.into());
    bytes
}

/// The supervisor, and its stubs, with their addresses.
///
/// # Errors
/// When an instruction does not exist.
pub fn code() -> Result<Vec<(u64, Vec<u8>)>, IcedError> {
    let mut asm = CodeAssembler::new(32)?;
    let [mut next, mut finish, mut caught] = [asm.create_label(), asm.create_label(), asm.create_label()];
    // The stubs come here: it has to lie where they know it.
    let mut begin = asm.create_label();
    asm.jmp(begin)?;
    asm.nops_with_size(CAUGHT as usize - 5)?;
    asm.set_label(&mut caught)?;
    record::save(&mut asm)?;
    record::write(&mut asm)?;
    record::judge(&mut asm)?;
    asm.jmp(next)?;
    asm.set_label(&mut begin)?;
    begin_all(&mut asm)?;
    asm.set_label(&mut next)?;
    enter(&mut asm, finish)?;
    asm.set_label(&mut finish)?;
    print_all(&mut asm)?;
    let mut stubs = Vec::new();
    for vector in 0..=255_u32 {
        let behind = STUBS + STUB_SIZE * (vector + 1);
        stubs.push(0x68);
        stubs.extend(vector.to_le_bytes());
        stubs.push(0xe9);
        stubs.extend((SUPERVISOR + CAUGHT).wrapping_sub(behind).to_le_bytes());
    }
    Ok(vec![(SUPERVISOR.into(), asm.assemble(SUPERVISOR.into())?), (STUBS.into(), stubs)])
}

/// Where what all stubs lead to begins.
const CAUGHT: u32 = 16;

fn begin_all(asm: &mut CodeAssembler) -> Emitted {
    asm.mov(esp, SUPERVISOR_STACK)?;
    asm.cld()?;
    // No interrupt comes from outside.
    asm.mov(al, 0xff)?;
    asm.out(0x21, al)?;
    asm.out(0xa1, al)?;
    restore(asm)?;
    asm.lgdt(ptr(GDTR))?;
    asm.lidt(ptr(IDTR))?;
    let mut inside = asm.create_label();
    asm.push(u32::from(CODES[0]))?;
    asm.call(inside)?;
    asm.set_label(&mut inside)?;
    // Behind the RETF.
    asm.add(dword_ptr(esp), 5)?;
    asm.retf()?;
    asm.mov(eax, u32::from(DATAS[0]))?;
    asm.mov(ds, eax)?;
    asm.mov(es, eax)?;
    asm.mov(ss, eax)?;
    asm.mov(eax, CR4)?;
    asm.mov(cr4, eax)?;
    asm.mov(eax, DIRECTORY)?;
    asm.mov(cr3, eax)?;
    asm.mov(eax, CR0)?;
    asm.mov(cr0, eax)
}

/// Copies the templates.
fn restore(asm: &mut CodeAssembler) -> Emitted {
    for (start, words) in RANGES {
        asm.mov(esi, start + TEMPLATE)?;
        asm.mov(edi, start)?;
        asm.mov(ecx, words)?;
        asm.rep().movsd()?;
    }
    Ok(())
}

/// Writes a column of the case's patches into the templates: the new values, or the old ones.
fn patch(asm: &mut CodeAssembler, column: u32) -> Emitted {
    let (mut again, mut done) = (asm.create_label(), asm.create_label());
    asm.mov(ecx, dword_ptr(ebx + 4 * CASE_PATCHES))?;
    asm.lea(esi, ptr(ebx + 4 * CASE_REST))?;
    asm.set_label(&mut again)?;
    asm.test(ecx, ecx)?;
    asm.je(done)?;
    asm.mov(edi, dword_ptr(esi))?;
    asm.mov(eax, dword_ptr(esi + 4 * column))?;
    asm.mov(dword_ptr(edi + TEMPLATE), eax)?;
    asm.add(esi, 12)?;
    asm.dec(ecx)?;
    asm.jmp(again)?;
    asm.set_label(&mut done)?;
    asm.nop()
}

fn enter(asm: &mut CodeAssembler, finish: CodeLabel) -> Emitted {
    asm.mov(ebx, dword_ptr(CASE))?;
    asm.cmp(dword_ptr(ebx), 0)?;
    asm.je(finish)?;
    let mut silent = asm.create_label();
    asm.cmp(dword_ptr(TELLS), 0)?;
    asm.je(silent)?;
    print(asm, NUMBER, 4)?;
    asm.set_label(&mut silent)?;
    patch(asm, 1)?;
    restore(asm)?;
    asm.mov(eax, DIRECTORY)?;
    asm.mov(cr3, eax)?;
    // Stacks begin empty.
    asm.mov(eax, 0x5a5a_5a5a)?;
    for end in [INNER_STACKS[0], INNER_STACKS[1], INNER_STACKS[2], STACK, FAULT_STACK] {
        asm.mov(edi, end - 0x40)?;
        asm.mov(ecx, 0x20)?;
        asm.rep().stosd()?;
    }
    asm.mov(eax, dword_ptr(ebx + 4 * CASE_LDT))?;
    asm.lldt(ax)?;
    asm.and(byte_ptr(GDT + u32::from(TASK) + 5), 0xfd)?;
    asm.mov(eax, u32::from(TASK))?;
    asm.ltr(ax)?;
    asm.xor(eax, eax)?;
    asm.mov(cr2, eax)?;
    let (mut same_cr4, mut same_cr0) = (asm.create_label(), asm.create_label());
    asm.mov(eax, dword_ptr(ebx + 4 * CASE_CR4))?;
    asm.cmp(eax, CR4)?;
    asm.je(same_cr4)?;
    asm.mov(cr4, eax)?;
    asm.set_label(&mut same_cr4)?;
    asm.mov(eax, dword_ptr(ebx + 4 * CASE_CR0))?;
    asm.cmp(eax, CR0.cast_signed())?;
    asm.je(same_cr0)?;
    asm.mov(cr0, eax)?;
    asm.set_label(&mut same_cr0)?;
    // What follows the patches is taken from the top of the stack.
    asm.mov(eax, dword_ptr(ebx + 4 * CASE_PATCHES))?;
    asm.lea(eax, ptr(eax + eax * 2))?;
    asm.lea(esi, ptr(ebx + eax * 4 + 4 * CASE_REST))?;
    asm.mov(ecx, dword_ptr(ebx + 4 * CASE_BLOCK))?;
    asm.lea(eax, ptr(ecx * 4))?;
    asm.mov(edi, STACK)?;
    asm.sub(edi, eax)?;
    asm.mov(esp, edi)?;
    asm.rep().movsd()?;
    asm.pop(es)?;
    asm.pop(fs)?;
    asm.pop(gs)?;
    asm.popad()?;
    asm.pop(ds)?;
    asm.iretd()
}

/// Prints bytes.
fn print(asm: &mut CodeAssembler, at: u32, bytes: u32) -> Emitted {
    asm.mov(esi, at)?;
    asm.mov(ecx, bytes)?;
    asm.mov(edx, 0x3f8)?;
    asm.rep().outsb()
}

/// How many cases there were, the sum of all records, and those that were kept.
fn print_all(asm: &mut CodeAssembler) -> Emitted {
    print(asm, NUMBER, 4)?;
    print(asm, SUM, 4)?;
    asm.mov(esi, dword_ptr(OUT_START))?;
    asm.mov(ecx, dword_ptr(OUT))?;
    asm.sub(ecx, esi)?;
    asm.rep().outsb()?;
    asm.mov(edx, 0xf4)?;
    asm.xor(eax, eax)?;
    asm.out(dx, eax)?;
    asm.hlt()
}
