//! Moves between registers of MMX and SSE, general registers and memory.

use iced_x86::{Code, Instruction};

use super::lanes::{u8s, u32s, u64s};
use crate::cpu::operands::{Handler, Op};
use crate::state::core::{Core, Parts, Raised};
use crate::state::word::Word;

/// The lower half.
const LOW: u128 = u64::MAX as u128;

#[allow(clippy::too_many_lines, reason = "a table")]
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    use Code as C;
    let is_load = instruction.op1_kind() == iced_x86::OpKind::Memory;
    Some(match instruction.code() {
        C::Movd_mm_rm32 => |core, op| {
            core.check_mmx()?;
            let value = general_source(core, op)?;
            core.enter_mmx();
            core.set_mmx(op.first, value.into());
            Ok(())
        },
        C::Movd_rm32_mm => |core, op| {
            core.check_mmx()?;
            // TOP is cleared also when the store faults, as processors do it; the tags only afterwards.
            core.x87.top = 0;
            let value = (core.mmx(op.second) & u64::from(u32::MAX)) as u32;
            to_general(core, op, value)?;
            core.enter_mmx();
            Ok(())
        },
        C::Movd_xmm_rm32 => |core, op| {
            core.check_sse()?;
            let value = general_source(core, op)?;
            core.set_xmm(op.first, value.into());
            Ok(())
        },
        C::Movd_rm32_xmm => |core, op| {
            core.check_sse()?;
            to_general(core, op, u32s(core.xmm(op.second))[0])
        },
        C::Movq_mm_mmm64 => |core, op| {
            core.check_mmx()?;
            let value = core.mmx_source::<8>(op)?;
            core.set_mmx(op.first, u64s(value)[0]);
            Ok(())
        },
        C::Movq_mmm64_mm | C::Movntq_m64_mm => |core, op| {
            core.check_mmx()?;
            core.x87.top = 0;
            let value = core.mmx(op.second);
            if op.has_memory {
                core.store_lanes::<8>(op, value.into())?;
            } else {
                core.set_mmx(op.first, value);
            }
            core.enter_mmx();
            Ok(())
        },
        C::Movq_xmm_xmmm64 => |core, op| {
            core.check_sse()?;
            let value = core.xmm_source::<8>(op)? & LOW;
            core.set_xmm(op.first, value);
            Ok(())
        },
        C::Movq_xmmm64_xmm => |core, op| {
            core.check_sse()?;
            let value = core.xmm(op.second) & LOW;
            if op.has_memory {
                return core.store_lanes::<8>(op, value);
            }
            core.set_xmm(op.first, value);
            Ok(())
        },
        C::Movaps_xmm_xmmm128 | C::Movapd_xmm_xmmm128 | C::Movdqa_xmm_xmmm128 => |core, op| {
            core.check_sse()?;
            let value = core.xmm_source::<16>(op)?;
            core.set_xmm(op.first, value);
            Ok(())
        },
        C::Movaps_xmmm128_xmm
        | C::Movapd_xmmm128_xmm
        | C::Movdqa_xmmm128_xmm
        | C::Movntps_m128_xmm
        | C::Movntpd_m128_xmm
        | C::Movntdq_m128_xmm => |core, op| {
            core.check_sse()?;
            let value = core.xmm(op.second);
            if op.has_memory {
                return core.store_lanes::<16>(op, value);
            }
            core.set_xmm(op.first, value);
            Ok(())
        },
        C::Movups_xmm_xmmm128 | C::Movupd_xmm_xmmm128 | C::Movdqu_xmm_xmmm128 => |core, op| {
            core.check_sse()?;
            let value = if op.has_memory {
                u128::from_le_bytes(core.load_bytes(op.segment, op.offset(core))?)
            } else {
                core.xmm(op.second)
            };
            core.set_xmm(op.first, value);
            Ok(())
        },
        C::Movups_xmmm128_xmm | C::Movupd_xmmm128_xmm | C::Movdqu_xmmm128_xmm => |core, op| {
            core.check_sse()?;
            let value = core.xmm(op.second);
            if op.has_memory {
                return core.store_bytes(op.segment, op.offset(core), value.to_le_bytes());
            }
            core.set_xmm(op.first, value);
            Ok(())
        },
        // From memory the rest of the register is cleared, from a register it stays.
        C::Movss_xmm_xmmm32 if is_load => |core, op| load_cleared::<P, 4>(core, op),
        C::Movsd_xmm_xmmm64 if is_load => |core, op| load_cleared::<P, 8>(core, op),
        C::Movss_xmm_xmmm32 => |core, op| merge(core, op.first, op.second, u32::MAX.into()),
        C::Movsd_xmm_xmmm64 => |core, op| merge(core, op.first, op.second, LOW),
        C::Movss_xmmm32_xmm if !op_is_memory(instruction) => {
            |core, op| merge(core, op.first, op.second, u32::MAX.into())
        }
        C::Movsd_xmmm64_xmm if !op_is_memory(instruction) => |core, op| merge(core, op.first, op.second, LOW),
        C::Movss_xmmm32_xmm => |core, op| store_low::<P, 4>(core, op, 0),
        C::Movsd_xmmm64_xmm | C::Movlps_m64_xmm | C::Movlpd_m64_xmm => |core, op| store_low::<P, 8>(core, op, 0),
        C::Movhps_m64_xmm | C::Movhpd_m64_xmm => |core, op| store_low::<P, 8>(core, op, 64),
        C::Movlps_xmm_m64 | C::Movlpd_xmm_m64 => |core, op| {
            core.check_sse()?;
            let low = core.load_lanes::<8>(op)?;
            core.set_xmm(op.first, core.xmm(op.first) & !LOW | low);
            Ok(())
        },
        C::Movhps_xmm_m64 | C::Movhpd_xmm_m64 => |core, op| {
            core.check_sse()?;
            let high = core.load_lanes::<8>(op)?;
            core.set_xmm(op.first, core.xmm(op.first) & LOW | high << 64);
            Ok(())
        },
        C::Movhlps_xmm_xmm => |core, op| {
            core.check_sse()?;
            core.set_xmm(op.first, core.xmm(op.first) & !LOW | core.xmm(op.second) >> 64);
            Ok(())
        },
        C::Movlhps_xmm_xmm => |core, op| {
            core.check_sse()?;
            core.set_xmm(op.first, core.xmm(op.first) & LOW | core.xmm(op.second) << 64);
            Ok(())
        },
        C::Movmskps_r32_xmm => |core, op| {
            core.check_sse()?;
            let signs = u32s(core.xmm(op.second)).iter().rev().fold(0, |signs, lane| signs << 1 | lane >> 31);
            u32::set_register(&mut core.general, op.first, signs);
            Ok(())
        },
        C::Movmskpd_r32_xmm => |core, op| {
            core.check_sse()?;
            let [low, high] = u64s(core.xmm(op.second)).map(|lane| u32::from(lane >> 63 != 0));
            u32::set_register(&mut core.general, op.first, low | high << 1);
            Ok(())
        },
        C::Pmovmskb_r32_xmm => |core, op| {
            core.check_sse()?;
            let signs = signs(core.xmm(op.second));
            u32::set_register(&mut core.general, op.first, signs);
            Ok(())
        },
        C::Pmovmskb_r32_mm => |core, op| {
            core.check_mmx()?;
            core.enter_mmx();
            let signs = signs(core.mmx(op.second).into());
            u32::set_register(&mut core.general, op.first, signs);
            Ok(())
        },
        C::Movnti_m32_r32 => |core, op| {
            let value = u32::register(&core.general, op.second);
            core.store::<u32>(op.segment, op.offset(core), value)
        },
        C::Movq2dq_xmm_mm => |core, op| {
            core.check_sse()?;
            core.wait_for_x87()?;
            core.enter_mmx();
            core.set_xmm(op.first, core.mmx(op.second).into());
            Ok(())
        },
        C::Movdq2q_mm_xmm => |core, op| {
            core.check_sse()?;
            core.wait_for_x87()?;
            core.enter_mmx();
            core.set_mmx(op.first, u64s(core.xmm(op.second))[0]);
            Ok(())
        },
        C::Maskmovq_rDI_mm_mm => |core, op| {
            core.check_mmx()?;
            core.enter_mmx();
            let [value, mask] = [op.second, op.first].map(|number| u128::from(core.mmx(number)));
            store_masked(core, op, value, mask, 8)
        },
        C::Maskmovdqu_rDI_xmm_xmm => |core, op| {
            core.check_sse()?;
            store_masked(core, op, core.xmm(op.second), core.xmm(op.first), 16)
        },
        // Of the line that is flushed one byte is read, as far as checks go.
        C::Clflush_m8 => |core, op| core.load::<u8>(op.segment, op.offset(core)).map(|_| ()),
        C::Emms => |core, _| {
            core.check_mmx()?;
            core.x87.empty = 0xff;
            core.x87.top = 0;
            Ok(())
        },
        _ => return None,
    })
}

fn op_is_memory(instruction: &Instruction) -> bool {
    instruction.op0_kind() == iced_x86::OpKind::Memory
}

fn general_source<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<u32, Raised> {
    if op.has_memory {
        core.load::<u32>(op.segment, op.offset(core))
    } else {
        Ok(u32::register(&core.general, op.second))
    }
}

fn to_general<P: Parts>(core: &mut Core<P>, op: &Op<P>, value: u32) -> Result<(), Raised> {
    if op.has_memory {
        return core.store::<u32>(op.segment, op.offset(core), value);
    }
    u32::set_register(&mut core.general, op.first, value);
    Ok(())
}

fn load_cleared<P: Parts, const N: usize>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.check_sse()?;
    let value = core.load_lanes::<N>(op)?;
    core.set_xmm(op.first, value);
    Ok(())
}

fn merge<P: Parts>(core: &mut Core<P>, target: u8, source: u8, mask: u128) -> Result<(), Raised> {
    core.check_sse()?;
    core.set_xmm(target, core.xmm(target) & !mask | core.xmm(source) & mask);
    Ok(())
}

fn store_low<P: Parts, const N: usize>(core: &mut Core<P>, op: &Op<P>, from: u32) -> Result<(), Raised> {
    core.check_sse()?;
    core.store_lanes::<N>(op, core.xmm(op.second) >> from)
}

fn signs(vector: u128) -> u32 {
    u8s(vector).iter().rev().fold(0, |signs, byte| signs << 1 | u32::from(byte >> 7))
}

/// Writes the bytes whose byte of the mask has its highest bit set, to where (E)DI points.
fn store_masked<P: Parts>(core: &mut Core<P>, op: &Op<P>, value: u128, mask: u128, size: u32) -> Result<(), Raised> {
    let target = core.general[7];
    let target = target & op.offsets;
    // All of it must be writable before any of it is written.
    let chosen = |at: &u32| u8s(mask)[*at as usize] >> 7 != 0;
    for at in (0..size).filter(chosen) {
        let linear = core.linear_to_write(op.segment, target.wrapping_add(at), 1)?;
        core.translate(linear, crate::state::fault::Use::Write, core.cpl == 3)?;
    }
    for at in (0..size).filter(chosen) {
        core.store::<u8>(op.segment, target.wrapping_add(at), u8s(value)[at as usize].into())?;
    }
    Ok(())
}
