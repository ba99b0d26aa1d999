//! The wire from a device to an interrupt controller.

use stos_machine::devices::wire::Wire;

/// An interrupt line.
pub trait InterruptLine: Send + 'static {
    /// Raises or lowers it.
    fn set(&self, high: bool);
}

/// A line that follows the output of a device.
#[derive(Debug)]
pub struct Follower<L> {
    line: L,
    is_high: bool,
}

impl<L: InterruptLine> Follower<L> {
    /// One that has seen a low output.
    pub fn new(line: L) -> Self {
        Self { line, is_high: false }
    }

    /// Hands on what has become of the output: an edge-triggered controller must see that it has risen, also from high to high.
    pub fn follow(&mut self, wire: &mut Wire) {
        let has_risen = wire.take_rises() != 0;
        if has_risen {
            if self.is_high {
                self.line.set(false);
            }
            self.line.set(true);
        }
        if !wire.is_high() && (has_risen || self.is_high) {
            self.line.set(false);
        }
        self.is_high = wire.is_high();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    impl InterruptLine for Sender<bool> {
        fn set(&self, high: bool) {
            self.send(high).unwrap();
        }
    }

    #[test]
    fn a_line_sees_every_way_to_a_level() {
        const NOTHING: [bool; 0] = [];
        let (sender, levels) = channel();
        let (mut follower, mut wire) = (Follower::new(sender), Wire::default());
        let mut becomes = |ups: &[bool]| {
            for is_high in ups {
                wire.set(*is_high);
            }
            follower.follow(&mut wire);
            levels.try_iter().collect::<Vec<_>>()
        };
        assert_eq!(becomes(&[]), NOTHING);
        assert_eq!(becomes(&[true, false]), [true, false]);
        assert_eq!(becomes(&[true]), [true]);
        assert_eq!(becomes(&[true]), NOTHING);
        assert_eq!(becomes(&[false, true]), [false, true]);
        assert_eq!(becomes(&[false, true, false]), [false, true, false]);
        assert_eq!(becomes(&[false]), NOTHING);
    }
}
