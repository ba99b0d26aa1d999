//! The board: chips, how they are wired, and where the CPU finds them. Everything else is a device that somebody plugs in.

use super::interrupt_controllers::InterruptControllers;
use super::io_apic::IoApic;
use super::local_apic::{Effect, LocalApic};
use super::timer::Timer;
use crate::bus::{Bus, floating};
use crate::difference::{Differ, Difference, compare};
use crate::time::{instruction_at, instruction_of, nanosecond, ticks};

/// Where the APICs are, the first one at the start.
const LOCAL_APIC: u64 = 0xfee0_0000;
const IO_APIC: u64 = 0xfec0_0000;
/// The timer's input of the interrupt controllers. On the I/O APIC, too, inputs have these numbers.
const TIMER: u8 = 0;
/// The x87 FPU's input, where CR0.NE is clear, and the port that lowers it.
const X87_ERROR: u8 = 13;
const X87_CLEAR: u16 = 0xf0;
/// Inputs of the first 8259s.
const INPUTS: u8 = 16;

/// What is plugged in. Times are numbers of instructions.
pub trait Devices {
    /// Reads one byte from a port; `None` when there is nothing.
    fn read_port(&mut self, port: u16, width: u8, now: u64) -> u32;

    /// Writes to a port.
    fn write_port(&mut self, port: u16, width: u8, value: u32, now: u64);

    /// Lets time pass to `now`, and gives the instruction at which there will be something new.
    fn advance(&mut self, now: u64) -> u64;

    /// The levels of the interrupt lines 1 to 15, as bits; and those that have risen since this was asked last.
    fn lines(&mut self) -> (u16, u16);

    /// True when the run has to end.
    fn has_ended(&self) -> bool;
}

/// A board with these devices.
#[derive(Clone, Debug)]
pub struct Board<D> {
    /// What is plugged in.
    pub devices: D,
    /// The 8259As.
    pub controllers: InterruptControllers,
    /// The 8254.
    pub timer: Timer,
    /// The CPU's own interrupt controller.
    pub local_apic: LocalApic,
    /// Where that is, while it is enabled.
    apic_page: Option<u64>,
    /// The other one.
    pub io_apic: IoApic,
    /// Levels that the controllers know.
    lines: u16,
    /// The CPU is interrupted.
    is_interrupting: bool,
    /// The 8259s' output is high.
    is_high: bool,
    sent: Sent,
}

/// What was sent to the CPU besides interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    /// An NMI waits for it.
    nmi: bool,
    init: bool,
}

impl<D: Differ> Differ for Board<D> {
    fn differ(&self, other: &Self, found: &mut Vec<Difference>) {
        self.devices.differ(&other.devices, found);
        compare(found, "interrupt controllers", &self.controllers, &other.controllers);
        compare(found, "timer", &self.timer, &other.timer);
        compare(found, "local APIC", &self.local_apic, &other.local_apic);
        compare(found, "page of the local APIC", &self.apic_page, &other.apic_page);
        compare(found, "I/O APIC", &self.io_apic, &other.io_apic);
        compare(found, "interrupt lines", &self.lines, &other.lines);
        compare(found, "interrupt", &self.is_interrupting, &other.is_interrupting);
        compare(found, "output of the interrupt controllers", &self.is_high, &other.is_high);
        compare(found, "messages to the CPU", &self.sent, &other.sent);
    }
}

impl<D: Devices> Board<D> {
    /// A board after reset.
    pub fn new(devices: D) -> Self {
        Self {
            devices,
            controllers: InterruptControllers::default(),
            timer: Timer::default(),
            local_apic: LocalApic::default(),
            apic_page: Some(LOCAL_APIC),
            io_apic: IoApic::default(),
            lines: 0,
            is_interrupting: false,
            is_high: false,
            sent: Sent::default(),
        }
    }

    /// True when the CPU has sent INIT to itself.
    pub fn is_initialized(&self) -> bool {
        self.sent.init
    }

    /// True when an APIC may interrupt: its timer, or an input of the I/O APIC.
    pub fn is_apic_used(&self) -> bool {
        self.local_apic.has_open_timer() || self.io_apic.has_open_input()
    }

    fn set_line(&mut self, input: u8, is_high: bool) {
        self.controllers.set_line(input, is_high);
        self.io_apic.set_line(input.into(), is_high, &mut self.local_apic);
    }

    /// Hands on what the devices' lines have become.
    fn settle(&mut self) {
        let (levels, risen) = self.devices.lines();
        let lines = levels & !(1 << TIMER);
        // Low for a moment: another edge. What was low before has risen, too, but once.
        let again = risen & lines & self.lines;
        for input in (0..INPUTS).filter(|input| again & 1 << input != 0) {
            self.set_line(input, false);
            self.set_line(input, true);
        }
        let changed = lines ^ self.lines;
        self.lines = lines;
        for input in (0..INPUTS).filter(|input| changed & 1 << input != 0) {
            self.set_line(input, lines & 1 << input != 0);
        }
        self.notice();
    }

    fn notice(&mut self) {
        // LINT0 is the first 8259's output.
        let is_high = self.controllers.is_interrupting();
        self.sent.nmi |= is_high && !self.is_high && self.local_apic.takes_controllers_for_nmi();
        self.is_high = is_high;
        self.is_interrupting = self.local_apic.pending().is_some() || self.is_external();
    }

    fn is_external(&self) -> bool {
        self.local_apic.hears_controllers() && self.controllers.is_interrupting()
    }

    /// The chip and the port of an 8259.
    fn controller(port: u16) -> Option<(usize, bool)> {
        match port {
            0x20 | 0x21 => Some((0, port & 1 != 0)),
            0xa0 | 0xa1 => Some((1, port & 1 != 0)),
            _ => None,
        }
    }

    fn read_chip(&mut self, port: u16, now: u64) -> Option<u8> {
        Some(match port {
            0x40..0x44 => self.timer.read((port & 3) as u8, ticks(now)),
            0x61 => self.timer.read_control(ticks(now)),
            0x4d0 | 0x4d1 => self.controllers.chips[usize::from(port & 1)].level_triggered,
            _ => {
                let (chip, is_second) = Self::controller(port)?;
                self.controllers.read(chip, is_second)
            }
        })
    }

    fn write_chip(&mut self, port: u16, value: u8, now: u64) -> bool {
        match port {
            0x40..0x44 => self.timer.write((port & 3) as u8, value, ticks(now)),
            0x61 => self.timer.write_control(value, ticks(now)),
            0x4d0 | 0x4d1 => self.controllers.set_levels(usize::from(port & 1), value),
            X87_CLEAR => self.set_line(X87_ERROR, false),
            _ => match Self::controller(port) {
                Some((chip, is_second)) => self.controllers.write(chip, is_second, value),
                None => return false,
            },
        }
        true
    }

    fn apply(&mut self, effect: Option<Effect>) {
        match effect {
            Some(Effect::Ended(vector)) => self.io_apic.end(vector, &mut self.local_apic),
            Some(Effect::Init) => self.sent.init = true,
            Some(Effect::Nmi) => self.sent.nmi = true,
            None => {}
        }
    }
}

/// True for a port of a chip on the board.
fn is_of_board(port: u16) -> bool {
    matches!(port, 0x20 | 0x21 | 0x40..0x44 | 0x61 | 0xa0 | 0xa1 | X87_CLEAR | 0x4d0 | 0x4d1)
}

impl<D: Devices> Bus for Board<D> {
    fn read_port(&mut self, port: u16, width: u8, now: u64) -> u32 {
        if !(0..u16::from(width)).any(|offset| is_of_board(port.wrapping_add(offset))) {
            return self.devices.read_port(port, width, now);
        }
        (0..width).rev().fold(0, |value, offset| {
            let port = port.wrapping_add(offset.into());
            let byte = self.read_chip(port, now);
            value << 8 | byte.map_or_else(|| self.devices.read_port(port, 1, now) & 0xff, u32::from)
        })
    }

    fn write_port(&mut self, port: u16, width: u8, value: u32, now: u64) {
        if (0..u16::from(width)).any(|offset| is_of_board(port.wrapping_add(offset))) {
            for (offset, byte) in value.to_le_bytes().into_iter().take(width.into()).enumerate() {
                let port = port.wrapping_add(offset as u16);
                if !self.write_chip(port, byte, now) {
                    self.devices.write_port(port, 1, byte.into(), now);
                }
            }
        } else {
            self.devices.write_port(port, width, value, now);
        }
        self.settle();
    }

    fn read_memory(&mut self, address: u64, width: u8, now: u64) -> u32 {
        let offset = (address & 0xfff) as u32;
        let word = match address & !0xfff {
            page if self.apic_page == Some(page) => self.local_apic.read(offset & !3, nanosecond(now)),
            IO_APIC => self.io_apic.read(offset & !3),
            _ => return floating(width),
        };
        word >> (8 * (offset & 3)) & floating(width)
    }

    fn write_memory(&mut self, address: u64, _width: u8, value: u32, now: u64) {
        let offset = (address & 0xfff) as u32;
        match address & !0xfff {
            page if self.apic_page == Some(page) => {
                let effect = self.local_apic.write(offset & !3, value, nanosecond(now));
                self.apply(effect);
            }
            IO_APIC => self.io_apic.write(offset & !3, value, &mut self.local_apic),
            _ => {}
        }
        self.notice();
    }

    fn has(&self, page: u64) -> bool {
        let page = page & !0xfff;
        page == IO_APIC || self.apic_page == Some(page)
    }

    fn place_apic(&mut self, page: Option<u64>) {
        self.apic_page = page;
        if page.is_none() {
            // It forgets everything, and the 8259s reach the CPU as without one (Intel SDM volume 3A, section 11.4.3).
            self.local_apic = LocalApic::default();
        }
        self.notice();
    }

    fn is_interrupting(&self) -> bool {
        self.is_interrupting
    }

    fn acknowledge(&mut self, _now: u64) -> Option<u8> {
        let vector = match self.local_apic.acknowledge() {
            Some(vector) => Some(vector),
            None => self.is_external().then(|| self.controllers.acknowledge()),
        };
        self.notice();
        vector
    }

    fn take_nmi(&mut self) -> bool {
        std::mem::take(&mut self.sent.nmi)
    }

    fn may_send_nmi(&self) -> bool {
        self.sent.nmi || self.local_apic.takes_controllers_for_nmi()
    }

    fn report_x87_error(&mut self, _now: u64) {
        self.set_line(X87_ERROR, true);
        self.notice();
    }

    fn advance(&mut self, now: u64) -> u64 {
        let next = self.devices.advance(now);
        let tick = ticks(now);
        let (has_risen, is_high) = self.timer.look(tick);
        if has_risen {
            self.set_line(TIMER, false);
            self.set_line(TIMER, true);
        }
        self.set_line(TIMER, is_high);
        self.local_apic.advance(nanosecond(now));
        self.settle();
        let by_timer = self.timer.next_look(tick).map_or(u64::MAX, instruction_of);
        let by_apic = self.local_apic.timer.next(nanosecond(now)).map_or(u64::MAX, instruction_at);
        next.min(by_timer).min(by_apic).max(now + 1)
    }

    fn has_ended(&self) -> bool {
        self.sent.init || self.devices.has_ended()
    }
}
