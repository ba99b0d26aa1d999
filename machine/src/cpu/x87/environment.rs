//! FSTENV, FLDENV, FSAVE and FRSTOR (Intel SDM volume 1, section 8.1.10: figures 8-9 to 8-12).

use iced_x86::{Code, Instruction};
use stos_x86::registers::{CR0_PE, EFLAGS_VM};

use crate::cpu::operands::{Handler, Op};
use crate::float::extended::Extended;
use crate::state::core::{Core, Parts, Raised};
use crate::state::x87::{Pointer, X87};

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.code() {
        Code::Fnstenv_m14byte => |core, op| {
            store::<P, 14>(core, op, false)?;
            mask_all(&mut core.x87);
            Ok(())
        },
        Code::Fnstenv_m28byte => |core, op| {
            store::<P, 28>(core, op, true)?;
            mask_all(&mut core.x87);
            Ok(())
        },
        Code::Fnsave_m94byte => |core, op| {
            store::<P, 94>(core, op, false)?;
            core.x87.initialize();
            Ok(())
        },
        Code::Fnsave_m108byte => |core, op| {
            store::<P, 108>(core, op, true)?;
            core.x87.initialize();
            Ok(())
        },
        Code::Fldenv_m14byte => |core, op| load::<P, 14>(core, op, false),
        Code::Fldenv_m28byte => |core, op| load::<P, 28>(core, op, true),
        Code::Frstor_m94byte => |core, op| load::<P, 94>(core, op, false),
        Code::Frstor_m108byte => |core, op| load::<P, 108>(core, op, true),
        _ => return None,
    })
}

const fn mask_all(x87: &mut X87) {
    x87.set_control(x87.control() | 0x3f);
}

/// The seven words of an environment, each in 16 or in 32 bits.
fn words<P: Parts>(core: &Core<P>, is_wide: bool) -> [u32; 7] {
    let x87 = &core.x87;
    let [control, status, tags] = [x87.control(), x87.status(), x87.tags()].map(u32::from);
    let opcode = u32::from(x87.opcode);
    let (instruction, operand) = (x87.instruction, x87.operand);
    let ones = 0xffff_0000;
    if !has_linear(core) {
        let code = u32::from(instruction.selector) | opcode << 16;
        let data = u32::from(operand.selector) | ones;
        return [control | ones, status | ones, tags | ones, instruction.offset, code, operand.offset, data];
    }
    let linear = |pointer: Pointer| (u32::from(pointer.selector) << 4).wrapping_add(pointer.offset);
    let (instruction, operand) = (linear(instruction), linear(operand));
    // 16 bits of the address, then its upper bits from bit 12 on: four of them, or sixteen.
    let upper = |address: u32| (address >> 16 & if is_wide { 0xffff } else { 0xf }) << 12;
    [
        control | ones,
        status | ones,
        tags | ones,
        instruction & 0xffff | ones,
        upper(instruction) | opcode,
        operand & 0xffff | ones,
        upper(operand),
    ]
}

/// Real and virtual-8086 mode keep linear addresses.
fn has_linear<P: Parts>(core: &Core<P>) -> bool {
    core.cr0 & CR0_PE == 0 || core.flags.has(EFLAGS_VM)
}

fn store<P: Parts, const N: usize>(core: &mut Core<P>, op: &Op<P>, is_wide: bool) -> Result<(), Raised> {
    core.check_x87()?;
    let width = if is_wide { 4 } else { 2 };
    let mut bytes = [0; N];
    let (environment, registers) = bytes.split_at_mut(7 * width);
    for (place, word) in environment.chunks_exact_mut(width).zip(words(core, is_wide)) {
        place.copy_from_slice(&word.to_le_bytes()[..width]);
    }
    for (place, index) in registers.chunks_exact_mut(10).zip(0..) {
        place.copy_from_slice(&core.x87.get(index).bytes());
    }
    let offset = op.offset(core);
    core.check_natural(op.segment, offset, width as u32)?;
    core.store_bytes(op.segment, offset, bytes)
}

fn load<P: Parts, const N: usize>(core: &mut Core<P>, op: &Op<P>, is_wide: bool) -> Result<(), Raised> {
    core.wait_for_x87()?;
    let width = if is_wide { 4 } else { 2 };
    let offset = op.offset(core);
    core.check_natural(op.segment, offset, width as u32)?;
    let bytes: [u8; N] = core.load_bytes(op.segment, offset)?;
    let (environment, registers) = bytes.split_at(7 * width);
    let mut words = [0_u32; 7];
    for (word, place) in words.iter_mut().zip(environment.chunks_exact(width)) {
        *word = place.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    let half = |word: u32| (word & 0xffff) as u16;
    let linear = has_linear(core);
    let x87 = &mut core.x87;
    x87.set_control(half(words[0]));
    x87.set_status(half(words[1]));
    x87.set_tags(half(words[2]));
    if linear {
        let address = |low: u32, high: u32| Pointer { selector: 0, offset: low & 0xffff | (high >> 12 & 0xffff) << 16 };
        x87.instruction = address(words[3], words[4]);
        x87.opcode = half(words[4]) & 0x7ff;
        x87.operand = address(words[5], words[6]);
    } else {
        x87.instruction = Pointer { selector: half(words[4]), offset: words[3] };
        if is_wide {
            x87.opcode = (words[4] >> 16 & 0x7ff) as u16;
        }
        x87.operand = Pointer { selector: half(words[6]), offset: words[5] };
    }
    for (place, index) in registers.chunks_exact(10).zip(0..8) {
        let mut value = [0; 10];
        value.copy_from_slice(place);
        let number = usize::from((x87.top + index) & 7);
        x87.registers[number] = Extended::from_bytes(value);
    }
    Ok(())
}
