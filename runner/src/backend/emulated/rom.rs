//! The emulator's firmware: 64 KiB that bring the CPU from reset into an image's entry state, and nothing else.
//!
//! ```text
//! ffff0000  handover: protected mode, ports and local APIC, then the entry state
//! ffffe000  16-bit code: into protected mode, on the table behind it
//! fffffff0  reset vector: a jump to it
//! ```
//! It runs from read-only memory and writes to none, so guest memory is exactly the image's when the guest begins.

use iced_x86::code_asm::{CodeAssembler, al, ax, cr0, ds, dword_ptr, dx, eax, es, ss};
use iced_x86::{Code, IcedError, Instruction, MemoryOperand, Register};
use stos_x86::handover::{Handover, HandoverError};
use stos_x86::ports::{self, SYSTEM_A20};
use stos_x86::registers::{CR0_ET, CR0_PE, EntryState, TableRegister};
use stos_x86::segments::Segment;

/// Size of the ROM.
pub const SIZE: usize = 64 * 1024;
/// Linear address of the ROM's first byte: it ends at 4 GiB.
const BASE: u32 = 0xffff_0000;
/// Offset of the 16-bit code.
const CODE16: u16 = 0xe000;
/// Offset of the pseudo-descriptor that it loads GDTR from.
const GDTR: u16 = 0xe100;
/// Offset of the table: null, flat code, flat data.
const GDT: u16 = 0xe108;
const CODE_SELECTOR: u16 = 0x08;
const DATA_SELECTOR: u16 = 0x10;
/// Offset of the first instruction after reset (Intel SDM volume 3A, section 10.1.4).
const RESET_VECTOR: u16 = 0xfff0;

/// Local APIC: spurious interrupt vector register (Intel SDM volume 3A, table 11-1).
const APIC_SPURIOUS: u32 = 0xfee0_00f0;
/// Vector 0xFF, and bit 8: the APIC is enabled. Disabled, it masks LINT0.
const APIC_ENABLED: u32 = 0x1ff;
/// Local APIC: LINT0, the pin that the 8259 is wired to.
const APIC_LINT0: u32 = 0xfee0_0350;
/// Delivery mode `ExtINT`: the 8259 gives the vector. KVM's APIC begins like this; QEMU's begins masked.
const APIC_EXTINT: u32 = 0x700;

/// What to write to ports so that they are as on KVM: the keyboard controller as firmware leaves it, and address line 20
/// enabled. Answers are read with interrupts off, so that none is left pending.
const PORT_SETUP: [PortWrite; 7] = [
    PortWrite { port: ports::KEYBOARD_COMMAND, value: 0x60, answered: false },
    PortWrite { port: ports::KEYBOARD_DATA, value: 0x44, answered: false },
    // The controller's self-test.
    PortWrite { port: ports::KEYBOARD_COMMAND, value: 0xaa, answered: true },
    // The keyboard scans, and says so: what the data port holds from then on.
    PortWrite { port: ports::KEYBOARD_DATA, value: 0xf4, answered: true },
    PortWrite { port: ports::KEYBOARD_COMMAND, value: 0x60, answered: false },
    PortWrite { port: ports::KEYBOARD_DATA, value: 0x65, answered: false },
    PortWrite { port: ports::SYSTEM_CONTROL_A, value: SYSTEM_A20, answered: false },
];

/// A byte for a port.
struct PortWrite {
    port: u16,
    value: u8,
    /// Whether a byte comes back in the keyboard controller's data port.
    answered: bool,
}

/// Builds the ROM for `entry`.
///
/// # Errors
/// When no code can bring about that state.
pub fn build(entry: &EntryState) -> Result<Vec<u8>, HandoverError> {
    let handover = Handover::build(BASE, entry, &[], |asm, _| set_up_machine(asm))?;
    let (code, data) =
        (Segment::flat(CODE_SELECTOR, Segment::CODE_ACCESS), Segment::flat(DATA_SELECTOR, Segment::DATA_ACCESS));
    let table = [[0; 8], code.descriptor().to_le_bytes(), data.descriptor().to_le_bytes()].concat();
    let gdtr = TableRegister { base: BASE + u32::from(GDT), limit: 3 * 8 - 1 };
    let mut jump = CodeAssembler::new(16)?;
    jump.jmp(u64::from(CODE16))?;

    let mut rom = vec![0; SIZE];
    let mut put = |offset: u16, bytes: &[u8]| rom[usize::from(offset)..][..bytes.len()].copy_from_slice(bytes);
    put(0, &handover.bytes);
    put(CODE16, &enter_protected_mode(handover.start)?);
    put(GDTR, &gdtr.pseudo_descriptor());
    put(GDT, &table);
    put(RESET_VECTOR, &jump.assemble(RESET_VECTOR.into())?);
    Ok(rom)
}

/// Real mode, as after reset, with the ROM as the hidden base of CS: into protected mode on flat segments, to `target`.
fn enter_protected_mode(target: u32) -> Result<Vec<u8>, IcedError> {
    let mut asm = CodeAssembler::new(16)?;
    // With a 32-bit operand size, which the assembler's own LGDT does not have in 16-bit code: the base is above 16 MiB.
    let gdtr = MemoryOperand { segment_prefix: Register::CS, ..MemoryOperand::with_displ(GDTR.into(), 2) };
    asm.add_instruction(Instruction::with1(Code::Lgdt_m1632, gdtr)?)?;
    asm.mov(eax, CR0_PE | CR0_ET)?;
    asm.mov(cr0, eax)?;
    asm.add_instruction(Instruction::with_far_branch(Code::Jmp_ptr1632, CODE_SELECTOR, target)?)?;
    asm.assemble(CODE16.into())
}

/// Protected mode: flat data segments, and everything of the machine that a guest finds set up.
fn set_up_machine(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    asm.mov(ax, u32::from(DATA_SELECTOR))?;
    for register in [ds, es, ss] {
        asm.mov(register, ax)?;
    }
    asm.mov(dword_ptr(APIC_LINT0), APIC_EXTINT)?;
    asm.mov(dword_ptr(APIC_SPURIOUS), APIC_ENABLED)?;
    for PortWrite { port, value, answered } in PORT_SETUP {
        asm.mov(dx, u32::from(port))?;
        asm.mov(al, u32::from(value))?;
        asm.out(dx, al)?;
        if answered {
            asm.mov(dx, u32::from(ports::KEYBOARD_DATA))?;
            asm.in_(al, dx)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stos_x86::segments::Segments;

    fn entry() -> EntryState {
        let task = Segment { selector: 0x18, base: 0x1234_5000, limit: 0x67, access: Segment::BUSY_TSS_ACCESS };
        let (code, data) = (Segment::flat(8, Segment::CODE_ACCESS), Segment::flat(0x10, Segment::DATA_ACCESS));
        EntryState {
            eip: 0x10_0000,
            eflags: 2,
            cr0: 0x11,
            segments: Segments::new(code, data, task),
            ..EntryState::default()
        }
    }

    fn at(rom: &[u8], offset: u16, count: usize) -> &[u8] {
        &rom[usize::from(offset)..][..count]
    }

    #[test]
    fn the_reset_vector_jumps_to_the_code() {
        let rom = build(&entry()).unwrap();
        assert_eq!(rom.len(), SIZE);
        let jump = at(&rom, RESET_VECTOR, 3);
        assert_eq!(jump[0], 0xe9);
        assert_eq!(u16::from_le_bytes([jump[1], jump[2]]).wrapping_add(RESET_VECTOR + 3), CODE16);
    }

    #[test]
    fn protected_mode_is_entered_on_flat_segments() {
        let rom = build(&entry()).unwrap();
        // O32 LGDT CS:[GDTR]; MOV EAX, PE | ET; MOV CR0, EAX; JMP 8:handover.
        assert_eq!(at(&rom, CODE16, 6), [0x2e, 0x66, 0x0f, 0x01, 0x16, 0x00]);
        assert_eq!(at(&rom, CODE16 + 7, 9), [0x66, 0xb8, 0x11, 0, 0, 0, 0x0f, 0x22, 0xc0]);
        let target = Handover::build(BASE, &entry(), &[], |asm, _| set_up_machine(asm)).unwrap().start;
        let jump = [&[0x66, 0xea][..], &target.to_le_bytes(), &CODE_SELECTOR.to_le_bytes()].concat();
        assert_eq!(at(&rom, CODE16 + 16, 8), jump);
        assert_eq!(at(&rom, GDTR, 6), [0x17, 0, 0x08, 0xe1, 0xff, 0xff]);
        assert_eq!(at(&rom, GDT + 8, 8), 0x00cf_9b00_0000_ffff_u64.to_le_bytes());
        assert_eq!(at(&rom, GDT + 16, 8), 0x00cf_9300_0000_ffff_u64.to_le_bytes());
    }

    #[test]
    fn the_largest_handover_leaves_room_for_the_code_behind_it() {
        let mut large = entry();
        large.segments.gs.selector = 0xbff8;
        let rom = build(&large).unwrap();
        assert_eq!(at(&rom, 0xbff8, 8), 0x00cf_9300_0000_ffff_u64.to_le_bytes());
        assert_eq!(at(&rom, CODE16, 2), [0x2e, 0x66]);
        assert_eq!(at(&rom, CODE16 - 0x100, 0x100), [0; 0x100]);
    }

    #[test]
    fn a_state_that_it_cannot_reach_is_refused() {
        let mut state = entry();
        state.segments.es.access &= !0x80;
        assert_eq!(build(&state).unwrap_err().to_string(), "ES has selector 0x10, and its segment is not present");
    }
}
