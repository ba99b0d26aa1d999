//! Hardware that guests look for and this machine does not have.

use std::collections::BTreeSet;

use stos_machine::devices::port_log::PortLog;
use stos_machine::devices::ports::PortBus;
use stos_machine::devices::reach::Reach;
use stos_machine::devices::vga::{CURSOR_LOCATION, START_ADDRESS};
use stos_x86::ports;

/// One kind of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Absent {
    /// A PCI bus.
    Pci,
    /// A port that shuts the machine down.
    ShutDown,
    /// A display adapter's graphics.
    Graphics,
    /// On the emulator: a display adapter that knows which cell is shown first.
    StartAddress,
    /// On the emulator: one that knows where the cursor is.
    CursorLocation,
}

impl Absent {
    /// What a guest has looked for in vain behind the ports of `bus`.
    pub fn of_bus<R: Reach>(bus: &PortBus<R>, is_graphics: bool) -> BTreeSet<Self> {
        Self::of_log(bus.log()).into_iter().chain(is_graphics.then_some(Self::Graphics)).collect()
    }

    /// What a guest wrote for, according to the `log` of accesses to unknown ports.
    pub fn of_log(log: &PortLog) -> BTreeSet<Self> {
        let (kinds, _) = log.unknown();
        let written = kinds.iter().filter(|(access, _)| access.is_write);
        written.filter_map(|(access, _)| Self::of_port(access.port)).collect()
    }

    /// What a guest wants that writes to `port`.
    fn of_port(port: u16) -> Option<Self> {
        match port {
            ports::PCI_ADDRESS => Some(Self::Pci),
            port if ports::SHUT_DOWN.contains(&port) => Some(Self::ShutDown),
            _ => None,
        }
    }

    /// What a guest wants that selects the CRTC's register `index`.
    pub fn of_crtc_index(index: u8) -> Option<Self> {
        match usize::from(index) & !1 {
            START_ADDRESS => Some(Self::StartAddress),
            CURSOR_LOCATION => Some(Self::CursorLocation),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stos_machine::devices::port_log::PortAccess;

    #[test]
    fn only_what_is_written_to_is_sought() {
        let mut log = PortLog::default();
        log.count(PortAccess { port: ports::PCI_ADDRESS, width: 4, is_write: false });
        log.count(PortAccess { port: 0x605, width: 1, is_write: true });
        assert!(Absent::of_log(&log).is_empty());
        log.count(PortAccess { port: 0x604, width: 2, is_write: true });
        assert!(Absent::of_log(&log).into_iter().eq([Absent::ShutDown]));
        log.count(PortAccess { port: ports::PCI_ADDRESS, width: 4, is_write: true });
        assert!(Absent::of_log(&log).into_iter().eq([Absent::Pci, Absent::ShutDown]));
    }

    #[test]
    fn start_and_cursor_have_two_registers_each() {
        let sought = (0..=u8::MAX).filter_map(|index| Some((index, Absent::of_crtc_index(index)?)));
        assert!(sought.eq([
            (0x0c, Absent::StartAddress),
            (0x0d, Absent::StartAddress),
            (0x0e, Absent::CursorLocation),
            (0x0f, Absent::CursorLocation),
        ]));
    }
}
