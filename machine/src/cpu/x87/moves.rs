//! FLD, FST, FILD, FIST, FBLD, FBSTP, FXCH, FCMOV and the constants.

use iced_x86::{Instruction, Mnemonic, OpKind};

use super::{index, middle};
use crate::cpu::operands::{Handler, Op};
use crate::float::convert::{LARGEST_DECIMAL, from_decimal, from_integer, to_decimal, to_integer};
use crate::float::exact::{Exact, Rounded};
use crate::float::extended::Extended;
use crate::float::format::{DENORMAL, DOUBLE, Format, INEXACT, INVALID, OVERFLOW, Rounding, SINGLE, UNDERFLOW};
use crate::float::value::{Kind, Value};
use crate::state::core::{Core, Parts, Raised};
use crate::state::x87::C1;

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    use Mnemonic as M;
    let is_memory = instruction.op0_kind() == OpKind::Memory;
    Some(match (instruction.mnemonic(), instruction.memory_size().size()) {
        (M::Fld, 4) if is_memory => load_single,
        (M::Fld, 8) if is_memory => load_double,
        (M::Fld, _) if is_memory => load_extended,
        (M::Fld, _) => load_register,
        (M::Fild, 2) => |core, op| load_integer(core, op, |core, op| load_16(core, op)),
        (M::Fild, 4) => |core, op| load_integer(core, op, |core, op| load_32(core, op)),
        (M::Fild, _) => |core, op| load_integer(core, op, |core, op| load_64(core, op)),
        (M::Fbld, _) => load_decimal,
        (M::Fst | M::Fstp, 4) if is_memory => |core, op| store(core, op, &SINGLE),
        (M::Fst | M::Fstp, 8) if is_memory => |core, op| store(core, op, &DOUBLE),
        (M::Fstp, _) if is_memory => store_extended,
        (M::Fst | M::Fstp, _) => store_register,
        (M::Fstpnce, _) => store_quietly,
        (M::Fist | M::Fistp, 2) => store_integer::<P, 2>,
        (M::Fist | M::Fistp, 4) => store_integer::<P, 4>,
        (M::Fist | M::Fistp, _) => store_integer::<P, 8>,
        (M::Fbstp, _) => store_decimal,
        (M::Fxch, _) => exchange,
        (M::Fcmovb | M::Fcmovnb, _) => |core, op| move_if(core, op, |core| core.flags.carry()),
        (M::Fcmove | M::Fcmovne, _) => |core, op| move_if(core, op, |core| core.flags.bits() & 1 << 6 != 0),
        (M::Fcmovbe | M::Fcmovnbe, _) => |core, op| move_if(core, op, |core| core.flags.bits() & 0x41 != 0),
        (M::Fcmovu | M::Fcmovnu, _) => |core, op| move_if(core, op, |core| core.flags.bits() & 1 << 2 != 0),
        (M::Fld1 | M::Fldl2t | M::Fldl2e | M::Fldpi | M::Fldlg2 | M::Fldln2 | M::Fldz, _) => constant,
        _ => return None,
    })
}

/// All stores pop but FST and FIST.
const fn pops(opcode: u16) -> bool {
    let is_register = opcode & 0xc0 == 0xc0;
    if is_register { opcode & 0x7f8 != 0x5d0 } else { middle(opcode) != 2 }
}

/// Pushes a number of 32 or 64 bits, which may be denormal or a signaling NaN.
fn push_converted<P: Parts>(core: &mut Core<P>, value: Value) {
    if !core.x87.is_empty(7) {
        return core.push_x87(Extended::INDEFINITE);
    }
    core.x87.set_conditions(C1, 0);
    let value = match value.kind {
        Kind::Signaling if core.x87.signal(INVALID) => return,
        Kind::Signaling => value.quieted(),
        Kind::Denormal => {
            // Pushed in any case: here the exception comes afterwards.
            core.x87.signal(DENORMAL);
            value
        }
        _ => value,
    };
    core.x87.push(value.into());
}

fn load_single<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.wait_for_x87()?;
    let bits = core.load::<u32>(op.segment, op.offset(core))?;
    core.remember(op);
    push_converted(core, Value::from_bits(bits.into(), &SINGLE));
    Ok(())
}

fn load_double<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.wait_for_x87()?;
    let bits = load_quad(core, op)?;
    core.remember(op);
    push_converted(core, Value::from_bits(bits, &DOUBLE));
    Ok(())
}

fn load_quad<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<u64, Raised> {
    let offset = op.offset(core);
    core.check_natural(op.segment, offset, 8)?;
    core.load_bytes(op.segment, offset).map(u64::from_le_bytes)
}

fn load_extended<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.wait_for_x87()?;
    let offset = op.offset(core);
    core.check_natural(op.segment, offset, 8)?;
    let bytes = core.load_bytes(op.segment, offset)?;
    core.remember(op);
    core.push_x87(Extended::from_bytes(bytes));
    Ok(())
}

fn load_register<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.begin(op)?;
    let index = index(op.opcode);
    if core.x87.is_empty(index) {
        if !core.x87.stack_fault(false) {
            core.x87.push(Extended::INDEFINITE);
        }
    } else {
        core.push_x87(core.x87.get(index));
    }
    Ok(())
}

fn load_16<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<i64, Raised> {
    let word = core.load::<u16>(op.segment, op.offset(core))?;
    Ok((word as u16).cast_signed().into())
}

fn load_32<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<i64, Raised> {
    Ok(core.load::<u32>(op.segment, op.offset(core))?.cast_signed().into())
}

fn load_64<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<i64, Raised> {
    load_quad(core, op).map(u64::cast_signed)
}

fn load_integer<P: Parts>(
    core: &mut Core<P>,
    op: &Op<P>,
    load: fn(&mut Core<P>, &Op<P>) -> Result<i64, Raised>,
) -> Result<(), Raised> {
    core.wait_for_x87()?;
    let integer = load(core, op)?;
    core.remember(op);
    core.push_x87(from_integer(integer).into());
    Ok(())
}

fn load_decimal<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.wait_for_x87()?;
    let bytes = core.load_bytes(op.segment, op.offset(core))?;
    core.remember(op);
    core.push_x87(from_decimal(bytes).into());
    Ok(())
}

/// What is to be stored, and the exceptions; nothing when one of them forbids it.
fn stored<P: Parts>(core: &mut Core<P>, rounded: &Rounded, forbidding: u8) -> bool {
    core.x87.set_conditions(C1, if rounded.up { C1 } else { 0 });
    core.x87.signal(rounded.flags);
    !core.x87.environment().stops(rounded.flags & forbidding)
}

/// A store: first to memory, which may refuse it, then what is seen in the FPU.
fn put<P: Parts, const N: usize>(
    core: &mut Core<P>,
    op: &Op<P>,
    rounded: Option<&Rounded>,
    bytes: [u8; N],
) -> Result<(), Raised> {
    let before = core.x87.clone();
    core.remember(op);
    let is_stored = match rounded {
        Some(rounded) => stored(core, rounded, INVALID | OVERFLOW | UNDERFLOW),
        None => !core.x87.stack_fault(false),
    };
    if !is_stored {
        return Ok(());
    }
    let offset = op.offset(core);
    let alignment = if N == 10 { 8 } else { N as u32 };
    let result =
        core.check_natural(op.segment, offset, alignment).and_then(|()| core.store_bytes(op.segment, offset, bytes));
    if result.is_err() {
        core.x87 = before;
    } else if pops(op.opcode) {
        core.x87.pop();
    }
    result
}

fn store<P: Parts>(core: &mut Core<P>, op: &Op<P>, format: &'static Format) -> Result<(), Raised> {
    core.wait_for_x87()?;
    let value = core.x87.get(0).value();
    let rounded = match value.kind {
        _ if core.x87.is_empty(0) => None,
        Kind::Unsupported => Some(Rounded { value: Value::indefinite(), flags: INVALID, up: false }),
        Kind::Signaling => Some(Rounded { value: value.quieted(), flags: INVALID, up: false }),
        Kind::Normal | Kind::Denormal => {
            let environment = core.x87.to_format(format);
            let rounded = Exact::of(&value).round(&environment);
            // What is not stored is not inexact.
            let hindering = rounded.flags & (OVERFLOW | UNDERFLOW);
            Some(if environment.stops(hindering) {
                Rounded { flags: hindering, up: false, ..rounded }
            } else {
                rounded
            })
        }
        _ => Some(value.into()),
    };
    let bits = rounded.map_or(Value::indefinite(), |rounded| rounded.value).bits(format);
    if format.precision == 24 {
        put(core, op, rounded.as_ref(), ((bits & u64::from(u32::MAX)) as u32).to_le_bytes())
    } else {
        put(core, op, rounded.as_ref(), bits.to_le_bytes())
    }
}

fn store_extended<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.wait_for_x87()?;
    if core.x87.is_empty(0) {
        return put(core, op, None, Extended::INDEFINITE.bytes());
    }
    let rounded = Rounded::from(Value::zero(false));
    put(core, op, Some(&rounded), core.x87.get(0).bytes())
}

fn store_register<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.begin(op)?;
    let index = index(op.opcode);
    let is_used = if core.x87.is_empty(0) {
        core.refill(index)
    } else {
        core.x87.set_conditions(C1, 0);
        core.x87.set(index, core.x87.get(0));
        true
    };
    if is_used && pops(op.opcode) {
        core.x87.pop();
    }
    Ok(())
}

/// D9 D8+i, an alias of FSTP that the manual has not: an empty register is popped without an exception.
fn store_quietly<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    if !core.x87.is_empty(0) {
        return store_register(core, op);
    }
    core.begin(op)?;
    core.x87.set_conditions(C1, 0);
    core.x87.pop();
    Ok(())
}

fn store_integer<P: Parts, const N: usize>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.wait_for_x87()?;
    let bounds = i64::MIN >> (64 - 8 * N)..=i64::MAX >> (64 - 8 * N);
    let found = to_integer(&core.x87.get(0).value(), core.x87.rounding())
        .and_then(|integer| Some((integer.within(bounds.clone())?, integer)));
    let indefinite = Rounded { value: Value::indefinite(), flags: INVALID, up: false };
    let (integer, rounded) = match found {
        Some((number, integer)) => (number, told(integer.is_inexact, integer.up)),
        None => (*bounds.start(), indefinite),
    };
    let is_empty = core.x87.is_empty(0);
    let integer = if is_empty { *bounds.start() } else { integer };
    let mut bytes = [0; N];
    bytes.copy_from_slice(&integer.to_le_bytes()[..N]);
    put(core, op, (!is_empty).then_some(&rounded), bytes)
}

fn told(is_inexact: bool, up: bool) -> Rounded {
    Rounded { value: Value::zero(false), flags: if is_inexact { INEXACT } else { 0 }, up }
}

fn store_decimal<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    const INDEFINITE: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff];
    core.wait_for_x87()?;
    if core.x87.is_empty(0) {
        return put(core, op, None, INDEFINITE);
    }
    match to_integer(&core.x87.get(0).value(), core.x87.rounding()) {
        Some(integer) if integer.magnitude <= LARGEST_DECIMAL => {
            put(core, op, Some(&told(integer.is_inexact, integer.up)), to_decimal(&integer))
        }
        _ => {
            let rounded = Rounded { value: Value::indefinite(), flags: INVALID, up: false };
            put(core, op, Some(&rounded), INDEFINITE)
        }
    }
}

fn exchange<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.begin(op)?;
    let index = index(op.opcode);
    core.x87.set_conditions(C1, 0);
    let empty = [0, index].map(|index| core.x87.is_empty(index));
    if empty != [false; 2] {
        if core.x87.stack_fault(false) {
            return Ok(());
        }
        for (index, _) in [0, index].into_iter().zip(empty).filter(|(_, is_empty)| *is_empty) {
            core.x87.set(index, Extended::INDEFINITE);
        }
    }
    let (zero, other) = (core.x87.get(0), core.x87.get(index));
    core.x87.set(0, other);
    core.x87.set(index, zero);
    Ok(())
}

/// DA moves when the condition holds, DB when it does not.
fn move_if<P: Parts>(core: &mut Core<P>, op: &Op<P>, condition: fn(&Core<P>) -> bool) -> Result<(), Raised> {
    core.begin(op)?;
    let index = index(op.opcode);
    if core.x87.is_empty(0) || core.x87.is_empty(index) {
        core.refill(0);
        return Ok(());
    }
    if condition(core) == (op.opcode & 0x100 == 0) {
        core.x87.set(0, core.x87.get(index));
    }
    Ok(())
}

/// One, log2 10, log2 e, pi, log10 2, ln 2 and zero with 66 bits, of which the last two decide the rounding (volume 2A, "FLD1").
const CONSTANTS: [(u16, u64, bool); 7] = [
    (0x3fff, 0x8000_0000_0000_0000, false),
    (0x4000, 0xd49a_784b_cd1b_8afe, false),
    (0x3fff, 0xb8aa_3b29_5c17_f0bb, true),
    (0x4000, 0xc90f_daa2_2168_c234, true),
    (0x3ffd, 0x9a20_9a84_fbcf_f798, true),
    (0x3ffe, 0xb172_17f7_d1cf_79ab, true),
    (0, 0, false),
];

fn constant<P: Parts>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    core.begin(op)?;
    // Each is the lower neighbour of the constant; the flag tells those that are nearer to the upper one.
    let number = usize::from(op.opcode & 7) % 7;
    let (high, significand, is_above) = CONSTANTS[number];
    let up = match core.x87.rounding() {
        Rounding::Nearest => is_above,
        Rounding::Up => !matches!(number, 0 | 6),
        _ => false,
    };
    core.push_x87(Extended::new(high, significand + u64::from(up)));
    Ok(())
}
