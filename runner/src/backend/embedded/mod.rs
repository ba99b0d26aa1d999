//! The machine that is part of this program as a backend: it runs on a thread of its own.

mod deliveries;
mod lines;
mod peripherals;
mod runner;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use lines::{Line, Lines, VirtualTime};
use peripherals::Peripherals;
use runner::Runner;

use super::guest::Requests;
use super::{Ending, Guest, Link, ProcessStep, Remains, StartError};
use crate::channel::{Adapter, InputSink, KeySink};
use crate::devices::{
    COM1_IRQ, Devices, I8042, KEYBOARD_IRQ, KeyboardPort, MOUSE_IRQ, PortBus, RTC_IRQ, Rtc, RtcPort, SerialPort, Uart,
    Vga,
};
use crate::machine::{Configuration, Machine};
use crate::sandbox::{self, Role};

/// A guest on the embedded machine.
#[derive(Debug)]
pub struct EmbeddedGuest {
    serial: Arc<SerialPort<Line>>,
    keyboard: Arc<KeyboardPort<Line>>,
    vga: Vga,
    requests: Arc<Requests>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedGuest {
    /// Lets `machine` run.
    pub(super) fn start(machine: &Machine, configuration: Configuration, link: Link) -> Result<Self, StartError> {
        let (lines, time) = (Lines::default(), VirtualTime::default());
        let serial = Arc::new(SerialPort::new(Uart::new(lines.line(COM1_IRQ))));
        let keyboard = Arc::new(KeyboardPort::new(I8042::new(lines.line(KEYBOARD_IRQ), lines.line(MOUSE_IRQ))));
        let vga = Vga::new(|address| machine.memory.read(address.into()).map(|[byte]| byte));
        let description = machine.image.description();
        let seen = time.clone();
        let clock = move || seen.get();
        let rtc = Rtc::new(lines.line(RTC_IRQ), configuration.clock.seconds(), machine.memory.size(), clock);
        let bus = PortBus::new(Devices {
            serial: Arc::clone(&serial),
            keyboard: Arc::clone(&keyboard),
            vga: vga.clone(),
            rtc: RtcPort::polled(rtc),
            output: Arc::clone(&link.output),
            exit_port: description.run.exit_port,
            fault_port: description.fault_catcher.as_ref().map(|catcher| catcher.port),
        });
        let requests = Arc::new(Requests::default());
        let peripherals = Peripherals::new(bus, lines, time);
        let runner = Runner::new(machine, peripherals, Arc::clone(&requests), link.observed);
        let body = move || {
            let ending = catch_unwind(AssertUnwindSafe(|| runner.run())).unwrap_or(Some(Ending::ThreadPanicked));
            if let Some(ending) = ending {
                (link.ended)(ending);
            }
        };
        let thread = sandbox::spawn(Role::Vcpu, "vcpu", body)
            .map_err(|source| StartError::Process(ProcessStep::VcpuThread, source))?;
        Ok(Self { serial, keyboard, vga, requests, thread: Some(thread) })
    }
}

impl Guest for EmbeddedGuest {
    fn input(&self) -> Arc<dyn InputSink> {
        Arc::clone(&self.serial) as Arc<dyn InputSink>
    }

    fn keyboard(&self) -> Arc<dyn KeySink> {
        Arc::clone(&self.keyboard) as Arc<dyn KeySink>
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        Arc::new(self.vga.clone())
    }

    fn tick(&mut self) {}

    fn take_samples(&mut self) {
        self.requests.take_samples(self.thread.as_ref(), || {});
    }

    fn stop(&mut self) {
        self.requests.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported as an outcome.
            let _ = thread.join();
        }
    }

    fn remains(&self) -> Option<Remains> {
        None
    }
}

impl Drop for EmbeddedGuest {
    fn drop(&mut self) {
        self.stop();
    }
}
