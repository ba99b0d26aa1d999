//! Code that brings a CPU from flat segments into an entry state: the last instructions before a guest's first one, wherever no
//! hypervisor sets the registers.

mod data;
mod error;

use iced_x86::code_asm::{
    CodeAssembler, ax, cr0, cr3, cr4, dr7, ds, dword_ptr, eax, es, esp, fs, fword_ptr, gs, ptr, ss, word_ptr,
};
use iced_x86::{BlockEncoderOptions, IcedError};

use self::data::Data;
pub use self::error::HandoverError;
use crate::registers::{CR0_ET, CR0_PE, EFLAGS_IF, EntryState};

/// DR7 after reset (Intel SDM volume 3A, table 9-1): no breakpoint is armed.
const DR7_AFTER_RESET: u32 = 0x400;

/// Code and what it reads, for one address. It writes to no memory, so it may lie in a ROM.
///
/// ```text
/// at     descriptor table, each descriptor at the index of the selector that the entry state gives it
///        operands: what LGDT, LIDT, POPAD, POPFD, MOV to SS and JMP read; data of the caller's
/// start  code of the caller's, then that which loads the entry state
/// ```
#[derive(Debug)]
pub struct Handover {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// Address of the first instruction. Whoever jumps there has flat segments in CS, DS, ES and SS, paging and interrupts off.
    pub start: u32,
}

impl Handover {
    /// Builds the code for the address `at`. Its size does not depend on addresses.
    ///
    /// `before` adds code that is to come first, and is given the address of `data_before`, which it reads. It may use all registers
    /// and must leave the flat segments.
    ///
    /// # Errors
    /// [`HandoverError`] when no code can bring about the state `entry`.
    pub fn build(
        at: u32,
        entry: &EntryState,
        data_before: &[u8],
        before: impl FnOnce(&mut CodeAssembler, u32) -> Result<(), IcedError>,
    ) -> Result<Self, HandoverError> {
        let segments = &entry.segments;
        let in_guest_segment = |linear: u32| linear.wrapping_sub(segments.cs.base);
        let mut data = Data::new(at, entry)?;
        let operands = Operands::add(&mut data, entry);
        let data_before = data.add(data_before);
        let start = data.end();
        let mut asm = CodeAssembler::new(32)?;
        before(&mut asm, data_before)?;
        asm.lgdt(ptr(operands.own_gdtr))?;
        load_processor(&mut asm, entry)?;
        asm.jmp(fword_ptr(operands.far_pointer))?;
        let mut in_guest = asm.create_label();
        asm.set_label(&mut in_guest)?;
        load_rest(&mut asm, entry, &operands, in_guest_segment)?;
        let assembled = asm.assemble_options(start.into(), BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS)?;
        let target = u32::try_from(assembled.label_ip(&in_guest)?).unwrap_or(u32::MAX);
        data.set(operands.far_pointer, &in_guest_segment(target).to_le_bytes());
        let bytes = data.followed_by(&assembled.inner.code_buffer);
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let (first, end) = (in_guest_segment(at), in_guest_segment(at.wrapping_add(size)));
        if segments.cs.limit < end || first > end {
            return Err(HandoverError::OutsideCode { limit: segments.cs.limit });
        }
        Ok(Self { bytes, start })
    }
}

/// Addresses of what the code reads.
struct Operands {
    own_gdtr: u32,
    gdtr: u32,
    idtr: u32,
    /// Offset and selector of the first instruction in the guest's code segment; the offset is known when the code is there.
    far_pointer: u32,
    eip: u32,
    stack_segment: u32,
    /// What POPAD and POPFD take.
    popped: u32,
}

impl Operands {
    fn add(data: &mut Data, entry: &EntryState) -> Self {
        let own = data.gdtr();
        let mut popped = entry.general.by_number().to_vec();
        // POPAD takes EDI first and EAX last (Intel SDM volume 2B); it passes over ESP. Then comes POPFD's word.
        popped.reverse();
        popped.push(entry.eflags & !EFLAGS_IF);
        Self {
            own_gdtr: data.add(&own.pseudo_descriptor()),
            gdtr: data.add(&entry.gdtr.pseudo_descriptor()),
            idtr: data.add(&entry.idtr.pseudo_descriptor()),
            far_pointer: data.add(&[&[0; 4][..], &entry.segments.cs.selector.to_le_bytes()].concat()),
            eip: data.add(&entry.eip.to_le_bytes()),
            stack_segment: data.add(&entry.segments.ss.selector.to_le_bytes()),
            popped: data.add(&popped.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>()),
        }
    }
}

/// Control registers and TR; LDTR, the FPU and the debug registers as a reset leaves them.
fn load_processor(asm: &mut CodeAssembler, entry: &EntryState) -> Result<(), IcedError> {
    // Without EM and TS, FNINIT is no exception.
    asm.mov(eax, CR0_PE | CR0_ET)?;
    asm.mov(cr0, eax)?;
    asm.fninit()?;
    asm.mov(eax, DR7_AFTER_RESET)?;
    asm.mov(dr7, eax)?;
    asm.xor(eax, eax)?;
    asm.lldt(ax)?;
    asm.mov(eax, entry.cr3)?;
    asm.mov(cr3, eax)?;
    asm.mov(eax, entry.cr4)?;
    asm.mov(cr4, eax)?;
    asm.mov(eax, entry.cr0)?;
    asm.mov(cr0, eax)?;
    if entry.segments.tr.selector != 0 {
        asm.mov(ax, u32::from(entry.segments.tr.selector))?;
        asm.ltr(ax)?;
    }
    Ok(())
}

/// In the guest's code segment: everything else, in an order in which nothing that is still needed is lost.
fn load_rest(
    asm: &mut CodeAssembler,
    entry: &EntryState,
    operands: &Operands,
    in_guest_segment: impl Fn(u32) -> u32,
) -> Result<(), IcedError> {
    let segments = &entry.segments;
    for (register, segment) in [(ds, &segments.ds), (es, &segments.es), (fs, &segments.fs), (gs, &segments.gs)] {
        asm.mov(ax, u32::from(segment.selector))?;
        asm.mov(register, ax)?;
    }
    // From here on EAX is the guest's. The stack is the list of operands: it is popped, never pushed.
    asm.mov(esp, operands.popped)?;
    asm.popad()?;
    asm.popfd()?;
    // Through CS, because DS is the guest's, and without touching registers and flags. SS last of the segments: the stack was
    // in the flat one until now. GDTR after it: the guest's table need not describe the segments that it is entered with.
    asm.mov(ss, word_ptr(in_guest_segment(operands.stack_segment)).cs())?;
    asm.lgdt(ptr(in_guest_segment(operands.gdtr)).cs())?;
    asm.lidt(ptr(in_guest_segment(operands.idtr)).cs())?;
    asm.mov(esp, entry.general.esp)?;
    if entry.eflags & EFLAGS_IF != 0 {
        // It takes effect after the next instruction (Intel SDM volume 2B, "STI"): no interrupt comes before the guest's tables
        // and stack are there.
        asm.sti()?;
    }
    asm.jmp(dword_ptr(in_guest_segment(operands.eip)).cs())
}

#[cfg(test)]
mod tests;
