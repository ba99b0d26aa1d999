//! Reads what QEMU logs of exceptions and interrupts (`-d int`), line by line, so that a log of any length takes little
//! memory.

use super::registers;
use crate::machine::{Delivery, History, Source};

/// What QEMU logs when its CPU gives up.
pub const TRIPLE_FAULT: &str = "Triple fault";
/// Longest line that is read; QEMU's are shorter.
const LINE_LIMIT: usize = 1024;
/// Bytes of a logged CPU state; QEMU's has fewer than this.
const STATE_LIMIT: usize = 4096;
/// What stands for no exception in `check_exception`.
const NONE: u32 = u32::MAX;

/// A reader in the middle of a log.
#[derive(Debug, Default)]
pub struct ExceptionLog {
    /// With the lines of each state as they are: most are never looked at.
    history: History<String>,
    /// The beginning of a line whose end is still to come.
    line: Vec<u8>,
    /// What was announced by a line before that of the delivery.
    check: Option<Check>,
    is_hardware: bool,
    /// A delivery whose CPU state is still being read.
    open: Option<Delivery<String>>,
}

/// An exception that came: which was being delivered, and which is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Check {
    old: Option<u32>,
    new: u32,
}

impl ExceptionLog {
    /// Takes the next bytes. What is no part of the log is passed over.
    pub fn feed(&mut self, bytes: &[u8]) {
        for chunk in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = LINE_LIMIT.saturating_sub(self.line.len());
            self.line.extend(chunk.iter().take(room));
            if chunk.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.feed_line(&String::from_utf8_lossy(&line));
            }
        }
    }

    fn feed_line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(check) = check(line) {
            self.open = None;
            self.check = Some(check);
        } else if line.starts_with("Servicing hardware INT=") {
            self.open = None;
            self.is_hardware = true;
        } else if line == TRIPLE_FAULT {
            self.open = None;
            self.history.end = self.check.take().map(|check| check.new);
        } else if let Some(delivery) = self.delivery(line) {
            self.open = Some(delivery);
        } else {
            self.feed_state(line);
        }
    }

    /// What has been read.
    pub fn into_history(self) -> History {
        self.history.convert(|text| registers::cpu_state(&text))
    }

    /// Such as `     1: v=0d e=001a i=0 cpl=0 IP=0008:c010004a pc=c010004a SP=0010:c03fffe4 env->regs[R_EAX]=c010200a`.
    fn delivery(&mut self, line: &str) -> Option<Delivery<String>> {
        let (number, fields) = line.split_once(": v=")?;
        number.trim_start().parse::<u64>().ok()?;
        let (vector, fields) = fields.split_once(' ')?;
        let field = |name: &str| registers::field(fields, name);
        let (vector, error_code) = (hex(vector)?, hex(field("e")?)?);
        let eip = hex(field("IP")?.split_once(':')?.1)?;
        let check = self.check.take();
        let source = match (std::mem::take(&mut self.is_hardware), hex(field("i")?)?) {
            (true, _) => Source::Hardware,
            (false, 1) => Source::Software,
            (false, _) => Source::Exception,
        };
        let during = check.and_then(|check| check.old);
        let raised = check.map(|check| check.new).filter(|&new| new != vector);
        Some(Delivery { vector, error_code, source, during, raised, eip, cpu: String::new() })
    }

    /// A line of the CPU's state: the last that is of use here begins with `CR0`.
    fn feed_state(&mut self, line: &str) {
        let Some(mut delivery) = self.open.take() else { return };
        delivery.cpu += line;
        delivery.cpu.push('\n');
        if line.starts_with("CR0=") {
            self.history.push(delivery);
        } else if delivery.cpu.len() <= STATE_LIMIT {
            self.open = Some(delivery);
        }
    }
}

/// The number that `word` is in hexadecimal, with `0x` or without. An emulator of 64-bit CPUs writes 16 digits.
fn hex(word: &str) -> Option<u32> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    u32::try_from(u64::from_str_radix(digits, 16).ok()?).ok()
}

/// Such as `check_exception old: 0xffffffff new 0xd`.
fn check(line: &str) -> Option<Check> {
    let (old, new) = line.strip_prefix("check_exception old: ")?.split_once(" new ")?;
    Some(Check { old: hex(old).filter(|&old| old != NONE), new: hex(new)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(log: &str) -> History {
        let mut reader = ExceptionLog::default();
        // The pieces in which a pipe hands it on begin and end anywhere.
        log.as_bytes().chunks(7).for_each(|bytes| reader.feed(bytes));
        reader.into_history()
    }

    #[test]
    fn a_log_is_read() {
        let history = read(include_str!("fixtures/idt_base.log"));
        let runs = history.runs();
        let [first, second, third] = runs[..] else { panic!("{runs:?}") };
        assert_eq!((first.first.vector, first.first.source), (6, Source::Exception));
        assert_eq!((first.first.during, first.first.raised), (None, None));
        assert_eq!((second.first.vector, second.first.cpu.cr2), (14, 0xdead_bf18));
        assert_eq!((third.first.vector, third.first.during, third.first.raised), (8, Some(14), Some(14)));
        assert_eq!((third.first.cpu.eip, third.first.cpu.idtr.base), (0xc010_0054, 0xdead_bee8));
        assert_eq!((third.first.cpu.gdtr.limit, third.first.cpu.cr3), (0x2f, 0x1000));
        assert_eq!(history.end, Some(14));
    }

    #[test]
    fn interrupts_are_told_from_exceptions() {
        let history = read(include_str!("fixtures/idt_interrupt.log"));
        let sources: Vec<(u32, u32, Source)> =
            history.runs().iter().map(|run| (run.first.vector, run.first.error_code, run.first.source)).collect();
        let expected = [(0x20, 0, Source::Hardware), (13, 0x102, Source::Exception), (8, 0, Source::Exception)];
        assert_eq!(sources, expected);
        let history = read(include_str!("fixtures/triple_fault.log"));
        assert_eq!(history.runs()[0].first.source, Source::Software);
    }

    #[test]
    fn an_emulator_of_64_bit_cpus_is_understood() {
        let log = include_str!("fixtures/idt_base.log").replace("IP=0008:c010", "IP=0008:00000000c010");
        assert_eq!(read(&log), read(include_str!("fixtures/idt_base.log")));
        assert_eq!(hex("00000000deadbeef"), Some(0xdead_beef));
        assert_eq!(hex("1deadbeef"), None);
    }

    #[test]
    fn a_log_that_is_cut_gives_what_is_whole() {
        let log = include_str!("fixtures/idt_base.log");
        let (before, _) = log.split_once("v=08").unwrap();
        let history = read(before);
        assert_eq!((history.runs().len(), history.end), (2, None));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(
            pieces in proptest::collection::vec((0_usize..6, ".{0,40}"), 0..60),
        ) {
            const LINES: [&str; 6] = ["check_exception old: 0x", "     1: v=", "CR0=", "Triple fault", "Servicing hardware INT=", ""];
            let log: String = pieces.iter().flat_map(|(kind, rest)| [LINES[*kind], rest, "\n"]).collect();
            prop_assert!(read(&log).runs().len() <= 60);
        }
    }
}
