//! The emulator's firmware: 64 KiB that bring the CPU from reset into an image's entry state, and nothing else.
//!
//! ```text
//! ffff0000  descriptor table, each descriptor at the index of the selector that the entry state gives it
//! ffffc000  operands: what LGDT, LIDT, POPAD, POPFD and MOV to SS read
//! ffffd000  32-bit code
//! ffffe000  16-bit code: into protected mode
//! fffffff0  reset vector: a jump to it
//! ```
//! It runs from read-only memory and writes to none, so guest memory is exactly the image's when the guest begins.

use crate::devices::{KEYBOARD_COMMAND, KEYBOARD_DATA, SYSTEM_A20, SYSTEM_CONTROL};
use stos_image::{CR0_PE, EntryState, GeneralRegisters, Segment, TableRegister};

/// Size of the ROM.
pub const SIZE: usize = 64 * 1024;
/// Linear address of the ROM's first byte: it ends at 4 GiB.
const BASE: u32 = 0xffff_0000;
/// Offset of the operands, and so the size of the descriptor table.
const OPERANDS: u16 = 0xc000;
/// Offset of the 32-bit code.
const CODE32: u16 = 0xd000;
/// Offset of the 16-bit code.
const CODE16: u16 = 0xe000;
/// Offset of the first instruction after reset (Intel SDM volume 3A, section 9.1.4).
const RESET_VECTOR: u16 = 0xfff0;

/// Local APIC: spurious interrupt vector register (Intel SDM volume 3A, table 10-1).
const APIC_SPURIOUS: u32 = 0xfee0_00f0;
/// Vector 0xFF, and bit 8: the APIC is enabled. Disabled, it masks LINT0.
const APIC_ENABLED: u32 = 0x1ff;
/// Local APIC: LINT0, the pin that the 8259 is wired to.
const APIC_LINT0: u32 = 0xfee0_0350;
/// Delivery mode `ExtINT`: the 8259 gives the vector. KVM's APIC begins like this; QEMU's begins masked.
const APIC_EXTINT: u32 = 0x700;

/// What to write to ports so that they are as on KVM: the keyboard controller as firmware leaves it, and address line 20
/// enabled. The self-test's result is read with interrupts off, so that none is left pending.
const PORT_SETUP: [(u16, u8); 6] = [
    (KEYBOARD_COMMAND, 0x60),
    (KEYBOARD_DATA, 0x44),
    (KEYBOARD_COMMAND, 0xaa),
    (KEYBOARD_COMMAND, 0x60),
    (KEYBOARD_DATA, 0x65),
    (SYSTEM_CONTROL, SYSTEM_A20),
];
/// The step after which the answer is read.
const SELF_TEST_STEP: usize = 2;

/// Bits of a descriptor's type that say that a task state segment is busy.
const BUSY: u16 = 1 << 1;
/// Access bit 7: present.
const PRESENT: u16 = 1 << 7;

/// The first selectors that the entry state may not use: the ROM's own, at the end of its table.
const ROM_CODE: u16 = OPERANDS - 16;
const ROM_DATA: u16 = OPERANDS - 8;

/// Offsets of the operands.
const GDTR_OF_ROM: u16 = OPERANDS;
const GDTR_OF_GUEST: u16 = OPERANDS + 0x10;
const IDTR_OF_GUEST: u16 = OPERANDS + 0x20;
const SS_OF_GUEST: u16 = OPERANDS + 0x30;
/// Eight words for POPAD, then one for POPFD.
const POPPED: u16 = OPERANDS + 0x40;

/// Builds the ROM for `entry`, or says in a clause why that is not possible.
pub fn build(entry: &EntryState) -> Result<Vec<u8>, String> {
    let mut rom = Rom { bytes: vec![0; SIZE] };
    rom.put_tables(entry)?;
    rom.put(CODE32, &code32(entry)?);
    rom.put(CODE16, &code16(entry));
    // JMP rel16, from the byte after it.
    let mut jump = vec![0xe9];
    jump.extend(CODE16.wrapping_sub(RESET_VECTOR + 3).to_le_bytes());
    rom.put(RESET_VECTOR, &jump);
    Ok(rom.bytes)
}

struct Rom {
    bytes: Vec<u8>,
}

impl Rom {
    fn put(&mut self, offset: u16, bytes: &[u8]) {
        let offset = usize::from(offset);
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn put_tables(&mut self, entry: &EntryState) -> Result<(), String> {
        for (name, segment) in entry.segments.named() {
            self.put_segment(name, segment)?;
        }
        self.put(ROM_CODE, &Segment::flat(ROM_CODE, Segment::CODE_ACCESS).descriptor().to_le_bytes());
        self.put(ROM_DATA, &Segment::flat(ROM_DATA, Segment::DATA_ACCESS).descriptor().to_le_bytes());

        self.put(GDTR_OF_ROM, &table_operand(&TableRegister { base: BASE, limit: OPERANDS - 1 }));
        self.put(GDTR_OF_GUEST, &table_operand(&entry.gdtr));
        self.put(IDTR_OF_GUEST, &table_operand(&entry.idtr));
        self.put(SS_OF_GUEST, &entry.segments.ss.selector.to_le_bytes());
        let GeneralRegisters { eax, ebx, ecx, edx, esi, edi, ebp, esp } = entry.general;
        // POPAD's order (Intel SDM volume 2B); it skips ESP.
        let popped = [edi, esi, ebp, esp, ebx, edx, ecx, eax, entry.eflags];
        self.put(POPPED, &popped.map(u32::to_le_bytes).concat());
        Ok(())
    }

    fn put_segment(&mut self, name: &str, segment: &Segment) -> Result<(), String> {
        let selector = segment.selector;
        if selector & 7 != 0 || selector >= ROM_CODE {
            return Err(format!("{name} has selector {selector:#x}, which the emulator's firmware can't load"));
        }
        if selector == 0 {
            let must_exist = matches!(name, "CS" | "SS");
            return if must_exist || segment.access & PRESENT != 0 {
                Err(format!("{name} is a present segment with the null selector"))
            } else {
                Ok(())
            };
        }
        let mut bytes = segment.descriptor();
        if name == "TR" {
            // LTR wants an available TSS and marks it busy; the mark in the ROM is lost, the one in TR stays.
            bytes &= !(u64::from(BUSY) << 40);
        }
        let slot = usize::from(selector);
        let before = &self.bytes[slot..slot + 8];
        if before != [0; 8] && before != bytes.to_le_bytes() {
            return Err(format!("{name} shares selector {selector:#x} with another segment that differs"));
        }
        self.put(selector, &bytes.to_le_bytes());
        Ok(())
    }
}

/// The memory operand of LGDT and LIDT.
fn table_operand(register: &TableRegister) -> Vec<u8> {
    [&register.limit.to_le_bytes()[..], &register.base.to_le_bytes()].concat()
}

/// Machine code, with the encodings of Intel SDM volume 2.
#[derive(Default)]
struct Code(Vec<u8>);

impl Code {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// MOV EAX, `value`; MOV `CRn`, EAX.
    fn load_control_register(&mut self, number: u8, value: u32) -> &mut Self {
        self.bytes(&[0xb8]).u32(value).bytes(&[0x0f, 0x22, 0xc0 | number << 3])
    }

    /// MOV AX, `selector`; MOV Sreg, AX.
    fn load_segment(&mut self, number: u8, selector: u16) -> &mut Self {
        self.bytes(&[0x66, 0xb8]).u16(selector).bytes(&[0x8e, 0xc0 | number << 3])
    }

    /// [`PORT_SETUP`].
    fn set_up_ports(&mut self) -> &mut Self {
        for (step, (port, value)) in PORT_SETUP.into_iter().enumerate() {
            // MOV DX, port; MOV AL, value; OUT DX, AL.
            self.bytes(&[0x66, 0xba]).u16(port).bytes(&[0xb0, value, 0xee]);
            if step == SELF_TEST_STEP {
                // MOV DX, port; IN AL, DX.
                self.bytes(&[0x66, 0xba]).u16(KEYBOARD_DATA).bytes(&[0xec]);
            }
        }
        self
    }

    /// `MOV DWORD [address], value`.
    fn store(&mut self, address: u32, value: u32) -> &mut Self {
        self.bytes(&[0xc7, 0x05]).u32(address).u32(value)
    }
}

/// Numbers of the segment registers in a MOV.
const ES: u8 = 0;
const SS: u8 = 2;
const DS: u8 = 3;
const FS: u8 = 4;
const GS: u8 = 5;

/// Real mode, as after reset: into protected mode on the ROM's own segments.
fn code16(entry: &EntryState) -> Vec<u8> {
    let mut code = Code::default();
    // LGDT with a 32-bit base, from CS, whose hidden base is the ROM's.
    code.bytes(&[0x66, 0x2e, 0x0f, 0x01, 0x16]).u16(GDTR_OF_ROM);
    // MOV EAX, CR0 with only PE more; MOV CR0, EAX.
    code.bytes(&[0x66, 0xb8]).u32(entry.cr0 | CR0_PE).bytes(&[0x0f, 0x22, 0xc0]);
    // JMP ptr16:32.
    code.bytes(&[0x66, 0xea]).u32(BASE + u32::from(CODE32)).u16(ROM_CODE);
    code.0
}

/// Protected mode: everything that the entry state says, in an order in which nothing that is still needed is lost.
fn code32(entry: &EntryState) -> Result<Vec<u8>, String> {
    let segments = &entry.segments;
    let cs = &segments.cs;
    // From the far jump on, the ROM executes in the guest's code segment.
    let in_cs = |linear: u32| linear.wrapping_sub(cs.base);
    let rom = |offset: u16| BASE + u32::from(offset);
    if cs.limit < in_cs(rom(RESET_VECTOR)) {
        return Err(format!("CS has limit {:#x}, so that the emulator's firmware can't execute in it", cs.limit));
    }

    let mut code = Code::default();
    code.load_segment(DS, ROM_DATA).load_segment(SS, ROM_DATA);
    code.store(APIC_LINT0, APIC_EXTINT).store(APIC_SPURIOUS, APIC_ENABLED);
    code.set_up_ports();
    code.load_control_register(3, entry.cr3).load_control_register(4, entry.cr4);
    if segments.tr.selector != 0 {
        // MOV AX, imm16; LTR AX.
        code.bytes(&[0x66, 0xb8]).u16(segments.tr.selector).bytes(&[0x0f, 0x00, 0xd8]);
    }
    // JMP ptr16:32 to the instruction after it.
    let next = u32::from(CODE32) + u32::try_from(code.0.len() + 7).unwrap_or(0);
    code.bytes(&[0xea]).u32(in_cs(BASE + next)).u16(cs.selector);
    for (number, segment) in [(DS, &segments.ds), (ES, &segments.es), (FS, &segments.fs), (GS, &segments.gs)] {
        code.load_segment(number, segment.selector);
    }
    // From here on EAX is the guest's. The stack is the list of operands: it is popped, never pushed.
    code.bytes(&[0xbc]).u32(rom(POPPED)).bytes(&[0x61, 0x9d]);
    // MOV SS, LGDT and LIDT from CS, which leave registers and flags alone. SS last of the segments: the stack was the
    // ROM's until now. GDTR after it: the image's table need not describe the segments that it is entered with.
    code.bytes(&[0x2e, 0x8e, 0x15]).u32(in_cs(rom(SS_OF_GUEST)));
    code.bytes(&[0x2e, 0x0f, 0x01, 0x15]).u32(in_cs(rom(GDTR_OF_GUEST)));
    code.bytes(&[0x2e, 0x0f, 0x01, 0x1d]).u32(in_cs(rom(IDTR_OF_GUEST)));
    // MOV ESP, imm32; JMP rel32, from the byte after it.
    code.bytes(&[0xbc]).u32(entry.general.esp);
    let after = u32::from(CODE32) + u32::try_from(code.0.len() + 5).unwrap_or(0);
    code.bytes(&[0xe9]).u32(entry.eip.wrapping_sub(in_cs(BASE + after)));
    Ok(code.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> EntryState {
        let data = Segment::flat(0x10, Segment::DATA_ACCESS);
        EntryState {
            general: GeneralRegisters { eax: 0xaaaa_0001, esp: 0x9000, edi: 0xdddd_0002, ..Default::default() },
            eip: 0x10_0000,
            eflags: 2,
            cr0: 0x11,
            cr3: 0x1000,
            cr4: 0x10,
            gdtr: TableRegister { base: 0x2000, limit: 0x1f },
            idtr: TableRegister { base: 0x3000, limit: 0xff },
            segments: stos_image::Segments {
                cs: Segment::flat(8, Segment::CODE_ACCESS),
                ds: data.clone(),
                es: data.clone(),
                fs: data.clone(),
                gs: data.clone(),
                ss: data,
                tr: Segment { selector: 0x18, base: 0x1234_5000, limit: 0x67, access: Segment::BUSY_TSS_ACCESS },
            },
        }
    }

    fn at(rom: &[u8], offset: u16, count: usize) -> &[u8] {
        &rom[usize::from(offset)..][..count]
    }

    #[test]
    fn descriptors_have_the_standard_form() {
        let rom = build(&entry()).unwrap();
        assert_eq!(rom.len(), SIZE);
        assert_eq!(at(&rom, 0x08, 8), 0x00cf_9b00_0000_ffff_u64.to_le_bytes());
        assert_eq!(at(&rom, 0x10, 8), 0x00cf_9300_0000_ffff_u64.to_le_bytes());
        // Available here, although busy in the entry state.
        assert_eq!(at(&rom, 0x18, 8), 0x1200_8934_5000_0067_u64.to_le_bytes());
    }

    #[test]
    fn the_reset_vector_jumps_to_the_code() {
        let rom = build(&entry()).unwrap();
        let jump = at(&rom, RESET_VECTOR, 3);
        assert_eq!(jump[0], 0xe9);
        assert_eq!(u16::from_le_bytes([jump[1], jump[2]]).wrapping_add(RESET_VECTOR + 3), CODE16);
    }

    #[test]
    fn operands_are_what_the_instructions_read() {
        let rom = build(&entry()).unwrap();
        assert_eq!(at(&rom, GDTR_OF_GUEST, 6), [0x1f, 0, 0, 0x20, 0, 0]);
        assert_eq!(at(&rom, IDTR_OF_GUEST, 6), [0xff, 0, 0, 0x30, 0, 0]);
        assert_eq!(at(&rom, POPPED, 4), 0xdddd_0002_u32.to_le_bytes());
        assert_eq!(at(&rom, POPPED + 28, 8), [[1, 0, 0xaa, 0xaa], [2, 0, 0, 0]].concat());
    }

    #[test]
    fn the_last_jump_reaches_the_entry_point() {
        let code = code32(&entry()).unwrap();
        let operand = code.last_chunk::<4>().unwrap();
        let after = BASE + u32::from(CODE32) + u32::try_from(code.len()).unwrap();
        assert_eq!(after.wrapping_add(u32::from_le_bytes(*operand)), 0x10_0000);
    }

    #[test]
    fn entry_states_that_it_cannot_reach_are_refused() {
        let change = |change: fn(&mut EntryState)| {
            let mut entry = entry();
            change(&mut entry);
            build(&entry).unwrap_err()
        };
        assert!(change(|entry| entry.segments.cs = Segment::default()).contains("CS"));
        assert!(change(|entry| entry.segments.ds.selector = 0x13).contains("DS has selector 0x13"));
        assert!(change(|entry| entry.segments.fs.selector = 8).contains("FS shares selector 0x8"));
        assert!(change(|entry| entry.segments.cs.limit = 0xfff).contains("limit 0xfff"));
    }
}
