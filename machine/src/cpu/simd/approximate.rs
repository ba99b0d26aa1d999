//! RCP and RSQRT. The manual bounds their relative error by 1.5 * 2^-12, and each vendor has another table; here they are what rounding the
//! exact result to 12 bits gives, on every host.

use iced_x86::{Instruction, Mnemonic};

use super::numbers::{Context, Lane};
use crate::cpu::operands::Handler;
use crate::float::arithmetic::{Operation, compute, square_root};
use crate::float::format::{Environment, Format, Rounding};
use crate::float::value::{Kind, Value};
use crate::state::core::Parts;

/// Single precision with 12 bits.
static SHORT: Format = Format { precision: 12, exponent_bits: 8, least: -126, greatest: 127 };
/// No exception is told, and results that are too small are zeros.
const QUIET: Environment =
    Environment { rounding: Rounding::Nearest, format: &SHORT, masked: 0x3f, flushes: true, wrap: 0 };
/// For what comes in between.
const PRECISE: Environment = Environment { format: &crate::float::format::EXTENDED, ..QUIET };

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Rcpps => {
            |core, op| core.each_lane::<false, false>(op, |_, right, context| reciprocal(right, context))
        }
        Mnemonic::Rcpss => |core, op| core.each_lane::<false, true>(op, |_, right, context| reciprocal(right, context)),
        Mnemonic::Rsqrtps => |core, op| core.each_lane::<false, false>(op, |_, right, context| root(right, context)),
        Mnemonic::Rsqrtss => |core, op| core.each_lane::<false, true>(op, |_, right, context| root(right, context)),
        _ => return None,
    })
}

const ONE: Value = Value { kind: Kind::Normal, negative: false, exponent: 0, significand: 1 << 63 };

/// Denormal operands are zeros, whatever MXCSR says.
fn operand(bits: u64, context: &Context) -> Value {
    let value = context.operand(bits);
    if value.is_denormal() { Value::zero(value.negative) } else { value }
}

fn lane(value: Value, context: &Context) -> Lane {
    let value = if value.is_nan() { value.quieted() } else { value };
    Lane { bits: value.bits(context.format()), flags: 0 }
}

fn reciprocal(bits: u64, context: &Context) -> Lane {
    let value = operand(bits, context);
    let result = if value.is_nan() { value } else { compute(Operation::Divide, ONE, value, &QUIET).value };
    lane(result, context)
}

fn root(bits: u64, context: &Context) -> Lane {
    let value = operand(bits, context);
    let result = match value.kind {
        Kind::Normal | Kind::Infinity if value.negative => Value::indefinite(),
        Kind::Normal => compute(Operation::Divide, ONE, square_root(value, &PRECISE).value, &QUIET).value,
        Kind::Zero | Kind::Infinity => compute(Operation::Divide, ONE, value, &QUIET).value,
        _ => value,
    };
    lane(result, context)
}
