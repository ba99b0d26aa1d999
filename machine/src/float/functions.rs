//! The functions of the x87 FPU: series, summed with more bits than the result has. What is given here are numbers that are finite and not
//! zero; the results are never exact unless it says so.

use std::cmp::Ordering;

use super::value::Value;
use super::wide::Wide;

pub const PI: Wide = Wide::constant(1, 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1);
const LN_2: Wide = Wide::constant(-1, 0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6af);
const LOG2_E: Wide = Wide::constant(0, 0xb8aa_3b29_5c17_f0bb_be87_fed0_691d_3e89);
/// The arcus tangents of 1/4, 1/2, 3/4 and 1.
const ARCS: [Wide; 4] = [
    Wide::constant(-3, 0xfadb_afc9_6406_eb15_6dc7_9ef5_f7a2_17e6),
    Wide::constant(-2, 0xed63_382b_0dda_7b45_6fe4_45ec_bc3a_8d03),
    Wide::constant(-1, 0xa4bc_7d19_34f7_0924_19a8_7f2a_457d_ac9f),
    Wide::constant(-1, 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1),
];

/// Terms that are enough for any argument that these series get.
const TERMS: u32 = 30;

/// 2 to the power of a number between -1 and 1, minus 1.
pub fn power_minus_one(value: Value) -> Wide {
    let x = Wide::from(value).times(LN_2);
    // x (1 + x/2 (1 + x/3 (1 + ...)))
    let sum = (2..=TERMS).rev().fold(Wide::ONE, |sum, n| Wide::ONE.plus(x.times(sum).over_small(n)));
    x.times(sum)
}

/// The logarithm to base 2 of a positive number; `Err` has it where it is an integer, and exact.
pub fn logarithm(value: Value) -> Result<Wide, i32> {
    if value.significand == 1 << 63 {
        return Err(value.exponent);
    }
    // Between the roots of 1/2 and of 2, so that nothing cancels.
    let above = u32::from(value.significand > 0xb504_f333_f9de_6484);
    let exponent = value.exponent + above.cast_signed();
    let mantissa = Wide::from(Value { exponent: -above.cast_signed(), ..value });
    let fraction = natural(mantissa.minus(Wide::ONE), mantissa.plus(Wide::ONE)).times(LOG2_E);
    Ok(Wide::integer(exponent).plus(fraction))
}

/// The logarithm to base 2 of one more than a number.
pub fn logarithm_of_next(value: Value) -> Wide {
    let x = Wide::from(value);
    natural(x, x.plus(Wide::integer(2))).times(LOG2_E)
}

/// ln ((b + a) / (b - a)), twice the area tangent of a / b.
fn natural(a: Wide, b: Wide) -> Wide {
    let s = a.over(b);
    let square = s.times(s);
    let sum = (0..TERMS).rev().fold(Wide::ZERO, |sum, n| Wide::ONE.over_small(2 * n + 1).plus(square.times(sum)));
    s.times(sum).scaled(1)
}

/// The angle of the point (x, y), whose coordinates are not zero.
pub fn angle(y: Value, x: Value) -> Wide {
    let (up, right) = (Wide::from(y).absolute(), Wide::from(x).absolute());
    let is_steep = up.compare_magnitude(right) == Ordering::Greater;
    let slope = if is_steep { right.over(up) } else { up.over(right) };
    let mut angle = arc(slope);
    if is_steep {
        angle = PI.scaled(-1).minus(angle);
    }
    if x.negative {
        angle = PI.minus(angle);
    }
    if y.negative { angle.negated() } else { angle }
}

/// The arcus tangent of a number from 0 to 1.
fn arc(slope: Wide) -> Wide {
    // The nearest quarter.
    let quarters = (1..=4)
        .rev()
        .find(|quarter| slope.minus(Wide::integer(2 * quarter - 1).scaled(-3)).negative.eq(&false))
        .filter(|_| !slope.is_zero());
    let Some(quarters) = quarters else { return small_arc(slope) };
    let near = Wide::integer(quarters).scaled(-2);
    let rest = slope.minus(near).over(Wide::ONE.plus(slope.times(near)));
    ARCS[quarters.unsigned_abs() as usize - 1].plus(small_arc(rest))
}

fn small_arc(x: Wide) -> Wide {
    let square = x.times(x).negated();
    let sum = (0..TERMS).rev().fold(Wide::ZERO, |sum, n| Wide::ONE.over_small(2 * n + 1).plus(square.times(sum)));
    x.times(sum)
}

/// Pi with 66 bits, 64 of them behind the point: what processors reduce arguments by (Intel SDM volume 1, section 8.3.8).
const SHORT_PI: u128 = 0x3_243f_6a88_85a3_08d3;

/// What an angle leaves when quarters of a turn are taken off: their number, of which only the lowest two bits matter, and a rest between -pi/4
/// and pi/4.
pub fn reduce(value: Value) -> (u32, Wide) {
    let whole = Wide::from(value);
    if value.exponent < -2 {
        return (0, whole);
    }
    // In units of 2 to the -65, a quarter is the whole number above.
    let turn = SHORT_PI << 2;
    let mut rest = u128::from(value.significand);
    for _ in 0..value.exponent + 2 {
        rest <<= 1;
        if rest >= turn {
            rest -= turn;
        }
    }
    let (mut quarters, rest) = ((rest / SHORT_PI) as u32, rest % SHORT_PI);
    let rest = if rest > SHORT_PI / 2 {
        quarters += 1;
        Wide::new(true, 127 - 65, SHORT_PI - rest)
    } else {
        Wide::new(false, 127 - 65, rest)
    };
    if value.negative { (quarters.wrapping_neg() & 3, rest.negated()) } else { (quarters & 3, rest) }
}

fn small_sine(x: Wide) -> Wide {
    let square = x.times(x).negated();
    let sum = (1..TERMS / 2)
        .rev()
        .fold(Wide::ONE, |sum, n| Wide::ONE.plus(square.times(sum).over_small(2 * n * (2 * n + 1))));
    x.times(sum)
}

fn small_cosine(x: Wide) -> Wide {
    let square = x.times(x).negated();
    (1..TERMS / 2).rev().fold(Wide::ONE, |sum, n| Wide::ONE.plus(square.times(sum).over_small(2 * n * (2 * n - 1))))
}

/// Sine and cosine.
pub fn sine_and_cosine(value: Value) -> (Wide, Wide) {
    let (quarters, rest) = reduce(value);
    let (sine, cosine) = (small_sine(rest), small_cosine(rest));
    match quarters {
        0 => (sine, cosine),
        1 => (cosine, sine.negated()),
        2 => (sine.negated(), cosine.negated()),
        _ => (cosine.negated(), sine),
    }
}
