//! The UART itself: what reading and writing its registers does, and when it interrupts.

use std::collections::VecDeque;
use std::mem;

use super::registers::{
    DATA, DATA_READY, DIVISOR, DLAB, ENABLE_BITS, ENABLE_LINE_STATUS, ENABLE_RECEIVED, ENABLE_TRANSMITTER,
    FIFO_CLEAR_RECEIVED, FIFO_ENABLE, FIFO_SIZE, FIFOS_ENABLED, INTERRUPT_ENABLE, INTERRUPT_IDENTIFICATION,
    LINE_CONTROL, LINE_STATUS, LOOPBACK, MODEM_CONTROL, MODEM_CONTROL_BITS, MODEM_READY, MODEM_STATUS, OUT2, OVERRUN,
    PENDING_LINE_STATUS, PENDING_NONE, PENDING_RECEIVED, PENDING_TIMEOUT, PENDING_TRANSMITTER, TRANSMITTER_EMPTY,
    TRIGGER_LEVELS,
};
use crate::devices::wire::Wire;

/// The UART.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uart {
    /// How it interrupts.
    pub wire: Wire,
    interrupt_enable: u8,
    transmitter_pending: bool,
    /// Bytes in the receive FIFO for which it interrupts, while there are FIFOs.
    trigger_level: Option<usize>,
    line_control: u8,
    modem_control: u8,
    scratch: u8,
    divisor: [u8; 2],
    /// What the driver can read: first the bytes that it has sent to itself, then those of the other end.
    received: VecDeque<u8>,
    /// How many of them the driver has sent to itself.
    looped_back: usize,
    /// A byte was lost since the line status was read.
    is_overrun: bool,
    /// What the other end has sent and the UART has no room for yet.
    waiting: VecDeque<u8>,
}

impl Default for Uart {
    /// A UART after reset.
    fn default() -> Self {
        Self {
            wire: Wire::default(),
            interrupt_enable: 0,
            transmitter_pending: false,
            trigger_level: None,
            line_control: 0,
            modem_control: OUT2,
            scratch: 0,
            divisor: DIVISOR.to_le_bytes(),
            received: VecDeque::new(),
            looped_back: 0,
            is_overrun: false,
            waiting: VecDeque::new(),
        }
    }
}

impl Uart {
    /// Reads register `offset`, 0 to 7.
    pub fn read(&mut self, offset: u16) -> u8 {
        match offset {
            DATA if self.line_control & DLAB != 0 => self.divisor[0],
            INTERRUPT_ENABLE if self.line_control & DLAB != 0 => self.divisor[1],
            DATA => {
                let byte = self.received.pop_front().unwrap_or(0);
                self.looped_back = self.looped_back.saturating_sub(1);
                // The line falls before the next byte raises it: an edge-triggered controller must see both. With bytes left
                // below the trigger level it falls, too, as reading starts the time-out anew.
                if !self.is_triggered() {
                    self.wire.set(self.pending_other() != PENDING_NONE);
                }
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
                pending | if self.has_fifos() { FIFOS_ENABLED } else { 0 }
            }
            LINE_CONTROL => self.line_control,
            MODEM_CONTROL => self.modem_control,
            LINE_STATUS => {
                let ready = if self.received.is_empty() { 0 } else { DATA_READY };
                let overrun = if mem::take(&mut self.is_overrun) { OVERRUN } else { 0 };
                self.update_line();
                TRANSMITTER_EMPTY | ready | overrun
            }
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
                let trigger_level = (value & FIFO_ENABLE != 0).then_some(TRIGGER_LEVELS[usize::from(value >> 6)]);
                // Changing the mode empties the FIFO, too.
                if trigger_level.is_some() != self.has_fifos() || value & FIFO_CLEAR_RECEIVED != 0 {
                    self.give_back();
                    self.received.clear();
                    self.looped_back = 0;
                }
                self.trigger_level = trigger_level;
                self.update_line();
                self.refill();
            }
            LINE_CONTROL => self.line_control = value,
            MODEM_CONTROL => {
                self.modem_control = value & MODEM_CONTROL_BITS;
                if self.is_looped_back() {
                    self.give_back();
                }
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
        let is_looped_back = self.is_looped_back();
        if is_looped_back {
            self.loop_back(byte);
        }
        self.transmitter_pending = true;
        self.update_line();
        (!is_looped_back).then_some(byte)
    }

    fn has_fifos(&self) -> bool {
        self.trigger_level.is_some()
    }

    fn is_looped_back(&self) -> bool {
        self.modem_control & LOOPBACK != 0
    }

    /// Receives what was transmitted. Where there is no room, the FIFO keeps what it has, and the single register takes the new
    /// byte (PC16550D data sheet, section 8.4, bit 1).
    fn loop_back(&mut self, byte: u8) {
        let has_room = self.received.len() < if self.has_fifos() { FIFO_SIZE } else { 1 };
        self.is_overrun |= !has_room;
        if !has_room && !self.has_fifos() {
            self.received.clear();
        }
        if has_room || !self.has_fifos() {
            self.received.push_back(byte);
            self.looped_back = self.received.len();
        }
    }

    /// Has the other end send again, later, what the driver has not read: while the UART talks to itself, the line is cut off, and
    /// before a driver has set it up, it hears nothing. A serial line is slow enough that nothing comes in the few microseconds of
    /// that, but the bytes of a pipe or a file are there at once, before the byte that a self-test sends.
    fn give_back(&mut self) {
        for byte in self.received.drain(self.looped_back.min(self.received.len())..).rev() {
            self.waiting.push_front(byte);
        }
    }

    /// Takes what the other end has sent, up to the trigger level: there the interrupt asks the driver to read, and each
    /// byte that it reads makes a new edge.
    fn refill(&mut self) {
        while !self.is_looped_back() && !self.is_triggered() {
            let Some(byte) = self.waiting.pop_front() else { break };
            self.received.push_back(byte);
        }
        self.update_line();
    }

    fn is_triggered(&self) -> bool {
        self.received.len() >= self.trigger_level.unwrap_or(1)
    }

    fn pending(&self) -> u8 {
        let has_received = self.interrupt_enable & ENABLE_RECEIVED != 0 && !self.received.is_empty();
        match self.pending_other() {
            PENDING_LINE_STATUS => PENDING_LINE_STATUS,
            _ if has_received && self.is_triggered() => PENDING_RECEIVED,
            _ if has_received => PENDING_TIMEOUT,
            other => other,
        }
    }

    /// What is pending apart from received data.
    fn pending_other(&self) -> u8 {
        if self.interrupt_enable & ENABLE_LINE_STATUS != 0 && self.is_overrun {
            PENDING_LINE_STATUS
        } else if self.interrupt_enable & ENABLE_TRANSMITTER != 0 && self.transmitter_pending {
            PENDING_TRANSMITTER
        } else {
            PENDING_NONE
        }
    }

    fn update_line(&mut self) {
        self.wire.set(self.pending() != PENDING_NONE);
    }
}
