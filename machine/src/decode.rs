//! From bytes to instructions that can be executed.

use iced_x86::{Decoder, DecoderError, DecoderOptions, FlowControl, Instruction, Mnemonic, Register};

use crate::cpu::operands::{Chained, Handler, Op};
use crate::cpu::{
    arithmetic, bits, branches, chain, decimal, far, flag_control, interrupts, io, logic, model_registers, moves,
    multiply, segments, shifts, simd, stack, strings, system, x87,
};
use crate::dead_flags::FlagUse;
use crate::state::core::Parts;
use crate::state::fault::{Fault, Reason};

/// The longest instruction (Intel SDM volume 2A, section 2.3.11).
pub const LONGEST: usize = 15;

/// This processor is older than TZCNT, LZCNT and WBNOINVD, which are BSF, BSR and WBINVD with a prefix that means nothing, and than
/// what has become of the NOPs that were reserved for it.
const OPTIONS: u32 = DecoderOptions::NO_MPFX_0FBC
    | DecoderOptions::NO_MPFX_0FBD
    | DecoderOptions::NO_WBNOINVD
    | DecoderOptions::FORCE_RESERVED_NOP;

/// An instruction, and what comes after it.
pub struct Decoded<P: Parts> {
    /// It.
    pub op: Op<P>,
    /// See there.
    pub then: Then,
    /// See there.
    pub flags: FlagUse<P>,
}

/// What comes after an instruction that raises nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The one behind it.
    Next,
    /// The one behind it, or one elsewhere in the same code segment, to which [`Op::displacement`] leads from the beginning of the page.
    Either,
    /// One elsewhere in the same code segment, executed in the same way.
    Elsewhere,
    /// How it is to be executed has to be looked at anew: interrupts, traps, segments, modes, devices.
    Anything,
}

/// Builds the tables that instructions are decoded with, which takes a third of a millisecond: whoever decodes the first one, waits
/// for that.
pub fn build_tables() {
    let _ = Decoder::with_ip(32, &[], 0, OPTIONS).decode();
}

/// Decodes the instruction that `bytes` begin with, in a code segment of 32 or 16 bits; `None` when there are too few bytes.
pub fn decode<P: Parts>(bytes: &[u8], is_32: bool) -> Option<Decoded<P>> {
    let window = bytes.get(..LONGEST).unwrap_or(bytes);
    let mut decoder = Decoder::with_ip(if is_32 { 32 } else { 16 }, window, 0, OPTIONS);
    let instruction = decoder.decode();
    match decoder.last_error() {
        DecoderError::None => {}
        DecoderError::NoMoreBytes if bytes.len() < LONGEST => return None,
        // Of one that does not end within what an instruction may have, the decoder says no more than of one that is none.
        _ if instruction.len() == LONGEST => {
            return Some(refused(|core, _| Err(core.raise(Fault::protection(Reason::TooLong)))));
        }
        _ => return Some(unknown()),
    }
    let Some(run) = handler(&instruction) else { return Some(unknown()) };
    let chained = chained(&instruction);
    let flags = FlagUse::of(&instruction, chained.is_some());
    let mut op = Op::new(&instruction, run, chained.unwrap_or(chain::any));
    op.opcode = x87::opcode(&window[..instruction.len()]);
    Some(Decoded { op, then: then(&instruction, chained.is_some()), flags })
}

fn refused<P: Parts>(run: Handler<P>) -> Decoded<P> {
    Decoded { op: Op::new(&Instruction::default(), run, chain::any), then: Then::Anything, flags: FlagUse::Needs }
}

fn unknown<P: Parts>() -> Decoded<P> {
    refused(|core, _| Err(core.raise(Fault::invalid(Reason::NoInstruction))))
}

/// Finds what executes an instruction of a chapter.
type Chapter<P> = fn(&Instruction) -> Option<Handler<P>>;

fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    let chapters: [Chapter<P>; 19] = [
        segments::handler,
        system::handler,
        moves::handler,
        arithmetic::handler,
        logic::handler,
        stack::handler,
        branches::handler,
        shifts::handler,
        bits::handler,
        multiply::handler,
        strings::handler,
        flag_control::handler,
        far::handler,
        interrupts::handler,
        io::handler,
        decimal::handler,
        model_registers::handler,
        x87::handler,
        simd::handler,
    ];
    chapters.iter().find_map(|chapter| chapter(instruction))
}

/// Finds what executes an instruction of a chapter in a chain.
type Links<P> = fn(&Instruction) -> Option<Chained<P>>;

/// What executes an instruction in a chain, where that is not what executes any.
fn chained<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    let chapters: [Links<P>; 8] = [
        moves::chained,
        arithmetic::chained,
        logic::chained,
        stack::chained,
        branches::chained,
        shifts::chained,
        bits::chained,
        multiply::chained,
    ];
    chapters.iter().find_map(|chapter| chapter(instruction))
}

fn then(instruction: &Instruction, is_in_chain: bool) -> Then {
    let is_repeated = instruction.has_rep_prefix() || instruction.has_repne_prefix();
    match instruction.flow_control() {
        FlowControl::Next if looks_anew(instruction) => Then::Anything,
        FlowControl::Next if is_repeated => Then::Elsewhere,
        FlowControl::Next => Then::Next,
        FlowControl::ConditionalBranch if is_in_chain => Then::Either,
        _ if is_near_branch(instruction) => Then::Elsewhere,
        _ => Then::Anything,
    }
}

/// True for a branch within the code segment.
fn is_near_branch(instruction: &Instruction) -> bool {
    match instruction.flow_control() {
        FlowControl::ConditionalBranch => true,
        FlowControl::UnconditionalBranch => instruction.is_jmp_short_or_near(),
        FlowControl::IndirectBranch => instruction.is_jmp_near_indirect(),
        FlowControl::Call => instruction.is_call_near(),
        FlowControl::IndirectCall => instruction.is_call_near_indirect(),
        FlowControl::Return => instruction.mnemonic() == Mnemonic::Ret,
        _ => false,
    }
}

/// True for an instruction that goes on behind it, but may have changed how.
fn looks_anew(instruction: &Instruction) -> bool {
    let is_of_system = |register: Register| register.is_segment_register() || register.is_cr() || register.is_dr();
    [instruction.op0_register(), instruction.op1_register()].into_iter().any(is_of_system)
        || matches!(
            instruction.mnemonic(),
            Mnemonic::Sti
                | Mnemonic::Cli
                | Mnemonic::Popf
                | Mnemonic::Popfd
                | Mnemonic::Hlt
                | Mnemonic::Lmsw
                | Mnemonic::Invlpg
                | Mnemonic::In
                | Mnemonic::Out
                | Mnemonic::Insb
                | Mnemonic::Insw
                | Mnemonic::Insd
                | Mnemonic::Outsb
                | Mnemonic::Outsw
                | Mnemonic::Outsd
                | Mnemonic::Lss
                | Mnemonic::Wrmsr
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::CpuidFeature;
    use std::collections::BTreeSet;

    /// True for an instruction that every processor like this one has, or that CPUID announces.
    fn is_announced(instruction: &Instruction) -> bool {
        instruction.cpuid_features().iter().all(|feature| ANNOUNCED.contains(feature))
    }

    /// What CPUID announces, and what is older than it.
    const ANNOUNCED: [CpuidFeature; 20] = [
        CpuidFeature::INTEL8086,
        CpuidFeature::INTEL186,
        CpuidFeature::INTEL286,
        CpuidFeature::INTEL386,
        CpuidFeature::INTEL486,
        CpuidFeature::CPUID,
        CpuidFeature::CX8,
        CpuidFeature::CLFSH,
        CpuidFeature::CMOV,
        CpuidFeature::FPU,
        CpuidFeature::FPU287,
        CpuidFeature::FPU387,
        CpuidFeature::FXSR,
        CpuidFeature::MMX,
        CpuidFeature::MSR,
        CpuidFeature::RDPMC,
        CpuidFeature::SEP,
        CpuidFeature::SSE,
        CpuidFeature::SSE2,
        CpuidFeature::TSC,
    ];

    #[test]
    fn whatever_cpuid_announces_is_there() {
        let mut missing = BTreeSet::new();
        let mut count = 0;
        for prefix in [&[][..], &[0x66], &[0xf2], &[0xf3], &[0x9b]] {
            for escape in [&[][..], &[0x0f]] {
                for opcode in 0..=0xff_u8 {
                    for form in 0..=0xff_u8 {
                        let mut bytes = [prefix, escape, &[opcode, form]].concat();
                        bytes.resize(LONGEST, 0);
                        for bits in [16, 32] {
                            let mut decoder = Decoder::with_ip(bits, &bytes, 0, OPTIONS);
                            let instruction = decoder.decode();
                            if instruction.is_invalid() || !is_announced(&instruction) {
                                continue;
                            }
                            count += 1;
                            if handler::<(crate::bus::Empty, ())>(&instruction).is_none() {
                                missing.insert(format!("{:?}", instruction.mnemonic()));
                            }
                        }
                    }
                }
            }
        }
        assert!(count > 100_000, "only {count} instructions");
        assert_eq!(missing, BTreeSet::new());
    }
}
