//! What stands in the place of a pseudo-terminal as the other end of COM1. Other systems than Linux have them, but none that can be waited
//! for, and that tells whether somebody has it open.

use std::fs::File;
use std::io;
use std::path::Path;

use super::clients::Endpoint;

/// A pseudo-terminal. There is none.
#[derive(Debug)]
pub enum Pty {}

impl Pty {
    /// Makes none.
    ///
    /// # Errors
    /// That there is none, and what to use.
    pub fn open() -> io::Result<Self> {
        Err(io::Error::other("pseudo-terminals are for Linux; use `--serial unix:PATH`"))
    }

    /// Never called, as is what follows.
    pub fn path(&self) -> &Path {
        match *self {}
    }
}

impl Endpoint for Pty {
    fn accept(&self) -> io::Result<File> {
        match *self {}
    }
}
