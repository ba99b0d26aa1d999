//! Shuffles, and words into and out of vectors.

use iced_x86::{Code, Instruction};

use super::lanes::{from_u16s, from_u32s, from_u64s, u16s, u32s, u64s};
use crate::cpu::operands::{Handler, Op};
use crate::state::core::{Core, Parts, Raised};
use crate::state::word::Word;

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.code() {
        Code::Pshufw_mm_mmm64_imm8 => |core, op| {
            core.check_mmx()?;
            let words = u16s(core.mmx_source::<8>(op)?);
            let picked = from_u16s(std::array::from_fn(|at| if at < 4 { words[pick(op.immediate, at, 2)] } else { 0 }));
            core.set_mmx(op.first, (picked & u128::from(u64::MAX)) as u64);
            Ok(())
        },
        Code::Pshufd_xmm_xmmm128_imm8 => |core, op| {
            shuffle(core, op, |_, source, order| {
                let source = u32s(source);
                from_u32s(std::array::from_fn(|at| source[pick(order, at, 2)]))
            })
        },
        Code::Pshufhw_xmm_xmmm128_imm8 => {
            |core, op| shuffle(core, op, |_, source, order| shuffle_words(source, order, 4))
        }
        Code::Pshuflw_xmm_xmmm128_imm8 => {
            |core, op| shuffle(core, op, |_, source, order| shuffle_words(source, order, 0))
        }
        Code::Shufps_xmm_xmmm128_imm8 => |core, op| {
            shuffle(core, op, |target, source, order| {
                let (target, source) = (u32s(target), u32s(source));
                let lane = |at| if at < 2 { target[pick(order, at, 2)] } else { source[pick(order, at, 2)] };
                from_u32s(std::array::from_fn(lane))
            })
        },
        Code::Shufpd_xmm_xmmm128_imm8 => |core, op| {
            shuffle(core, op, |target, source, order| {
                from_u64s([u64s(target)[pick(order, 0, 1)], u64s(source)[pick(order, 1, 1)]])
            })
        },
        Code::Pinsrw_mm_r32m16_imm8 => |core, op| {
            core.check_mmx()?;
            let word = word(core, op)?;
            core.enter_mmx();
            let mut words = u16s(core.mmx(op.first).into());
            words[(op.immediate & 3) as usize] = word;
            core.set_mmx(op.first, u64s(from_u16s(words))[0]);
            Ok(())
        },
        Code::Pinsrw_xmm_r32m16_imm8 => |core, op| {
            core.check_sse()?;
            let mut words = u16s(core.xmm(op.first));
            words[(op.immediate & 7) as usize] = word(core, op)?;
            core.set_xmm(op.first, from_u16s(words));
            Ok(())
        },
        Code::Pextrw_r32_mm_imm8 => |core, op| {
            core.check_mmx()?;
            core.enter_mmx();
            let word = u16s(core.mmx(op.second).into())[(op.immediate & 3) as usize];
            u32::set_register(&mut core.general, op.first, word.into());
            Ok(())
        },
        Code::Pextrw_r32_xmm_imm8 => |core, op| {
            core.check_sse()?;
            let word = u16s(core.xmm(op.second))[(op.immediate & 7) as usize];
            u32::set_register(&mut core.general, op.first, word.into());
            Ok(())
        },
        _ => return None,
    })
}

/// The number of a lane in the field of `bits` bits for a place.
const fn pick(order: u32, place: usize, bits: usize) -> usize {
    (order as usize >> (bits * place)) & ((1 << bits) - 1)
}

fn shuffle<P: Parts>(core: &mut Core<P>, op: &Op<P>, f: fn(u128, u128, u32) -> u128) -> Result<(), Raised> {
    core.check_sse()?;
    let source = core.xmm_source::<16>(op)?;
    core.set_xmm(op.first, f(core.xmm(op.first), source, op.immediate));
    Ok(())
}

/// Four of the words from `from` on are shuffled, the others stay.
fn shuffle_words(source: u128, order: u32, from: usize) -> u128 {
    let words = u16s(source);
    let lane =
        |at: usize| if (from..from + 4).contains(&at) { words[from + pick(order, at - from, 2)] } else { words[at] };
    from_u16s(std::array::from_fn(lane))
}

fn word<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<u16, Raised> {
    let word = if op.has_memory {
        core.load::<u16>(op.segment, op.offset(core))?
    } else {
        u32::register(&core.general, op.second)
    };
    Ok((word & 0xffff) as u16)
}
