//! Makes cases for the x87 FPU, MMX and SSE.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "random numbers are cut to their width")]

use fastrand::Rng;
use iced_x86::{CpuidFeature, Decoder, DecoderError, DecoderOptions, Instruction, Mnemonic, Register};

use super::case::{CODE, DATA, Floats, Given, Registers, WINDOW, WINDOW_SIZE};
use super::numbers::{extended, narrow, vector};

/// The middle of the data that is told.
const MIDDLE: u32 = DATA + WINDOW + WINDOW_SIZE as u32 / 2;
/// CF, PF, AF, ZF, SF, DF and OF; interrupts are on in a process, and bit 1 is one.
const FLAGS: u32 = 0xcd5;
const ALWAYS: u32 = 0x202;

/// What instructions are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    X87,
    Simd,
}

/// Makes another case of `given`. Gives back its instruction as decoded.
pub fn case(rng: &mut Rng, family: Family, given: &mut Given) -> Instruction {
    loop {
        if let Some(instruction) = attempt(rng, family, given) {
            return instruction;
        }
    }
}

fn attempt(rng: &mut Rng, family: Family, given: &mut Given) -> Option<Instruction> {
    let target = match rng.u8(0..16) {
        0 => MIDDLE - 16 + rng.u32(0..32),
        1 => 0x3000_0000 + rng.u32(0..16),
        _ => MIDDLE - 64 + rng.u32(0..8) * 16,
    };
    let whole = family == Family::Simd && rng.u8(..) < 4;
    let (code, base) = match family {
        // FXSAVE and FXRSTOR fill the data.
        Family::Simd if whole => (image_code(rng), None),
        Family::X87 => x87(rng, target),
        Family::Simd => simd(rng, target),
    };
    let mut decoder = Decoder::with_ip(32, &code, u64::from(CODE), DecoderOptions::NONE);
    let instruction = decoder.decode();
    if decoder.last_error() != DecoderError::None || !is_wanted(&instruction, family) {
        return None;
    }
    match instruction.mnemonic() {
        Mnemonic::Fxsave | Mnemonic::Fxrstor if !whole && target < 0x3000_0000 && target % 16 == 0 => return None,
        // Where it finds a page missing, and whether it does with nothing to be written, is left open (Intel SDM volume 2A, "MASKMOVDQU").
        Mnemonic::Maskmovq | Mnemonic::Maskmovdqu if target >= 0x3000_0000 => return None,
        _ => {}
    }
    let Given { registers, code: place, data, floats } = given;
    place.clear();
    place.extend_from_slice(&code[..instruction.len()]);
    let mut general: [u32; 8] = std::array::from_fn(|_| edge(rng));
    // An index, where there is one, is zero.
    if let Some(base) = base {
        general[base] = target.wrapping_sub(instruction.memory_displacement32());
    }
    general[4] = MIDDLE;
    if matches!(instruction.mnemonic(), Mnemonic::Maskmovq | Mnemonic::Maskmovdqu) {
        general[7] = target;
    }
    *registers = Registers { general, eflags: rng.u32(..) & FLAGS | ALWAYS };
    rng.fill(data);
    if whole && rng.bool() {
        state(rng, family, data);
        if rng.u8(0..8) == 0 {
            data[26] = rng.u8(..);
        }
    }
    if let Some(at) = target.checked_sub(DATA + WINDOW).filter(|at| *at < 480 && !whole) {
        let at = at as usize;
        fill(rng, &mut data[at..at + 32], &instruction);
    }
    state(rng, family, floats.get_or_insert([0; 512]));
    Some(instruction)
}

fn edge(rng: &mut Rng) -> u32 {
    match rng.u8(0..4) {
        0 => [0, 1, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX][rng.usize(0..8)],
        1 => rng.u32(0..64),
        _ => rng.u32(..),
    }
}

/// Prefixes, and a `ModRM` byte whose memory operand, if it is one, is at the target. The base register that leads there.
fn operand(rng: &mut Rng, code: &mut Vec<u8>, target: u32) -> Option<usize> {
    let register = rng.u8(..) & 0x38;
    match rng.u8(0..8) {
        0..4 => {
            code.push(0xc0 | register | rng.u8(0..8));
            None
        }
        4..7 => {
            code.push(register | 5);
            code.extend(target.to_le_bytes());
            None
        }
        _ => {
            let base = [0, 1, 2, 3, 5, 6, 7][rng.usize(0..7)];
            code.extend([0x40 | register | base, rng.u8(..)]);
            Some(base.into())
        }
    }
}

fn x87(rng: &mut Rng, target: u32) -> (Vec<u8>, Option<usize>) {
    let mut code = Vec::new();
    if rng.u8(..) < 16 {
        code.push(0x66);
    }
    if rng.u8(..) < 4 {
        code.push(0x9b);
        return (code, None);
    }
    if rng.u8(..) < 32 {
        // Functions, constants and what is done to ST(0) alone.
        code.extend([0xd9, rng.u8(0xe0..=0xff)]);
        return (code, None);
    }
    code.push(rng.u8(0xd8..0xe0));
    let base = operand(rng, &mut code, target);
    (code, base)
}

fn simd(rng: &mut Rng, target: u32) -> (Vec<u8>, Option<usize>) {
    let mut code = Vec::new();
    match rng.u8(0..5) {
        0 | 1 => code.push(0x66),
        2 => code.push(0xf2),
        3 => code.push(0xf3),
        _ => {}
    }
    code.extend([0x0f, rng.u8(..)]);
    let base = operand(rng, &mut code, target);
    code.extend([if rng.bool() { rng.u8(0..8) } else { rng.u8(..) }]);
    (code, base)
}

fn image_code(rng: &mut Rng) -> Vec<u8> {
    let mut code = vec![0x0f, 0xae, if rng.bool() { 5 } else { 0x0d }];
    code.extend((DATA + WINDOW).to_le_bytes());
    code
}

/// Instructions that the model has.
fn is_wanted(instruction: &Instruction, family: Family) -> bool {
    use CpuidFeature as F;
    let is_known = instruction.cpuid_features().iter().all(|feature| {
        matches!(feature, F::FPU | F::FPU287 | F::FPU387 | F::CMOV | F::MMX | F::SSE | F::SSE2 | F::FXSR | F::CLFSH)
    });
    let is_vector =
        instruction.cpuid_features().iter().any(|feature| matches!(feature, F::MMX | F::SSE | F::SSE2 | F::FXSR));
    is_known
        && (family == Family::X87 || is_vector)
        && !matches!(instruction.segment_prefix(), Register::FS | Register::GS)
}

/// What lies at a memory operand.
fn fill(rng: &mut Rng, place: &mut [u8], instruction: &Instruction) {
    match instruction.memory_size().size() {
        2 => place[..4].copy_from_slice(&edge(rng).to_le_bytes()),
        10 => {
            let about = 0x3fff;
            place[..10].copy_from_slice(&extended(rng, about));
            if instruction.mnemonic() == Mnemonic::Fbld {
                place[..10].fill_with(|| rng.u8(0..10) | rng.u8(0..10) << 4);
                place[9] = if rng.bool() { 0x80 } else { 0 };
            }
        }
        size @ (4 | 8) if instruction.mnemonic() == Mnemonic::Ldmxcsr || rng.u8(0..6) == 0 => {
            let integer = u64::from(edge(rng)) | u64::from(edge(rng)) << 32;
            let integer = if instruction.mnemonic() == Mnemonic::Ldmxcsr && rng.u8(0..8) != 0 {
                integer & 0xffff
            } else {
                integer
            };
            place[..size].copy_from_slice(&integer.to_le_bytes()[..size]);
        }
        size @ (4 | 8) => place[..size].copy_from_slice(&narrow(rng, size as u32 * 8).to_le_bytes()[..size]),
        size @ (14 | 28 | 94 | 108) => {
            let width = if matches!(size, 14 | 94) { 2 } else { 4 };
            place[..2].copy_from_slice(&rng.u16(..).to_le_bytes());
            place[width..width + 2].copy_from_slice(&rng.u16(..).to_le_bytes());
            place[2 * width..2 * width + 2].copy_from_slice(&rng.u16(..).to_le_bytes());
        }
        _ => {
            place[..16].copy_from_slice(&vector(rng));
            place[16..32].copy_from_slice(&vector(rng));
        }
    }
}

/// The registers of both.
fn state(rng: &mut Rng, family: Family, image: &mut Floats) {
    image.fill(0);
    // Mostly with masked exceptions.
    let masks = if rng.u8(0..4) == 0 { rng.u16(0..0x40) } else { 0x3f };
    let control = 0x40 | masks | rng.u16(0..16) << 8;
    let exceptions = if rng.u8(0..3) == 0 { rng.u16(..) & masks & 0x3f } else { 0 };
    let exceptions = if rng.u8(0..64) == 0 { rng.u16(0..0x40) } else { exceptions };
    let status = rng.u16(..) & 0x7f00 | exceptions | if exceptions & 1 != 0 { rng.u16(..) & 0x40 } else { 0 };
    let pending = exceptions & !control & 0x3f != 0;
    let status = status | if pending { 0x8080 } else { 0 };
    image[0..2].copy_from_slice(&control.to_le_bytes());
    image[2..4].copy_from_slice(&status.to_le_bytes());
    let top = status >> 11 & 7;
    // Mostly room to push, and operands.
    image[4] = match rng.u8(0..8) {
        0 => rng.u8(..),
        1 => 0,
        2 => 0xff,
        _ => !(1_u8 << ((top + 7) & 7)),
    };
    let about = [0x3fff, 0x3fff, 0x3fff, 64, 0x7fbe][rng.usize(0..5)];
    for index in 0..8 {
        let register = &mut image[32 + 16 * index..42 + 16 * index];
        if family == Family::Simd && rng.bool() {
            register[..8].copy_from_slice(&vector(rng)[..8]);
            register[8..].fill(0xff);
        } else {
            register.copy_from_slice(&extended(rng, about));
        }
    }
    let masks = if rng.u8(0..4) == 0 { rng.u32(0..0x40) } else { 0x3f };
    let zeros = [0, 0, 0x40, 0x8000, 0x8040][rng.usize(0..5)];
    let flags = if rng.u8(0..4) == 0 { rng.u32(0..0x40) } else { 0 };
    let mxcsr = masks << 7 | rng.u32(0..4) << 13 | zeros | flags;
    image[24..28].copy_from_slice(&mxcsr.to_le_bytes());
    if family == Family::X87 {
        rng.fill(&mut image[160..288]);
    } else {
        image[160..288].chunks_exact_mut(16).for_each(|register| register.copy_from_slice(&vector(rng)));
    }
}
