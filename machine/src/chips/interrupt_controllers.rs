//! The two 8259As of a PC: the second one's output is input 2 of the first.

use super::interrupt_controller::{InterruptController, SPURIOUS};

/// The first one's input that the second leads to.
const CASCADE: u8 = 2;
/// Inputs that can be told to ask by level; the others belong to the timer, the keyboard, the cascade, the clock and the FPU.
const LEVELS: [u8; 2] = [0xf8, 0xde];

/// Both controllers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterruptControllers {
    /// Inputs 0 to 7, then 8 to 15.
    pub chips: [InterruptController; 2],
}

impl Default for InterruptControllers {
    fn default() -> Self {
        Self { chips: [InterruptController::new(), InterruptController::new()] }
    }
}

impl InterruptControllers {
    /// Sets the level of an input, 0 to 15.
    pub fn set_line(&mut self, input: u8, is_high: bool) {
        let [first, second] = &mut self.chips;
        match input {
            0..8 => first.set_line(input, is_high),
            _ => second.set_line(input & 7, is_high),
        }
        self.cascade();
    }

    fn cascade(&mut self) {
        let [first, second] = &mut self.chips;
        let is_asking = second.pending(None).is_some();
        first.set_line(CASCADE, is_asking);
        if !is_asking {
            // Nothing is left behind: the second one would answer for an input that does not ask.
            first.requests &= !(1 << CASCADE);
        }
    }

    /// True while the CPU is interrupted.
    pub fn is_interrupting(&self) -> bool {
        self.chips[0].pending(Some(CASCADE)).is_some()
    }

    /// Acknowledges an interrupt, for its vector. When none asks any more, input 7 answers and is not served (data sheet,
    /// "Interrupt sequence").
    pub fn acknowledge(&mut self) -> u8 {
        let [first, second] = &mut self.chips;
        let vector = match first.pending(Some(CASCADE)) {
            None => first.vector(SPURIOUS),
            Some(CASCADE) => {
                first.serve(CASCADE);
                match second.pending(None) {
                    None => second.vector(SPURIOUS),
                    Some(input) => {
                        second.serve(input);
                        // Its output drops, and rises again when another input asks.
                        first.set_line(CASCADE, false);
                        second.vector(input)
                    }
                }
            }
            Some(input) => {
                first.serve(input);
                first.vector(input)
            }
        };
        self.cascade();
        vector
    }

    /// Writes to a port of one of the two: its first or its second.
    pub fn write(&mut self, chip: usize, is_second_port: bool, value: u8) {
        let controller = &mut self.chips[chip & 1];
        if is_second_port {
            controller.data(value);
        } else {
            controller.command(value);
        }
        self.cascade();
    }

    /// Reads such a port.
    pub fn read(&mut self, chip: usize, is_second_port: bool) -> u8 {
        let controller = &mut self.chips[chip & 1];
        if controller.take_poll() {
            let pending = controller.pending((chip == 0).then_some(CASCADE));
            let answer = pending.map_or(0, |input| {
                controller.serve(input);
                1 << 7 | input
            });
            self.cascade();
            return answer;
        }
        if is_second_port { controller.mask } else { controller.status() }
    }

    /// Writes to a port that says which inputs ask by level (0x4D0 and 0x4D1).
    pub fn set_levels(&mut self, chip: usize, inputs: u8) {
        self.chips[chip & 1].level_triggered = inputs & LEVELS[chip & 1];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a kernel initialises them, with vectors from 0x20 and everything heard.
    fn initialized(fourth: u8) -> InterruptControllers {
        let mut both = InterruptControllers::default();
        for (chip, base, third) in [(0, 0x20, 4), (1, 0x28, 2)] {
            both.write(chip, false, 0x11);
            for word in [base, third, fourth, 0] {
                both.write(chip, true, word);
            }
        }
        both
    }

    fn pulse(both: &mut InterruptControllers, input: u8) {
        both.set_line(input, true);
        both.set_line(input, false);
    }

    #[test]
    fn the_lower_input_comes_first_and_holds_the_others_back_until_it_ends() {
        let mut both = initialized(1);
        pulse(&mut both, 4);
        pulse(&mut both, 1);
        assert_eq!(both.acknowledge(), 0x21);
        assert!(!both.is_interrupting(), "input 4 is behind it");
        pulse(&mut both, 0);
        assert!(both.is_interrupting(), "input 0 is before it");
        assert_eq!(both.acknowledge(), 0x20);
        both.write(0, false, 0x20);
        both.write(0, false, 0x20);
        assert_eq!(both.acknowledge(), 0x24);
    }

    #[test]
    fn the_second_controller_needs_two_ends() {
        let mut both = initialized(1);
        pulse(&mut both, 14);
        assert_eq!(both.acknowledge(), 0x2e);
        both.write(1, false, 0x20);
        pulse(&mut both, 15);
        assert!(!both.is_interrupting(), "the first still serves the cascade");
        both.write(0, false, 0x20);
        assert_eq!(both.acknowledge(), 0x2f);
    }

    #[test]
    fn what_does_not_ask_any_more_is_answered_by_input_7_and_not_served() {
        let mut both = initialized(1);
        pulse(&mut both, 3);
        both.write(0, true, 0xff);
        assert_eq!(both.acknowledge(), 0x27);
        both.write(0, false, 0x0b);
        assert_eq!(both.read(0, false), 0);
    }

    #[test]
    fn an_input_that_asks_by_level_asks_again_until_it_is_low() {
        let mut both = initialized(1);
        both.set_levels(1, 0x08);
        both.set_line(11, true);
        for _ in 0..2 {
            assert_eq!(both.acknowledge(), 0x2b);
            both.write(1, false, 0x20);
            both.write(0, false, 0x20);
        }
        both.set_line(11, false);
        assert!(!both.is_interrupting());
    }

    #[test]
    fn automatic_end_leaves_nothing_in_service() {
        let mut both = initialized(3);
        for _ in 0..2 {
            pulse(&mut both, 0);
            assert_eq!(both.acknowledge(), 0x20);
        }
        both.write(0, false, 0x0b);
        assert_eq!(both.read(0, false), 0);
    }

    #[test]
    fn special_mask_mode_lets_lower_inputs_pass() {
        let mut both = initialized(1);
        pulse(&mut both, 1);
        assert_eq!(both.acknowledge(), 0x21);
        both.write(0, true, 1 << 1);
        pulse(&mut both, 5);
        assert!(!both.is_interrupting());
        both.write(0, false, 0x68);
        assert_eq!(both.acknowledge(), 0x25);
    }

    #[test]
    fn rotation_makes_the_served_one_the_last() {
        let mut both = initialized(1);
        pulse(&mut both, 3);
        assert_eq!(both.acknowledge(), 0x23);
        both.write(0, false, 0xa0);
        pulse(&mut both, 3);
        pulse(&mut both, 4);
        assert_eq!(both.acknowledge(), 0x24);
    }

    #[test]
    fn polling_acknowledges_by_a_read() {
        let mut both = initialized(1);
        both.write(0, false, 0x0c);
        assert_eq!(both.read(0, false), 0);
        pulse(&mut both, 6);
        both.write(0, false, 0x0c);
        assert_eq!(both.read(0, false), 0x86);
        assert!(!both.is_interrupting());
    }
}
