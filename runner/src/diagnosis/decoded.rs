//! Instructions one after another, as they lie in a guest's memory.

use iced_x86::{Decoder, DecoderOptions, Instruction};

use super::vector::Vector;

/// An instruction in a guest's memory.
#[derive(Clone, Debug)]
pub enum Decoded {
    /// One that a guest's CPU may have, or none at all.
    Usual(Instruction),
    /// One of vectors.
    Vector(Vector),
}

impl Decoded {
    /// The one that `bytes` begin with, which lie at `address`, and are not none.
    fn new(bytes: &[u8], address: u32) -> Self {
        let usual = || Decoder::with_ip(32, bytes, address.into(), DecoderOptions::NONE).decode();
        Vector::decode(bytes, address).map_or_else(|| Self::Usual(usual()), Self::Vector)
    }

    /// The address behind it.
    pub fn end(&self) -> u32 {
        match self {
            Self::Usual(instruction) => instruction.next_ip32(),
            Self::Vector(vector) => vector.end(),
        }
    }

    /// Where it is.
    pub fn address(&self) -> u32 {
        match self {
            Self::Usual(instruction) => instruction.ip32(),
            Self::Vector(vector) => vector.address,
        }
    }

    /// It, unless it is one of vectors.
    pub fn usual(&self) -> Option<&Instruction> {
        if let Self::Usual(instruction) = self { Some(instruction) } else { None }
    }
}

/// The instructions that `bytes`, which lie at `address`, hold.
pub fn decode(bytes: &[u8], address: u32) -> impl Iterator<Item = Decoded> + '_ {
    let mut place = address;
    std::iter::from_fn(move || {
        let rest = bytes.get(place.wrapping_sub(address) as usize..).filter(|rest| !rest.is_empty())?;
        let decoded = Decoded::new(rest, place);
        // The decoder takes a byte at least.
        place = decoded.end();
        Some(decoded)
    })
}
