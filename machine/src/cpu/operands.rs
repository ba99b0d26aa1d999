//! An instruction that was decoded, and where its operands are.

use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};

use crate::state::core::{Core, DS, Parts, Raised};
use crate::state::word::Word;

/// Executes an instruction. It leaves [`Core::next`] alone unless it goes elsewhere.
pub type Handler<P> = fn(&mut Core<P>, &Op<P>) -> Result<(), Raised>;

/// Executes the first of the instructions of a block that are left, then the others.
pub type Chained<P> = fn(&mut Core<P>, &[Op<P>]) -> Result<(), Raised>;

/// A decoded instruction.
pub struct Op<P: Parts> {
    /// What executes it.
    pub run: Handler<P>,
    /// What executes it, and then those that follow it in its block.
    pub chained: Chained<P>,
    /// What executes those that follow it in its block; nothing does behind the last one.
    pub behind: Chained<P>,
    /// Added to the base and the index.
    pub displacement: u32,
    /// The immediate operand, with its sign extended to the operand's size; how far a near branch goes from its end.
    pub immediate: u32,
    /// Where in its page it begins.
    pub place: u16,
    /// How many come before it in its block.
    pub number: u8,
    /// Its bytes.
    pub length: u8,
    /// Number of the register that is its first operand.
    pub first: u8,
    /// Number of the register that is its second operand; the third operand's where there are three and the second is memory.
    pub second: u8,
    /// Number of the segment register of the memory operand.
    pub segment: u8,
    /// Number of the base register: 8 for none.
    pub base: u8,
    /// Number of the index register: 8 for none.
    pub index: u8,
    /// How far the index is shifted, 0 to 3.
    pub scale: u8,
    /// The bits that offsets have: 16 or 32.
    pub offsets: u32,
    /// LGDT and LIDT have 16-bit operands.
    pub is_narrow: bool,
    /// One of its operands is in memory.
    pub has_memory: bool,
    /// What the x87 FPU remembers of one of its instructions.
    pub opcode: u16,
}

impl<P: Parts> Op<P> {
    /// An instruction that `run` executes, or `chained` in a block.
    pub fn new(instruction: &Instruction, run: Handler<P>, chained: Chained<P>) -> Self {
        let number = |register: Register| u8::try_from(register.number()).unwrap_or(0);
        let address_register = |register: Register| if register == Register::None { 8 } else { number(register) };
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        let segment = match instruction.memory_segment() {
            Register::None if instruction.segment_prefix() == Register::None => DS,
            Register::None => number(instruction.segment_prefix()),
            register => number(register),
        };
        Self {
            run,
            chained,
            behind: |_, _| Ok(()),
            place: 0,
            number: 0,
            displacement: match instruction.op0_kind() {
                OpKind::FarBranch16 | OpKind::FarBranch32 => instruction.far_branch_selector().into(),
                _ => instruction.memory_displacement32(),
            },
            immediate: immediate(instruction),
            length: u8::try_from(instruction.len()).unwrap_or(0),
            first: match instruction.mnemonic() {
                // The mask; the second is what it is of, and memory, which is implied, comes first.
                Mnemonic::Maskmovq | Mnemonic::Maskmovdqu => number(instruction.op2_register()),
                _ => number(instruction.op0_register()),
            },
            second: match (instruction.op1_register(), instruction.mnemonic()) {
                // The nesting level, its other immediate.
                (_, Mnemonic::Enter) => instruction.immediate8_2nd(),
                (Register::None, _) => number(instruction.op2_register()),
                (register, _) => number(register),
            },
            segment,
            base: address_register(base),
            index: address_register(index),
            scale: u8::try_from(instruction.memory_index_scale().trailing_zeros()).unwrap_or(0),
            offsets: if has_short_address(instruction) { 0xffff } else { u32::MAX },
            is_narrow: matches!(instruction.code(), Code::Lgdt_m1632_16 | Code::Lidt_m1632_16),
            has_memory: instruction.op_kinds().any(|kind| kind == OpKind::Memory),
            opcode: 0,
        }
    }

    /// The selector of a far pointer in the instruction, which has no memory operand.
    pub fn selector(&self) -> u16 {
        (self.displacement & 0xffff) as u16
    }

    /// The offset of its memory operand.
    #[inline]
    pub fn offset(&self, core: &Core<P>) -> u32 {
        let register = |number: u8| core.general[usize::from(number & 15)];
        let offset =
            register(self.base).wrapping_add(register(self.index) << (self.scale & 3)).wrapping_add(self.displacement);
        offset & self.offsets
    }
}

/// True when the address size is 16 bits.
fn has_short_address(instruction: &Instruction) -> bool {
    let is_short_kind = |kind| matches!(kind, OpKind::MemorySegSI | OpKind::MemorySegDI | OpKind::MemoryESDI);
    instruction.op_kinds().any(is_short_kind)
        || instruction.memory_base().size() == 2
        || instruction.memory_index().size() == 2
        || instruction.memory_base() == Register::None
            && instruction.memory_index() == Register::None
            && instruction.memory_displ_size() == 2
}

fn immediate(instruction: &Instruction) -> u32 {
    let low = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0);
    instruction
        .op_kinds()
        .enumerate()
        .find_map(|(number, kind)| {
            Some(match kind {
                OpKind::Immediate8
                | OpKind::Immediate16
                | OpKind::Immediate32
                | OpKind::Immediate8to16
                | OpKind::Immediate8to32 => low(instruction.immediate(u32::try_from(number).ok()?)),
                // From the instruction's end, as it may be executed at more than one address.
                OpKind::NearBranch16 | OpKind::NearBranch32 => {
                    low(instruction.near_branch_target().wrapping_sub(instruction.next_ip()))
                }
                OpKind::FarBranch16 => instruction.far_branch16().into(),
                OpKind::FarBranch32 => instruction.far_branch32(),
                _ => return None,
            })
        })
        .unwrap_or(0)
}

/// An operand that can be read.
pub trait Source {
    /// Reads it.
    ///
    /// # Errors
    /// Those of memory.
    fn get<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<u32, Raised>;
}

/// An operand that can be written.
pub trait Target: Source {
    /// Writes it.
    ///
    /// # Errors
    /// Those of memory.
    fn set<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>, value: u32) -> Result<(), Raised>;

    /// Reads it and writes what `change` makes of it, which is not called when it can't be written.
    ///
    /// # Errors
    /// Those of memory.
    fn update<P: Parts, W: Word>(
        core: &mut Core<P>,
        op: &Op<P>,
        change: impl FnOnce(&mut Core<P>, u32) -> u32,
    ) -> Result<(), Raised>;
}

/// The register that is the first operand.
pub struct First;
/// The register that is the second operand.
pub struct Second;
/// The memory operand.
pub struct InMemory;
/// The memory operand where it can be had at once: it is an error, not a fault, where it can't.
pub struct Near;
/// The immediate operand.
pub struct Immediate;

impl Source for First {
    #[inline]
    fn get<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<u32, Raised> {
        Ok(W::register(&core.general, op.first))
    }
}

impl Target for First {
    #[inline]
    fn set<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>, value: u32) -> Result<(), Raised> {
        W::set_register(&mut core.general, op.first, value);
        Ok(())
    }

    #[inline]
    fn update<P: Parts, W: Word>(
        core: &mut Core<P>,
        op: &Op<P>,
        change: impl FnOnce(&mut Core<P>, u32) -> u32,
    ) -> Result<(), Raised> {
        let old = W::register(&core.general, op.first);
        let new = change(core, old);
        W::set_register(&mut core.general, op.first, new);
        Ok(())
    }
}

impl Source for Second {
    #[inline]
    fn get<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<u32, Raised> {
        Ok(W::register(&core.general, op.second))
    }
}

impl Source for InMemory {
    #[inline]
    fn get<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<u32, Raised> {
        core.load::<W>(op.segment, op.offset(core))
    }
}

impl Target for InMemory {
    #[inline]
    fn set<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>, value: u32) -> Result<(), Raised> {
        core.store::<W>(op.segment, op.offset(core), value)
    }

    #[inline]
    fn update<P: Parts, W: Word>(
        core: &mut Core<P>,
        op: &Op<P>,
        change: impl FnOnce(&mut Core<P>, u32) -> u32,
    ) -> Result<(), Raised> {
        core.update::<W>(op.segment, op.offset(core), change)
    }
}

impl Source for Near {
    #[inline(always)]
    fn get<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<u32, Raised> {
        core.load_at_once::<W>(op.segment, op.offset(core)).ok_or(Raised)
    }
}

impl Target for Near {
    #[inline(always)]
    fn set<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>, value: u32) -> Result<(), Raised> {
        core.store_at_once::<W>(op.segment, op.offset(core), value).ok_or(Raised)
    }

    #[inline(always)]
    fn update<P: Parts, W: Word>(
        core: &mut Core<P>,
        op: &Op<P>,
        change: impl FnOnce(&mut Core<P>, u32) -> u32,
    ) -> Result<(), Raised> {
        let at = core.place_at_once::<W>(op.segment, op.offset(core)).ok_or(Raised)?;
        let old = W::get(&core.memory, at).ok_or(Raised)?;
        let new = change(core, old);
        // It was there.
        W::put(&mut core.memory, at, new);
        Ok(())
    }
}

impl Source for Immediate {
    #[inline]
    fn get<P: Parts, W: Word>(_core: &mut Core<P>, op: &Op<P>) -> Result<u32, Raised> {
        Ok(op.immediate & W::MASK)
    }
}

/// Which operands an instruction has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Two registers, or one.
    Registers,
    /// A register, and memory that is read.
    FromMemory,
    /// Memory, and a register or nothing.
    ToMemory,
    /// A register and an immediate.
    RegisterImmediate,
    /// Memory and an immediate.
    MemoryImmediate,
}

impl Form {
    /// The form of an instruction whose first operand is not an immediate.
    pub fn of(instruction: &Instruction) -> Self {
        let is =
            |number, wanted: fn(OpKind) -> bool| number < instruction.op_count() && wanted(instruction.op_kind(number));
        let is_immediate = |kind| {
            matches!(
                kind,
                OpKind::Immediate8
                    | OpKind::Immediate16
                    | OpKind::Immediate32
                    | OpKind::Immediate8to16
                    | OpKind::Immediate8to32
            )
        };
        match (is(0, |kind| kind == OpKind::Memory), is(1, |kind| kind == OpKind::Memory), is(1, is_immediate)) {
            (true, _, true) => Self::MemoryImmediate,
            (true, ..) => Self::ToMemory,
            (_, true, _) => Self::FromMemory,
            (_, _, true) => Self::RegisterImmediate,
            _ => Self::Registers,
        }
    }
}

/// The size of the first operand in bytes.
pub fn size(instruction: &Instruction) -> usize {
    match instruction.op0_kind() {
        OpKind::Register => instruction.op0_register().size(),
        _ => instruction.memory_size().size(),
    }
}

/// The handler `$f` for the size of the first operand and for all forms of two operands.
macro_rules! two_operands {
    ($instruction:expr, $f:ident $(, $what:ty)?) => {{
        use $crate::cpu::operands::{First, Form, Immediate, InMemory, Second, size};
        match (Form::of($instruction), size($instruction)) {
            (Form::Registers, 1) => $f::<P, $($what,)? First, Second, u8>,
            (Form::Registers, 2) => $f::<P, $($what,)? First, Second, u16>,
            (Form::Registers, _) => $f::<P, $($what,)? First, Second, u32>,
            (Form::FromMemory, 1) => $f::<P, $($what,)? First, InMemory, u8>,
            (Form::FromMemory, 2) => $f::<P, $($what,)? First, InMemory, u16>,
            (Form::FromMemory, _) => $f::<P, $($what,)? First, InMemory, u32>,
            (Form::ToMemory, 1) => $f::<P, $($what,)? InMemory, Second, u8>,
            (Form::ToMemory, 2) => $f::<P, $($what,)? InMemory, Second, u16>,
            (Form::ToMemory, _) => $f::<P, $($what,)? InMemory, Second, u32>,
            (Form::RegisterImmediate, 1) => $f::<P, $($what,)? First, Immediate, u8>,
            (Form::RegisterImmediate, 2) => $f::<P, $($what,)? First, Immediate, u16>,
            (Form::RegisterImmediate, _) => $f::<P, $($what,)? First, Immediate, u32>,
            (Form::MemoryImmediate, 1) => $f::<P, $($what,)? InMemory, Immediate, u8>,
            (Form::MemoryImmediate, 2) => $f::<P, $($what,)? InMemory, Immediate, u16>,
            (Form::MemoryImmediate, _) => $f::<P, $($what,)? InMemory, Immediate, u32>,
        }
    }};
}

/// The handler `$f` for an operand that is a register or memory, whatever follows it.
macro_rules! one_operand {
    ($instruction:expr, $f:ident $(, $what:ty)?) => {{
        use $crate::cpu::operands::{First, InMemory, size};
        match ($instruction.op0_kind() == iced_x86::OpKind::Memory, size($instruction)) {
            (false, 1) => $f::<P, $($what,)? First, u8>,
            (false, 2) => $f::<P, $($what,)? First, u16>,
            (false, _) => $f::<P, $($what,)? First, u32>,
            (true, 1) => $f::<P, $($what,)? InMemory, u8>,
            (true, 2) => $f::<P, $($what,)? InMemory, u16>,
            (true, _) => $f::<P, $($what,)? InMemory, u32>,
        }
    }};
}

pub(crate) use {one_operand, two_operands};
