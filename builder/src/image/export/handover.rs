//! The last code before the guest: it puts low memory in place, fills the rest with zeros, and enters the guest in the
//! state that its image describes, as a runner does.
//!
//! It works on the loader's flat segments, which stay in their hidden parts, until it loads the guest's from a table of its
//! own. The guest's own table need not describe the segments that it is entered with.

use iced_x86::code_asm::{
    AsmRegister16, AsmRegisterSegment, CodeAssembler, ax, cr0, cr3, cr4, dr7, ds, dword_ptr, eax, ecx, edi, edx, es,
    esi, esp, fs, fword_ptr, gs, ptr, ss, word_ptr,
};
use iced_x86::{BlockEncoderOptions, IcedError};
use stos_image::{CR0_ET, CR0_PE, EFLAGS_IF, EntryState, GeneralRegisters, GuestRange, Segment, TableRegister};

use super::error::ExportError;

/// Bits of a descriptor's type that say that a task state segment is busy.
const BUSY: u64 = 1 << 41;
/// Access bit 7: present.
const PRESENT: u16 = 1 << 7;
/// Access bits of a present, readable 32-bit code segment of DPL 0 (Intel SDM volume 3A, section 3.4.5).
const READABLE_CODE: u16 = 1 << 14 | PRESENT | 1 << 4 | 1 << 3 | 1 << 1;
/// Access bit 13, and the DPL: clear in that segment.
const NOT_IN_CODE: u16 = 1 << 13 | 3 << 5;
/// The first selector that is too large for the table.
const SELECTORS_END: u16 = 0x1000;
/// DR7 after reset (Intel SDM volume 3A, table 9-1): no breakpoint is armed.
const DR7_AFTER_RESET: u32 = 0x400;

/// Bytes that are looked at, and filled with zeros, at a time: all that begins or ends a range is a multiple of it.
const CLEARED_BLOCK: i32 = 256;

/// Bytes that are moved to where the guest has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Where the loader put them.
    pub from: u32,
    /// Where they belong.
    pub to: GuestRange,
}

/// The code and what it reads, for one address.
#[derive(Debug)]
pub struct Handover {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// Address of the first instruction.
    pub start: u32,
}

impl Handover {
    /// Builds the code for the address `at`. Its size does not depend on addresses.
    ///
    /// # Errors
    /// [`ExportError::Entry`] when no code can bring about the state `entry`.
    pub fn build(at: u32, entry: &EntryState, moves: &[Move], zeros: &[GuestRange]) -> Result<Self, ExportError> {
        let segments = &entry.segments;
        let table = descriptor_table(entry)?;
        let limit = u16::try_from(table.len() - 1).unwrap_or(u16::MAX);
        let mut data = Data { at, bytes: table };
        let own_gdtr = data.add(&table_operand(&TableRegister { base: at, limit }));
        let gdtr = data.add(&table_operand(&entry.gdtr));
        let idtr = data.add(&table_operand(&entry.idtr));
        // Its offset is filled in when the code is there.
        let far_pointer = data.add(&[&[0; 4][..], &segments.cs.selector.to_le_bytes()].concat());
        let eip = data.add(&entry.eip.to_le_bytes());
        let stack_segment = data.add(&segments.ss.selector.to_le_bytes());
        let GeneralRegisters { eax: a, ebx, ecx: c, edx: d, esi: si, edi: di, ebp, esp: sp } = entry.general;
        // POPAD's order (Intel SDM volume 2B), and then POPFD's word.
        let popped = [di, si, ebp, sp, ebx, d, c, a, entry.eflags & !EFLAGS_IF];
        let popped = data.add(&popped.map(u32::to_le_bytes).concat());

        // Pairs of first byte and first byte after it.
        let words = zeros.iter().flat_map(|range| [range.start.0, range.end()]);
        let ranges = data.add(&words.flat_map(|word| low(word).to_le_bytes()).collect::<Vec<u8>>());
        let count = u32::try_from(zeros.len()).unwrap_or(u32::MAX);

        let in_guest_segment = |linear: u32| linear.wrapping_sub(segments.cs.base);
        let start = data.end();
        let assemble = || -> Result<(Vec<u8>, u32), IcedError> {
            let mut asm = CodeAssembler::new(32)?;
            move_memory(&mut asm, moves)?;
            clear_memory(&mut asm, ranges, count)?;
            asm.lgdt(ptr(own_gdtr))?;
            load_processor(&mut asm, entry)?;
            asm.jmp(fword_ptr(far_pointer))?;
            let mut in_guest = asm.create_label();
            asm.set_label(&mut in_guest)?;
            for (register, segment) in [(ds, &segments.ds), (es, &segments.es), (fs, &segments.fs), (gs, &segments.gs)]
            {
                load_segment(&mut asm, register, segment)?;
            }
            // From here on EAX is the guest's. The stack is the list of operands: it is popped, never pushed.
            asm.mov(esp, popped)?;
            asm.popad()?;
            asm.popfd()?;
            // Through CS, because DS is the guest's, and without touching registers and flags. SS last of the segments: the
            // stack was the loader's until now.
            asm.mov(ss, word_ptr(in_guest_segment(stack_segment)).cs())?;
            asm.lgdt(ptr(in_guest_segment(gdtr)).cs())?;
            asm.lidt(ptr(in_guest_segment(idtr)).cs())?;
            asm.mov(esp, entry.general.esp)?;
            if entry.eflags & EFLAGS_IF != 0 {
                // It takes effect after the next instruction (Intel SDM volume 2B, "STI").
                asm.sti()?;
            }
            asm.jmp(dword_ptr(in_guest_segment(eip)).cs())?;
            let assembled = asm.assemble_options(start.into(), BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS)?;
            let target = u32::try_from(assembled.label_ip(&in_guest)?).unwrap_or(u32::MAX);
            Ok((assembled.inner.code_buffer, target))
        };
        let (code, target) = assemble().map_err(|error| ExportError::Entry { reason: error.to_string() })?;
        data.set(far_pointer, &in_guest_segment(target).to_le_bytes());
        data.bytes.extend(code);
        if segments.cs.limit < in_guest_segment(data.end()) || in_guest_segment(at) > in_guest_segment(data.end()) {
            let reason =
                format!("CS has limit {:#x}, so that no code before the guest's can run in it", segments.cs.limit);
            return Err(ExportError::Entry { reason });
        }
        Ok(Self { bytes: data.bytes, start })
    }
}

/// Bytes that the code reads.
struct Data {
    at: u32,
    bytes: Vec<u8>,
}

impl Data {
    /// The address after the last byte.
    fn end(&self) -> u32 {
        self.at.wrapping_add(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }

    /// Appends `bytes`, and returns their address.
    fn add(&mut self, bytes: &[u8]) -> u32 {
        let address = self.end();
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        address
    }

    /// Writes over what was added.
    fn set(&mut self, address: u32, bytes: &[u8]) {
        let offset = address.wrapping_sub(self.at) as usize;
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

/// The memory operand of LGDT and LIDT.
fn table_operand(register: &TableRegister) -> Vec<u8> {
    [&register.limit.to_le_bytes()[..], &register.base.to_le_bytes()].concat()
}

/// A table in which each selector of `entry` means the segment that it has there.
fn descriptor_table(entry: &EntryState) -> Result<Vec<u8>, ExportError> {
    let refuse = |reason: String| Err(ExportError::Entry { reason });
    let mut table = vec![0; 8];
    for (name, segment) in entry.segments.named() {
        let selector = segment.selector;
        if selector & 7 != 0 || selector >= SELECTORS_END {
            return refuse(format!("{name} has selector {selector:#x}, which names no entry of a small GDT"));
        }
        if selector == 0 {
            if matches!(name, "CS" | "SS") || segment.access & PRESENT != 0 {
                return refuse(format!("{name} is a present segment with the null selector"));
            }
            continue;
        }
        if segment.access & PRESENT == 0 {
            return refuse(format!("{name} has selector {selector:#x}, and its segment is not present"));
        }
        if name == "CS" && segment.access & (READABLE_CODE | NOT_IN_CODE) != READABLE_CODE {
            return refuse(format!("CS has access bits {:#x}, which are not those of 32-bit code", segment.access));
        }
        let mut descriptor = segment.descriptor();
        if name == "TR" {
            // LTR wants an available TSS and marks it busy.
            descriptor &= !BUSY;
        }
        let slot = usize::from(selector);
        if table.len() < slot + 8 {
            table.resize(slot + 8, 0);
        }
        let entry = &mut table[slot..slot + 8];
        if *entry != [0; 8] && *entry != descriptor.to_le_bytes() {
            return refuse(format!("{name} shares selector {selector:#x} with another segment that differs"));
        }
        entry.copy_from_slice(&descriptor.to_le_bytes());
    }
    Ok(table)
}

/// Guest memory ends below 4 GiB, and so do its parts.
fn low(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn move_memory(asm: &mut CodeAssembler, moves: &[Move]) -> Result<(), IcedError> {
    for Move { from, to } in moves {
        asm.mov(esi, *from)?;
        asm.mov(edi, low(to.start.0))?;
        asm.mov(ecx, low(to.size / 4))?;
        asm.rep().movsd()?;
    }
    Ok(())
}

/// Fills `count` ranges with zeros, of which the words at `table` are the start and the end. A block that is zero already is
/// only read: an emulator's fresh memory stays untouched, and its host need not provide it. Emulators take far longer for the
/// same with string instructions.
fn clear_memory(asm: &mut CodeAssembler, table: u32, count: u32) -> Result<(), IcedError> {
    let (mut next_range, mut next_block, mut is_zero) = (asm.create_label(), asm.create_label(), asm.create_label());
    asm.mov(esi, table)?;
    asm.mov(ecx, count)?;
    asm.set_label(&mut next_range)?;
    asm.mov(edi, dword_ptr(esi))?;
    asm.mov(edx, dword_ptr(esi + 4))?;
    asm.add(esi, 8)?;
    asm.set_label(&mut next_block)?;
    asm.mov(eax, dword_ptr(edi))?;
    for offset in (4..CLEARED_BLOCK).step_by(4) {
        asm.or(eax, dword_ptr(edi + offset))?;
    }
    asm.je(is_zero)?;
    asm.xor(eax, eax)?;
    for offset in (0..CLEARED_BLOCK).step_by(4) {
        asm.mov(dword_ptr(edi + offset), eax)?;
    }
    asm.set_label(&mut is_zero)?;
    asm.add(edi, CLEARED_BLOCK)?;
    asm.cmp(edi, edx)?;
    asm.jne(next_block)?;
    asm.dec(ecx)?;
    asm.jne(next_range)
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
        load_selector(asm, ax, entry.segments.tr.selector)?;
        asm.ltr(ax)?;
    }
    Ok(())
}

fn load_segment(asm: &mut CodeAssembler, register: AsmRegisterSegment, segment: &Segment) -> Result<(), IcedError> {
    load_selector(asm, ax, segment.selector)?;
    asm.mov(register, ax)
}

fn load_selector(asm: &mut CodeAssembler, register: AsmRegister16, selector: u16) -> Result<(), IcedError> {
    asm.mov(register, u32::from(selector))
}
