//! Which of two numbers is larger, and which of two NaNs is handed on.

use std::cmp::Ordering;

use super::value::{Kind, Value};

/// `None` when one is no number.
pub fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    let is_number = |value: &Value| value.is_finite() || value.is_infinite();
    if !is_number(left) || !is_number(right) {
        return None;
    }
    if left.is_zero() && right.is_zero() {
        return Some(Ordering::Equal);
    }
    let rank = |value: &Value| {
        let magnitude = match value.kind {
            Kind::Zero => (i32::MIN, 0),
            Kind::Infinity => (i32::MAX, 0),
            _ => (value.exponent, value.significand),
        };
        (value.negative, magnitude)
    };
    let ((left_negative, left), (right_negative, right)) = (rank(left), rank(right));
    Some(match (left_negative, right_negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => left.cmp(&right),
        (true, true) => right.cmp(&left),
    })
}

/// The NaN that an x87 instruction makes of two operands, one of which is one (Intel SDM volume 1, table 4-7).
pub fn nan_of(left: Value, right: Value) -> Value {
    match (left.kind, right.kind) {
        (Kind::Signaling, Kind::Quiet) => right,
        (Kind::Quiet, Kind::Signaling) => left,
        (Kind::Quiet, Kind::Quiet) | (Kind::Signaling, Kind::Signaling) => {
            // The larger significand; of equal ones, the positive number.
            let rank = |value: Value| (value.significand, !value.negative);
            if rank(left) >= rank(right) { left.quieted() } else { right.quieted() }
        }
        (Kind::Quiet | Kind::Signaling, _) => left.quieted(),
        _ => right.quieted(),
    }
}
