//! Instructions that lie in two pages, in no memory or at the end of the code segment, kept with their bytes. These are read anew each
//! time, as no page tells when they have changed.

use crate::cpu::operands::Op;
use crate::decode::Decoded;
use crate::decode::LONGEST;
use crate::state::core::Parts;

/// How many are kept.
const PLACES: usize = 64;

/// An instruction, and the bytes that it was decoded from.
struct Kept<P: Parts> {
    linear: u32,
    is_32: bool,
    bytes: [u8; LONGEST],
    op: Op<P>,
}

/// Those that were executed last.
pub(crate) struct Crossings<P: Parts> {
    places: Vec<Option<Kept<P>>>,
}

impl<P: Parts> Default for Crossings<P> {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| None).collect() }
    }
}

/// Pages follow each other: the number of a page is a good place for the one instruction at its end.
const fn place(linear: u32) -> usize {
    (linear >> 12) as usize % PLACES
}

impl<P: Parts> Crossings<P> {
    /// How many bytes the instruction at this address had, if it was there.
    pub fn length(&self, linear: u32, is_32: bool) -> Option<u8> {
        let kept = self.places[place(linear)].as_ref()?;
        (kept.linear == linear && kept.is_32 == is_32).then_some(kept.op.length)
    }

    /// The instruction at this address, if these are still its bytes.
    pub fn find(&self, linear: u32, bytes: &[u8]) -> Option<&Op<P>> {
        let kept = self.places[place(linear)].as_ref()?;
        kept.bytes.starts_with(bytes).then_some(&kept.op)
    }

    /// Keeps what was decoded from the beginning of `bytes`.
    pub fn keep(&mut self, linear: u32, is_32: bool, bytes: [u8; LONGEST], decoded: Decoded<P>) -> &Op<P> {
        &self.places[place(linear)].insert(Kept { linear, is_32, bytes, op: decoded.op }).op
    }
}
