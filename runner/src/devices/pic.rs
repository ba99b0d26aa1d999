//! The two 8259A interrupt controllers as a look from outside finds them, and whether they can wake a CPU that waits.

use schemars::JsonSchema;
use serde::Serialize;

/// Request line of the first controller that the second is connected to.
const CASCADE: u8 = 2;
/// Request lines of each controller.
pub const LINES: u8 = 8;

/// An 8259A.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ControllerReport")]
pub struct Controller {
    /// Requests that wait.
    pub requested: u8,
    /// Requests that are not passed on.
    pub masked: u8,
    /// Requests that the CPU has taken and whose end it has not told.
    pub in_service: u8,
    /// The line with the highest priority: 0, unless a kernel rotates them. Each further one has a lower, around to line 0.
    #[serde(skip)]
    pub highest: u8,
    /// What is in service and masked may hold nothing back: special mask mode is on, or not known to be off.
    #[serde(skip)]
    pub may_special_mask: bool,
    /// Special fully nested mode, of the first controller: a request of the second in service does not hold back others of it.
    #[serde(skip)]
    pub is_fully_nested: bool,
}

impl Controller {
    /// What is in service and holds requests back (8259A data sheet, fully nested mode and special mask mode).
    fn holding(self) -> u8 {
        let exempt = if self.may_special_mask { self.masked } else { 0 };
        self.in_service & !exempt
    }

    /// True when a request on `line` would be passed on, had the second controller nothing to do with it: it is not masked,
    /// and nothing of the same or a higher priority holds it back.
    fn passes(self, line: u8) -> bool {
        let rank = |line: u8| line.wrapping_sub(self.highest) % LINES;
        let is_held = (0..LINES).any(|other| self.holding() >> other & 1 == 1 && rank(other) <= rank(line));
        self.masked >> line & 1 == 0 && !is_held
    }
}

/// Both controllers. In each number, bit n stands for request line n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pics {
    /// The first 8259A: IRQ 0 to 7.
    pub first: Controller,
    /// The second 8259A: IRQ 8 to 15.
    pub second: Controller,
}

impl Pics {
    /// True when a request on some line would reach the CPU.
    pub fn can_interrupt(self) -> bool {
        let nested = if self.first.is_fully_nested { 1 << CASCADE } else { 0 };
        let first = Controller { in_service: self.first.in_service & !nested, ..self.first };
        (0..LINES)
            .any(|line| first.passes(line) && (line != CASCADE || (0..LINES).any(|line| self.second.passes(line))))
    }

    /// The requests that the CPU has taken and whose end it has not told, as far as they hold others back, as IRQ numbers.
    pub fn holding(self) -> Vec<u8> {
        let both = u16::from_le_bytes([self.first.holding(), self.second.holding()]);
        (0..2 * LINES).filter(|irq| both >> irq & 1 == 1).collect()
    }
}

/// What can interrupt the CPU. In each number, bit n stands for request line n of the controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "InterruptsReport")]
pub struct Interrupts {
    /// The 8259As.
    #[serde(flatten)]
    pub pics: Pics,
    /// The guest has turned on a source of interrupts in the local APIC or the I/O APIC.
    #[serde(rename = "apic_used")]
    pub is_apic_used: bool,
}

impl Interrupts {
    /// True when something can wake a CPU that takes interrupts.
    pub fn can_wake(self) -> bool {
        self.is_apic_used || self.pics.can_interrupt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pics(first: (u8, u8), second: (u8, u8)) -> Pics {
        let controller = |(masked, in_service)| Controller { masked, in_service, ..Controller::default() };
        Pics { first: controller(first), second: controller(second) }
    }

    #[test]
    fn masks_and_what_is_in_service_hold_requests_back() {
        for (first, second, can_interrupt) in [
            ((0, 0), (0, 0), true),
            ((0xff, 0), (0, 0), false),
            ((0xfe, 0), (0xff, 0), true),
            ((0xfe, 1), (0xff, 0), false),
            ((0, 1), (0, 0), false),
            ((0, 2), (0, 0), true),
            // Only the line to the second controller is open.
            ((0xfb, 0), (0xff, 0), false),
            ((0xfb, 0), (0x7f, 0), true),
            ((0xfb, 4), (0x7f, 0), false),
            ((0xf8, 2), (0xff, 0), true),
            ((0xfd, 0), (0xff, 0), true),
        ] {
            assert_eq!(pics(first, second).can_interrupt(), can_interrupt, "{first:?} {second:?}");
        }
    }

    #[test]
    fn priorities_that_were_rotated_let_other_requests_through() {
        // IRQ 0 in service, and only the second controller's line and its line 0 open.
        let plain = pics((0xfa, 1), (0xfe, 0));
        assert!(!plain.can_interrupt());
        let rotated = |highest| Pics { first: Controller { highest, ..plain.first }, ..plain };
        assert!(rotated(1).can_interrupt() && rotated(2).can_interrupt());
        assert!(!rotated(3).can_interrupt(), "line 0 comes before line 2 again");
    }

    #[test]
    fn special_mask_mode_exempts_what_is_masked() {
        let plain = pics((0xfb, 1), (0xfe, 0));
        assert!(!plain.can_interrupt());
        let special = Pics { first: Controller { may_special_mask: true, ..plain.first }, ..plain };
        assert!(special.can_interrupt());
        assert_eq!((plain.holding(), special.holding()), (vec![0], vec![]));
        let unmasked = Pics { first: Controller { masked: 0xfa, ..special.first }, ..plain };
        assert!(!unmasked.can_interrupt(), "IRQ 0 itself is in service and not masked");
    }

    #[test]
    fn special_fully_nested_mode_lets_requests_of_the_second_interrupt_each_other() {
        let plain = pics((0xfb, 1 << CASCADE), (0, 1 << 3));
        assert!(!plain.can_interrupt());
        assert!(Pics { first: Controller { is_fully_nested: true, ..plain.first }, ..plain }.can_interrupt());
    }
}
