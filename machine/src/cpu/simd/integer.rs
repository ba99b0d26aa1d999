//! Integers in vectors: arithmetic, comparison, logic, shifts, packing (Intel SDM volume 1, sections 9.4 and 11.4.2).

use iced_x86::{Instruction, Mnemonic, OpKind};

use super::lanes::{
    distances, each_i8, each_i16, each_i32, each_u8, each_u16, each_u32, each_u64, multiply_add, pack_doubles,
    pack_words, unpack,
};
use super::{has_mmx, is_xmm};
use crate::cpu::operands::{Handler, Op};
use crate::state::core::{Core, Parts, Raised};

/// What an instruction makes of two vectors; the first one is its target. The last parameter tells those of 128 bits.
trait Operation {
    fn apply(left: u128, right: u128, is_wide: bool) -> u128;
}

/// Each mnemonic with its operation.
macro_rules! operations {
    ($($name:ident => |$left:ident, $right:ident, $wide:pat_param| $result:expr;)*) => {
        $(
            struct $name;

            impl Operation for $name {
                #[inline]
                fn apply($left: u128, $right: u128, $wide: bool) -> u128 {
                    $result
                }
            }
        )*

        fn binary_handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
            match instruction.mnemonic() {
                $(Mnemonic::$name => form::<P, $name>(instruction),)*
                _ => None,
            }
        }
    };
}

fn form<P: Parts, O: Operation>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(if has_mmx(instruction) {
        // PUNPCKL reads no more than it takes.
        if instruction.memory_size().size() == 4 { mmx::<P, O, 4> } else { mmx::<P, O, 8> }
    } else if is_xmm(instruction.op0_register()) {
        sse::<P, O>
    } else {
        return None;
    })
}

fn mmx<P: Parts, O: Operation, const N: usize>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.check_mmx()?;
    let right = core.mmx_source::<N>(op)?;
    let result = O::apply(core.mmx(op.first).into(), right, false);
    core.set_mmx(op.first, (result & u128::from(u64::MAX)) as u64);
    Ok(())
}

fn sse<P: Parts, O: Operation>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.check_sse()?;
    let right = core.xmm_source::<16>(op)?;
    let result = O::apply(core.xmm(op.first), right, true);
    core.set_xmm(op.first, result);
    Ok(())
}

const fn ones(holds: bool) -> u32 {
    if holds { u32::MAX } else { 0 }
}

operations! {
    Paddb => |a, b, _| each_u8(a, b, u8::wrapping_add);
    Paddw => |a, b, _| each_u16(a, b, u16::wrapping_add);
    Paddd => |a, b, _| each_u32(a, b, u32::wrapping_add);
    Paddq => |a, b, _| each_u64(a, b, u64::wrapping_add);
    Psubb => |a, b, _| each_u8(a, b, u8::wrapping_sub);
    Psubw => |a, b, _| each_u16(a, b, u16::wrapping_sub);
    Psubd => |a, b, _| each_u32(a, b, u32::wrapping_sub);
    Psubq => |a, b, _| each_u64(a, b, u64::wrapping_sub);
    Paddsb => |a, b, _| each_i8(a, b, i8::saturating_add);
    Paddsw => |a, b, _| each_i16(a, b, i16::saturating_add);
    Paddusb => |a, b, _| each_u8(a, b, u8::saturating_add);
    Paddusw => |a, b, _| each_u16(a, b, u16::saturating_add);
    Psubsb => |a, b, _| each_i8(a, b, i8::saturating_sub);
    Psubsw => |a, b, _| each_i16(a, b, i16::saturating_sub);
    Psubusb => |a, b, _| each_u8(a, b, u8::saturating_sub);
    Psubusw => |a, b, _| each_u16(a, b, u16::saturating_sub);
    Pmullw => |a, b, _| each_u16(a, b, u16::wrapping_mul);
    Pmulhw => |a, b, _| each_i16(a, b, |a, b| ((i32::from(a) * i32::from(b)) >> 16) as i16);
    Pmulhuw => |a, b, _| each_u16(a, b, |a, b| ((u32::from(a) * u32::from(b)) >> 16) as u16);
    Pmuludq => |a, b, _| each_u64(a, b, |a, b| (a & 0xffff_ffff) * (b & 0xffff_ffff));
    Pmaddwd => |a, b, _| multiply_add(a, b);
    Psadbw => |a, b, _| distances(a, b);
    Pavgb => |a, b, _| each_u8(a, b, |a, b| ((u16::from(a) + u16::from(b) + 1) >> 1) as u8);
    Pavgw => |a, b, _| each_u16(a, b, |a, b| ((u32::from(a) + u32::from(b) + 1) >> 1) as u16);
    Pmaxub => |a, b, _| each_u8(a, b, Ord::max);
    Pminub => |a, b, _| each_u8(a, b, Ord::min);
    Pmaxsw => |a, b, _| each_i16(a, b, Ord::max);
    Pminsw => |a, b, _| each_i16(a, b, Ord::min);
    Pcmpeqb => |a, b, _| each_u8(a, b, |a, b| ones(a == b) as u8);
    Pcmpeqw => |a, b, _| each_u16(a, b, |a, b| ones(a == b) as u16);
    Pcmpeqd => |a, b, _| each_u32(a, b, |a, b| ones(a == b));
    Pcmpgtb => |a, b, _| each_i8(a, b, |a, b| ones(a > b) as i8);
    Pcmpgtw => |a, b, _| each_i16(a, b, |a, b| ones(a > b) as i16);
    Pcmpgtd => |a, b, _| each_i32(a, b, |a, b| ones(a > b).cast_signed());
    Pand => |a, b, _| a & b;
    Pandn => |a, b, _| !a & b;
    Por => |a, b, _| a | b;
    Pxor => |a, b, _| a ^ b;
    Andps => |a, b, _| a & b;
    Andpd => |a, b, _| a & b;
    Andnps => |a, b, _| !a & b;
    Andnpd => |a, b, _| !a & b;
    Orps => |a, b, _| a | b;
    Orpd => |a, b, _| a | b;
    Xorps => |a, b, _| a ^ b;
    Xorpd => |a, b, _| a ^ b;
    Packsswb => |a, b, wide| pack_words(a, b, wide, |word| word.clamp(-128, 127).cast_unsigned() as u8);
    Packuswb => |a, b, wide| pack_words(a, b, wide, |word| word.clamp(0, 255).cast_unsigned() as u8);
    Packssdw => |a, b, wide| pack_doubles(a, b, wide);
    Punpcklbw => |a, b, wide| unpack(a, b, 1, false, wide);
    Punpcklwd => |a, b, wide| unpack(a, b, 2, false, wide);
    Punpckldq => |a, b, wide| unpack(a, b, 4, false, wide);
    Punpcklqdq => |a, b, wide| unpack(a, b, 8, false, wide);
    Punpckhbw => |a, b, wide| unpack(a, b, 1, true, wide);
    Punpckhwd => |a, b, wide| unpack(a, b, 2, true, wide);
    Punpckhdq => |a, b, wide| unpack(a, b, 4, true, wide);
    Punpckhqdq => |a, b, wide| unpack(a, b, 8, true, wide);
    Unpcklps => |a, b, wide| unpack(a, b, 4, false, wide);
    Unpckhps => |a, b, wide| unpack(a, b, 4, true, wide);
    Unpcklpd => |a, b, wide| unpack(a, b, 8, false, wide);
    Unpckhpd => |a, b, wide| unpack(a, b, 8, true, wide);
}

/// A shift of all lanes by the same count: with a count that is too large, what is shifted in is all that is left.
trait Shift {
    fn apply(value: u128, count: u64) -> u128;
}

/// Each mnemonic with its shift.
macro_rules! shifts {
    ($($name:ident => |$value:ident, $count:ident| $result:expr;)*) => {
        $(
            struct $name;

            impl Shift for $name {
                #[inline]
                fn apply($value: u128, $count: u64) -> u128 {
                    $result
                }
            }
        )*

        fn shift_handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
            match instruction.mnemonic() {
                $(Mnemonic::$name => Some(shift_form::<P, $name>(instruction)),)*
                _ => None,
            }
        }
    };
}

fn shift_form<P: Parts, S: Shift>(instruction: &Instruction) -> Handler<P> {
    match (has_mmx(instruction), instruction.op1_kind() == OpKind::Immediate8) {
        (true, true) => |core, op| {
            core.check_mmx()?;
            core.enter_mmx();
            let result = S::apply(core.mmx(op.first).into(), op.immediate.into());
            core.set_mmx(op.first, (result & u128::from(u64::MAX)) as u64);
            Ok(())
        },
        (true, false) => |core, op| {
            core.check_mmx()?;
            let count = core.mmx_source::<8>(op)?;
            let result = S::apply(core.mmx(op.first).into(), (count & u128::from(u64::MAX)) as u64);
            core.set_mmx(op.first, (result & u128::from(u64::MAX)) as u64);
            Ok(())
        },
        (false, true) => |core, op| {
            core.check_sse()?;
            core.set_xmm(op.first, S::apply(core.xmm(op.first), op.immediate.into()));
            Ok(())
        },
        (false, false) => |core, op| {
            core.check_sse()?;
            let count = core.xmm_source::<16>(op)?;
            core.set_xmm(op.first, S::apply(core.xmm(op.first), (count & u128::from(u64::MAX)) as u64));
            Ok(())
        },
    }
}

/// A count that a lane of so many bits can be shifted by.
fn count_below(count: u64, bits: u32) -> Option<u32> {
    u32::try_from(count).ok().filter(|count| *count < bits)
}

shifts! {
    Psllw => |value, count| count_below(count, 16).map_or(0, |count| each_u16(value, 0, |lane, _| lane << count));
    Pslld => |value, count| count_below(count, 32).map_or(0, |count| each_u32(value, 0, |lane, _| lane << count));
    Psllq => |value, count| count_below(count, 64).map_or(0, |count| each_u64(value, 0, |lane, _| lane << count));
    Psrlw => |value, count| count_below(count, 16).map_or(0, |count| each_u16(value, 0, |lane, _| lane >> count));
    Psrld => |value, count| count_below(count, 32).map_or(0, |count| each_u32(value, 0, |lane, _| lane >> count));
    Psrlq => |value, count| count_below(count, 64).map_or(0, |count| each_u64(value, 0, |lane, _| lane >> count));
    Psraw => |value, count| each_i16(value, 0, |lane, _| lane >> count_below(count, 16).unwrap_or(15));
    Psrad => |value, count| each_i32(value, 0, |lane, _| lane >> count_below(count, 32).unwrap_or(31));
    Pslldq => |value, count| count_below(count, 16).map_or(0, |count| value << (8 * count));
    Psrldq => |value, count| count_below(count, 16).map_or(0, |count| value >> (8 * count));
}

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    binary_handler(instruction).or_else(|| shift_handler(instruction))
}
