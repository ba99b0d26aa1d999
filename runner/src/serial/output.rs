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

/// Writes to two places; to the second, only the first bytes, as it is for looking at.
pub struct Copied {
    pub output: Box<dyn SerialOutput>,
    pub copy: File,
    /// Bytes that are still copied.
    pub left: usize,
}

impl Write for Copied {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        let copied = written.min(self.left);
        self.left -= copied;
        // Who watches has less to look at then.
        let _ = self.copy.write_all(bytes.get(..copied).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl SerialOutput for Copied {
    fn finish(&mut self) -> io::Result<()> {
        self.output.finish()
    }
}

impl SerialOutput for File {}
impl SerialOutput for io::Sink {}
