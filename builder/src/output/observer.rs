//! What a build or a check tells about itself while it runs. The library shows nothing of it: an observer may.

use std::io::{self, Read, Seek, SeekFrom, Write};

use stos_image::Digest;

use crate::diagnostics::Source;

/// Somebody who is told about every [`Event`] when it happens.
pub type Observer<'a> = &'a dyn Fn(&Event<'_>);

/// An [`Observer`] who does not care.
pub fn nobody(_: &Event<'_>) {}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A step begins, and the one before has ended.
    Step(Step),
    /// The step will go through so many bytes more than was known.
    Expect(u64),
    /// The step went through so many bytes more.
    Advance(u64),
    /// A manifest was read.
    Manifest(&'a Source),
    /// The profile that is applied, if any.
    Profile(Option<&'a str>),
    /// An input was read and digested.
    Input {
        /// Its key in the manifest.
        key: &'a str,
        /// The path as the manifest writes it.
        path: &'a str,
        /// Its size in bytes.
        size: u64,
        /// Digest of its bytes.
        digest: &'a Digest,
    },
    /// Guest memory was planned, in so many regions.
    Planned(usize),
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading the manifest and those that it extends.
    Manifests,
    /// Reading and digesting the inputs.
    Inputs,
    /// Planning guest memory and making the image of it.
    Plan,
    /// Writing a file.
    Write,
    /// Reading an image and comparing it with its digests.
    Verify,
}

/// A file that tells how much of it was read or written.
pub struct Watched<'a, R> {
    inner: R,
    observer: Observer<'a>,
}

impl<'a, R> Watched<'a, R> {
    /// `inner`, watched by `observer`.
    pub fn new(inner: R, observer: Observer<'a>) -> Self {
        Self { inner, observer }
    }
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.inner.read(buffer)?;
        (self.observer)(&Event::Advance(size as u64));
        Ok(size)
    }
}

impl<S: Seek> Seek for Watched<'_, S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.inner.write(bytes)?;
        (self.observer)(&Event::Advance(size as u64));
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
