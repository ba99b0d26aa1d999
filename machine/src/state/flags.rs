//! EFLAGS (Intel SDM volume 1, section 3.4.3). Most flags that an instruction leaves are overwritten before anybody looks, so what is kept
//! is what they follow from: the result, and where there were carries.

use stos_x86::registers::EFLAGS_FIXED;

/// CF, PF, AF, ZF, SF and OF.
pub const CARRY: u32 = 1 << 0;
/// PF.
pub const PARITY: u32 = 1 << 2;
/// AF.
pub const ADJUST: u32 = 1 << 4;
/// ZF.
pub const ZERO: u32 = 1 << 6;
/// SF.
pub const SIGN: u32 = 1 << 7;
/// OF.
pub const OVERFLOW: u32 = 1 << 11;
/// The flags that arithmetic leaves.
pub const STATUS: u32 = CARRY | PARITY | ADJUST | ZERO | SIGN | OVERFLOW;

/// A carry out of bit 3, which is AF.
const CARRY_OF_DIGIT: u32 = 1 << 3;
/// In `clues`: the carry out of the highest bit is CF; it and the carry into that bit differ when the result has overflowed.
const CARRY_OUT: u32 = 1 << 31;
const CARRY_IN: u32 = 1 << 30;
/// In `clues`: SF is not the result's sign. Needed for what POPF and SAHF can load and no result has.
const OTHER_SIGN: u32 = 1;
/// In `clues`, as bits of a byte: PF is not that of the result's low byte but of both together.
const OTHER_PARITY: u32 = 8;

/// The flags register.
#[derive(Clone, Copy, Debug)]
pub struct Flags {
    /// The last result, with its sign extended to 32 bits.
    result: u32,
    /// See the constants above.
    clues: u32,
    /// All flags but those of arithmetic.
    rest: u32,
}

impl Default for Flags {
    fn default() -> Self {
        Self::from_bits(EFLAGS_FIXED)
    }
}

/// Two registers are equal when they read alike.
impl PartialEq for Flags {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Flags {}

impl Flags {
    /// The register with this value. Bit 1 is one, whatever it says.
    pub fn from_bits(bits: u32) -> Self {
        // Not zero, with a positive sign and an even number of ones in its low byte.
        let (result, parity) = if bits & ZERO != 0 { (0, true) } else { (1 << 8, true) };
        let carry = bits & CARRY != 0;
        let clues = u32::from(carry) << 31
            | u32::from(carry != (bits & OVERFLOW != 0)) << 30
            | (bits & ADJUST) >> 1
            | u32::from(bits & SIGN != 0)
            | u32::from(parity != (bits & PARITY != 0)) << OTHER_PARITY;
        Self { result, clues, rest: bits & !STATUS | EFLAGS_FIXED }
    }

    /// Its value.
    pub fn bits(&self) -> u32 {
        let bit = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        self.rest
            | bit(self.carry(), CARRY)
            | bit(self.parity(), PARITY)
            | bit(self.adjust(), ADJUST)
            | bit(self.zero(), ZERO)
            | bit(self.sign(), SIGN)
            | bit(self.overflow(), OVERFLOW)
    }

    /// CF.
    pub const fn carry(&self) -> bool {
        self.clues & CARRY_OUT != 0
    }

    /// PF: the low byte of the result has an even number of ones.
    pub const fn parity(&self) -> bool {
        (self.result & 0xff ^ self.clues >> OTHER_PARITY & 0xff).count_ones() & 1 == 0
    }

    /// AF.
    pub const fn adjust(&self) -> bool {
        self.clues & CARRY_OF_DIGIT != 0
    }

    /// ZF.
    pub const fn zero(&self) -> bool {
        self.result == 0
    }

    /// SF.
    pub const fn sign(&self) -> bool {
        (self.result >> 31 ^ self.clues) & OTHER_SIGN != 0
    }

    /// OF.
    pub const fn overflow(&self) -> bool {
        (self.clues ^ self.clues << 1) & CARRY_OUT != 0
    }

    /// True when all of `flags`, none of which arithmetic leaves, are set.
    pub const fn has(&self, flags: u32) -> bool {
        self.rest & flags == flags
    }

    /// The I/O privilege level.
    pub const fn iopl(&self) -> u32 {
        self.rest >> 12 & 3
    }

    /// Sets or clears `flags`, none of which arithmetic leaves.
    pub const fn set(&mut self, flags: u32, is_set: bool) {
        self.rest = if is_set { self.rest | flags } else { self.rest & !flags };
    }

    /// The flags after a sum or a difference of so many bits, with the carries or borrows out of each bit.
    pub(crate) const fn follow_sum(&mut self, bits: u32, result: u32, carries: u32) {
        self.result = sign_extended(bits, result);
        self.clues = carries << (32 - bits) & (CARRY_OUT | CARRY_IN) | carries & CARRY_OF_DIGIT;
    }

    /// The same, but CF stays.
    pub(crate) const fn follow_step(&mut self, bits: u32, result: u32, carries: u32) {
        let carry = self.carry();
        self.follow_sum(bits, result, carries);
        self.set_carry(carry);
    }

    /// The flags after a logical operation: no carry, no overflow. AF is undefined there, and is clear here.
    pub(crate) const fn follow_logic(&mut self, bits: u32, result: u32) {
        self.result = sign_extended(bits, result);
        self.clues = 0;
    }

    /// Sets SF, ZF and PF by a result, CF and OF as told, and clears AF.
    pub(crate) const fn follow_shift(&mut self, bits: u32, result: u32, carry: bool, overflow: bool) {
        self.follow_logic(bits, result);
        self.set_carry_and_overflow(carry, overflow);
    }

    /// Changes CF alone.
    pub(crate) const fn set_carry(&mut self, carry: bool) {
        let overflow = self.overflow();
        self.set_carry_and_overflow(carry, overflow);
    }

    /// Changes CF and OF alone.
    pub(crate) const fn set_carry_and_overflow(&mut self, carry: bool, overflow: bool) {
        self.clues = self.clues & !(CARRY_OUT | CARRY_IN) | (carry as u32) << 31 | ((carry != overflow) as u32) << 30;
    }

    /// Changes the `which` of the arithmetic flags to what `bits` has.
    pub(crate) fn set_status(&mut self, which: u32, bits: u32) {
        *self = Self::from_bits(self.bits() & !which | bits & which);
    }
}

const fn sign_extended(bits: u32, value: u32) -> u32 {
    ((value << (32 - bits)).cast_signed() >> (32 - bits)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_the_flags_comes_back() {
        for number in 0..64 {
            let flags = [CARRY, PARITY, ADJUST, ZERO, SIGN, OVERFLOW];
            let bits = (0..6).filter(|bit| number >> bit & 1 == 1).fold(0x3202, |bits, bit| bits | flags[bit]);
            assert_eq!(Flags::from_bits(bits).bits(), bits, "{bits:#x}");
            for which in 0..64 {
                let which = (0..6).filter(|bit| which >> bit & 1 == 1).fold(0, |mask, bit| mask | flags[bit]);
                let mut changed = Flags::from_bits(0x202);
                changed.set_status(which, bits);
                assert_eq!(changed.bits(), 0x202 | bits & which, "{bits:#x} {which:#x}");
            }
        }
    }

    #[test]
    fn carry_and_overflow_change_alone() {
        let mut flags = Flags::from_bits(0x202 | SIGN | OVERFLOW | PARITY);
        flags.set_carry(true);
        assert_eq!(flags.bits(), 0x202 | SIGN | OVERFLOW | PARITY | CARRY);
        flags.set_carry_and_overflow(true, false);
        assert_eq!(flags.bits(), 0x202 | SIGN | PARITY | CARRY);
    }
}
