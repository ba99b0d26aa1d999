//! What an emulator says, for the fuzzer: it runs a stranger's guest, and may have become somebody else.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use stos_machine::devices::i8042::ScanCode;

use super::emulator::complaint;
use super::interrupts::interrupts;
use super::keyboard::EmulatedKeyboard;
use super::qmp::{Message, Qmp};
use super::registers;
use super::watch::exit_value;
use crate::backend::{Ending, Findings};
use crate::channel::KeySink;

/// All that is written is there at once, so nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Answers that keys are typed for: between two of them there is a pause.
const KEYS: usize = 8;

/// Our end, and the other one, which takes what we say as long as it is there.
type Ends = (UnixStream, UnixStream);

/// A connection on which `bytes` come, and then its end.
fn connection(bytes: &[u8]) -> Option<Ends> {
    let (ours, mut theirs) = UnixStream::pair().ok()?;
    theirs.set_nonblocking(true).ok()?;
    // As much as the system keeps for us.
    let _ = theirs.write(bytes);
    theirs.shutdown(Shutdown::Write).ok()?;
    Some((ours, theirs))
}

/// What becomes of all that an emulator `says` on its control connection, some of it while as many answers are `outstanding`.
pub fn hear(says: &[u8], outstanding: usize) -> Findings {
    let mut findings = Findings::default();
    let mut texts = Vec::new();
    if let Some((stream, _theirs)) = connection(says) {
        let mut qmp = Qmp::new(stream);
        while let Ok(Some(message)) = qmp.receive(PATIENCE) {
            if let Message::Return(serde_json::Value::String(text)) = message {
                texts.push(text);
            }
        }
    }
    if let Some((stream, _theirs)) = connection(says) {
        let mut qmp = Qmp::new(stream);
        let _ = qmp.text("info registers", outstanding, PATIENCE);
        let _ = qmp.has_passed_over_an_end();
    }
    let lines = says.split(|byte| *byte == b'\n').count();
    if let Some((stream, _theirs)) = connection(says).filter(|_| lines <= KEYS) {
        EmulatedKeyboard::new(stream).press(&[ScanCode { code: 0x1e, extended: false, pressed: true }]);
    }
    findings.samples = texts.iter().filter_map(|text| registers::cpu_state(text)).collect();
    findings.cpu = findings.samples.last().cloned();
    findings.interrupts = texts.iter().zip(texts.iter().skip(1)).find_map(|(pics, apic)| interrupts(pics, apic));
    findings
}

/// What it means that the emulator ended with `status` and had written these `messages`.
pub fn ended(status: i32, messages: &str) -> Ending {
    let status = ExitStatus::from_raw(status);
    let complaint = complaint(messages).map(str::to_owned);
    exit_value(status, messages).unwrap_or(Ending::Died { status, lacks_memory: false, complaint })
}
