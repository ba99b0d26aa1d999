//! Types on the emulator's keyboard, no faster than the guest reads: the emulated keyboard drops what its small buffer has
//! no room for.

use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use serde_json::Value;
use stos_machine::devices::i8042::ScanCode;
use stos_x86::ports::KEYBOARD_COMMAND;

use super::qmp::{Message, Qmp};
use crate::channel::KeySink;

/// How long to wait until the guest is asked again whether it has read.
const POLL: Duration = Duration::from_millis(5);
/// How long QEMU is waited for at once.
const PATIENCE: Duration = Duration::from_secs(1);
/// Status bits of the keyboard controller: its firmware has set it up, and nothing is left to be read.
const READY: (u8, u8) = (0x05, 0x04);

/// The keyboard, behind a machine protocol connection of its own.
#[derive(Debug)]
pub struct EmulatedKeyboard(Mutex<Connection>);

#[derive(Debug)]
struct Connection {
    qmp: Qmp,
    is_open: bool,
}

impl EmulatedKeyboard {
    /// The keyboard at the other end of `stream`.
    pub fn new(stream: UnixStream) -> Self {
        Self(Mutex::new(Connection { qmp: Qmp::new(stream), is_open: false }))
    }
}

impl KeySink for EmulatedKeyboard {
    fn press(&self, codes: &[ScanCode]) -> bool {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.iter().all(|&code| connection.press(code).is_ok())
    }
}

impl Connection {
    fn press(&mut self, code: ScanCode) -> io::Result<()> {
        self.open()?;
        while !self.is_ready()? {
            thread::sleep(POLL);
        }
        self.qmp.send_key(code)?;
        self.answer().map(drop)
    }

    fn open(&mut self) -> io::Result<()> {
        if self.is_open {
            return Ok(());
        }
        self.qmp.send("qmp_capabilities")?;
        self.answer()?;
        self.is_open = true;
        Ok(())
    }

    fn is_ready(&mut self) -> io::Result<bool> {
        self.qmp.ask_for_text(&format!("i /b {KEYBOARD_COMMAND:#x}"))?;
        let Value::String(text) = self.answer()? else { return Ok(false) };
        let (mask, ready) = READY;
        Ok(port_value(&text).is_some_and(|status| status & mask == ready))
    }

    /// The answer to the last command. A command that QEMU refuses has none; the next one will tell.
    fn answer(&mut self) -> io::Result<Value> {
        loop {
            match self.qmp.receive(PATIENCE)? {
                Some(Message::Return(value)) => return Ok(value),
                Some(Message::Error(_)) => return Ok(Value::Null),
                Some(Message::Greeting | Message::Event { .. } | Message::Unknown) | None => {}
            }
        }
    }
}

/// The value in an answer such as `portb[0x0064] = 0x1c`.
fn port_value(text: &str) -> Option<u8> {
    let (_, value) = text.split_once("= 0x")?;
    u8::from_str_radix(value.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_port_is_found_in_the_text() {
        assert_eq!(port_value("portb[0x0064] = 0x1c\r\n"), Some(0x1c));
        assert_eq!(port_value("unknown command\r\n"), None);
    }
}
