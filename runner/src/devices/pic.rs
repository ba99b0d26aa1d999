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
}

impl Controller {
    /// True when a request on `line` would be passed on, had the second controller nothing to do with it: it is not masked,
    /// and nothing of the same or a higher priority is in service. Line 0 has the highest, unless a kernel rotates them.
    fn passes(self, line: u8) -> bool {
        let as_high = u8::MAX >> (LINES - 1 - line);
        self.masked >> line & 1 == 0 && self.in_service & as_high == 0
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
        (0..LINES)
            .any(|line| self.first.passes(line) && (line != CASCADE || (0..LINES).any(|line| self.second.passes(line))))
    }

    /// The requests that the CPU has taken and whose end it has not told, as IRQ numbers.
    pub fn in_service(self) -> Vec<u8> {
        let both = u16::from_le_bytes([self.first.in_service, self.second.in_service]);
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
        let controller = |(masked, in_service)| Controller { requested: 0, masked, in_service };
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
}
