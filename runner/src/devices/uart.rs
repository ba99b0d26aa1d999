//! A 16550A UART, as its data sheet (National Semiconductor PC16550D) describes it to a driver. Transmission takes no
//! time, and there is no line noise.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::line::InterruptLine;
use crate::channel::InputSink;

/// Interrupt line of COM1.
pub const COM1_IRQ: u32 = 4;

/// Receive buffer when read, transmit holding register when written; divisor low byte while DLAB is set.
const DATA: u16 = 0;
/// Interrupt enable; divisor high byte while DLAB is set.
const INTERRUPT_ENABLE: u16 = 1;
/// Interrupt identification when read, FIFO control when written.
const INTERRUPT_IDENTIFICATION: u16 = 2;
/// Line control.
const LINE_CONTROL: u16 = 3;
/// Modem control.
const MODEM_CONTROL: u16 = 4;
/// Line status.
const LINE_STATUS: u16 = 5;
/// Modem status.
const MODEM_STATUS: u16 = 6;

/// Interrupt enable bit 0: received data is available.
const ENABLE_RECEIVED: u8 = 1 << 0;
/// Interrupt enable bit 1: the transmit holding register is empty.
const ENABLE_TRANSMITTER: u8 = 1 << 1;
/// The interrupt enable bits that exist.
const ENABLE_BITS: u8 = 0x0f;

/// Interrupt identification: nothing is pending.
const PENDING_NONE: u8 = 0x01;
/// Interrupt identification: the transmit holding register is empty. Lower priority than received data.
const PENDING_TRANSMITTER: u8 = 0x02;
/// Interrupt identification: received data is available.
const PENDING_RECEIVED: u8 = 0x04;
/// Interrupt identification bits 6 and 7: the FIFOs are enabled.
const FIFOS_ENABLED: u8 = 0xc0;

/// FIFO control bit 0: enable the FIFOs.
const FIFO_ENABLE: u8 = 1 << 0;
/// FIFO control bit 1: empty the receive FIFO.
const FIFO_CLEAR_RECEIVED: u8 = 1 << 1;
/// Bytes in the receive FIFO; without it there is room for one byte.
const FIFO_SIZE: usize = 16;

/// Line control bit 7: divisor latch access.
const DLAB: u8 = 1 << 7;
/// Modem control bit 4: what is transmitted is received, and nothing leaves.
const LOOPBACK: u8 = 1 << 4;
/// The modem control bits that exist.
const MODEM_CONTROL_BITS: u8 = 0x1f;
/// Line status bit 0: a received byte can be read.
const DATA_READY: u8 = 1 << 0;
/// Line status bits 5 and 6: nothing is waiting to be transmitted.
const TRANSMITTER_EMPTY: u8 = 0x60;
/// Modem status: carrier, data set ready, clear to send.
const MODEM_READY: u8 = 0xb0;
/// Divisor for 9600 baud.
const DIVISOR: u16 = 12;

/// The UART. `L` is its interrupt line.
#[derive(Debug)]
pub struct Uart<L> {
    line: L,
    line_is_high: bool,
    interrupt_enable: u8,
    transmitter_pending: bool,
    fifos: bool,
    line_control: u8,
    modem_control: u8,
    scratch: u8,
    divisor: [u8; 2],
    /// What the driver can read.
    received: VecDeque<u8>,
    /// What the other end has sent and the UART has no room for yet.
    waiting: VecDeque<u8>,
}

impl<L: InterruptLine> Uart<L> {
    /// A UART after reset.
    pub fn new(line: L) -> Self {
        Self {
            line,
            line_is_high: false,
            interrupt_enable: 0,
            transmitter_pending: false,
            fifos: false,
            line_control: 0,
            modem_control: 0,
            scratch: 0,
            divisor: DIVISOR.to_le_bytes(),
            received: VecDeque::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Reads register `offset`, 0 to 7.
    pub fn read(&mut self, offset: u16) -> u8 {
        match offset {
            DATA if self.line_control & DLAB != 0 => self.divisor[0],
            INTERRUPT_ENABLE if self.line_control & DLAB != 0 => self.divisor[1],
            DATA => {
                let byte = self.received.pop_front().unwrap_or(0);
                // The line falls before the next byte raises it: an edge-triggered controller must see both.
                self.update_line();
                self.refill();
                byte
            }
            INTERRUPT_ENABLE => self.interrupt_enable,
            INTERRUPT_IDENTIFICATION => {
                let pending = self.pending();
                if pending == PENDING_TRANSMITTER {
                    self.transmitter_pending = false;
                    self.update_line();
                }
                pending | if self.fifos { FIFOS_ENABLED } else { 0 }
            }
            LINE_CONTROL => self.line_control,
            MODEM_CONTROL => self.modem_control,
            LINE_STATUS => TRANSMITTER_EMPTY | if self.received.is_empty() { 0 } else { DATA_READY },
            MODEM_STATUS if self.modem_control & LOOPBACK != 0 => {
                // RTS, DTR, OUT1 and OUT2 come back as CTS, DSR, RI and DCD.
                let control = self.modem_control;
                (control & 0x02) << 3 | (control & 0x01) << 5 | (control & 0x0c) << 4
            }
            MODEM_STATUS => MODEM_READY,
            _ => self.scratch,
        }
    }

    /// Writes register `offset`, 0 to 7, and returns the byte that was transmitted, if one was.
    pub fn write(&mut self, offset: u16, value: u8) -> Option<u8> {
        match offset {
            DATA if self.line_control & DLAB != 0 => self.divisor[0] = value,
            INTERRUPT_ENABLE if self.line_control & DLAB != 0 => self.divisor[1] = value,
            DATA => return self.transmit(value),
            INTERRUPT_ENABLE => {
                let enabled_now = value & !self.interrupt_enable & ENABLE_TRANSMITTER != 0;
                self.interrupt_enable = value & ENABLE_BITS;
                self.transmitter_pending |= enabled_now;
                self.update_line();
            }
            INTERRUPT_IDENTIFICATION => {
                let fifos = value & FIFO_ENABLE != 0;
                // Changing the mode empties the FIFO, too.
                if fifos != self.fifos || value & FIFO_CLEAR_RECEIVED != 0 {
                    self.received.clear();
                }
                self.fifos = fifos;
                self.update_line();
                self.refill();
            }
            LINE_CONTROL => self.line_control = value,
            MODEM_CONTROL => {
                self.modem_control = value & MODEM_CONTROL_BITS;
                // What came during a loopback can be received after it.
                self.refill();
            }
            LINE_STATUS | MODEM_STATUS => {}
            _ => self.scratch = value,
        }
        None
    }

    /// Bytes that came from the other end and that the driver can't see yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The other end sends `bytes`.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.waiting.extend(bytes);
        self.refill();
    }

    fn transmit(&mut self, byte: u8) -> Option<u8> {
        self.transmitter_pending = false;
        self.update_line();
        let loopback = self.modem_control & LOOPBACK != 0;
        if loopback && self.received.len() < self.room() {
            self.received.push_back(byte);
        }
        self.transmitter_pending = true;
        self.update_line();
        (!loopback).then_some(byte)
    }

    fn room(&self) -> usize {
        if self.fifos { FIFO_SIZE } else { 1 }
    }

    fn refill(&mut self) {
        if self.modem_control & LOOPBACK != 0 {
            return;
        }
        while self.received.len() < self.room() {
            let Some(byte) = self.waiting.pop_front() else { break };
            self.received.push_back(byte);
        }
        self.update_line();
    }

    fn pending(&self) -> u8 {
        if self.interrupt_enable & ENABLE_RECEIVED != 0 && !self.received.is_empty() {
            PENDING_RECEIVED
        } else if self.interrupt_enable & ENABLE_TRANSMITTER != 0 && self.transmitter_pending {
            PENDING_TRANSMITTER
        } else {
            PENDING_NONE
        }
    }

    fn update_line(&mut self) {
        let high = self.pending() != PENDING_NONE;
        if high != self.line_is_high {
            self.line_is_high = high;
            self.line.set(high);
        }
    }
}

/// Bytes of input that may wait for the guest.
const INPUT_LIMIT: usize = 4096;

/// A UART that the vCPU and standard input share.
#[derive(Debug)]
pub struct SerialPort<L> {
    uart: Mutex<Uart<L>>,
    /// Signalled when the guest has read a byte.
    room: Condvar,
}

impl<L: InterruptLine> SerialPort<L> {
    /// Makes `uart` shareable.
    pub fn new(uart: Uart<L>) -> Self {
        Self { uart: Mutex::new(uart), room: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Uart<L>> {
        self.uart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a register.
    pub fn read(&self, offset: u16) -> u8 {
        let mut uart = self.lock();
        let before = uart.waiting();
        let value = uart.read(offset);
        let has_more_room = uart.waiting() < before;
        drop(uart);
        if has_more_room {
            self.room.notify_all();
        }
        value
    }

    /// Writes a register and returns the byte that was transmitted, if one was.
    pub fn write(&self, offset: u16, value: u8) -> Option<u8> {
        self.lock().write(offset, value)
    }
}

impl<L: InterruptLine> InputSink for SerialPort<L> {
    fn push(&self, bytes: &[u8]) -> bool {
        for chunk in bytes.chunks(INPUT_LIMIT) {
            let mut uart = self.lock();
            while uart.waiting() >= INPUT_LIMIT {
                uart = self.room.wait(uart).unwrap_or_else(PoisonError::into_inner);
            }
            uart.receive(chunk);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::line::Edges;

    fn uart() -> (Uart<Edges>, Edges) {
        let edges = Edges::default();
        (Uart::new(edges.clone()), edges)
    }

    #[test]
    fn the_transmitter_is_always_ready() {
        let (mut uart, _) = uart();
        assert_eq!(uart.read(LINE_STATUS), 0x60);
        assert_eq!(uart.write(DATA, b'x'), Some(b'x'));
        assert_eq!(uart.read(LINE_STATUS), 0x60);
    }

    #[test]
    fn each_received_byte_interrupts_a_driver_that_reads_one_at_a_time() {
        let (mut uart, edges) = uart();
        uart.write(INTERRUPT_ENABLE, ENABLE_RECEIVED);
        uart.receive(b"abc");
        for byte in *b"abc" {
            assert_eq!(edges.take(), 1);
            assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), PENDING_RECEIVED);
            assert_eq!(uart.read(DATA), byte);
        }
        assert_eq!(edges.take(), 0);
        assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), PENDING_NONE);
    }

    #[test]
    fn a_driver_with_fifos_can_read_until_nothing_is_ready() {
        let (mut uart, _) = uart();
        uart.write(INTERRUPT_IDENTIFICATION, FIFO_ENABLE);
        uart.receive(&[7; 40]);
        let mut count = 0;
        while uart.read(LINE_STATUS) & DATA_READY != 0 {
            assert_eq!(uart.read(DATA), 7);
            count += 1;
        }
        assert_eq!(count, 40);
    }

    #[test]
    fn received_data_comes_before_an_empty_transmitter() {
        let (mut uart, _) = uart();
        uart.write(INTERRUPT_ENABLE, ENABLE_RECEIVED | ENABLE_TRANSMITTER);
        uart.receive(b"a");
        assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), PENDING_RECEIVED);
        uart.read(DATA);
        assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), PENDING_TRANSMITTER);
        assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), PENDING_NONE);
    }

    #[test]
    fn a_driver_that_sends_by_interrupt_gets_one_per_byte() {
        let (mut uart, edges) = uart();
        uart.write(INTERRUPT_ENABLE, ENABLE_TRANSMITTER);
        assert_eq!(edges.take(), 1);
        for _ in 0..3 {
            uart.write(DATA, b'x');
            assert_eq!(edges.take(), 1);
        }
    }

    #[test]
    fn nothing_interrupts_that_is_not_enabled() {
        let (mut uart, edges) = uart();
        uart.receive(b"a");
        uart.write(DATA, b'x');
        assert_eq!(edges.take(), 0);
    }

    #[test]
    fn what_comes_during_a_loopback_is_received_after_it() {
        let (mut uart, edges) = uart();
        uart.write(INTERRUPT_ENABLE, ENABLE_RECEIVED);
        uart.write(MODEM_CONTROL, LOOPBACK);
        uart.receive(b"x");
        assert_eq!((uart.read(LINE_STATUS) & DATA_READY, edges.take()), (0, 0));
        uart.write(MODEM_CONTROL, 0);
        assert_eq!((uart.read(LINE_STATUS) & DATA_READY, edges.take()), (DATA_READY, 1));
        assert_eq!(uart.read(DATA), b'x');
    }

    #[test]
    fn loopback_gives_back_what_is_sent() {
        let (mut uart, _) = uart();
        uart.write(MODEM_CONTROL, 0x1e);
        assert_eq!(uart.write(DATA, 0xae), None);
        assert_eq!(uart.read(DATA), 0xae);
        assert_eq!(uart.read(MODEM_STATUS), 0xd0);
    }

    #[test]
    fn the_divisor_hides_behind_dlab() {
        let (mut uart, _) = uart();
        uart.write(LINE_CONTROL, DLAB);
        assert_eq!(uart.write(DATA, 3), None);
        assert_eq!(uart.read(DATA), 3);
        uart.write(LINE_CONTROL, 3);
        assert_eq!(uart.write(DATA, 3), Some(3));
    }
}
