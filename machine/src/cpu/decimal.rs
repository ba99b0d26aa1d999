//! Decimal arithmetic (Intel SDM volume 1, section 7.3.3).

use iced_x86::{Instruction, Mnemonic};

use super::operands::{Handler, Op};
use crate::state::core::{Core, Parts, Raised};
use crate::state::fault::{Fault, Reason};
use crate::state::flags::{ADJUST, CARRY};
use crate::state::word::Word;

/// The number of AL, and that of AH.
const AL: u8 = 0;
const AH: u8 = 4;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Daa => |core, _| adjust_packed(core, u32::wrapping_add),
        Mnemonic::Das => |core, _| adjust_packed(core, u32::wrapping_sub),
        Mnemonic::Aaa => |core, _| adjust_unpacked(core, |ax| ax.wrapping_add(0x106)),
        Mnemonic::Aas => |core, _| adjust_unpacked(core, |ax| ax.wrapping_sub(6).wrapping_sub(0x100)),
        Mnemonic::Aam => after_multiplication,
        Mnemonic::Aad => before_division,
        _ => return None,
    })
}

/// DAA and DAS.
fn adjust_packed<P: Parts>(core: &mut Core<P>, step: fn(u32, u32) -> u32) -> Result<(), Raised> {
    let (old, had_carry) = (u8::register(&core.general, AL), core.flags.carry());
    let (mut value, mut flags) = (old, 0);
    if old & 0xf > 9 || core.flags.adjust() {
        value = step(value, 6);
        // A carry out of this step counts, too; it shows past the byte.
        flags = ADJUST | if had_carry || value > 0xff { CARRY } else { 0 };
    }
    if old > 0x99 || had_carry {
        value = step(value, 0x60);
        flags |= CARRY;
    }
    let value = value & 0xff;
    u8::set_register(&mut core.general, AL, value);
    core.flags.follow_logic(8, value);
    core.flags.set_status(ADJUST | CARRY, flags);
    Ok(())
}

/// AAA and AAS.
fn adjust_unpacked<P: Parts>(core: &mut Core<P>, step: fn(u32) -> u32) -> Result<(), Raised> {
    let ax = u16::register(&core.general, AL);
    let adjusts = ax & 0xf > 9 || core.flags.adjust();
    let ax = if adjusts { step(ax) } else { ax } & 0xff0f;
    u16::set_register(&mut core.general, AL, ax);
    core.flags.set_status(ADJUST | CARRY, if adjusts { ADJUST | CARRY } else { 0 });
    Ok(())
}

fn after_multiplication<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let (base, value) = (op.immediate & 0xff, u8::register(&core.general, AL));
    if base == 0 {
        return Err(core.raise(Fault::divide(Reason::DivisorZero)));
    }
    u8::set_register(&mut core.general, AH, value / base);
    u8::set_register(&mut core.general, AL, value % base);
    core.flags.follow_logic(8, value % base);
    Ok(())
}

fn before_division<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let high = u8::register(&core.general, AH);
    let value = (u8::register(&core.general, AL) + high * (op.immediate & 0xff)) & 0xff;
    u16::set_register(&mut core.general, AL, value);
    core.flags.follow_logic(8, value);
    Ok(())
}
