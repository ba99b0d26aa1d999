//! An i8042 keyboard controller as a PC has it, with a keyboard of scan code set 1 and a mouse that nobody moves (Intel
//! UPI-41A with IBM's firmware, as in the IBM PS/2 Technical Reference, "Keyboard and Auxiliary Device Controller").

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::InterruptLine;
use crate::channel::{KeySink, Stroke};

/// Status bit 0: a byte can be read from the data port.
const OUTPUT_FULL: u8 = 1 << 0;
/// Status bit 2: the self-test has passed.
const SELF_TESTED: u8 = 1 << 2;
/// Status bits 3 and 4: the last write was a command, and the keyboard is not locked.
const READY: u8 = 0x18;
/// Status bit 5: the byte in the data port is the mouse's.
const FROM_MOUSE: u8 = 1 << 5;

/// Controller commands.
mod command {
    pub const READ_MODE: u8 = 0x20;
    pub const WRITE_MODE: u8 = 0x60;
    pub const DISABLE_MOUSE: u8 = 0xa7;
    pub const ENABLE_MOUSE: u8 = 0xa8;
    pub const TEST_MOUSE_PORT: u8 = 0xa9;
    pub const SELF_TEST: u8 = 0xaa;
    pub const TEST_KEYBOARD_PORT: u8 = 0xab;
    pub const DISABLE_KEYBOARD: u8 = 0xad;
    pub const ENABLE_KEYBOARD: u8 = 0xae;
    pub const READ_INPUT_PORT: u8 = 0xc0;
    pub const READ_OUTPUT_PORT: u8 = 0xd0;
    pub const WRITE_OUTPUT_PORT: u8 = 0xd1;
    pub const WRITE_KEYBOARD_OUTPUT: u8 = 0xd2;
    pub const WRITE_MOUSE_OUTPUT: u8 = 0xd3;
    pub const WRITE_MOUSE: u8 = 0xd4;
    /// The low half says which output lines are pulsed; a 0 in bit 0 pulses the CPU's reset line.
    pub const PULSE: u8 = 0xf0;
}

/// Mode bit 0: a byte from the keyboard interrupts.
const MODE_INTERRUPT: u8 = 1 << 0;
/// Mode bit 4: the keyboard may not send.
const MODE_KEYBOARD_OFF: u8 = 1 << 4;
/// Mode bit 5: the mouse may not send.
const MODE_MOUSE_OFF: u8 = 1 << 5;
/// Mode bit 6: scan codes of set 2 are translated into set 1.
const MODE_TRANSLATE: u8 = 1 << 6;
/// The mode as firmware leaves it: the keyboard interrupts, self-test passed, mouse off, translation.
pub const MODE_START: u8 = 0x65;

/// Answer to [`command::SELF_TEST`].
const SELF_TEST_PASSED: u8 = 0x55;
/// Answer to a test of a port.
const PORT_WORKS: u8 = 0x00;
/// Input port: not locked.
const INPUT_PORT: u8 = 0x80;
/// Output port bit 0: the CPU is not held in reset.
const NOT_RESET: u8 = 1 << 0;
/// Output port: address line 20, no reset, and the lines that are always high.
const OUTPUT_PORT: u8 = 0xcf;

/// The keyboard's commands and answers.
mod device {
    pub const SET_LEDS: u8 = 0xed;
    pub const ECHO: u8 = 0xee;
    pub const SCAN_CODE_SET: u8 = 0xf0;
    pub const IDENTIFY: u8 = 0xf2;
    pub const SET_RATE: u8 = 0xf3;
    pub const ENABLE: u8 = 0xf4;
    pub const DISABLE: u8 = 0xf5;
    pub const DEFAULTS: u8 = 0xf6;
    pub const RESEND: u8 = 0xfe;
    pub const RESET: u8 = 0xff;

    pub const ACKNOWLEDGE: u8 = 0xfa;
    pub const NOT_UNDERSTOOD: u8 = 0xfe;
    pub const TEST_PASSED: u8 = 0xaa;
    /// A keyboard with 101 or more keys says AB 83, which is AB 41 translated.
    pub const IDENTITY: [u8; 2] = [0xab, 0x83];
    pub const IDENTITY_TRANSLATED: [u8; 2] = [0xab, 0x41];
    /// Scan code set 2, and what translation makes of that number.
    pub const SET_2: u8 = 0x02;
    pub const SET_2_TRANSLATED: u8 = 0x41;
}

/// The mouse's commands and answers; it acknowledges everything else, too.
mod mouse {
    pub const STATUS: u8 = 0xe9;
    pub const IDENTIFY: u8 = 0xf2;
    pub const RESET: u8 = 0xff;

    pub const IDENTITY: u8 = 0x00;
    /// Not enabled, no button, resolution 4 per mm, 100 samples a second.
    pub const STATUS_ANSWER: [u8; 3] = [0x00, 0x02, 0x64];
}

/// Answers that may wait to be read; more are lost, as from a keyboard whose buffer is full.
const ANSWERS: usize = 16;

/// What the next byte to the data port belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operand {
    Mode,
    OutputPort,
    KeyboardOutput,
    MouseOutput,
    Mouse,
    /// Of a command of the keyboard that only acknowledges it.
    Keyboard,
    ScanCodeSet,
}

/// A byte for the data port, and whether the mouse sends it.
#[derive(Clone, Copy, Debug, Default)]
struct Answer {
    byte: u8,
    from_mouse: bool,
}

/// Controller, keyboard and mouse. `L` is the keyboard's interrupt line.
#[derive(Debug)]
pub struct Keyboard<L> {
    line: L,
    mode: u8,
    output_port: u8,
    operand: Option<Operand>,
    /// The data port.
    output: Answer,
    is_full: bool,
    answers: VecDeque<Answer>,
    /// The keyboard sends keys.
    scanning: bool,
    /// Scan codes of keys that were pressed and that the controller has not taken yet.
    typed: VecDeque<u8>,
}

impl<L: InterruptLine> Keyboard<L> {
    /// A controller as firmware leaves it.
    pub fn new(line: L) -> Self {
        Self {
            line,
            mode: MODE_START,
            output_port: OUTPUT_PORT,
            operand: None,
            output: Answer::default(),
            is_full: false,
            answers: VecDeque::new(),
            scanning: true,
            typed: VecDeque::new(),
        }
    }

    /// Reads port 0x64.
    pub fn status(&self) -> u8 {
        let full = if self.is_full { OUTPUT_FULL } else { 0 };
        let mouse = if self.is_full && self.output.from_mouse { FROM_MOUSE } else { 0 };
        READY | SELF_TESTED | full | mouse
    }

    /// Reads port 0x60. An empty port gives the last byte again.
    pub fn read(&mut self) -> u8 {
        let byte = self.output.byte;
        self.is_full = false;
        // The line falls before the next byte raises it: an edge-triggered controller must see both.
        self.line.set(false);
        self.fill();
        byte
    }

    /// Writes port 0x64. True when this resets the machine.
    pub fn command(&mut self, value: u8) -> bool {
        self.operand = None;
        match value {
            command::READ_MODE => self.answer(self.mode),
            command::WRITE_MODE => self.operand = Some(Operand::Mode),
            command::DISABLE_MOUSE => self.mode |= MODE_MOUSE_OFF,
            command::ENABLE_MOUSE => self.mode &= !MODE_MOUSE_OFF,
            command::TEST_MOUSE_PORT | command::TEST_KEYBOARD_PORT => self.answer(PORT_WORKS),
            command::SELF_TEST => self.answer(SELF_TEST_PASSED),
            command::DISABLE_KEYBOARD => self.mode |= MODE_KEYBOARD_OFF,
            command::ENABLE_KEYBOARD => self.mode &= !MODE_KEYBOARD_OFF,
            command::READ_INPUT_PORT => self.answer(INPUT_PORT),
            command::READ_OUTPUT_PORT => self.answer(self.output_port),
            command::WRITE_OUTPUT_PORT => self.operand = Some(Operand::OutputPort),
            command::WRITE_KEYBOARD_OUTPUT => self.operand = Some(Operand::KeyboardOutput),
            command::WRITE_MOUSE_OUTPUT => self.operand = Some(Operand::MouseOutput),
            command::WRITE_MOUSE => self.operand = Some(Operand::Mouse),
            command::PULSE.. => return value & NOT_RESET == 0,
            _ => {}
        }
        self.fill();
        false
    }

    /// Writes port 0x60. True when this resets the machine.
    pub fn write(&mut self, value: u8) -> bool {
        match self.operand.take() {
            None => self.keyboard_command(value),
            Some(Operand::Mode) => self.mode = value,
            Some(Operand::OutputPort) => {
                self.output_port = value;
                return value & NOT_RESET == 0;
            }
            Some(Operand::KeyboardOutput) => self.answer(value),
            Some(Operand::MouseOutput) => self.mouse_answers(&[value]),
            Some(Operand::Mouse) => self.mouse_command(value),
            Some(Operand::Keyboard) => self.answer(device::ACKNOWLEDGE),
            Some(Operand::ScanCodeSet) => {
                self.answer(device::ACKNOWLEDGE);
                if value == 0 {
                    let translated = self.mode & MODE_TRANSLATE != 0;
                    self.answer(if translated { device::SET_2_TRANSLATED } else { device::SET_2 });
                }
            }
        }
        self.fill();
        false
    }

    fn keyboard_command(&mut self, value: u8) {
        // What is sent to the keyboard enables it.
        self.mode &= !MODE_KEYBOARD_OFF;
        match value {
            device::ECHO => return self.answer(device::ECHO),
            device::RESEND => return self.answer(self.output.byte),
            device::SET_LEDS | device::SET_RATE => self.operand = Some(Operand::Keyboard),
            device::SCAN_CODE_SET => self.operand = Some(Operand::ScanCodeSet),
            device::ENABLE | device::DEFAULTS | device::IDENTIFY => self.scanning = true,
            device::DISABLE => self.scanning = false,
            device::RESET => {
                self.scanning = true;
                self.answers.clear();
            }
            _ => return self.answer(device::NOT_UNDERSTOOD),
        }
        self.answer(device::ACKNOWLEDGE);
        match value {
            device::RESET => self.answer(device::TEST_PASSED),
            device::IDENTIFY => {
                let translated = self.mode & MODE_TRANSLATE != 0;
                let identity = if translated { device::IDENTITY_TRANSLATED } else { device::IDENTITY };
                for byte in identity {
                    self.answer(byte);
                }
            }
            _ => {}
        }
    }

    fn mouse_command(&mut self, value: u8) {
        self.mouse_answers(&[device::ACKNOWLEDGE]);
        match value {
            mouse::RESET => self.mouse_answers(&[device::TEST_PASSED, mouse::IDENTITY]),
            mouse::IDENTIFY => self.mouse_answers(&[mouse::IDENTITY]),
            mouse::STATUS => self.mouse_answers(&mouse::STATUS_ANSWER),
            _ => {}
        }
    }

    fn answer(&mut self, byte: u8) {
        self.queue(Answer { byte, from_mouse: false });
    }

    fn mouse_answers(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.queue(Answer { byte, from_mouse: true });
        }
    }

    fn queue(&mut self, answer: Answer) {
        if self.answers.len() < ANSWERS {
            self.answers.push_back(answer);
        }
    }

    /// Puts the next byte into the data port when that is free: answers before keys.
    fn fill(&mut self) {
        if self.is_full {
            return;
        }
        let keys = self.scanning && self.mode & MODE_KEYBOARD_OFF == 0;
        let key = |typed: &mut VecDeque<u8>| Some(Answer { byte: typed.pop_front()?, from_mouse: false });
        let next = self.answers.pop_front().or_else(|| if keys { key(&mut self.typed) } else { None });
        let Some(next) = next else { return };
        self.output = next;
        self.is_full = true;
        if !next.from_mouse && self.mode & MODE_INTERRUPT != 0 {
            self.line.set(true);
        }
    }

    /// Scan codes that wait for the guest.
    fn waiting(&self) -> usize {
        self.typed.len()
    }

    fn press(&mut self, strokes: &[Stroke]) {
        for stroke in strokes {
            self.typed.extend(stroke.scan_codes());
        }
        self.fill();
    }
}

/// Scan codes that may wait for the guest.
const TYPED_LIMIT: usize = 4096;
/// Strokes that are handed over at once.
const STROKES_AT_ONCE: usize = 1024;

/// A keyboard that the vCPU and the person at it share.
#[derive(Debug)]
pub struct KeyboardPort<L> {
    controller: Mutex<Keyboard<L>>,
    /// Signalled when the guest has read a byte.
    room: Condvar,
}

impl<L: InterruptLine> KeyboardPort<L> {
    /// Makes `controller` shareable.
    pub fn new(controller: Keyboard<L>) -> Self {
        Self { controller: Mutex::new(controller), room: Condvar::new() }
    }

    /// The controller, for as long as nobody else needs it.
    pub fn controller(&self) -> MutexGuard<'_, Keyboard<L>> {
        self.controller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads port 0x60.
    pub fn read(&self) -> u8 {
        let byte = self.controller().read();
        self.room.notify_all();
        byte
    }
}

impl<L: InterruptLine> KeySink for KeyboardPort<L> {
    fn press(&self, strokes: &[Stroke]) -> bool {
        for some in strokes.chunks(STROKES_AT_ONCE) {
            let mut controller = self.controller();
            while controller.waiting() >= TYPED_LIMIT {
                controller = self.room.wait(controller).unwrap_or_else(PoisonError::into_inner);
            }
            controller.press(some);
        }
        true
    }
}

#[cfg(test)]
mod tests;
