//! Where what the guest prints on COM1 is written, whatever that is.

use std::fs::File;
use std::io::{self, Write};

use crate::terminal::{Escapes, GuestText, HeldWriter};

/// Where what the guest prints on COM1 is written.
pub trait SerialOutput: Write + Send {
    /// Writes what is left, and waits until whoever is to have it has it.
    ///
    /// # Errors
    /// Those of writing.
    fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }
}

impl<W: Write + Send> SerialOutput for HeldWriter<W> {}

impl<W: Write + Send> SerialOutput for Escapes<W> {
    fn finish(&mut self) -> io::Result<()> {
        Escapes::finish(self)
    }
}

impl<W: Write + Send> SerialOutput for GuestText<W> {
    fn finish(&mut self) -> io::Result<()> {
        GuestText::finish(self)
    }
}

impl SerialOutput for File {}
impl SerialOutput for io::Sink {}
