//! FADD, FSUB, FMUL, FDIV with their reversals, integers and pops; FSQRT, FABS, FCHS.

use iced_x86::{Instruction, Mnemonic, OpKind};

use super::{index, middle};
use crate::cpu::operands::{Handler, Op};
use crate::float::arithmetic::{Operation, compute, square_root};
use crate::float::compare::nan_of;
use crate::float::convert::from_integer;
use crate::float::exact::Rounded;
use crate::float::extended::Extended;
use crate::float::format::{DOUBLE, Environment, INVALID, SINGLE};
use crate::float::value::{Kind, Value};
use crate::state::core::{Core, Parts, Raised};
use crate::state::x87::C1;

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    use Mnemonic as M;
    let is_memory = instruction.op0_kind() == OpKind::Memory;
    Some(match instruction.mnemonic() {
        M::Fadd | M::Fmul | M::Fsub | M::Fsubr | M::Fdiv | M::Fdivr if !is_memory => registers,
        M::Faddp | M::Fmulp | M::Fsubp | M::Fsubrp | M::Fdivp | M::Fdivrp => registers,
        M::Fadd
        | M::Fmul
        | M::Fsub
        | M::Fsubr
        | M::Fdiv
        | M::Fdivr
        | M::Fiadd
        | M::Fimul
        | M::Fisub
        | M::Fisubr
        | M::Fidiv
        | M::Fidivr => memory,
        M::Fsqrt => root,
        M::Fabs => |core, op| change_sign(core, op, |high| high & 0x7fff),
        M::Fchs => |core, op| change_sign(core, op, |high| high ^ 0x8000),
        _ => return None,
    })
}

/// Deals with operands that are no numbers, or computes.
pub fn arithmetic(operation: Operation, left: Value, right: Value, environment: &Environment) -> Rounded {
    match invalid(left, right) {
        Some(answer) => answer,
        None => compute(operation, left, right, environment),
    }
}

/// The answer to operands one of which is a NaN or unsupported.
pub fn invalid(left: Value, right: Value) -> Option<Rounded> {
    let flags = if left.is_invalid() || right.is_invalid() { INVALID } else { 0 };
    if left.kind == Kind::Unsupported || right.kind == Kind::Unsupported {
        return Some(Rounded { value: Value::indefinite(), flags, up: false });
    }
    (left.is_nan() || right.is_nan()).then(|| Rounded { value: nan_of(left, right), flags, up: false })
}

/// The operation that the opcode's middle field names, and whether its operands are exchanged.
fn operation(opcode: u16) -> (Operation, bool) {
    match middle(opcode) {
        0 => (Operation::Add, false),
        1 => (Operation::Multiply, false),
        4 => (Operation::Subtract, false),
        5 => (Operation::Subtract, true),
        6 => (Operation::Divide, false),
        _ => (Operation::Divide, true),
    }
}

fn registers<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.begin(op)?;
    let (operation, is_reversed) = operation(op.opcode);
    // D8 leaves the result in ST(0), DC and DE in ST(i).
    let to_other = op.opcode & 0x400 != 0;
    let (target, other) = if to_other { (index(op.opcode), 0) } else { (0, index(op.opcode)) };
    let is_used = if core.x87.is_empty(target) || core.x87.is_empty(other) {
        core.refill(target)
    } else {
        let (zero, second) = (core.x87.get(0).value(), core.x87.get(index(op.opcode)).value());
        // /4 and /6 are ST(0) - ST(i) and ST(0) / ST(i), wherever the result goes; /5 and /7 the other way round.
        let (left, right) = if is_reversed { (second, zero) } else { (zero, second) };
        let rounded = arithmetic(operation, left, right, &core.x87.environment());
        core.finish(target, &rounded)
    };
    if is_used && op.opcode & 0x200 != 0 {
        core.x87.pop();
    }
    Ok(())
}

fn memory<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.wait_for_x87()?;
    let value = core.number_in_memory(op)?;
    core.remember(op);
    if core.x87.is_empty(0) {
        core.refill(0);
        return Ok(());
    }
    let (operation, is_reversed) = operation(op.opcode);
    let zero = core.x87.get(0).value();
    let (left, right) = if is_reversed { (value, zero) } else { (zero, value) };
    let rounded = arithmetic(operation, left, right, &core.x87.environment());
    core.finish(0, &rounded);
    Ok(())
}

impl<P: Parts> Core<P> {
    /// The operand of D8, DA, DC and DE: single, 32-bit integer, double, 16-bit integer.
    pub(super) fn number_in_memory(&mut self, op: &Op<P>) -> Result<Value, Raised> {
        let offset = op.offset(self);
        Ok(match op.opcode >> 9 & 3 {
            0 => Value::from_bits(self.load::<u32>(op.segment, offset)?.into(), &SINGLE),
            1 => from_integer(self.load::<u32>(op.segment, offset)?.cast_signed().into()),
            2 => {
                self.check_natural(op.segment, offset, 8)?;
                Value::from_bits(u64::from_le_bytes(self.load_bytes(op.segment, offset)?), &DOUBLE)
            }
            _ => from_integer(((self.load::<u16>(op.segment, offset)? as u16).cast_signed()).into()),
        })
    }
}

fn root<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    replace_top(core, op, square_root)
}

/// Has `compute` make a new ST(0) of the old one.
pub(super) fn replace_top<P: Parts>(
    core: &mut Core<P>,
    op: &Op<P>,
    compute: fn(Value, &Environment) -> Rounded,
) -> Result<(), Raised> {
    core.begin(op)?;
    if core.x87.is_empty(0) {
        core.refill(0);
        return Ok(());
    }
    let value = core.x87.get(0).value();
    let rounded = invalid(value, value).unwrap_or_else(|| compute(value, &core.x87.environment()));
    core.finish(0, &rounded);
    Ok(())
}

fn change_sign<P: Parts>(core: &mut Core<P>, op: &Op<P>, change: fn(u16) -> u16) -> Result<(), Raised> {
    core.begin(op)?;
    if core.x87.is_empty(0) {
        core.refill(0);
        return Ok(());
    }
    core.x87.set_conditions(C1, 0);
    let Extended { high, significand } = core.x87.get(0);
    core.x87.set(0, Extended::new(change(high), significand));
    Ok(())
}
