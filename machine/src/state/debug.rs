//! Debug registers (Intel SDM volume 3B, sections 17.2 and 17.3): which instructions, data and ports they watch, and what was met.

use stos_x86::registers::CR4_DE;

use super::core::{Core, Parts, Raised};
use super::fault::{Fault, Use};
use super::watched::Watched;

/// DR6: a debug register was about to be used, and DR7 forbids it.
const DETECTED: u32 = 1 << 13;
/// DR6: the trap flag.
const STEPPED: u32 = 1 << 14;
/// DR6: the T bit of a TSS.
const SWITCHED: u32 = 1 << 15;
/// DR7: debug registers must not be used.
const DETECTS: u32 = 1 << 13;
/// DR7: what a task switch turns off.
const LOCAL: u32 = 0x155;

/// What DR7 makes of one of the four addresses (table 17-2).
const CODE: u32 = 0;
const WRITES: u32 = 1;
const PORTS: u32 = 2;

impl<P: Parts> Core<P> {
    fn watch_kind(&self, number: u32) -> u32 {
        self.debug[7] >> (16 + 4 * number) & 3
    }

    /// How many bytes a register watches.
    fn watch_size(&self, number: u32) -> u32 {
        [1, 2, 8, 4][(self.debug[7] >> (18 + 4 * number) & 3) as usize]
    }

    /// A register or CR4.DE has changed.
    pub(crate) fn follow_debug(&mut self) {
        let mut watched = Watched::default();
        for number in (0..4).filter(|number| self.debug[7] >> (2 * number) & 3 != 0) {
            let bit = 1 << number;
            match self.watch_kind(number) {
                CODE => watched.code |= bit,
                PORTS if self.cr4 & CR4_DE != 0 => watched.ports |= bit,
                // Without CR4.DE it is undefined, and nothing is watched here.
                PORTS => {}
                _ => watched.data |= bit,
            }
        }
        let was_or_is = (watched.data | self.watched.data) != 0;
        self.watched = watched;
        if was_or_is {
            // Pages with watched data are not in the buffer, so that each access to them is looked at.
            self.tlb.flush(true);
        }
    }

    /// Which of `registers` watch a part of `size` bytes or ports from `first`.
    fn watching(&self, registers: u32, first: u32, size: u32) -> u32 {
        let meets = |number: u32| {
            let length = self.watch_size(number);
            let start = self.debug[number as usize] & !(length - 1);
            u64::from(first) < u64::from(start) + u64::from(length)
                && u64::from(start) < u64::from(first) + u64::from(size)
        };
        (0..4)
            .filter(|number| registers >> number & 1 != 0 && meets(*number))
            .fold(0, |bits, number| bits | 1 << number)
    }

    /// Data were read or written.
    pub(super) fn note_data(&mut self, linear: u32, size: u32, wanted: Use) {
        if self.watched.data != 0 {
            let met = self.watching(self.watched.data, linear, size);
            let fits = |number: &u32| wanted == Use::Write || self.watch_kind(*number) != WRITES;
            self.met |= met & (0..4).filter(fits).fold(0, |bits, number| bits | 1 << number);
        }
    }

    /// A port was read or written.
    pub(crate) fn note_port(&mut self, port: u16, size: u32) {
        if self.watched.ports != 0 {
            self.met |= self.watching(self.watched.ports, port.into(), size);
        }
    }

    /// True when data in a page are watched.
    pub(super) fn has_watched(&self, page: u32) -> bool {
        self.watched.data != 0 && self.watching(self.watched.data, page & !0xfff, 0x1000) != 0
    }

    /// Refuses an instruction at this address that is watched.
    ///
    /// # Errors
    /// #DB.
    pub(crate) fn check_breakpoint(&mut self, linear: u32) -> Result<(), Raised> {
        let met = self.watching(self.watched.code, linear, 1);
        if met == 0 {
            return Ok(());
        }
        self.debug[6] |= met;
        Err(self.raise(Fault::breakpoint()))
    }

    /// Refuses an instruction that uses a debug register, where DR7 forbids it.
    ///
    /// # Errors
    /// #DB.
    pub(crate) fn check_debug_access(&mut self) -> Result<(), Raised> {
        if self.debug[7] & DETECTS == 0 {
            return Ok(());
        }
        self.debug[6] |= DETECTED;
        Err(self.raise(Fault::breakpoint()))
    }

    /// What is to be told after an instruction, if anything is.
    pub(crate) fn take_trap(&mut self) -> Option<Fault> {
        let met = std::mem::take(&mut self.met) | if std::mem::take(&mut self.is_stepping) { STEPPED } else { 0 };
        self.debug[6] |= met;
        (met != 0).then(Fault::debug)
    }

    /// The handler of #DB may use debug registers.
    pub(crate) fn allow_debug_access(&mut self) {
        self.debug[7] &= !DETECTS;
    }

    /// What a task switch does; `traps` is the T bit of the new TSS.
    ///
    /// # Errors
    /// #DB, for that.
    pub(crate) fn debug_task(&mut self, traps: bool) -> Result<(), Raised> {
        if self.debug[7] & LOCAL != 0 {
            self.debug[7] &= !LOCAL;
            self.follow_debug();
        }
        if traps {
            self.debug[6] |= SWITCHED;
            return Err(self.raise(Fault::debug()));
        }
        Ok(())
    }
}
