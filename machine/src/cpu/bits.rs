//! Single bits, and conditions (Intel SDM volume 1, section 7.3.7).

use iced_x86::{ConditionCode, Instruction, Mnemonic, OpKind};

use super::chain::chain;
use super::operands::{Chained, First, Form, Handler, Immediate, InMemory, Near, Op, Second, Source, Target, size};
use crate::state::core::{Core, Parts, Raised};
use crate::state::flags::{Flags, ZERO};
use crate::state::word::Word;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Bt => test_handler::<P, Keep>(instruction),
        Mnemonic::Bts => test_handler::<P, Set>(instruction),
        Mnemonic::Btr => test_handler::<P, Reset>(instruction),
        Mnemonic::Btc => test_handler::<P, Complement>(instruction),
        Mnemonic::Bsf => scan_handler::<P, false>(instruction),
        Mnemonic::Bsr => scan_handler::<P, true>(instruction),
        _ if is_set_if(instruction) => set_if_handler::<P>(instruction),
        _ => return None,
    })
}

/// What executes an instruction of this chapter in a chain, if it is one that is met often.
pub fn chained<P: Parts>(instruction: &Instruction) -> Option<Chained<P>> {
    if !is_set_if(instruction) {
        return None;
    }
    let number = condition(instruction)?;
    Some(match instruction.op0_kind() {
        OpKind::Memory => by_condition!(in chain, number, set_if, Near),
        _ => by_condition!(in chain, number, set_if, First),
    })
}

/// What becomes of a bit that was tested.
trait Change {
    const WRITES: bool;
    fn of(value: u32, mask: u32) -> u32;
}

struct Keep;
struct Set;
struct Reset;
struct Complement;

impl Change for Keep {
    const WRITES: bool = false;
    fn of(value: u32, _mask: u32) -> u32 {
        value
    }
}

impl Change for Set {
    const WRITES: bool = true;
    fn of(value: u32, mask: u32) -> u32 {
        value | mask
    }
}

impl Change for Reset {
    const WRITES: bool = true;
    fn of(value: u32, mask: u32) -> u32 {
        value & !mask
    }
}

impl Change for Complement {
    const WRITES: bool = true;
    fn of(value: u32, mask: u32) -> u32 {
        value ^ mask
    }
}

fn test_handler<P: Parts, C: Change>(instruction: &Instruction) -> Handler<P> {
    match (Form::of(instruction), size(instruction)) {
        (Form::Registers, 2) => test_in::<P, C, First, Second, u16>,
        (Form::Registers, _) => test_in::<P, C, First, Second, u32>,
        (Form::RegisterImmediate, 2) => test_in::<P, C, First, Immediate, u16>,
        (Form::RegisterImmediate, _) => test_in::<P, C, First, Immediate, u32>,
        (Form::MemoryImmediate, 2) => test_in::<P, C, InMemory, Immediate, u16>,
        (Form::MemoryImmediate, _) => test_in::<P, C, InMemory, Immediate, u32>,
        (_, 2) => test_string::<P, C, u16>,
        _ => test_string::<P, C, u32>,
    }
}

fn test_in<P: Parts, C: Change, T: Target, S: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let mask = 1 << (S::get::<P, W>(core, op)? % W::BITS);
    if !C::WRITES {
        let value = T::get::<P, W>(core, op)?;
        core.flags.set_carry(value & mask != 0);
        return Ok(());
    }
    T::update::<P, W>(core, op, |core, value| {
        core.flags.set_carry(value & mask != 0);
        C::of(value, mask)
    })
}

/// A bit of a string in memory, by a number that is signed and may lead far away (volume 2A, "BT").
fn test_string<P: Parts, C: Change, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let number = W::sign_extend(W::register(&core.general, op.second)).cast_signed();
    let mask = 1 << (number.cast_unsigned() % W::BITS);
    let words = number >> W::BITS.trailing_zeros();
    let offset = op.offset(core).wrapping_add_signed(words.wrapping_mul(W::SIZE.cast_signed()));
    let offset = offset & op.offsets;
    if !C::WRITES {
        let value = core.load::<W>(op.segment, offset)?;
        core.flags.set_carry(value & mask != 0);
        return Ok(());
    }
    core.update::<W>(op.segment, offset, |core, value| {
        core.flags.set_carry(value & mask != 0);
        C::of(value, mask)
    })
}

fn scan_handler<P: Parts, const FROM_TOP: bool>(instruction: &Instruction) -> Handler<P> {
    match (Form::of(instruction), size(instruction)) {
        (Form::FromMemory, 2) => scan::<P, InMemory, u16, FROM_TOP>,
        (Form::FromMemory, _) => scan::<P, InMemory, u32, FROM_TOP>,
        (_, 2) => scan::<P, Second, u16, FROM_TOP>,
        _ => scan::<P, Second, u32, FROM_TOP>,
    }
}

/// Without a bit the destination stays as it is, on all processors though the manual leaves it open.
fn scan<P: Parts, S: Source, W: Word, const FROM_TOP: bool>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let value = S::get::<P, W>(core, op)?;
    core.flags.set_status(ZERO, if value == 0 { ZERO } else { 0 });
    if value != 0 {
        let number = if FROM_TOP { value.ilog2() } else { value.trailing_zeros() };
        W::set_register(&mut core.general, op.first, number);
    }
    Ok(())
}

/// Whether a condition holds, by its number in instructions (volume 2D, appendix B.1.4.7).
#[inline]
pub const fn holds<const CONDITION: u8>(flags: &Flags) -> bool {
    let is_less = flags.sign() != flags.overflow();
    let positive = match CONDITION >> 1 {
        0 => flags.overflow(),
        1 => flags.carry(),
        2 => flags.zero(),
        3 => flags.carry() || flags.zero(),
        4 => flags.sign(),
        5 => flags.parity(),
        6 => is_less,
        _ => is_less || flags.zero(),
    };
    positive != (CONDITION & 1 == 1)
}

/// The number of an instruction's condition.
pub fn condition(instruction: &Instruction) -> Option<u8> {
    Some(match instruction.condition_code() {
        ConditionCode::o => 0,
        ConditionCode::no => 1,
        ConditionCode::b => 2,
        ConditionCode::ae => 3,
        ConditionCode::e => 4,
        ConditionCode::ne => 5,
        ConditionCode::be => 6,
        ConditionCode::a => 7,
        ConditionCode::s => 8,
        ConditionCode::ns => 9,
        ConditionCode::p => 10,
        ConditionCode::np => 11,
        ConditionCode::l => 12,
        ConditionCode::ge => 13,
        ConditionCode::le => 14,
        ConditionCode::g => 15,
        ConditionCode::None => return None,
    })
}

/// The handler `$f::<.., N>` for the number of a condition.
macro_rules! by_condition {
    ($number:expr, $f:ident $(, $what:ty)*) => {
        by_condition!(in plainly, $number, $f $(, $what)*)
    };
    (in $form:ident, $number:expr, $f:ident $(, $what:ty)*) => {
        match $number {
            0 => $form!($f::<P, $($what,)* 0>),
            1 => $form!($f::<P, $($what,)* 1>),
            2 => $form!($f::<P, $($what,)* 2>),
            3 => $form!($f::<P, $($what,)* 3>),
            4 => $form!($f::<P, $($what,)* 4>),
            5 => $form!($f::<P, $($what,)* 5>),
            6 => $form!($f::<P, $($what,)* 6>),
            7 => $form!($f::<P, $($what,)* 7>),
            8 => $form!($f::<P, $($what,)* 8>),
            9 => $form!($f::<P, $($what,)* 9>),
            10 => $form!($f::<P, $($what,)* 10>),
            11 => $form!($f::<P, $($what,)* 11>),
            12 => $form!($f::<P, $($what,)* 12>),
            13 => $form!($f::<P, $($what,)* 13>),
            14 => $form!($f::<P, $($what,)* 14>),
            _ => $form!($f::<P, $($what,)* 15>),
        }
    };
}

/// What executes an instruction alone.
macro_rules! plainly {
    ($($execute:tt)+) => {
        $($execute)+
    };
}

pub(crate) use {by_condition, plainly};

fn is_set_if(instruction: &Instruction) -> bool {
    condition(instruction).is_some()
        && instruction.op_count() == 1
        && matches!(instruction.op0_kind(), OpKind::Register | OpKind::Memory)
}

fn set_if_handler<P: Parts>(instruction: &Instruction) -> Handler<P> {
    let number = condition(instruction).unwrap_or(0);
    if instruction.op0_kind() == OpKind::Memory {
        by_condition!(number, set_if, InMemory)
    } else {
        by_condition!(number, set_if, First)
    }
}

#[inline(always)]
fn set_if<P: Parts, T: Target, const CONDITION: u8>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let value = holds::<CONDITION>(&core.flags).into();
    T::set::<P, u8>(core, op, value)
}
