//! The controller as the guest's drivers see it.

use std::collections::VecDeque;

use super::commands::{command, device, mouse};
use super::scan_code::ScanCode;
use crate::devices::wire::Wire;

/// Status bit 0: a byte can be read from the data port.
pub const OUTPUT_FULL: u8 = 1 << 0;
/// Status bit 2: the self-test has passed.
const SELF_TESTED: u8 = 1 << 2;
/// Status bits 3 and 4: the last write was a command, and the keyboard is not locked.
const READY: u8 = 0x18;
/// Status bit 5: the byte in the data port is the mouse's.
const FROM_MOUSE: u8 = 1 << 5;

/// Mode bit 0: a byte from the keyboard interrupts.
pub const MODE_INTERRUPT: u8 = 1 << 0;
/// Mode bit 1: a byte from the mouse interrupts.
pub const MODE_MOUSE_INTERRUPT: u8 = 1 << 1;
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

/// Answers that may wait to be read; more are lost, as from a keyboard whose buffer is full.
pub const ANSWERS: usize = 16;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    byte: u8,
    from_mouse: bool,
}

/// Controller, keyboard and mouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct I8042 {
    /// How the keyboard interrupts.
    pub keyboard: Wire,
    /// How the mouse does.
    pub mouse: Wire,
    mode: u8,
    output_port: u8,
    operand: Option<Operand>,
    /// The data port.
    output: Answer,
    is_full: bool,
    pub(super) answers: VecDeque<Answer>,
    /// The keyboard sends keys.
    scanning: bool,
    /// Scan codes of keys that were pressed and that the controller has not taken yet.
    typed: VecDeque<u8>,
}

impl Default for I8042 {
    /// A controller as firmware leaves it.
    fn default() -> Self {
        Self {
            keyboard: Wire::default(),
            mouse: Wire::default(),
            mode: MODE_START,
            output_port: OUTPUT_PORT,
            operand: None,
            // Firmware has told the keyboard to scan, and has read that it will. SeaBIOS and GRUB leave it so, too.
            output: Answer { byte: device::ACKNOWLEDGE, from_mouse: false },
            is_full: false,
            answers: VecDeque::new(),
            scanning: true,
            typed: VecDeque::new(),
        }
    }
}

impl I8042 {
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
        let wire = if self.output.from_mouse { &mut self.mouse } else { &mut self.keyboard };
        wire.set(false);
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
        let (wire, enabled) = if next.from_mouse {
            (&mut self.mouse, MODE_MOUSE_INTERRUPT)
        } else {
            (&mut self.keyboard, MODE_INTERRUPT)
        };
        if self.mode & enabled != 0 {
            wire.set(true);
        }
    }

    /// Scan codes that wait for the guest.
    pub fn waiting(&self) -> usize {
        self.typed.len()
    }

    /// Takes what happens on the keyboard.
    pub fn press(&mut self, codes: &[ScanCode]) {
        for code in codes {
            self.typed.extend(code.bytes());
        }
        self.fill();
    }
}
