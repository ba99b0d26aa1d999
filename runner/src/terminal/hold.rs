//! Keeps output off a terminal while something else is drawn there.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes that are kept: the last ones.
const LIMIT: usize = 1 << 20;

/// Whether output is held. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Hold(Arc<AtomicBool>);

impl Hold {
    /// From now on, output is kept.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Output goes through again, beginning with what was kept.
    pub fn end(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A writer that can be held.
#[derive(Debug)]
pub struct HeldWriter<W> {
    inner: W,
    hold: Hold,
    kept: VecDeque<u8>,
    lost: u64,
}

impl<W: Write> HeldWriter<W> {
    /// A writer to `inner` that `hold` stops.
    pub fn new(inner: W, hold: Hold) -> Self {
        Self { inner, hold, kept: VecDeque::new(), lost: 0 }
    }

    fn is_held(&self) -> bool {
        self.hold.0.load(Ordering::Acquire)
    }

    fn write_kept(&mut self) -> io::Result<()> {
        if self.lost != 0 {
            writeln!(self.inner, "[{} bytes before this are lost]", self.lost)?;
            self.lost = 0;
        }
        let kept = std::mem::take(&mut self.kept);
        let (first, second) = kept.as_slices();
        self.inner.write_all(first).and_then(|()| self.inner.write_all(second))
    }
}

impl<W: Write> Write for HeldWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_held() {
            self.write_kept()?;
            return self.inner.write(bytes);
        }
        self.kept.extend(bytes);
        let too_many = self.kept.len().saturating_sub(LIMIT);
        self.kept.drain(..too_many);
        self.lost += too_many as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.is_held() {
            self.write_kept()?;
        }
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_comes_out_in_order() {
        let hold = Hold::default();
        let mut writer = HeldWriter::new(Vec::new(), hold.clone());
        writer.write_all(b"a").unwrap();
        hold.begin();
        writer.write_all(b"b").unwrap();
        writer.flush().unwrap();
        assert_eq!(writer.inner, b"a");
        hold.end();
        writer.flush().unwrap();
        assert_eq!(writer.inner, b"ab");
        writer.write_all(b"c").unwrap();
        assert_eq!(writer.inner, b"abc");
    }

    #[test]
    fn too_much_is_cut_at_its_beginning_and_said() {
        let hold = Hold::default();
        let mut writer = HeldWriter::new(Vec::new(), hold.clone());
        hold.begin();
        writer.write_all(b"begin").unwrap();
        writer.write_all(&vec![b'x'; LIMIT]).unwrap();
        hold.end();
        writer.flush().unwrap();
        assert!(writer.inner.starts_with(b"[5 bytes before this are lost]\nxxx"));
        assert_eq!(writer.inner.len(), LIMIT + 31);
    }
}
