//! The plan of a guest's memory: who owns which bytes, and what they hold.

use stos_image::{Description, Image, ImageError, Piece, Symbols};

/// Everything that the image will say, with the memory that it will hold.
#[derive(Debug)]
pub struct Plan {
    /// What the guest is; its regions are sorted.
    pub description: Description,
    /// Names of addresses.
    pub symbols: Symbols,
    /// The bytes of inputs that guest memory does not hold.
    pub kept: Vec<u8>,
    /// The bytes in guest memory.
    pub pieces: Vec<OwnedPiece>,
    /// What is probably wrong with the guest.
    pub warnings: crate::Diagnostics,
}

/// Bytes and the guest-physical address of the first one.
#[derive(Debug)]
pub struct OwnedPiece {
    /// Guest-physical address.
    pub start: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Plan {
    /// Turns the plan into an image.
    ///
    /// # Errors
    /// When the plan breaks a limit of the format.
    pub fn render(&self) -> Result<Image, ImageError> {
        let pieces: Vec<Piece<'_>> =
            self.pieces.iter().map(|piece| Piece { start: piece.start.into(), bytes: &piece.bytes }).collect();
        Image::assemble(self.description.clone(), &self.symbols, &self.kept, &pieces)
    }
}
