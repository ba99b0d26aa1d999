//! Makes cases: random instructions that mostly find their operands.

use fastrand::Rng;
use iced_x86::{
    Code, CpuidFeature, Decoder, DecoderError, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};

use super::case::{CODE, DATA, Given, Registers, WINDOW, WINDOW_SIZE};
use super::vendor::is_amd;

/// The middle of the data that is told.
const MIDDLE: u32 = DATA + WINDOW + WINDOW_SIZE as u32 / 2;
/// Pages of the oracle itself lie here. Whatever leads there is left out.
const ORACLE: std::ops::Range<u32> = 0x2000_0000..0x3000_0000;
/// CF, PF, AF, ZF, SF, DF and OF; interrupts are on in a process, and bit 1 is one.
const FLAGS: u32 = 0xcd5;
const ALWAYS: u32 = 0x202;

/// Newer instructions that an older processor takes for others are left out.
const OPTIONS: u32 = DecoderOptions::FORCE_RESERVED_NOP;

/// Makes another case of `given`. Gives back its instruction as decoded.
pub fn case(rng: &mut Rng, given: &mut Given) -> Instruction {
    loop {
        if let Some(instruction) = attempt(rng, given) {
            return instruction;
        }
    }
}

fn attempt(rng: &mut Rng, given: &mut Given) -> Option<Instruction> {
    let bytes = bytes(rng);
    let mut decoder = Decoder::with_ip(32, &bytes, u64::from(CODE), OPTIONS);
    let instruction = decoder.decode();
    if decoder.last_error() != DecoderError::None || !can_run(&instruction) {
        return None;
    }
    let Given { registers, code, data, floats: _ } = given;
    code.clear();
    code.extend_from_slice(&bytes[..instruction.len()]);
    *registers = Registers { general: std::array::from_fn(|_| number(rng)), eflags: rng.u32(..) & FLAGS | ALWAYS };
    registers.general[4] = MIDDLE + rng.u32(0..16) * if rng.u8(..) < 200 { 4 } else { 1 };
    place(registers, code, &instruction, rng);
    let instruction = Decoder::with_ip(32, code, u64::from(CODE), OPTIONS).decode();
    if !stays(registers, &instruction) {
        return None;
    }
    rng.fill(data);
    Some(instruction)
}

/// A number that is likely to be at an edge.
fn number(rng: &mut Rng) -> u32 {
    let edge = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    match rng.u8(0..4) {
        0 => rng.choice(edge).unwrap_or(0),
        1 => rng.u32(0..64),
        2 => rng.choice(edge).unwrap_or(0).wrapping_add(rng.u32(0..4)).wrapping_sub(2),
        _ => rng.u32(..),
    }
}

fn bytes(rng: &mut Rng) -> [u8; 16] {
    let mut bytes = rng.u128(..).to_le_bytes();
    let mut at = 0;
    for (prefix, often) in [(0x66, 64), (0xf0, 8), (0xf3, 16), (0xf2, 16), (0x67, 8), (0x3e, 4)] {
        if rng.u8(..) < often {
            bytes[at] = prefix;
            at += 1;
        }
    }
    if rng.u8(..) < 96 {
        bytes[at] = 0x0f;
    }
    bytes
}

/// Instructions whose effect is seen in registers and data alone, and which a process may execute.
fn can_run(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    let registers = [instruction.op0_register(), instruction.op1_register()];
    let is_outside = instruction.flow_control() != FlowControl::Next
        || registers.into_iter().any(|register| {
            register.is_segment_register() || register.is_cr() || register.is_dr() || register.is_tr()
        })
        || matches!(instruction.segment_prefix(), Register::FS | Register::GS)
        // What this model lacks, newer processors have.
        || instruction.cpuid_features().iter().any(|feature| !is_of_model(*feature))
        // Processors of AMD have PREFETCH there, which takes no register.
        || is_amd() && matches!(instruction.code(), Code::Reservednop_rm16_r16_0F0D | Code::Reservednop_rm32_r32_0F0D)
        // What they answer is the kernel's and the host's.
        || matches!(
            instruction.mnemonic(),
            M::Popf | M::Popfd | M::Cpuid | M::Rdtsc | M::Rdtscp | M::Rdpmc | M::Sgdt | M::Sidt | M::Sldt | M::Str | M::Smsw
                | M::Lar | M::Lsl | M::Verr | M::Verw | M::Lds | M::Les | M::Lss | M::Lfs | M::Lgs | M::Arpl | M::Pushf | M::Pushfd
                | M::Prefetch | M::Prefetchw | M::Prefetchwt1 | M::Clflush
        )
        // Sixteen bits of address lead to where a process has nothing.
        || instruction.op_kinds().any(|kind| matches!(kind, OpKind::MemorySegSI | OpKind::MemorySegDI | OpKind::MemoryESDI))
        || has_memory(instruction) && has_short_address(instruction);
    !is_outside
}

fn is_of_model(feature: CpuidFeature) -> bool {
    use CpuidFeature as F;
    matches!(
        feature,
        F::INTEL8086
            | F::INTEL8086_ONLY
            | F::INTEL186
            | F::INTEL286
            | F::INTEL386
            | F::INTEL486
            | F::CMOV
            | F::CPUID
            | F::CX8
            | F::MSR
            | F::MULTIBYTENOP
            | F::PAUSE
    )
}

fn has_memory(instruction: &Instruction) -> bool {
    instruction.op_kinds().any(|kind| kind == OpKind::Memory)
}

fn has_short_address(instruction: &Instruction) -> bool {
    instruction.memory_base().size() == 2
        || instruction.memory_index().size() == 2
        || instruction.memory_displ_size() == 2
}

fn number_of(register: Register) -> usize {
    register.full_register32().number()
}

/// Leads the memory operand and the string registers into the data, most of the time.
fn place(registers: &mut Registers, code: &mut [u8], instruction: &Instruction, rng: &mut Rng) {
    if rng.u8(..) < 8 {
        return;
    }
    let is_string = instruction
        .op_kinds()
        .any(|kind| matches!(kind, OpKind::MemorySegESI | OpKind::MemoryESEDI | OpKind::MemorySegEDI));
    if is_string {
        registers.general[1] = rng.u32(0..12);
        registers.general[6] = MIDDLE - 64 + rng.u32(0..128);
        registers.general[7] = MIDDLE - 64 + rng.u32(0..128);
    }
    match instruction.mnemonic() {
        Mnemonic::Leave | Mnemonic::Enter => registers.general[5] = MIDDLE + rng.u32(0..32) * 4,
        Mnemonic::Xlatb => registers.general[3] = MIDDLE - 128,
        Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc if instruction.op1_kind() == OpKind::Register => {
            registers.general[number_of(instruction.op1_register())] = rng.u32(0..512).wrapping_sub(256);
        }
        _ => {}
    }
    if !has_memory(instruction) || instruction.mnemonic() == Mnemonic::Xlatb {
        return;
    }
    let target = MIDDLE - 32 + rng.u32(0..64);
    let (base, index) = (instruction.memory_base(), instruction.memory_index());
    let missing = target.wrapping_sub(address(registers, instruction));
    if base != Register::None && base != index {
        let register = &mut registers.general[number_of(base)];
        *register = register.wrapping_add(missing);
    } else if instruction.memory_displ_size() == 4 {
        let mut decoder = Decoder::with_ip(32, code, 0, OPTIONS);
        let decoded = decoder.decode();
        let offsets = decoder.get_constant_offsets(&decoded);
        let at = offsets.displacement_offset();
        let displacement = instruction.memory_displacement32().wrapping_add(missing);
        code[at..at + 4].copy_from_slice(&displacement.to_le_bytes());
    }
}

fn address(registers: &Registers, instruction: &Instruction) -> u32 {
    let register = |register: Register| match register {
        Register::None => 0,
        register => registers.general[number_of(register)],
    };
    register(instruction.memory_base())
        .wrapping_add(register(instruction.memory_index()).wrapping_mul(instruction.memory_index_scale()))
        .wrapping_add(instruction.memory_displacement32())
}

/// Its memory is either among what is told, or where nothing is.
fn stays(registers: &Registers, instruction: &Instruction) -> bool {
    let is_known = |address: u32| {
        let end = DATA + WINDOW + WINDOW_SIZE as u32;
        // Far away from the pages of code and data, which are there, and from the oracle.
        (DATA + WINDOW + 64..end - 80).contains(&address)
            || !(CODE - 0x1000..CODE + 0x4_0000).contains(&address)
                && !ORACLE.contains(&address)
                && (0x1000..0xffff_f000).contains(&address)
    };
    // The stack has moved where its pointer was the base.
    let mut addresses = vec![registers.general[4]];
    let has = |wanted: &[OpKind]| instruction.op_kinds().any(|kind| wanted.contains(&kind));
    if has(&[OpKind::MemorySegESI]) {
        addresses.push(registers.general[6]);
    }
    if has(&[OpKind::MemoryESEDI, OpKind::MemorySegEDI]) {
        addresses.push(registers.general[7]);
    }
    if has(&[OpKind::MemorySegESI, OpKind::MemoryESEDI])
        && registers.general[1] > 64
        && (instruction.has_rep_prefix() || instruction.has_repne_prefix())
    {
        return false;
    }
    match instruction.mnemonic() {
        Mnemonic::Xlatb => addresses.push(registers.general[3].wrapping_add(registers.general[0] & 0xff)),
        Mnemonic::Leave | Mnemonic::Enter => addresses.push(registers.general[5]),
        Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
            if has_memory(instruction) && instruction.op1_kind() == OpKind::Register =>
        {
            let register = instruction.op1_register();
            let value = registers.general[number_of(register)];
            let bits = if register.size() == 2 { i32::from((value as u16).cast_signed()) } else { value.cast_signed() };
            addresses.push(address(registers, instruction).wrapping_add_signed(bits >> 3));
        }
        _ if has_memory(instruction) => {
            // ESP as a base counts after a POP.
            addresses.push(address(registers, instruction));
        }
        _ => {}
    }
    addresses.into_iter().all(is_known)
}
