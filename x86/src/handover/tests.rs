//! What the code does is tested where it runs: by exported kernels, and by every guest on an emulator. Here: what it is made of.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction};

use super::*;
use crate::registers::{EFLAGS_FIXED, GeneralRegisters, TableRegister};
use crate::segments::{Segment, Segments};

const AT: u32 = 0xffff_0000;

fn entry() -> EntryState {
    let task = Segment { selector: 0x18, base: 0x1234_5000, limit: 0x67, access: Segment::BUSY_TSS_ACCESS };
    let (code, data) = (Segment::flat(8, Segment::CODE_ACCESS), Segment::flat(0x10, Segment::DATA_ACCESS));
    EntryState {
        general: GeneralRegisters { eax: 0xaaaa_0001, esp: 0x9000, edi: 0xdddd_0002, ..Default::default() },
        eip: 0x10_0000,
        eflags: EFLAGS_FIXED,
        cr0: 0x11,
        cr3: 0x1000,
        cr4: 0x10,
        gdtr: TableRegister { base: 0x2000, limit: 0x1f },
        idtr: TableRegister { base: 0x3000, limit: 0xff },
        segments: Segments::new(code, data, task),
    }
}

fn build(entry: &EntryState) -> Result<Handover, HandoverError> {
    Handover::build(AT, entry, &[], |_, _| Ok(()))
}

fn instructions(handover: &Handover) -> Vec<Instruction> {
    let code = &handover.bytes[(handover.start - AT) as usize..];
    Decoder::with_ip(32, code, handover.start.into(), DecoderOptions::NONE).into_iter().collect()
}

/// The bytes that an instruction's memory operand is about.
fn operand<'a>(handover: &'a Handover, instruction: &Instruction, count: usize) -> &'a [u8] {
    let address = u32::try_from(instruction.memory_displacement64()).unwrap();
    &handover.bytes[(address - AT) as usize..][..count]
}

#[test]
fn the_table_has_each_segment_at_its_selector() {
    let bytes = build(&entry()).unwrap().bytes;
    let descriptors: Vec<u64> =
        bytes[..0x20].as_chunks::<8>().0.iter().map(|entry| u64::from_le_bytes(*entry)).collect();
    // The task is available here, although it is busy in the entry state.
    let expected = [0, 0x00cf_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x1200_8934_5000_0067];
    assert_eq!(descriptors, expected);
}

#[test]
fn the_last_jump_reaches_the_entry_point() {
    let handover = build(&entry()).unwrap();
    let last = *instructions(&handover).last().unwrap();
    assert_eq!(last.code(), Code::Jmp_rm32);
    assert_eq!(operand(&handover, &last, 4), 0x10_0000_u32.to_le_bytes());
}

#[test]
fn interrupts_are_enabled_by_the_last_instruction_but_one() {
    let enabled = EntryState { eflags: EFLAGS_FIXED | EFLAGS_IF, ..entry() };
    let handover = build(&enabled).unwrap();
    let code = instructions(&handover);
    assert_eq!(code[code.len() - 2].code(), Code::Sti);
    assert_eq!(code.iter().filter(|instruction| instruction.code() == Code::Sti).count(), 1);
    let popped = code.iter().find(|instruction| {
        instruction.code() == Code::Mov_r32_imm32 && { instruction.op0_register() == iced_x86::Register::ESP }
    });
    let flags = (popped.unwrap().immediate32() - AT) as usize + 32;
    assert_eq!(handover.bytes[flags..flags + 4], EFLAGS_FIXED.to_le_bytes(), "POPFD leaves IF clear");
    let disabled = instructions(&build(&entry()).unwrap());
    assert!(disabled.iter().all(|instruction| instruction.code() != Code::Sti));
}

#[test]
fn code_of_the_caller_comes_first_and_finds_its_data() {
    let handover = Handover::build(AT, &entry(), b"data", |asm, data| asm.mov(eax, dword_ptr(data))).unwrap();
    let first = instructions(&handover)[0];
    assert_eq!(operand(&handover, &first, 4), b"data");
}

#[test]
fn its_size_does_not_depend_on_where_it_is() {
    let elsewhere = Handover::build(0x500, &entry(), &[], |_, _| Ok(())).unwrap();
    assert_eq!(elsewhere.bytes.len(), build(&entry()).unwrap().bytes.len());
}

#[test]
fn entry_states_that_no_code_reaches_are_refused() {
    let refused = |change: fn(&mut Segments)| {
        let mut entry = entry();
        change(&mut entry.segments);
        build(&entry).unwrap_err().to_string()
    };
    assert_eq!(refused(|segments| segments.cs = Segment::default()), "CS is a present segment with the null selector");
    assert!(refused(|segments| segments.ds.selector = 0x13).starts_with("DS has selector 0x13, which names no entry"));
    assert!(
        refused(|segments| segments.ds.selector = 0xc000).starts_with("DS has selector 0xc000, which names no entry")
    );
    assert_eq!(refused(|segments| segments.es.access &= !0x80), "ES has selector 0x10, and its segment is not present");
    assert_eq!(
        refused(|segments| segments.fs.selector = 8),
        "FS shares selector 0x8 with another segment that differs"
    );
    assert!(refused(|segments| segments.cs.limit = 0xfff).starts_with("CS has limit 0xfff"));
    let execute_only = refused(|segments| segments.cs.access &= !2);
    assert_eq!(execute_only, "CS has access bits 0xc099, which are not those of 32-bit code");
}
