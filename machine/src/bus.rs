//! What the CPU is connected to beside its memory.

/// The chips and devices of a machine, as its CPU reaches them.
pub trait Bus {
    /// Reads from a port; `width` is 1, 2 or 4 bytes, and `now` the number of instructions since the start.
    fn read_port(&mut self, _port: u16, width: u8, _now: u64) -> u32 {
        floating(width)
    }

    /// Writes to a port.
    fn write_port(&mut self, _port: u16, _width: u8, _value: u32, _now: u64) {}

    /// Reads from an address where there is no memory, or which [`Bus::has`].
    fn read_memory(&mut self, _address: u64, width: u8, _now: u64) -> u32 {
        floating(width)
    }

    /// Writes to such an address.
    fn write_memory(&mut self, _address: u64, _width: u8, _value: u32, _now: u64) {}

    /// True when a device answers in the page at this guest-physical address, though there may be memory.
    fn has(&self, _page: u64) -> bool {
        false
    }

    /// The CPU's local APIC is in this page from now on, or disabled.
    fn place_apic(&mut self, _page: Option<u64>) {}

    /// True while an interrupt waits for the CPU.
    fn is_interrupting(&self) -> bool {
        false
    }

    /// Acknowledges the interrupt that waits, and gives its vector.
    fn acknowledge(&mut self, _now: u64) -> Option<u8> {
        None
    }

    /// Takes an interrupt that can't be masked, if one waits for the CPU.
    fn take_nmi(&mut self) -> bool {
        false
    }

    /// True when such an interrupt may come by itself.
    fn may_send_nmi(&self) -> bool {
        false
    }

    /// FERR#: an x87 exception waits for its handler, and CR0.NE says that this is to be told by IRQ 13.
    fn report_x87_error(&mut self, _now: u64) {}

    /// Lets time pass to `now`. Gives the instruction at which the bus wants to be asked next.
    fn advance(&mut self, _now: u64) -> u64 {
        u64::MAX
    }

    /// True when the guest is to be left: a device has ended the run.
    fn has_ended(&self) -> bool {
        false
    }
}

/// What is read of so many bytes where nothing answers: ones.
pub fn floating(width: u8) -> u32 {
    u32::MAX >> (32 - 8 * u32::from(width.clamp(1, 4)))
}

/// No device at all: ports and addresses read as ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty;

impl Bus for Empty {}
