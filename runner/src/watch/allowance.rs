//! How much a guest may print.

use crate::channel::Stream;

/// Bytes that a guest may still print on COM1 and the debug console together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowance {
    /// `None` for any number.
    left: Option<u64>,
    is_exceeded: bool,
}

impl Allowance {
    /// So many, or any number.
    pub fn new(bytes: Option<u64>) -> Self {
        Self { left: bytes, is_exceeded: false }
    }

    /// True when it may print any number.
    pub fn is_endless(&self) -> bool {
        self.left.is_none()
    }

    /// True once the guest has printed more.
    pub fn is_exceeded(&self) -> bool {
        self.is_exceeded
    }

    /// What of the next `bytes` of `stream` is within it. Rows of the screen are printed by nobody.
    pub fn take<'a>(&mut self, stream: Stream, bytes: &'a [u8]) -> &'a [u8] {
        let Some(left) = self.left.as_mut().filter(|_| stream != Stream::Screen) else { return bytes };
        let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
        *left -= count as u64;
        self.is_exceeded |= count < bytes.len();
        &bytes[..count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ports_are_counted_together_and_the_byte_after_the_last_exceeds_it() {
        let mut allowance = Allowance::new(Some(5));
        assert_eq!(allowance.take(Stream::Serial, b"abc"), b"abc");
        assert_eq!(allowance.take(Stream::Screen, b"of no matter"), b"of no matter");
        assert_eq!(allowance.take(Stream::Debug, b"de"), b"de");
        assert!(!allowance.is_exceeded());
        assert_eq!(allowance.take(Stream::Debug, b""), b"");
        assert!(!allowance.is_exceeded());
        assert_eq!(allowance.take(Stream::Serial, b"f"), b"");
        assert!(allowance.is_exceeded());
        let mut endless = Allowance::default();
        assert_eq!((endless.take(Stream::Serial, b"abc"), endless.is_exceeded()), (&b"abc"[..], false));
    }
}
