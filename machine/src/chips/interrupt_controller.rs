//! One 8259A (Intel's data sheet, order number 231468).

/// What is written next to the second port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expected {
    /// The mask.
    #[default]
    Mask,
    /// The second command word, then the third if there is another controller, then the fourth if the first has asked for it.
    Second,
    Third,
    Fourth,
}

/// An interrupt controller with eight inputs.
#[allow(clippy::struct_excessive_bools, reason = "each is a bit of a command word")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterruptController {
    /// IRR: inputs that ask.
    pub requests: u8,
    /// ISR: inputs that are served.
    pub in_service: u8,
    /// IMR: inputs that are not heard.
    pub mask: u8,
    /// Levels of the inputs.
    lines: u8,
    /// Inputs that ask as long as they are high.
    pub level_triggered: u8,
    /// The vector of input 0.
    pub base: u8,
    /// The input of the lowest priority.
    lowest: u8,
    expected: Expected,
    needs_fourth: bool,
    is_single: bool,
    /// Reads of the first port give ISR and not IRR.
    reads_in_service: bool,
    polls: bool,
    special_mask: bool,
    /// SFNM: the other one's requests are heard while it is served.
    nests_fully: bool,
    ends_by_itself: bool,
    rotates_by_itself: bool,
}

/// After initialisation, input 7 has the lowest priority.
const LOWEST: u8 = 7;
/// The input that answers when none asks any more.
pub const SPURIOUS: u8 = 7;

impl InterruptController {
    /// One that was reset, with input 7 as the last.
    pub fn new() -> Self {
        Self { lowest: LOWEST, ..Self::default() }
    }

    /// Sets the level of an input.
    pub fn set_line(&mut self, input: u8, is_high: bool) {
        let bit = 1 << (input & 7);
        let was_high = self.lines & bit != 0;
        self.lines = if is_high { self.lines | bit } else { self.lines & !bit };
        if self.level_triggered & bit != 0 {
            self.requests = if is_high { self.requests | bit } else { self.requests & !bit };
        } else if is_high && !was_high {
            self.requests |= bit;
        }
    }

    /// The input of the highest priority.
    pub fn highest(&self) -> u8 {
        (self.lowest + 1) & 7
    }

    /// Special mask mode.
    pub fn is_special_mask(&self) -> bool {
        self.special_mask
    }

    /// Special fully nested mode.
    pub fn is_fully_nested(&self) -> bool {
        self.nests_fully
    }

    /// Inputs from the highest priority down.
    fn by_priority(&self) -> impl Iterator<Item = u8> + use<> {
        let lowest = self.lowest;
        (1..=8).map(move |place| (lowest + place) & 7)
    }

    /// The input that is to be served next, if one may be. `cascaded` is the input of another controller.
    pub fn pending(&self, cascaded: Option<u8>) -> Option<u8> {
        let asking = self.requests & !self.mask;
        for input in self.by_priority() {
            let bit = 1 << input;
            let is_blocking = self.in_service & bit != 0 && !(self.special_mask && self.mask & bit != 0);
            let goes_on = self.nests_fully && cascaded == Some(input);
            if asking & bit != 0 && (!is_blocking || goes_on) {
                return Some(input);
            }
            // What is served holds back all behind it; in special mask mode, unless it is masked (data sheet, "Special mask mode").
            if is_blocking {
                return None;
            }
        }
        None
    }

    /// Serves `input`: what INTA does.
    pub fn serve(&mut self, input: u8) {
        let bit = 1 << (input & 7);
        if self.level_triggered & bit == 0 {
            self.requests &= !bit;
        }
        if !self.ends_by_itself {
            self.in_service |= bit;
        } else if self.rotates_by_itself {
            self.lowest = input & 7;
        }
    }

    /// The vector of an input.
    pub fn vector(&self, input: u8) -> u8 {
        self.base | input & 7
    }

    /// Writes to the first port: a command word.
    pub fn command(&mut self, value: u8) {
        if value & 1 << 4 != 0 {
            self.initialize(value);
        } else if value & 1 << 3 != 0 {
            self.control(value);
        } else {
            self.end(value >> 5, value & 7);
        }
    }

    /// ICW1. The levels of the inputs are those of the board, and which ask by level is set elsewhere.
    fn initialize(&mut self, value: u8) {
        *self = Self {
            requests: self.requests & self.level_triggered,
            level_triggered: self.level_triggered,
            // An edge must come again (data sheet, "Initialization command words": the edge sense circuit is reset).
            lines: self.lines & self.level_triggered,
            lowest: LOWEST,
            expected: Expected::Second,
            needs_fourth: value & 1 != 0,
            is_single: value & 1 << 1 != 0,
            ..Self::default()
        };
    }

    /// OCW3.
    fn control(&mut self, value: u8) {
        if value & 1 << 6 != 0 {
            self.special_mask = value & 1 << 5 != 0;
        }
        self.polls = value & 1 << 2 != 0;
        if value & 1 << 1 != 0 {
            self.reads_in_service = value & 1 != 0;
        }
    }

    /// OCW2: R, SL and EOI, and the input that SL names.
    fn end(&mut self, what: u8, named: u8) {
        let served = self.by_priority().find(|input| self.in_service & 1 << input != 0);
        match what {
            0b000 | 0b100 => self.rotates_by_itself = what == 0b100,
            0b001 | 0b101 => {
                if let Some(input) = served {
                    self.in_service &= !(1 << input);
                    if what == 0b101 {
                        self.lowest = input;
                    }
                }
            }
            0b011 | 0b111 => {
                self.in_service &= !(1 << named);
                if what == 0b111 {
                    self.lowest = named;
                }
            }
            0b110 => self.lowest = named,
            _ => {}
        }
    }

    /// Writes to the second port: the mask, or what initialisation goes on with.
    pub fn data(&mut self, value: u8) {
        self.expected = match self.expected {
            Expected::Mask => {
                self.mask = value;
                Expected::Mask
            }
            Expected::Second => {
                self.base = value & 0xf8;
                if self.is_single { self.after_third() } else { Expected::Third }
            }
            // Which inputs lead to others is how the board is wired.
            Expected::Third => self.after_third(),
            Expected::Fourth => {
                self.ends_by_itself = value & 1 << 1 != 0;
                self.nests_fully = value & 1 << 4 != 0;
                Expected::Mask
            }
        };
    }

    fn after_third(&self) -> Expected {
        if self.needs_fourth { Expected::Fourth } else { Expected::Mask }
    }

    /// True when the next read of the first port acknowledges an interrupt.
    pub fn take_poll(&mut self) -> bool {
        std::mem::take(&mut self.polls)
    }

    /// Reads the first port: IRR or ISR.
    pub fn status(&self) -> u8 {
        if self.reads_in_service { self.in_service } else { self.requests }
    }
}
