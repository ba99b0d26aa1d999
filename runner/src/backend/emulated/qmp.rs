//! QEMU's machine protocol (QEMU docs/interop/qmp-spec): a line of JSON per message.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::channel::ScanCode;

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

    /// Lets a key go down or up.
    ///
    /// # Errors
    /// Those of writing: QEMU has gone.
    pub fn send_key(&mut self, code: ScanCode) -> io::Result<()> {
        let key = json!({ "type": "number", "data": code.number() });
        let event = json!({ "type": "key", "data": { "down": code.pressed, "key": key } });
        self.send_value(&json!({ "execute": "input-send-event", "arguments": { "events": [event] } }))
    }

    /// Asks for what a command of the monitor prints for people. Much of what a CPU holds is told in no other way.
    ///
    /// # Errors
    /// Those of writing: QEMU has gone.
    pub fn ask_for_text(&mut self, command: &str) -> io::Result<()> {
        self.send_value(&json!({ "execute": "human-monitor-command", "arguments": { "command-line": command } }))
    }

    fn send_value(&mut self, message: &Value) -> io::Result<()> {
        self.stream.write_all(format!("{message}\n").as_bytes())
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
}
