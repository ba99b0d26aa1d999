//! The registers of the x87 FPU (Intel SDM volume 1, section 8.1).

use crate::float::extended::Extended;
use crate::float::format::{EXTENDED, Environment, Format, INVALID, Rounding};

/// Condition codes of the status word (section 8.1.3).
pub(crate) const C0: u16 = 1 << 8;
pub(crate) const C1: u16 = 1 << 9;
pub(crate) const C2: u16 = 1 << 10;
pub(crate) const C3: u16 = 1 << 14;
/// Stack fault.
pub(crate) const SF: u16 = 1 << 6;
/// Error summary, and busy, which follows it.
const ES: u16 = 1 << 7;
const BUSY: u16 = 1 << 15;
/// What is kept of a status word: the rest follows from it, or is TOP.
const KEPT: u16 = 0x477f;
/// Bits of the control word that can be changed, and the one that is always set.
const CONTROL: u16 = 0x1f7f;
const CONTROL_FIXED: u16 = 0x40;
/// The exceptions in either word.
const EXCEPTIONS: u16 = 0x3f;

/// Where something was: selector and offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub selector: u16,
    pub offset: u32,
}

/// The x87 FPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct X87 {
    control: u16,
    /// The status word without what follows from other fields.
    status: u16,
    /// The number of the register that is ST(0).
    pub(crate) top: u8,
    /// A bit for each register that is empty.
    pub(crate) empty: u8,
    /// R0 to R7.
    pub(crate) registers: [Extended; 8],
    /// The last instruction that was no control instruction: its opcode, where it was, and where its operand was.
    pub(crate) opcode: u16,
    pub(crate) instruction: Pointer,
    pub(crate) operand: Pointer,
}

/// As FNINIT leaves it, and as KVM starts a CPU.
impl Default for X87 {
    fn default() -> Self {
        Self {
            control: 0x37f,
            status: 0,
            top: 0,
            empty: 0xff,
            registers: [Extended::default(); 8],
            opcode: 0,
            instruction: Pointer::default(),
            operand: Pointer::default(),
        }
    }
}

impl X87 {
    pub(crate) const fn control(&self) -> u16 {
        self.control
    }

    pub(crate) const fn set_control(&mut self, control: u16) {
        self.control = control & CONTROL | CONTROL_FIXED;
    }

    pub(crate) const fn status(&self) -> u16 {
        let summary = if self.has_pending() { ES | BUSY } else { 0 };
        self.status | summary | (self.top as u16) << 11
    }

    pub(crate) const fn set_status(&mut self, status: u16) {
        self.status = status & KEPT;
        self.top = (status >> 11 & 7) as u8;
    }

    /// FNCLEX: exceptions, stack fault, summary and busy.
    pub(crate) const fn clear_exceptions(&mut self) {
        self.status &= !(EXCEPTIONS | SF);
    }

    /// FNINIT; the registers keep what is in them.
    pub(crate) fn initialize(&mut self) {
        *self = Self { registers: self.registers, ..Self::default() };
    }

    /// An exception has happened that is not masked.
    pub(crate) const fn has_pending(&self) -> bool {
        self.status & !self.control & EXCEPTIONS != 0
    }

    const fn number(&self, index: u8) -> usize {
        (self.top.wrapping_add(index) & 7) as usize
    }

    /// ST(index), empty or not.
    pub(crate) const fn get(&self, index: u8) -> Extended {
        self.registers[self.number(index)]
    }

    /// Fills ST(index).
    pub(crate) const fn set(&mut self, index: u8, value: Extended) {
        let number = self.number(index);
        self.registers[number] = value;
        self.empty &= !(1 << number);
    }

    pub(crate) const fn is_empty(&self, index: u8) -> bool {
        self.empty >> self.number(index) & 1 != 0
    }

    /// Empties ST(index).
    pub(crate) const fn free(&mut self, index: u8) {
        self.empty |= 1 << self.number(index);
    }

    pub(crate) const fn turn(&mut self, by: u8) {
        self.top = self.top.wrapping_add(by) & 7;
    }

    pub(crate) const fn pop(&mut self) {
        self.free(0);
        self.turn(1);
    }

    pub(crate) const fn push(&mut self, value: Extended) {
        self.turn(7);
        self.set(0, value);
    }

    /// Sets some of the condition codes and clears the others of `mask`.
    pub(crate) const fn set_conditions(&mut self, mask: u16, codes: u16) {
        self.status = self.status & !mask | codes;
    }

    /// Remembers exceptions. True when one of these is not masked.
    pub(crate) fn signal(&mut self, flags: u8) -> bool {
        self.status |= u16::from(flags);
        u16::from(flags) & !self.control & EXCEPTIONS != 0
    }

    /// A stack fault: an empty register was used, or one that is not was to be pushed to. True when that is not masked.
    pub(crate) fn stack_fault(&mut self, is_overflow: bool) -> bool {
        self.set_conditions(C1, if is_overflow { C1 } else { 0 });
        self.status |= SF;
        self.signal(INVALID)
    }

    pub(crate) const fn rounding(&self) -> Rounding {
        Rounding::from_bits(self.control as u32 >> 10)
    }

    /// How to compute for a register, with the precision of the control word.
    pub(crate) const fn environment(&self) -> Environment {
        self.to_format(Format::of_control(self.control >> 8))
    }

    /// How to compute for a register with all of its bits.
    pub(crate) fn extended(&self) -> Environment {
        self.to_format(&EXTENDED)
    }

    pub(crate) const fn to_format(&self, format: &'static Format) -> Environment {
        Environment {
            rounding: self.rounding(),
            format,
            masked: (self.control & EXCEPTIONS) as u8,
            flushes: false,
            wrap: 0x6000,
        }
    }

    /// Two bits for each register (section 8.1.7): valid, zero, special, empty.
    pub(crate) fn tags(&self) -> u16 {
        use crate::float::value::Kind;
        (0..8_u8).fold(0, |tags, number| {
            let tag = match self.registers[usize::from(number)].value().kind {
                _ if self.empty >> number & 1 != 0 => 3,
                Kind::Normal => 0,
                Kind::Zero => 1,
                _ => 2,
            };
            tags | tag << (2 * number)
        })
    }

    /// From such a word: only what is empty is told apart.
    pub(crate) fn set_tags(&mut self, tags: u16) {
        self.empty = (0..8).fold(0, |empty, number| empty | u8::from(tags >> (2 * number) & 3 == 3) << number);
    }
}
