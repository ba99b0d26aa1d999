//! FCOM, FUCOM, FICOM, FTST, FCOMI, FUCOMI and FXAM.

use std::cmp::Ordering;

use iced_x86::{Instruction, Mnemonic, OpKind};

use super::index;
use crate::cpu::operands::{Handler, Op};
use crate::float::compare::compare;
use crate::float::format::{DENORMAL, INVALID};
use crate::float::value::{Kind, Value};
use crate::state::core::{Core, Parts, Raised};
use crate::state::flags::STATUS;
use crate::state::x87::{C0, C1, C2, C3};

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    use Mnemonic as M;
    let is_memory = instruction.op0_kind() == OpKind::Memory;
    Some(match instruction.mnemonic() {
        M::Fcom if is_memory => |core, op| with_memory(core, op, 0),
        M::Fcomp if is_memory => |core, op| with_memory(core, op, 1),
        M::Ficom => |core, op| with_memory(core, op, 0),
        M::Ficomp => |core, op| with_memory(core, op, 1),
        M::Fcom => |core, op| with_register(core, op, false, 0),
        M::Fcomp => |core, op| with_register(core, op, false, 1),
        M::Fcompp => |core, op| with_register(core, op, false, 2),
        M::Fucom => |core, op| with_register(core, op, true, 0),
        M::Fucomp => |core, op| with_register(core, op, true, 1),
        M::Fucompp => |core, op| with_register(core, op, true, 2),
        M::Fcomi => |core, op| to_flags(core, op, false, 0),
        M::Fcomip => |core, op| to_flags(core, op, false, 1),
        M::Fucomi => |core, op| to_flags(core, op, true, 0),
        M::Fucomip => |core, op| to_flags(core, op, true, 1),
        M::Ftst => test,
        M::Fxam => examine,
        _ => return None,
    })
}

/// Compares, and tells of exceptions; `None` when one is not masked. `Some(None)` is unordered.
fn compared<P: Parts>(core: &mut Core<P>, left: Value, right: Value, takes_nans: bool) -> (Option<Ordering>, bool) {
    let ordering = compare(&left, &right);
    let is_invalid = left.is_invalid() || right.is_invalid() || ordering.is_none() && !takes_nans;
    let has_denormal = ordering.is_some() && (left.is_denormal() || right.is_denormal());
    let flags = if is_invalid {
        INVALID
    } else if has_denormal {
        DENORMAL
    } else {
        0
    };
    let stops = core.x87.signal(flags);
    (ordering, !stops)
}

fn set_codes<P: Parts>(core: &mut Core<P>, ordering: Option<Ordering>) {
    let codes = match ordering {
        Some(Ordering::Greater) => 0,
        Some(Ordering::Less) => C0,
        Some(Ordering::Equal) => C3,
        None => C0 | C2 | C3,
    };
    core.x87.set_conditions(C0 | C1 | C2 | C3, codes);
}

fn pop<P: Parts>(core: &mut Core<P>, times: u8) {
    (0..times).for_each(|_| core.x87.pop());
}

fn conclude<P: Parts>(core: &mut Core<P>, (ordering, goes_on): (Option<Ordering>, bool), pops: u8) {
    set_codes(core, ordering);
    if goes_on {
        pop(core, pops);
    }
}

fn with_memory<P: Parts>(core: &mut Core<P>, op: &Op<P>, pops: u8) -> Result<(), Raised> {
    core.wait_for_x87()?;
    let value = core.number_in_memory(op)?;
    core.remember(op);
    let result = if core.x87.is_empty(0) {
        (None, !core.x87.stack_fault(false))
    } else {
        let zero = core.x87.get(0).value();
        compared(core, zero, value, false)
    };
    conclude(core, result, pops);
    Ok(())
}

fn both<P: Parts>(core: &mut Core<P>, op: &Op<P>, takes_nans: bool) -> (Option<Ordering>, bool) {
    let index = index(op.opcode);
    if core.x87.is_empty(0) || core.x87.is_empty(index) {
        return (None, !core.x87.stack_fault(false));
    }
    let (zero, other) = (core.x87.get(0).value(), core.x87.get(index).value());
    compared(core, zero, other, takes_nans)
}

fn with_register<P: Parts>(core: &mut Core<P>, op: &Op<P>, takes_nans: bool, pops: u8) -> Result<(), Raised> {
    core.begin(op)?;
    let result = both(core, op, takes_nans);
    conclude(core, result, pops);
    Ok(())
}

fn to_flags<P: Parts>(core: &mut Core<P>, op: &Op<P>, takes_nans: bool, pops: u8) -> Result<(), Raised> {
    core.begin(op)?;
    let (ordering, goes_on) = both(core, op, takes_nans);
    // ZF, PF and CF; OF, SF and AF are cleared (volume 2A, "FCOMI").
    let flags = match ordering {
        Some(Ordering::Greater) => 0,
        Some(Ordering::Less) => 1,
        Some(Ordering::Equal) => 1 << 6,
        None => 1 << 6 | 1 << 2 | 1,
    };
    core.flags.set_status(STATUS, flags);
    if goes_on {
        pop(core, pops);
    }
    Ok(())
}

fn test<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.begin(op)?;
    let result = if core.x87.is_empty(0) {
        (None, !core.x87.stack_fault(false))
    } else {
        let zero = core.x87.get(0).value();
        compared(core, zero, Value::zero(false), false)
    };
    conclude(core, result, 0);
    Ok(())
}

fn examine<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.begin(op)?;
    let register = core.x87.get(0);
    let class = match register.value().kind {
        _ if core.x87.is_empty(0) => C3 | C0,
        Kind::Unsupported => 0,
        Kind::Quiet | Kind::Signaling => C0,
        Kind::Normal => C2,
        Kind::Infinity => C2 | C0,
        Kind::Zero => C3,
        Kind::Denormal => C3 | C2,
    };
    let sign = if register.is_negative() { C1 } else { 0 };
    core.x87.set_conditions(C0 | C1 | C2 | C3, class | sign);
    Ok(())
}
