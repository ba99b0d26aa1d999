//! Floating-point numbers that are likely to be at an edge.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "random numbers are cut to their width")]

use fastrand::Rng;

/// A number of the 80-bit format. Exponents are near `about` most of the time, so that sums cancel and quotients are ordinary.
pub fn extended(rng: &mut Rng, about: i32) -> [u8; 10] {
    let sign = u16::from(rng.bool()) << 15;
    let integer = 1_u64 << 63;
    let (exponent, significand) = match rng.u8(0..24) {
        0 => (0, 0),
        1 => (0x7fff, integer),
        2 => (0x7fff, rng.u64(..) | 3 << 62),
        3 => (0x7fff, (rng.u64(..) >> rng.u32(2..62) | 1) & !(1 << 62) | integer),
        4 => (0x7fff, [3 << 62, u64::MAX, integer | 1, 3 << 62 | 1][rng.usize(0..4)]),
        5 => (0, rng.u64(..) >> rng.u32(1..64)),
        6 => (0, significand(rng)),
        7 => (rng.u16(1..0x8000), rng.u64(..) & !integer),
        8 => (rng.u16(1..70), significand(rng)),
        9 => (0x7ffe - rng.u16(0..70), significand(rng)),
        10 => (rng.u16(1..0x7fff), significand(rng)),
        11..=13 => {
            let whole = rng.u64(..) >> rng.u32(0..63) | 1;
            let shift = whole.leading_zeros();
            (0x3fff + 63 - shift as u16, whole << shift)
        }
        _ => ((about + rng.i32(-3..4) * if rng.bool() { 1 } else { 13 }).clamp(1, 0x7ffe) as u16, significand(rng)),
    };
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&significand.to_le_bytes());
    bytes[8..].copy_from_slice(&(sign | exponent).to_le_bytes());
    bytes
}

/// One with its integer bit, often next to where rounding changes.
fn significand(rng: &mut Rng) -> u64 {
    let integer = 1 << 63;
    integer
        | match rng.u8(0..8) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << rng.u32(0..63),
            3 => u64::MAX << rng.u32(0..63),
            // Halfway, or next to it, for the shorter precisions.
            4 => (rng.u64(..) << [11, 12, 40, 41][rng.usize(0..4)]).wrapping_add(rng.u64(0..3)).wrapping_sub(1),
            5 => rng.u64(..) << rng.u32(0..63),
            _ => rng.u64(..),
        }
}

/// A number of 32 or 64 bits, which has so many bits of fraction.
pub fn narrow(rng: &mut Rng, bits: u32) -> u64 {
    let fraction_bits = if bits == 32 { 23 } else { 52 };
    let greatest = (1 << (bits - 1 - fraction_bits)) - 1;
    let bias = greatest / 2;
    let mask = (1_u64 << fraction_bits) - 1;
    let fraction = match rng.u8(0..6) {
        0 => 0,
        1 => mask,
        2 => 1 << rng.u32(0..fraction_bits),
        3 => mask << rng.u32(0..fraction_bits) & mask,
        _ => rng.u64(..) & mask,
    };
    let exponent = match rng.u8(0..16) {
        0 | 1 => 0,
        2 => greatest,
        3 => rng.i32(1..60).min(greatest),
        4 => greatest - rng.i32(1..60),
        5 => rng.i32(0..=greatest),
        6..=8 => (bias + rng.i32(-2..66)).clamp(0, greatest),
        _ => bias + rng.i32(-4..5),
    };
    let fraction =
        if exponent == greatest && rng.u8(0..3) == 0 || exponent == 0 && rng.u8(0..2) == 0 { 0 } else { fraction };
    u64::from(rng.bool()) << (bits - 1) | (exponent as u64) << fraction_bits | fraction
}

/// Sixteen bytes for a vector: numbers of one kind, or integers at edges.
pub fn vector(rng: &mut Rng) -> [u8; 16] {
    let mut bytes = [0; 16];
    match rng.u8(0..4) {
        0 => bytes.chunks_exact_mut(8).for_each(|lane| lane.copy_from_slice(&narrow(rng, 64).to_le_bytes())),
        1 | 2 => bytes.chunks_exact_mut(4).for_each(|lane| lane.copy_from_slice(&narrow(rng, 32).to_le_bytes()[..4])),
        _ => {
            let edges = [0, 1, 0x7f, 0x80, 0xff, 0xfe];
            bytes.fill_with(|| if rng.bool() { edges[rng.usize(0..6)] } else { rng.u8(..) });
        }
    }
    bytes
}
