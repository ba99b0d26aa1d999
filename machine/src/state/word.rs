//! The sizes of operands.

use crate::memory::Memory;

/// An operand of 8, 16 or 32 bits. Its value is carried around as a `u32` whose other bits are zero.
pub trait Word: Copy {
    /// How many bits.
    const BITS: u32;
    /// How many bytes.
    const SIZE: u32 = Self::BITS / 8;
    /// The highest value.
    const MASK: u32 = u32::MAX >> (32 - Self::BITS);
    /// The highest bit.
    const SIGN: u32 = 1 << (Self::BITS - 1);

    /// Reads one from memory, if it is there.
    fn get(memory: &Memory, address: u32) -> Option<u32>;

    /// Writes one to memory, if it is there.
    fn put(memory: &mut Memory, address: u32, value: u32) -> Option<()>;

    /// The value of a register of this size.
    fn register(registers: &[u32; 16], number: u8) -> u32;

    /// Changes a register of this size. Nothing else of the 32 bits changes.
    fn set_register(registers: &mut [u32; 16], number: u8, value: u32);

    /// `value` with its sign in all higher bits.
    fn sign_extend(value: u32) -> u32 {
        ((value << (32 - Self::BITS)).cast_signed() >> (32 - Self::BITS)).cast_unsigned()
    }
}

impl Word for u8 {
    const BITS: u32 = 8;

    #[inline]
    fn get(memory: &Memory, address: u32) -> Option<u32> {
        memory.get::<1>(address).map(|[byte]| byte.into())
    }

    #[inline]
    fn put(memory: &mut Memory, address: u32, value: u32) -> Option<()> {
        let [byte, ..] = value.to_le_bytes();
        memory.put(address, [byte])
    }

    #[inline]
    fn register(registers: &[u32; 16], number: u8) -> u32 {
        // AL, CL, DL, BL, then AH, CH, DH, BH (Intel SDM volume 2A, table 2-2).
        registers[usize::from(number & 3)] >> (u32::from(number & 4) * 2) & 0xff
    }

    #[inline]
    fn set_register(registers: &mut [u32; 16], number: u8, value: u32) {
        let (register, shift) = (&mut registers[usize::from(number & 3)], u32::from(number & 4) * 2);
        *register = *register & !(0xff << shift) | (value & 0xff) << shift;
    }
}

impl Word for u16 {
    const BITS: u32 = 16;

    #[inline]
    fn get(memory: &Memory, address: u32) -> Option<u32> {
        memory.get(address).map(|bytes| Self::from_le_bytes(bytes).into())
    }

    #[inline]
    fn put(memory: &mut Memory, address: u32, value: u32) -> Option<()> {
        let [low, high, ..] = value.to_le_bytes();
        memory.put(address, [low, high])
    }

    #[inline]
    fn register(registers: &[u32; 16], number: u8) -> u32 {
        registers[usize::from(number & 15)] & 0xffff
    }

    #[inline]
    fn set_register(registers: &mut [u32; 16], number: u8, value: u32) {
        let register = &mut registers[usize::from(number & 15)];
        *register = *register & 0xffff_0000 | value & 0xffff;
    }
}

impl Word for u32 {
    const BITS: u32 = 32;

    #[inline]
    fn get(memory: &Memory, address: u32) -> Option<u32> {
        memory.get(address).map(Self::from_le_bytes)
    }

    #[inline]
    fn put(memory: &mut Memory, address: u32, value: u32) -> Option<()> {
        memory.put(address, value.to_le_bytes())
    }

    #[inline]
    fn register(registers: &[u32; 16], number: u8) -> u32 {
        registers[usize::from(number & 15)]
    }

    #[inline]
    fn set_register(registers: &mut [u32; 16], number: u8, value: u32) {
        registers[usize::from(number & 15)] = value;
    }
}
