//! ADD, SUB, MUL, DIV, MIN, MAX and SQRT, packed and scalar, in single and double precision.

use iced_x86::{Instruction, Mnemonic};

use super::numbers::{Context, Lane, nan_of};
use crate::cpu::operands::Handler;
use crate::float::arithmetic::{Operation, compute, square_root};
use crate::float::compare::compare;
use crate::float::format::{DENORMAL, INVALID};
use crate::state::core::Parts;
use std::cmp::Ordering;

/// The four forms of each operation.
macro_rules! operations {
    ($instruction:expr, $($ps:ident $ss:ident $pd:ident $sd:ident => $f:expr;)*) => {
        match $instruction.mnemonic() {
            $(
                Mnemonic::$ps => Some(|core, op| core.each_lane::<false, false>(op, $f)),
                Mnemonic::$ss => Some(|core, op| core.each_lane::<false, true>(op, $f)),
                Mnemonic::$pd => Some(|core, op| core.each_lane::<true, false>(op, $f)),
                Mnemonic::$sd => Some(|core, op| core.each_lane::<true, true>(op, $f)),
            )*
            _ => None,
        }
    };
}

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    operations! { instruction,
        Addps Addss Addpd Addsd => |left, right, context| binary(Operation::Add, left, right, context);
        Subps Subss Subpd Subsd => |left, right, context| binary(Operation::Subtract, left, right, context);
        Mulps Mulss Mulpd Mulsd => |left, right, context| binary(Operation::Multiply, left, right, context);
        Divps Divss Divpd Divsd => |left, right, context| binary(Operation::Divide, left, right, context);
        Minps Minss Minpd Minsd => |left, right, context| extreme(Ordering::Less, left, right, context);
        Maxps Maxss Maxpd Maxsd => |left, right, context| extreme(Ordering::Greater, left, right, context);
        Sqrtps Sqrtss Sqrtpd Sqrtsd => |_, right, context| root(right, context);
    }
}

fn binary(operation: Operation, left: u64, right: u64, context: &Context) -> Lane {
    let (left, right) = (context.operand(left), context.operand(right));
    let rounded = nan_of(left, right).unwrap_or_else(|| compute(operation, left, right, &context.environment));
    context.lane(&rounded)
}

fn root(right: u64, context: &Context) -> Lane {
    let value = context.operand(right);
    let rounded = nan_of(value, value).unwrap_or_else(|| square_root(value, &context.environment));
    context.lane(&rounded)
}

/// MIN and MAX give the second operand unless the first is less, or greater ("MINPS": so they do for NaNs and two zeros).
fn extreme(wanted: Ordering, left: u64, right: u64, context: &Context) -> Lane {
    let (first, second) = (context.operand(left), context.operand(right));
    let ordering = compare(&first, &second);
    let flags = match ordering {
        None => INVALID,
        Some(_) if first.is_denormal() || second.is_denormal() => DENORMAL,
        Some(_) => 0,
    };
    let value = if ordering == Some(wanted) { first } else { second };
    // A signaling NaN is handed on as it is.
    Lane { bits: value.bits(context.format()), flags }
}
