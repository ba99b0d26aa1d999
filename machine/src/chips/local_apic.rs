//! The local APIC of the one processor (Intel SDM volume 3A, chapter 11, without x2APIC and TSC deadlines, which CPUID does not announce).

use super::local_timer::LocalTimer;
use super::vectors::Vectors;

/// Version 0x14 with six entries in its table (section 11.4.8).
const VERSION: u32 = 0x5_0014;
/// An entry of the local vector table is masked.
const MASKED: u32 = 1 << 16;
/// Level triggered, in such an entry.
const LEVEL: u32 = 1 << 15;
/// Delivery mode of such an entry: an 8259's interrupt.
const EXTERNAL: u32 = 7 << 8;
/// NMI.
const NMI: u32 = 4 << 8;
/// All delivery modes.
const DELIVERY: u32 = 7 << 8;
/// `APIC_SVR`: enabled by software.
const ENABLED: u32 = 1 << 8;
/// Bits of the entries that can be written: timer, thermal, performance, LINT0, LINT1, error.
const WRITABLE: [u32; 6] = [0x3_00ff, 0x1_07ff, 0x1_07ff, 0x1_a7ff, 0x1_a7ff, 0x1_00ff];
const TIMER: usize = 0;
const LINT0: usize = 3;
const ERROR: usize = 5;
/// `APIC_ESR`: a vector below 16 was sent, or received (section 11.5.3).
const SENT_ILLEGAL: u32 = 1 << 5;
const RECEIVED_ILLEGAL: u32 = 1 << 6;
const NO_REGISTER: u32 = 1 << 7;

/// What a write has brought about outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An interrupt that asked by level has ended: its vector.
    Ended(u8),
    /// An NMI for this processor.
    Nmi,
    /// INIT for this processor.
    Init,
}

/// The chip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalApic {
    id: u32,
    task_priority: u32,
    logical: u32,
    format: u32,
    spurious: u32,
    requests: Vectors,
    in_service: Vectors,
    levels: Vectors,
    errors: u32,
    shown_errors: u32,
    command: [u32; 2],
    table: [u32; 6],
    /// Its timer.
    pub timer: LocalTimer,
}

impl Default for LocalApic {
    fn default() -> Self {
        let mut table = [MASKED; 6];
        // As a BIOS leaves it for kernels that know no APIC: 8259s are heard.
        table[LINT0] = EXTERNAL;
        Self {
            id: 0,
            task_priority: 0,
            logical: 0,
            format: u32::MAX,
            spurious: 0xff,
            requests: Vectors::default(),
            in_service: Vectors::default(),
            levels: Vectors::default(),
            errors: 0,
            shown_errors: 0,
            command: [0; 2],
            table,
            timer: LocalTimer::default(),
        }
    }
}

impl LocalApic {
    /// True when an interrupt of the 8259s reaches the CPU through it.
    pub fn hears_controllers(&self) -> bool {
        self.table[LINT0] & (MASKED | DELIVERY) == EXTERNAL
    }

    /// True when that is an NMI for it.
    pub fn takes_controllers_for_nmi(&self) -> bool {
        self.table[LINT0] & (MASKED | DELIVERY) == NMI
    }

    /// True when its timer's interrupt is not masked.
    pub fn has_open_timer(&self) -> bool {
        self.table[TIMER] & MASKED == 0
    }

    fn is_enabled(&self) -> bool {
        self.spurious & ENABLED != 0
    }

    /// The priority that a vector must be above (section 11.8.3.1).
    fn processor_priority(&self) -> u32 {
        let served = u32::from(self.in_service.highest().unwrap_or(0));
        if self.task_priority >> 4 >= served >> 4 { self.task_priority } else { served & 0xf0 }
    }

    /// The vector that interrupts the CPU now, if one does.
    pub fn pending(&self) -> Option<u8> {
        let vector = self.requests.highest().filter(|_| self.is_enabled())?;
        (u32::from(vector >> 4) > self.processor_priority() >> 4).then_some(vector)
    }

    /// Acknowledges that vector.
    pub fn acknowledge(&mut self) -> Option<u8> {
        let vector = self.pending()?;
        self.requests.set(vector, false);
        self.in_service.set(vector, true);
        Some(vector)
    }

    /// Accepts an interrupt for this processor.
    pub fn accept(&mut self, vector: u8, is_level: bool) {
        if !self.is_enabled() {
            return;
        }
        if vector < 16 {
            self.report(RECEIVED_ILLEGAL);
            return;
        }
        self.requests.set(vector, true);
        self.levels.set(vector, is_level);
    }

    fn report(&mut self, error: u32) {
        self.errors |= error;
        let entry = self.table[ERROR];
        let vector = (entry & 0xff) as u8;
        if entry & MASKED == 0 && vector >= 16 {
            self.requests.set(vector, true);
        }
    }

    /// True when a message with this destination is for this processor (section 11.6.2).
    pub fn is_for(&self, destination: u8, is_logical: bool) -> bool {
        if !is_logical {
            return destination == u8::MAX || u32::from(destination) == self.id >> 24;
        }
        let (own, wanted) = ((self.logical >> 24) as u8, destination);
        match self.format >> 28 {
            0xf => own & wanted != 0,
            // Clusters of four: a number in the upper half.
            0 => wanted == u8::MAX || own >> 4 == wanted >> 4 && own & wanted & 0xf != 0,
            _ => false,
        }
    }

    /// Lets its timer come to `now`, in nanoseconds.
    pub fn advance(&mut self, now: u64) {
        let entry = self.table[TIMER];
        if self.timer.has_expired(now, entry & 1 << 17 != 0) && entry & MASKED == 0 {
            self.accept((entry & 0xff) as u8, false);
        }
    }

    /// Reads the register at an offset into its page.
    pub fn read(&mut self, offset: u32, now: u64) -> u32 {
        let number = (offset >> 4 & 7) as usize;
        match offset & 0xff0 {
            0x020 => self.id,
            0x030 => VERSION,
            0x080 => self.task_priority,
            0x0a0 => self.processor_priority(),
            0x0d0 => self.logical,
            0x0e0 => self.format,
            0x0f0 => self.spurious,
            0x100..0x180 => self.in_service.word(number),
            0x180..0x200 => self.levels.word(number),
            0x200..0x280 => self.requests.word(number),
            0x280 => self.shown_errors,
            0x300 => self.command[0],
            0x310 => self.command[1],
            0x320..0x380 => self.table[((offset - 0x320) >> 4) as usize],
            0x380 => self.timer.initial(),
            0x390 => self.timer.current(now),
            0x3e0 => self.timer.divider(),
            // Arbitration priority, EOI, and remote read are there, and 0.
            0x090 | 0x0b0 | 0x0c0 => 0,
            _ => {
                self.report(NO_REGISTER);
                0
            }
        }
    }

    /// Writes such a register.
    pub fn write(&mut self, offset: u32, value: u32, now: u64) -> Option<Effect> {
        match offset & 0xff0 {
            0x020 => self.id = value & 0xff00_0000,
            0x080 => self.task_priority = value & 0xff,
            0x0b0 => return self.end(),
            0x0d0 => self.logical = value & 0xff00_0000,
            0x0e0 => self.format = value | 0x0fff_ffff,
            0x0f0 => self.set_spurious(value),
            0x280 => self.shown_errors = std::mem::take(&mut self.errors),
            0x300 => {
                self.command[0] = value & 0xc_cfff;
                return self.send();
            }
            0x310 => self.command[1] = value & 0xff00_0000,
            0x320..0x380 => {
                let number = ((offset - 0x320) >> 4) as usize;
                let forced = if self.is_enabled() { 0 } else { MASKED };
                self.table[number] = value & WRITABLE[number] | forced;
            }
            0x380 => self.timer.set_initial(value, now),
            0x3e0 => self.timer.set_divider(value, now),
            // What can be read only is not changed.
            0x030 | 0x090 | 0x0a0 | 0x0c0 | 0x100..0x280 | 0x390 => {}
            _ => self.report(NO_REGISTER),
        }
        None
    }

    fn set_spurious(&mut self, value: u32) {
        self.spurious = value & 0x3ff;
        if !self.is_enabled() {
            // Section 11.4.7.2.
            self.table.iter_mut().for_each(|entry| *entry |= MASKED);
        }
    }

    fn end(&mut self) -> Option<Effect> {
        let vector = self.in_service.highest()?;
        self.in_service.set(vector, false);
        self.levels.has(vector).then_some(Effect::Ended(vector))
    }

    /// The interrupt command register (section 11.6.1): to this processor, or to none.
    fn send(&mut self) -> Option<Effect> {
        let [low, high] = self.command;
        let is_for_this = match low >> 18 & 3 {
            0 => self.is_for((high >> 24) as u8, low & 1 << 11 != 0),
            1 | 2 => true,
            _ => false,
        };
        let is_off = low & DELIVERY == 5 << 8 && low & (LEVEL | 1 << 14) == LEVEL;
        if !is_for_this || is_off {
            return None;
        }
        match low & DELIVERY {
            0x000 | 0x100 if low & 0xf0 == 0 => {
                self.report(SENT_ILLEGAL);
                None
            }
            0x000 | 0x100 => {
                self.accept((low & 0xff) as u8, false);
                None
            }
            NMI => Some(Effect::Nmi),
            0x500 => Some(Effect::Init),
            // Start-up is for a processor that waits for it; SMI is for a BIOS.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled() -> LocalApic {
        let mut apic = LocalApic::default();
        apic.write(0xf0, 0x1ff, 0);
        apic
    }

    #[test]
    fn the_highest_vector_comes_first_if_its_class_is_above_what_is_served() {
        let mut apic = enabled();
        apic.accept(0x31, false);
        apic.accept(0x45, false);
        assert_eq!(apic.acknowledge(), Some(0x45));
        apic.accept(0x4f, false);
        assert_eq!(apic.pending(), None, "the same class");
        apic.accept(0x50, false);
        assert_eq!(apic.acknowledge(), Some(0x50));
        apic.write(0xb0, 0, 0);
        apic.write(0xb0, 0, 0);
        assert_eq!(apic.acknowledge(), Some(0x4f));
        apic.write(0xb0, 0, 0);
        apic.write(0x80, 0x30, 0);
        assert_eq!((apic.pending(), apic.read(0xa0, 0)), (None, 0x30));
        apic.write(0x80, 0x20, 0);
        assert_eq!(apic.acknowledge(), Some(0x31));
    }

    #[test]
    fn after_reset_it_lets_the_8259s_through_and_accepts_nothing() {
        let mut apic = LocalApic::default();
        assert!(apic.hears_controllers());
        apic.accept(0x40, false);
        assert_eq!(apic.pending(), None);
        apic.write(0xf0, 0xff, 0);
        assert!(!apic.hears_controllers(), "masked by disabling it");
    }

    #[test]
    fn its_timer_interrupts_once_or_again_and_again() {
        let mut apic = enabled();
        apic.write(0x3e0, 0xb, 0);
        apic.write(0x320, 0x40, 0);
        apic.write(0x380, 100, 0);
        assert_eq!((apic.read(0x390, 40), apic.timer.next(40)), (60, Some(100)));
        apic.advance(100);
        assert_eq!((apic.acknowledge(), apic.read(0x390, 150), apic.timer.next(150)), (Some(0x40), 0, None));
        apic.write(0xb0, 0, 150);
        apic.write(0x320, 0x2_0041, 150);
        apic.write(0x380, 100, 200);
        for now in [300, 400] {
            apic.advance(now);
            assert_eq!(apic.acknowledge(), Some(0x41));
            apic.write(0xb0, 0, now);
        }
        assert_eq!(apic.read(0x390, 430), 70);
    }

    #[test]
    fn a_processor_interrupts_itself() {
        let mut apic = enabled();
        apic.write(0x300, 0x4_0055, 0);
        assert_eq!(apic.acknowledge(), Some(0x55));
        apic.write(0x310, 0, 0);
        assert_eq!(apic.write(0x300, 0x4500, 0), Some(Effect::Init));
        assert_eq!(apic.write(0x300, 0xc_0056, 0), None);
        assert_eq!(apic.pending(), None, "all but itself");
        apic.write(0x300, 0x4_0005, 0);
        apic.write(0x280, 0, 0);
        assert_eq!(apic.read(0x280, 0), SENT_ILLEGAL);
    }

    #[test]
    fn the_end_of_one_that_asks_by_level_is_told() {
        let mut apic = enabled();
        apic.accept(0x60, true);
        apic.acknowledge();
        assert_eq!(apic.write(0xb0, 0, 0), Some(Effect::Ended(0x60)));
        assert_eq!(apic.write(0xb0, 0, 0), None);
    }

    #[test]
    fn logical_destinations_are_flat_or_clusters() {
        let mut apic = enabled();
        apic.write(0xd0, 0x0200_0000, 0);
        assert!(apic.is_for(3, true) && !apic.is_for(4, true) && apic.is_for(0, false) && apic.is_for(0xff, false));
        apic.write(0xe0, 0x0fff_ffff, 0);
        apic.write(0xd0, 0x1200_0000, 0);
        assert!(apic.is_for(0x13, true) && !apic.is_for(0x23, true) && !apic.is_for(0x14, true));
    }
}
