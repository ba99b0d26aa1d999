//! The UART's registers and their bits (PC16550D data sheet, section 8).

/// Receive buffer when read, transmit holding register when written; divisor low byte while DLAB is set.
pub const DATA: u16 = 0;
/// Interrupt enable; divisor high byte while DLAB is set.
pub const INTERRUPT_ENABLE: u16 = 1;
/// Interrupt identification when read, FIFO control when written.
pub const INTERRUPT_IDENTIFICATION: u16 = 2;
/// Line control.
pub const LINE_CONTROL: u16 = 3;
/// Modem control.
pub const MODEM_CONTROL: u16 = 4;
/// Line status.
pub const LINE_STATUS: u16 = 5;
/// Modem status.
pub const MODEM_STATUS: u16 = 6;

/// Interrupt enable bit 0: received data is available.
pub const ENABLE_RECEIVED: u8 = 1 << 0;
/// Interrupt enable bit 1: the transmit holding register is empty.
pub const ENABLE_TRANSMITTER: u8 = 1 << 1;
/// Interrupt enable bit 2: the line status tells of an error.
pub const ENABLE_LINE_STATUS: u8 = 1 << 2;
/// The interrupt enable bits that exist.
pub const ENABLE_BITS: u8 = 0x0f;

/// Interrupt identification: nothing is pending.
pub const PENDING_NONE: u8 = 0x01;
/// Interrupt identification: the transmit holding register is empty. Lower priority than received data.
pub const PENDING_TRANSMITTER: u8 = 0x02;
/// Interrupt identification: received data is available, in the FIFO as much as the trigger level asks for.
pub const PENDING_RECEIVED: u8 = 0x04;
/// Interrupt identification: the line status tells of an error. The highest priority.
pub const PENDING_LINE_STATUS: u8 = 0x06;
/// Interrupt identification: the FIFO has less than the trigger level asks for, and no more has come for as long as four
/// characters take. Here that is no time.
pub const PENDING_TIMEOUT: u8 = 0x0c;
/// Interrupt identification bits 6 and 7: the FIFOs are enabled.
pub const FIFOS_ENABLED: u8 = 0xc0;

/// FIFO control bit 0: enable the FIFOs.
pub const FIFO_ENABLE: u8 = 1 << 0;
/// FIFO control bit 1: empty the receive FIFO.
pub const FIFO_CLEAR_RECEIVED: u8 = 1 << 1;
/// Bytes in the receive FIFO for which it interrupts, as bits 6 and 7 of FIFO control say.
pub const TRIGGER_LEVELS: [usize; 4] = [1, 4, 8, 14];
/// Bytes in the receive FIFO; without it there is room for one byte.
pub const FIFO_SIZE: usize = 16;

/// Line control bit 7: divisor latch access.
pub const DLAB: u8 = 1 << 7;
/// Modem control bit 4: what is transmitted is received, and nothing leaves.
pub const LOOPBACK: u8 = 1 << 4;
/// The modem control bits that exist.
pub const MODEM_CONTROL_BITS: u8 = 0x1f;
/// Modem control bit 3, OUT2. A PC's interrupt passes only while it is set; here it always passes, as with QEMU's, and the
/// bit begins as QEMU's does.
pub const OUT2: u8 = 1 << 3;
/// Line status bit 0: a received byte can be read.
pub const DATA_READY: u8 = 1 << 0;
/// Line status bit 1: a received byte was lost, as the one before had not been read. Reading the line status clears it.
pub const OVERRUN: u8 = 1 << 1;
/// Line status bits 5 and 6: nothing is waiting to be transmitted.
pub const TRANSMITTER_EMPTY: u8 = 0x60;
/// Modem status: carrier, data set ready, clear to send.
pub const MODEM_READY: u8 = 0xb0;
/// Divisor for 9600 baud.
pub const DIVISOR: u16 = 12;
