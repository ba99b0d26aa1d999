//! The output by which a device interrupts.

/// A level, and how often it has risen since somebody has asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    is_high: bool,
    rises: u32,
}

impl Wire {
    /// Raises or lowers it.
    pub fn set(&mut self, is_high: bool) {
        self.rises = self.rises.saturating_add(u32::from(is_high && !self.is_high));
        self.is_high = is_high;
    }

    /// Its level.
    pub const fn is_high(self) -> bool {
        self.is_high
    }

    /// How often it has risen since this was asked last. An edge-triggered controller acts on that.
    pub fn take_rises(&mut self) -> u32 {
        std::mem::take(&mut self.rises)
    }
}
