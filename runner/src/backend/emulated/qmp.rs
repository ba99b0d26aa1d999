//! QEMU's machine protocol (QEMU docs/interop/qmp-spec): a line of JSON per message.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::console::Stroke;

/// A message from QEMU.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// What it says first.
    Greeting,
    /// The result of a command.
    Return(Value),
    /// A command failed; QEMU's description.
    Error(String),
    /// Something happened.
    Event {
        /// Such as `SHUTDOWN`.
        name: String,
        /// What belongs to it.
        data: Value,
    },
    /// Something that this client does not know.
    Unknown,
}

impl Message {
    /// Decodes one line.
    pub fn parse(line: &[u8]) -> Self {
        let Ok(Value::Object(mut message)) = serde_json::from_slice(line) else { return Self::Unknown };
        if message.contains_key("QMP") {
            Self::Greeting
        } else if let Some(value) = message.remove("return") {
            Self::Return(value)
        } else if let Some(error) = message.remove("error") {
            Self::Error(error["desc"].as_str().unwrap_or("no description").to_owned())
        } else if let Some(Value::String(name)) = message.remove("event") {
            Self::Event { name, data: message.remove("data").unwrap_or_default() }
        } else {
            Self::Unknown
        }
    }
}

/// A connection to a QEMU.
#[derive(Debug)]
pub struct Qmp {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Qmp {
    /// A client on this end of a connection.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, received: Vec::new() }
    }

    /// The next message, or `None` when none comes within `patience`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when QEMU has gone.
    pub fn receive(&mut self, patience: Duration) -> io::Result<Option<Message>> {
        self.stream.set_read_timeout(Some(patience))?;
        loop {
            if let Some(end) = self.received.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Ok(Some(Message::parse(&line)));
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a command without arguments.
    ///
    /// # Errors
    /// Those of writing: QEMU has gone.
    pub fn send(&mut self, command: &str) -> io::Result<()> {
        self.send_value(&json!({ "execute": command }))
    }

    /// Asks for what a read of the 8-bit `port` finds, as people read it.
    ///
    /// # Errors
    /// Those of writing: QEMU has gone.
    pub fn ask_for_port(&mut self, port: u16) -> io::Result<()> {
        self.ask_for_text(&format!("i /b {port:#x}"))
    }

    /// Lets a key go down or up.
    ///
    /// # Errors
    /// Those of writing: QEMU has gone.
    pub fn send_key(&mut self, stroke: Stroke) -> io::Result<()> {
        let key = json!({ "type": "number", "data": stroke.number() });
        let event = json!({ "type": "key", "data": { "down": stroke.is_pressed(), "key": key } });
        self.send_value(&json!({ "execute": "input-send-event", "arguments": { "events": [event] } }))
    }

    /// Asks for the CPU's registers as people read them; [`Registers::parse`] understands the answer. No other command
    /// tells EFLAGS.
    ///
    /// # Errors
    /// Those of writing: QEMU has gone.
    pub fn ask_for_registers(&mut self) -> io::Result<()> {
        self.ask_for_text("info registers")
    }

    fn ask_for_text(&mut self, command: &str) -> io::Result<()> {
        self.send_value(&json!({ "execute": "human-monitor-command", "arguments": { "command-line": command } }))
    }

    fn send_value(&mut self, message: &Value) -> io::Result<()> {
        self.stream.write_all(format!("{message}\n").as_bytes())
    }
}

/// What of the CPU's state says how a guest ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// EIP.
    pub eip: u32,
    /// EFLAGS.
    pub eflags: u32,
    /// CR0.
    pub cr0: u32,
    /// CR2: the address of the last page fault.
    pub cr2: u32,
    /// CR3.
    pub cr3: u32,
    /// CR4.
    pub cr4: u32,
    /// The CPU waits for an interrupt.
    pub halted: bool,
}

impl Registers {
    /// Reads the answer to [`Qmp::ask_for_registers`].
    pub fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let word = text.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
            u32::from_str_radix(word, 16).ok()
        };
        Some(Self {
            eip: field("EIP")?,
            eflags: field("EFL")?,
            cr0: field("CR0")?,
            cr2: field("CR2")?,
            cr3: field("CR3")?,
            cr4: field("CR4")?,
            halted: field("HLT")? != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let parse = |text: &str| Message::parse(text.as_bytes());
        assert_eq!(parse(r#"{"QMP": {"version": {}, "capabilities": ["oob"]}}"#), Message::Greeting);
        assert_eq!(parse(r#"{"return": {}}"#), Message::Return(json!({})));
        assert_eq!(
            parse(r#"{"error": {"class": "GenericError", "desc": "no such thing"}}"#),
            Message::Error("no such thing".to_owned())
        );
        let event =
            r#"{"timestamp": {"seconds": 1}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}"#;
        assert_eq!(
            parse(event),
            Message::Event { name: "SHUTDOWN".to_owned(), data: json!({"guest": true, "reason": "guest-reset"}) }
        );
        assert_eq!(parse(r#"{"event": "STOP"}"#), Message::Event { name: "STOP".to_owned(), data: Value::Null });
        assert_eq!(parse("nonsense"), Message::Unknown);
        assert_eq!(parse("[]"), Message::Unknown);
    }

    #[test]
    fn messages_may_arrive_in_pieces() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut qmp = Qmp::new(ours);
        theirs.write_all(b"{\"return\": 1}\r\n{\"ret").unwrap();
        assert_eq!(qmp.receive(Duration::from_secs(10)).unwrap(), Some(Message::Return(json!(1))));
        assert_eq!(qmp.receive(Duration::from_millis(1)).unwrap(), None);
        theirs.write_all(b"urn\": 2}\r\n").unwrap();
        drop(theirs);
        assert_eq!(qmp.receive(Duration::from_secs(10)).unwrap(), Some(Message::Return(json!(2))));
        assert_eq!(qmp.receive(Duration::from_secs(10)).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn registers_are_found_in_the_text() {
        let text = "\r\nCPU#0\r\nEAX=00000000 EBX=00000000 ECX=00000000 EDX=00000000\r\n\
                    EIP=00100003 EFL=00000006 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\r\n\
                    ES =0010 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\r\n\
                    CR0=00000011 CR2=deadbeef CR3=00001000 CR4=00000010\r\n";
        let expected =
            Registers { eip: 0x10_0003, eflags: 6, cr0: 0x11, cr2: 0xdead_beef, cr3: 0x1000, cr4: 0x10, halted: true };
        assert_eq!(Registers::parse(text), Some(expected));
        assert_eq!(Registers::parse("nothing here"), None);
    }
}
