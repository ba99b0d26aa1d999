//! The ports of a machine with all of its devices, and the ends of these that are outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stos_machine::devices::i8042::ScanCode;
use stos_machine::devices::ports::{Places, PortBus};
use stos_machine::devices::rtc::Rtc;

use crate::channel::{Adapter, InputSink, KeySink, OutputPipe};
use crate::devices::{Absent, Clock, InterruptLine, KeyboardPort, RtcPort, SerialPort, Shared, Vga};
use crate::outcome::{sought, unseen};
use crate::screen::{Drawn, Frame};

/// Bytes that the other end of the serial line sends in all.
const INPUT: usize = 4096;
/// Bytes of keys that may wait.
const KEYS: usize = 8;

/// A line that counts how often it rises.
struct Line(Arc<AtomicU64>);

impl InterruptLine for Line {
    fn set(&self, high: bool) {
        self.0.fetch_add(u64::from(high), Ordering::Relaxed);
    }
}

/// A machine without CPU and memory.
pub struct Ports {
    bus: PortBus<Shared<Line, Box<dyn Clock>>>,
    serial: Arc<SerialPort<Line>>,
    keyboard: Arc<KeyboardPort<Line>>,
    vga: Vga,
    output: Arc<OutputPipe>,
    nanoseconds: Arc<AtomicU64>,
    interrupts: Arc<AtomicU64>,
    exit_port: u16,
    sent: usize,
}

impl Ports {
    /// A machine with these ports of its image's, whose clock begins at `start` seconds since 1970. Its time is what
    /// [`Ports::pass`] says.
    pub fn new(exit_port: u16, fault_port: Option<u16>, start: u64, memory_size: u64) -> Self {
        let (nanoseconds, interrupts) = <(Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let line = || Line(Arc::clone(&interrupts));
        let time = Arc::clone(&nanoseconds);
        let clock: Box<dyn Clock> = Box::new(move || Duration::from_nanos(time.load(Ordering::Relaxed)));
        let serial = Arc::new(SerialPort::new(line()));
        let keyboard = Arc::new(KeyboardPort::new(line(), line()));
        let (vga, output) = (Vga::default(), Arc::new(OutputPipe::default()));
        let devices = Shared {
            serial: Arc::clone(&serial),
            keyboard: Arc::clone(&keyboard),
            vga: vga.clone(),
            rtc: RtcPort::new(Rtc::new(start, memory_size), line(), clock),
            output: Arc::clone(&output),
        };
        let bus = PortBus::new(devices, Places { exit_port, fault_port });
        Self { bus, serial, keyboard, vga, output, nanoseconds, interrupts, exit_port, sent: 0 }
    }

    /// The guest reads.
    pub fn read(&mut self, port: u16, width: usize, data: &mut [u8]) {
        self.bus.read(port, width, data);
    }

    /// The guest writes; true when that ends the run.
    pub fn write(&mut self, port: u16, width: usize, data: &[u8]) -> bool {
        self.bus.write(port, width, data).is_some()
    }

    /// Time passes.
    pub fn pass(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        // As long as a machine can run.
        let _ = self.nanoseconds.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            Some(now.saturating_add(nanoseconds).min(u64::MAX / 4))
        });
    }

    /// The other end of the serial line sends, where there is room.
    pub fn send(&mut self, bytes: &[u8]) {
        // One that sends more waits.
        let room = INPUT.saturating_sub(self.sent).min(bytes.len());
        self.sent += room;
        self.serial.push(&bytes[..room]);
    }

    /// A key goes down or up.
    pub fn press(&self, code: u8, extended: bool, pressed: bool) {
        if self.keyboard.access(|controller| controller.waiting()) < KEYS {
            self.keyboard.press(&[ScanCode { code: code & 0x7f, extended, pressed }]);
        }
    }

    /// Takes what was printed. From then on, nothing more is printed.
    pub fn take_output(&self) -> usize {
        self.output.finish();
        self.output.take(Instant::now()).into_iter().flatten().map(|(_, bytes)| bytes.len()).sum()
    }

    /// How often a device has raised its line.
    pub fn interrupts(&self) -> u64 {
        self.interrupts.load(Ordering::Relaxed)
    }

    /// What is told of the guest in the end: the screen that its `text` memory gives, and what it has sought in vain.
    ///
    /// # Panics
    /// When the log of accesses makes no sense.
    pub fn tell(&self, text: &[u8]) -> Vec<String> {
        let frame = Frame::new(text, self.vga.start(), self.vga.cursor());
        let drawn = Drawn { is_shown: !frame.text().is_empty(), ..Drawn::default() };
        let absent = Absent::of_bus(&self.bus, self.vga.registers().is_graphics());
        let (unknown, _) = self.bus.log().unknown();
        assert!(unknown.iter().all(|(access, count)| (1..=4).contains(&access.width) && *count > 0));
        let mut lines = unseen(&drawn, &absent);
        lines.extend(sought(&absent, self.exit_port));
        lines.extend(frame.text().lines().map(str::to_owned));
        lines
    }
}
