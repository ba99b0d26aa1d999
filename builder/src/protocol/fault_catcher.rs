//! The fault catcher: machine code that reports an exception which the kernel can't handle yet.

use iced_x86::IcedError;
use iced_x86::code_asm::{
    AsmRegister32, CodeAssembler, CodeLabel, al, ax, cr0, cr2, cr3, cr4, ds, dword_ptr, dx, eax, ebx, ecx, edx, es,
    esp, fs, gs, ptr, ss, word_ptr,
};
use stos_image::{FAULT_MAGIC, fault_offset};
use stos_x86::interrupts::{DOUBLE_FAULT, has_error_code};
use stos_x86::ports;
use stos_x86::tasks::tss_offset;

use super::descriptors::RUNNING_TSS_SELECTOR;
use super::trampoline::halt;
use crate::plan::layout::{BOOT_CODE, EXCEPTION_VECTORS, FAULT_RECORD, TSS};

/// Where the CPU enters the fault catcher.
pub struct Entries {
    /// The handler of each exception vector, in their order; the first is the fault catcher's first instruction.
    pub handlers: Vec<CodeLabel>,
    /// What a double fault's task begins with.
    pub double_fault: CodeLabel,
}

/// Adds the fault catcher to `asm`.
pub fn fault_catcher(asm: &mut CodeAssembler) -> Result<Entries, IcedError> {
    let mut common = asm.create_label();
    let mut handlers = Vec::new();
    for vector in 0..EXCEPTION_VECTORS {
        handlers.push(stub(asm, vector, common)?);
    }
    let mut finish = asm.create_label();
    asm.set_label(&mut common)?;
    catcher(asm, finish)?;
    let mut task = asm.create_label();
    asm.set_label(&mut task)?;
    double_fault(asm)?;
    asm.set_label(&mut finish)?;
    complete(asm)?;
    Ok(Entries { handlers, double_fault: task })
}

/// The handler of one vector: makes the stack look alike for all of them.
fn stub(asm: &mut CodeAssembler, vector: u8, common: CodeLabel) -> Result<CodeLabel, IcedError> {
    let mut start = asm.create_label();
    asm.set_label(&mut start)?;
    if !has_error_code(vector) {
        asm.push(0)?;
    }
    asm.push(u32::from(vector))?;
    asm.jmp(common)?;
    Ok(start)
}

/// Sets EBX to the fault record. The code works at its physical and at its kernel address, so it finds the record relative
/// to itself.
fn find_record(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut here = asm.create_label();
    asm.call(here)?;
    asm.set_label(&mut here)?;
    asm.pop(ebx)?;
    // The code lies in one page; the record's distance from that page is the same in both mappings.
    asm.and(ebx, !0xfff_u32)?;
    asm.add(ebx, FAULT_RECORD.wrapping_sub(BOOT_CODE))
}

/// Stores `register` into the record that EBX points to, through SS: the one data segment that just proved usable.
fn store(asm: &mut CodeAssembler, offset: u32, register: AsmRegister32) -> Result<(), IcedError> {
    asm.mov(dword_ptr(ebx + offset).ss(), register)
}

/// Saves the state of the code that faulted on this stack into the fault record.
fn catcher(asm: &mut CodeAssembler, finish: CodeLabel) -> Result<(), IcedError> {
    // From ESP up: EDI ESI EBP ESP EBX EDX ECX EAX, vector, error code, EIP, CS, EFLAGS.
    asm.pushad()?;
    find_record(asm)?;
    let saved = [
        (0, fault_offset::edi),
        (4, fault_offset::esi),
        (8, fault_offset::ebp),
        (16, fault_offset::ebx),
        (20, fault_offset::edx),
        (24, fault_offset::ecx),
        (28, fault_offset::eax),
        (32, fault_offset::vector),
        (36, fault_offset::error_code),
        (40, fault_offset::eip),
        (44, fault_offset::cs),
        (48, fault_offset::eflags),
    ];
    for (from, to) in saved {
        asm.mov(eax, dword_ptr(esp + from).ss())?;
        store(asm, to, eax)?;
    }
    // ESP before the exception: above everything that the CPU and the stub pushed.
    asm.lea(eax, ptr(esp + 52))?;
    store(asm, fault_offset::esp, eax)?;
    for (segment, to) in [
        (ds, fault_offset::ds),
        (es, fault_offset::es),
        (fs, fault_offset::fs),
        (gs, fault_offset::gs),
        (ss, fault_offset::ss),
    ] {
        asm.xor(eax, eax)?;
        asm.mov(ax, segment)?;
        store(asm, to, eax)?;
    }
    asm.xor(eax, eax)?;
    asm.str(ax)?;
    store(asm, fault_offset::tr, eax)?;
    asm.jmp(finish)
}

/// Where the task of a double fault begins, on a stack of its own that holds the error code: saves the state of the other
/// task, which the CPU has put into its TSS (Intel SDM volume 3A, section 8.3).
fn double_fault(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    asm.pop(ecx)?;
    find_record(asm)?;
    store(asm, fault_offset::error_code, ecx)?;
    asm.mov(dword_ptr(ebx + fault_offset::vector).ss(), u32::from(DOUBLE_FAULT))?;
    asm.mov(dword_ptr(ebx + fault_offset::tr).ss(), u32::from(RUNNING_TSS_SELECTOR))?;
    let words = [
        (tss_offset::EIP, fault_offset::eip),
        (tss_offset::EFLAGS, fault_offset::eflags),
        (tss_offset::EAX, fault_offset::eax),
        (tss_offset::EAX + 4, fault_offset::ecx),
        (tss_offset::EAX + 8, fault_offset::edx),
        (tss_offset::EAX + 12, fault_offset::ebx),
        (tss_offset::ESP, fault_offset::esp),
        (tss_offset::ESP + 4, fault_offset::ebp),
        (tss_offset::ESP + 8, fault_offset::esi),
        (tss_offset::ESP + 12, fault_offset::edi),
        (tss_offset::ES, fault_offset::es),
        (tss_offset::ES + 4, fault_offset::cs),
        (tss_offset::ES + 8, fault_offset::ss),
        (tss_offset::ES + 12, fault_offset::ds),
        (tss_offset::ES + 16, fault_offset::fs),
        (tss_offset::ES + 20, fault_offset::gs),
    ];
    for (from, to) in words {
        asm.mov(eax, dword_ptr(ebx + TSS.wrapping_sub(FAULT_RECORD).wrapping_add(from)).ss())?;
        store(asm, to, eax)?;
    }
    Ok(())
}

/// Moves what SGDT or SIDT has stored on top of the stack, a limit of two bytes and a base of four, into the record.
fn store_table(asm: &mut CodeAssembler, base: u32, limit: u32) -> Result<(), IcedError> {
    asm.mov(eax, dword_ptr(esp + 2).ss())?;
    store(asm, base, eax)?;
    asm.movzx(eax, word_ptr(esp).ss())?;
    store(asm, limit, eax)
}

/// Adds what the CPU still holds to the record, and tells the runner.
fn complete(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    asm.mov(eax, cr0)?;
    store(asm, fault_offset::cr0, eax)?;
    asm.mov(eax, cr2)?;
    store(asm, fault_offset::cr2, eax)?;
    asm.mov(eax, cr3)?;
    store(asm, fault_offset::cr3, eax)?;
    asm.mov(eax, cr4)?;
    store(asm, fault_offset::cr4, eax)?;
    asm.xor(eax, eax)?;
    asm.sldt(ax)?;
    store(asm, fault_offset::ldtr, eax)?;
    // Room for a table register.
    asm.push(eax)?;
    asm.push(eax)?;
    asm.sgdt(ptr(esp).ss())?;
    store_table(asm, fault_offset::gdtr_base, fault_offset::gdtr_limit)?;
    asm.sidt(ptr(esp).ss())?;
    store_table(asm, fault_offset::idtr_base, fault_offset::idtr_limit)?;
    // The magic comes last: it says that all the rest is there.
    asm.mov(dword_ptr(ebx + fault_offset::magic).ss(), FAULT_MAGIC)?;
    asm.mov(edx, u32::from(ports::FAULT_CATCHER))?;
    asm.mov(al, 1)?;
    asm.out(dx, al)?;
    halt(asm)
}
