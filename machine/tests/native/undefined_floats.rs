//! What the manual leaves open of the x87 FPU, MMX and SSE, so that processors differ.

use iced_x86::{Instruction, Mnemonic, OpKind};

use super::case::{Floats, Found, Given, Trap};
use super::vendor::is_amd;

/// Nothing when both have found the same, else what differs.
pub fn comparable(instruction: &Instruction, given: &Given, wanted: &Found, found: &Found) -> Result<(), String> {
    if wanted == found {
        return Ok(());
    }
    let is_vendors = || {
        faults_otherwise(instruction, wanted, found)
            || has_misaligned_mode(wanted)
            || is_function(instruction) && has_underflowed(wanted)
    };
    if is_out_of_range(instruction, given) || is_amd() && is_vendors() {
        return Ok(());
    }
    let (mut processor, mut machine) = (wanted.clone(), found.clone());
    if is_approximate(instruction)
        && let (Some(processor), Some(machine)) = (&processor.floats, &mut machine.floats)
    {
        take_approximations(processor, machine);
    }
    if is_function(instruction)
        && let (Some(processor), Some(machine)) = (&processor.floats, &mut machine.floats)
    {
        take_neighbours(processor, machine);
    }
    for found in [&mut processor, &mut machine] {
        if let Some(floats) = &mut found.floats {
            hide(floats);
        }
        // The image is at the beginning.
        if is_amd() && instruction.mnemonic() == Mnemonic::Fxsave {
            hide(&mut found.data);
        }
    }
    let [left, right] = [&processor, &machine].map(|found| found.floats.unwrap_or([0; 512]));
    if let Some(at) = left.iter().zip(&right).position(|(left, right)| left != right) {
        return Err(name(at));
    }
    if matches!(instruction.mnemonic(), Mnemonic::Fxsave | Mnemonic::Fxrstor) {
        // Which of the 512 bytes is looked at first.
        for found in [&mut processor, &mut machine] {
            if let Some(Trap { address: Some(address), .. }) = &mut found.trap {
                *address &= !0x1ff;
            }
        }
    }
    if let Some(at) = processor.data.iter().zip(&machine.data).position(|(left, right)| left != right) {
        return Err(format!("byte {at} of data"));
    }
    if processor == machine { Ok(()) } else { Err("registers or exception".to_string()) }
}

/// True for a store to a page that is missing, where the order of things is each vendor's: whether TOP becomes 0 before a store of MMX, and
/// whether an exception of the x87 FPU that is not masked comes first.
fn faults_otherwise(instruction: &Instruction, wanted: &Found, found: &Found) -> bool {
    let is_store = instruction.op0_kind() == OpKind::Memory;
    let has_x87_error = found.floats.is_some_and(|floats| floats[2] & 0x80 != 0);
    is_store
        && wanted.trap.is_some_and(|trap| trap.vector == 14)
        && (has_x87_error || instruction.op1_register().is_mm())
}

/// True where MXCSR has bit 17, the misaligned exception mask, which is reserved here (AMD64 manual, volume 1, section 4.2.2).
fn has_misaligned_mode(wanted: &Found) -> bool {
    wanted.floats.is_some_and(|floats| floats[26] & 2 != 0)
}

/// True where an underflow that is not masked is told: neighbours of a result may be of both sorts.
fn has_underflowed(wanted: &Found) -> bool {
    wanted.floats.is_some_and(|floats| floats[2] & 0x10 != 0 && floats[0] & 0x10 == 0)
}

/// What F2XM1 and FYL2XP1 do outside of their range is left open (volume 2A of each).
fn is_out_of_range(instruction: &Instruction, given: &Given) -> bool {
    let Some(floats) = &given.floats else { return false };
    let exponent = u16::from_le_bytes([floats[40], floats[41]]) & 0x7fff;
    let fraction = u64::from_le_bytes(std::array::from_fn(|at| floats[32 + at]));
    match instruction.mnemonic() {
        // -1 to 1; with 1, also those that are no numbers are compared.
        Mnemonic::F2xm1 => (0x3fff..0x7fff).contains(&exponent) && (exponent, fraction) != (0x3fff, 1 << 63),
        // From half the root of 2 less 1, to the root of 2 less 1.
        Mnemonic::Fyl2xp1 if floats[41] >> 7 == 0 => {
            ((0x3ffd, 0xd413_cccf_e779_9211)..(0x7fff, 0)).contains(&(exponent, fraction))
        }
        Mnemonic::Fyl2xp1 => ((0x3ffd, 0x95f6_1998_0c43_36f7)..(0x7fff, 0)).contains(&(exponent, fraction)),
        _ => false,
    }
}

/// Vendors have their tables; the manual gives a bound (volume 2B, "RCPPS" and "RSQRTPS").
fn is_approximate(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Rcpps | Mnemonic::Rcpss | Mnemonic::Rsqrtps | Mnemonic::Rsqrtss)
}

/// Takes over the processor's lanes where both are within the bound of the exact result: no further apart than twice 1.5 * 2^-12.
fn take_approximations(processor: &Floats, machine: &mut Floats) {
    for (own, other) in machine[160..288].chunks_exact_mut(4).zip(processor[160..288].chunks_exact(4)) {
        let [left, right] = [&*own, other].map(|lane| f32::from_le_bytes([lane[0], lane[1], lane[2], lane[3]]));
        let is_near = left.is_normal() && right.is_normal() && ((left - right) / right).abs() <= 3.0 / 4096.0;
        // A result near the least normal number may be zero.
        let is_tiny = left.abs() <= f32::MIN_POSITIVE
            && right.abs() <= f32::MIN_POSITIVE
            && left.is_sign_negative() == right.is_sign_negative();
        if is_near || is_tiny {
            own.copy_from_slice(other);
        }
    }
}

/// Their error is below one unit in the last place, and no two processors have the same (volume 1, section 8.3.10).
fn is_function(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    matches!(
        instruction.mnemonic(),
        M::F2xm1 | M::Fyl2x | M::Fyl2xp1 | M::Fptan | M::Fpatan | M::Fsin | M::Fcos | M::Fsincos
    )
}

/// Takes over the processor's registers that are next to the machine's, with C1, which tells how they were rounded.
fn take_neighbours(processor: &Floats, machine: &mut Floats) {
    let number = |register: &[u8]| {
        let mut bytes = [0; 16];
        bytes[..10].copy_from_slice(&register[..10]);
        let bits = u128::from_le_bytes(bytes);
        // A continuous count of numbers: without the integer bit.
        let magnitude = (bits >> 64 & 0x7fff) << 63 | bits & (u128::MAX >> 65);
        (bits >> 79, magnitude, bits >> 64 & 0x7fff <= 1)
    };
    for index in 0..8 {
        let place = 32 + 16 * index..42 + 16 * index;
        let (own, other) = (number(&machine[place.clone()]), number(&processor[place.clone()]));
        if own.0 == other.0 && own.1.abs_diff(other.1) <= 1 {
            machine[place.clone()].copy_from_slice(&processor[place]);
            machine[3] = machine[3] & !2 | processor[3] & 2;
            if own.2 {
                // The least normal number is next to the largest that has underflowed.
                machine[2] = machine[2] & !0x10 | processor[2] & 0x10;
            }
        }
    }
}

fn name(at: usize) -> String {
    match at {
        0..24 => format!("x87 byte {at}"),
        24..32 => format!("mxcsr, byte {at}"),
        32..160 => format!("st{}", (at - 32) / 16),
        _ => format!("xmm{}", (at - 160) / 16),
    }
}

/// Clears what is not compared.
fn hide(floats: &mut Floats) {
    // FOP and FDP are only defined after an unmasked exception, where the processor has no compatibility mode for the one and keeps the other
    // for those alone (Intel SDM volume 1, sections 8.1.8 and 8.1.9.1).
    if floats[2] & 0x80 == 0 {
        floats[6..8].fill(0);
        floats[16..20].fill(0);
        // AMD's processors save and load pointers for such an exception only (AMD64 manual, volume 5, "FXSAVE").
        if is_amd() {
            floats[8..12].fill(0);
        }
    }
    // FCS and FDS are no more on newer processors (section 8.1.8).
    floats[12..16].fill(0);
    floats[20..24].fill(0);
    // MXCSR_MASK (section 11.6.6).
    floats[28..32].fill(0);
    // Reserved (section 10.5.1).
    floats[5] = 0;
    floats[288..].fill(0);
}
