//! From one instruction of a block to the next: each calls the one behind it as the last thing that it does, which costs a jump. What is
//! known of all instructions of a block before it is executed, the place and the time of each, is written down only where it may be asked
//! for: what needs more than registers and memory in the TLB begins anew in the long way.

use super::operands::Op;
use crate::state::core::{Core, Parts, Raised};

/// Executes the first instruction by `execute`, and the others. Where that fails, it has changed nothing.
///
/// # Errors
/// Those of any of them.
#[inline(always)]
pub fn quickly<P: Parts>(
    core: &mut Core<P>,
    ops: &[Op<P>],
    execute: impl FnOnce(&mut Core<P>, &Op<P>) -> Result<(), Raised>,
) -> Result<(), Raised> {
    let Some((op, rest)) = ops.split_first() else { return Ok(()) };
    match execute(core, op) {
        Ok(()) => (op.behind)(core, rest),
        Err(Raised) => any(core, ops),
    }
}

/// Executes any instruction, and the others. A function of its own, so that the short way needs none of what this does.
///
/// # Errors
/// Those of any of them.
#[inline(never)]
pub fn any<P: Parts>(core: &mut Core<P>, ops: &[Op<P>]) -> Result<(), Raised> {
    let Some((op, rest)) = ops.split_first() else { return Ok(()) };
    let (time, end) = (core.begun.time.wrapping_add(op.number.into()), core.next);
    core.eip = core.begun.page.wrapping_add(op.place.into());
    core.count = time;
    let behind = core.eip.wrapping_add(op.length.into());
    core.next = behind;
    (op.run)(core, op)?;
    // A port is slow, and a repeated instruction takes the time of many.
    core.begun.time = core.begun.time.wrapping_add(core.count.wrapping_sub(time));
    if core.has_news {
        core.eip = core.next;
        core.count += 1;
        return Ok(());
    }
    if !rest.is_empty() {
        debug_assert_eq!(core.next, behind);
        core.next = end;
    }
    (op.behind)(core, rest)
}

/// What executes an instruction in a chain by `$execute`.
macro_rules! chain {
    ($($execute:tt)+) => {
        |core, ops| $crate::cpu::chain::quickly(core, ops, $($execute)+)
    };
}

/// The same for `$f` and all forms of two operands.
macro_rules! two_in_chain {
    ($instruction:expr, $f:ident $(, $what:ty)?) => {{
        use $crate::cpu::operands::{First, Form, Immediate, Near, Second, size};
        match (Form::of($instruction), size($instruction)) {
            (Form::Registers, 1) => chain!($f::<P, $($what,)? First, Second, u8>),
            (Form::Registers, 2) => chain!($f::<P, $($what,)? First, Second, u16>),
            (Form::Registers, 4) => chain!($f::<P, $($what,)? First, Second, u32>),
            (Form::FromMemory, 1) => chain!($f::<P, $($what,)? First, Near, u8>),
            (Form::FromMemory, 2) => chain!($f::<P, $($what,)? First, Near, u16>),
            (Form::FromMemory, 4) => chain!($f::<P, $($what,)? First, Near, u32>),
            (Form::ToMemory, 1) => chain!($f::<P, $($what,)? Near, Second, u8>),
            (Form::ToMemory, 2) => chain!($f::<P, $($what,)? Near, Second, u16>),
            (Form::ToMemory, 4) => chain!($f::<P, $($what,)? Near, Second, u32>),
            (Form::RegisterImmediate, 1) => chain!($f::<P, $($what,)? First, Immediate, u8>),
            (Form::RegisterImmediate, 2) => chain!($f::<P, $($what,)? First, Immediate, u16>),
            (Form::RegisterImmediate, 4) => chain!($f::<P, $($what,)? First, Immediate, u32>),
            (Form::MemoryImmediate, 1) => chain!($f::<P, $($what,)? Near, Immediate, u8>),
            (Form::MemoryImmediate, 2) => chain!($f::<P, $($what,)? Near, Immediate, u16>),
            (Form::MemoryImmediate, 4) => chain!($f::<P, $($what,)? Near, Immediate, u32>),
            _ => return None,
        }
    }};
}

/// The same for an operand of 32 bits that is a register, and another one that is not in memory.
macro_rules! registers_in_chain {
    ($instruction:expr, $f:ident $(, $what:ty)?) => {{
        use $crate::cpu::operands::{First, Form, Immediate, Second, size};
        match (Form::of($instruction), size($instruction)) {
            (Form::Registers, 4) => chain!($f::<P, $($what,)? First, Second, u32>),
            (Form::RegisterImmediate, 4) => chain!($f::<P, $($what,)? First, Immediate, u32>),
            _ => return None,
        }
    }};
}

/// The same for one operand.
macro_rules! one_in_chain {
    ($instruction:expr, $f:ident $(, $what:ty)?) => {{
        use $crate::cpu::operands::{First, Near, size};
        match ($instruction.op0_kind() == iced_x86::OpKind::Memory, size($instruction)) {
            (false, 4) => chain!($f::<P, $($what,)? First, u32>),
            (true, 4) => chain!($f::<P, $($what,)? Near, u32>),
            _ => return None,
        }
    }};
}

pub(crate) use {chain, one_in_chain, registers_in_chain, two_in_chain};
