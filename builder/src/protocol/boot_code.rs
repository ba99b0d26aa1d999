//! The machine code in the boot pages: the trampoline that turns paging on and calls the kernel, and the fault catcher
//! that reports an exception which the kernel can't handle yet.

use iced_x86::code_asm::{
    AsmRegister32, CodeAssembler, CodeLabel, al, ax, cr0, cr2, cr3, cr4, ds, dword_ptr, dx, eax, ebp, ebx, ecx, edi,
    edx, es, esi, esp, fs, gs, ptr, ss, word_ptr,
};
use iced_x86::{BlockEncoderOptions, IcedError};
use stos_image::{FAULT_MAGIC, fault_offset};
use stos_x86::interrupts::{DOUBLE_FAULT, has_error_code};
use stos_x86::ports;
use stos_x86::registers::CR0_PG;
use stos_x86::segments::tss_offset;

use super::descriptors::RUNNING_TSS_SELECTOR;
use crate::diagnostics::{Code, Diagnostic};
use crate::kernel::KERNEL_BASE;
use crate::plan::layout::{BOOT_CODE, EXCEPTION_VECTORS, FAULT_RECORD, POINTERS, STACK_TOP, TSS};

/// The assembled boot code.
pub struct BootCode {
    /// Bytes from [`BOOT_CODE`] on.
    pub bytes: Vec<u8>,
    /// Physical address of the trampoline's first instruction; without one, of the code that halts when a kernel returns.
    pub start: u32,
    /// Bytes of the trampoline or of that code; the fault catcher follows it.
    pub trampoline_size: u32,
    /// Whether what is before the fault catcher calls the kernel; else it is where a kernel returns to.
    pub calls_kernel: bool,
    /// Physical address of the handler of each exception vector.
    pub handlers: Vec<u32>,
    /// Physical address of the code that a double fault's task begins with.
    pub double_fault: u32,
}

/// A call of a kernel's first function with paging on.
#[derive(Clone, Copy, Debug)]
pub struct KernelCall {
    /// Virtual address of the function.
    pub entry: u32,
    /// Its one argument.
    pub argument: u32,
}

/// Assembles the fault catcher, and before it the trampoline that turns paging on for `call`. A kernel that is
/// entered with paging off needs none: for that, the code that it returns to stands there.
///
/// # Errors
/// Only when an instruction can't be encoded, which no choice of addresses causes.
pub fn assemble(call: Option<KernelCall>) -> Result<BootCode, Diagnostic> {
    assemble_parts(call).map_err(|error| failed(&error))
}

fn assemble_parts(call: Option<KernelCall>) -> Result<BootCode, IcedError> {
    let mut asm = CodeAssembler::new(32)?;
    let mut start = asm.create_label();
    if let Some(call) = call {
        kernel_call(&mut asm, call)?;
        asm.set_label(&mut start)?;
        trampoline(&mut asm)?;
    } else {
        asm.set_label(&mut start)?;
        halt(&mut asm)?;
    }
    finish(asm, call.is_some(), Some(start))
}

/// Assembles the fault catcher behind code of a protocol's own, which a guest begins with.
///
/// # Errors
/// As for [`assemble`].
pub fn assemble_after(begin: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Result<BootCode, Diagnostic> {
    let parts = || {
        let mut asm = CodeAssembler::new(32)?;
        begin(&mut asm)?;
        finish(asm, true, None)
    };
    parts().map_err(|error| failed(&error))
}

fn failed(error: &IcedError) -> Diagnostic {
    Diagnostic::new(Code::FormatLimit, format!("the boot code can't be assembled: {error}"))
}

/// Adds the fault catcher. `start` is where a guest begins, unless it is the first instruction of all.
fn finish(mut asm: CodeAssembler, calls_kernel: bool, start: Option<CodeLabel>) -> Result<BootCode, IcedError> {
    let mut common = asm.create_label();
    let mut stubs = Vec::new();
    for vector in 0..EXCEPTION_VECTORS {
        stubs.push(stub(&mut asm, vector, common)?);
    }
    let mut finish = asm.create_label();
    asm.set_label(&mut common)?;
    catcher(&mut asm, finish)?;
    let mut task = asm.create_label();
    asm.set_label(&mut task)?;
    double_fault(&mut asm)?;
    asm.set_label(&mut finish)?;
    complete(&mut asm)?;

    let assembled = asm.assemble_options(BOOT_CODE.into(), BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS)?;
    // Everything lies in the first page of a 32-bit address space.
    let address = |label: &CodeLabel| assembled.label_ip(label).map(|ip| u32::try_from(ip).unwrap_or(u32::MAX));
    let handlers = stubs.iter().map(address).collect::<Result<Vec<u32>, _>>()?;
    let trampoline_size = handlers.first().map_or(0, |first| first - BOOT_CODE);
    let start = start.as_ref().map_or(Ok(BOOT_CODE), address)?;
    let double_fault = address(&task)?;
    Ok(BootCode { bytes: assembled.inner.code_buffer, start, trampoline_size, calls_kernel, handlers, double_fault })
}

/// Where a guest begins, at its physical address with paging off, CR3 and CR4.PSE set: turns paging on and goes on at
/// [`kernel_call`] in the kernel's half of the address space, where the descriptor tables stay mapped when a kernel drops
/// the mapping of low memory.
fn trampoline(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    asm.mov(eax, cr0)?;
    asm.or(eax, CR0_PG)?;
    asm.mov(ecx, KERNEL_BASE + BOOT_CODE)?;
    asm.mov(cr0, eax)?;
    // A jump right after the switch, as Intel SDM volume 3A, section 9.9.1 asks for.
    asm.jmp(ecx)
}

/// Lies at [`BOOT_CODE`]. Loads the tables by their addresses in the kernel's half and calls the kernel as a C function of
/// one argument.
fn kernel_call(asm: &mut CodeAssembler, call: KernelCall) -> Result<(), IcedError> {
    asm.lgdt(ptr(KERNEL_BASE + POINTERS))?;
    asm.lidt(ptr(KERNEL_BASE + POINTERS + 8))?;
    // The CPU saves its registers there when a double fault switches to the catcher's task.
    asm.mov(ax, u32::from(RUNNING_TSS_SELECTOR))?;
    asm.ltr(ax)?;
    asm.mov(esp, KERNEL_BASE + STACK_TOP)?;
    for register in [ebx, edx, esi, edi, ebp] {
        asm.xor(register, register)?;
    }
    asm.mov(eax, call.argument)?;
    asm.push(eax)?;
    asm.mov(ecx, call.entry)?;
    asm.call(ecx)?;
    // A kernel that returns has nowhere to go: halt for good, which a runner reports.
    halt(asm)
}

/// Stops the CPU for good.
pub fn halt(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = asm.create_label();
    asm.cli()?;
    asm.set_label(&mut again)?;
    asm.hlt()?;
    asm.jmp(again)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_fits_its_page_and_has_a_handler_per_vector() {
        let code = assemble(Some(KernelCall { entry: 0xc010_0000, argument: 0xc010_4000 })).unwrap();
        assert!(code.bytes.len() < 0x1000, "{} bytes", code.bytes.len());
        assert_eq!(code.handlers.len(), 32);
        assert!(code.handlers.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(code.handlers[31] < code.double_fault && code.double_fault < 0x4000);
    }

    #[test]
    fn the_addresses_in_the_code_are_those_that_were_asked_for() {
        let code = assemble(Some(KernelCall { entry: 0xc012_3456, argument: 0xc065_4320 })).unwrap();
        let trampoline = &code.bytes[..code.trampoline_size as usize];
        for address in [0xc012_3456_u32, 0xc065_4320, KERNEL_BASE + STACK_TOP, KERNEL_BASE + POINTERS] {
            assert!(trampoline.windows(4).any(|word| word == address.to_le_bytes()), "{address:#x} is missing");
        }
    }
    #[test]
    fn without_paging_there_is_only_a_halt_before_the_catcher() {
        let code = assemble(None).unwrap();
        assert_eq!((code.start, &code.bytes[..2]), (BOOT_CODE, &[0xfa, 0xf4][..]));
        assert_eq!(code.handlers[0], BOOT_CODE + code.trampoline_size);
    }
}
