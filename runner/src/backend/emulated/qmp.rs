//! QEMU's machine protocol (QEMU docs/interop/qmp-spec): a line of JSON per message.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use stos_machine::devices::i8042::ScanCode;

use serde_json::{Value, json};

/// Most bytes of a line without its end. QEMU's are shorter than 8 KiB, that with all registers included.
const LINE_LIMIT: usize = 256 * 1024;
/// Most events that come before an answer: QEMU has a handful.
const EVENTS_LIMIT: usize = 1024;
/// What a connection is that exceeds them.
const ENDLESS_LINE: &str = "it sends a line that has no end";
const ENDLESS_EVENTS: &str = "it sends events without end and no answer";

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
    /// What it does that no QEMU does.
    broken: Option<&'static str>,
    received: Vec<u8>,
    /// Events that came while an answer was waited for.
    passed_over: VecDeque<Message>,
}

impl Qmp {
    /// A client on this end of a connection.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, broken: None, received: Vec::new(), passed_over: VecDeque::new() }
    }

    /// The next message, or `None` when none comes within `patience`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when QEMU has gone, [`io::ErrorKind::ConnectionAborted`] when the alarm rings, and
    /// [`io::ErrorKind::InvalidData`] when what comes has no end.
    pub fn receive(&mut self, patience: Duration) -> io::Result<Option<Message>> {
        match self.passed_over.pop_front() {
            None => self.receive_new(patience),
            event => Ok(event),
        }
    }

    fn receive_new(&mut self, patience: Duration) -> io::Result<Option<Message>> {
        self.stream.set_read_timeout(Some(patience))?;
        loop {
            if let Some(what) = self.broken {
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            if let Some(end) = self.received.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Ok(Some(Message::parse(&line)));
            }
            if self.received.len() > LINE_LIMIT {
                (self.broken, self.received) = (Some(ENDLESS_LINE), Vec::new());
                continue;
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

    /// What a command of the monitor prints, after `outstanding` answers to earlier ones. Events that come meanwhile are received
    /// after it.
    ///
    /// # Errors
    /// Those of writing and of [`Self::receive`], and [`io::ErrorKind::TimedOut`] when no answer comes within `patience`.
    pub fn text(&mut self, command: &str, outstanding: usize, patience: Duration) -> io::Result<String> {
        let deadline = Instant::now() + patience;
        self.ask_for_text(command)?;
        let mut to_skip = outstanding;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Also of one that says much, but not this.
                return Err(io::ErrorKind::TimedOut.into());
            }
            match self.receive_new(left)?.ok_or(io::ErrorKind::TimedOut)? {
                Message::Return(Value::String(text)) if to_skip == 0 => return Ok(text),
                Message::Return(Value::String(_)) => to_skip -= 1,
                Message::Event { .. } if self.passed_over.len() >= EVENTS_LIMIT => self.broken = Some(ENDLESS_EVENTS),
                event @ Message::Event { .. } => self.passed_over.push_back(event),
                _ => {}
            }
        }
    }

    /// Whether an event was passed over that tells of the guest's end.
    pub fn has_passed_over_an_end(&self) -> bool {
        let is_end = |name: &str| matches!(name, "SHUTDOWN" | "GUEST_PANICKED");
        self.passed_over.iter().any(|message| matches!(message, Message::Event { name, .. } if is_end(name)))
    }

    fn send_value(&mut self, message: &Value) -> io::Result<()> {
        self.stream.write_all(format!("{message}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

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
    fn an_event_that_comes_before_an_answer_is_received_after_it() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut qmp = Qmp::new(ours);
        let patience = Duration::from_secs(10);
        theirs.write_all(b"{\"event\": \"STOP\"}\n{\"return\": \"old\"}\n{\"return\": \"new\"}\n").unwrap();
        assert_eq!(qmp.text("info registers", 1, patience).unwrap(), "new");
        assert!(!qmp.has_passed_over_an_end());
        theirs.write_all(b"{\"event\": \"GUEST_PANICKED\"}\n{\"return\": {}}\n{\"return\": \"last\"}\n").unwrap();
        assert_eq!(qmp.text("info registers", 0, patience).unwrap(), "last");
        assert!(qmp.has_passed_over_an_end());
        for name in ["STOP", "GUEST_PANICKED"] {
            let event = Message::Event { name: name.to_owned(), data: Value::Null };
            assert_eq!(qmp.receive(patience).unwrap(), Some(event));
        }
        drop(theirs);
        assert!(qmp.text("info registers", 0, patience).is_err());
    }

    #[test]
    fn what_has_no_end_is_not_kept() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut qmp = Qmp::new(ours);
        let flood = thread::spawn(move || while theirs.write_all(&[b' '; 4096]).is_ok() {});
        for _ in 0..2 {
            let error = qmp.receive(Duration::from_secs(10)).unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::InvalidData, ENDLESS_LINE.to_owned()));
        }
        assert!(qmp.received.capacity() <= 2 * LINE_LIMIT);
        drop(qmp);
        flood.join().unwrap();

        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut qmp = Qmp::new(ours);
        let flood = thread::spawn(move || while theirs.write_all(b"{\"event\": \"STOP\"}\n").is_ok() {});
        let error = qmp.text("info registers", 0, Duration::from_secs(10)).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::InvalidData, ENDLESS_EVENTS.to_owned()));
        assert_eq!(qmp.passed_over.len(), EVENTS_LIMIT);
        drop(qmp);
        flood.join().unwrap();

        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut qmp = Qmp::new(ours);
        let flood = thread::spawn(move || while theirs.write_all(b"{}\n").is_ok() {});
        let error = qmp.text("info registers", 0, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "it says much, but never that");
        drop(qmp);
        flood.join().unwrap();
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
