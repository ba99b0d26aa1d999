//! The machine that is part of this program as a backend: it runs on a thread of its own.

mod deliveries;
mod feed;
mod inbox;
mod limits;
mod pace;
mod runner;
mod virtual_time;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use feed::Feed;
use inbox::{Inbox, KeyEnd, SerialEnd};
use limits::Limits;
use pace::Pacer;
use runner::{Runner, Surroundings};
use stos_machine::devices::peripherals::Peripherals;
use stos_machine::devices::rtc::Rtc;
use stos_machine::devices::vga::Registers;
use virtual_time::VirtualTime;

use super::guest::Requests;
use super::{Ending, Guest, Link, ProcessStep, Remains, StartError};
use crate::channel::{Adapter, InputSink, KeySink};
use crate::devices::Vga;
use crate::machine::{Configuration, InputSource, Machine};
use crate::sandbox::{self, Role};

/// Somebody builds the tables of instructions, or has.
static HAS_BUILDER: AtomicBool = AtomicBool::new(false);

/// Builds the tables that the machine decodes instructions with, if nobody has begun to.
pub fn build_tables() {
    if !HAS_BUILDER.swap(true, Ordering::Relaxed) {
        stos_machine::build_tables();
    }
}

/// Has them built on a thread of its own: until the image is in memory, nobody needs them. It has done all that it does before the guest's
/// first instruction, which waits for them.
pub fn begin_tables() {
    if !HAS_BUILDER.swap(true, Ordering::Relaxed) {
        // Without the thread, that instruction builds them.
        let _ = Builder::new().name("tables".to_owned()).spawn(stos_machine::build_tables);
    }
}

/// A guest on the embedded machine.
#[derive(Debug)]
pub struct EmbeddedGuest {
    inbox: Arc<Inbox>,
    time: VirtualTime,
    vga: Vga,
    requests: Arc<Requests>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedGuest {
    /// Lets `machine` run.
    pub(super) fn start(machine: &Machine, configuration: Configuration, link: Link) -> Result<Self, StartError> {
        let time = VirtualTime::default();
        let adapter = Registers::of_firmware(|address| machine.memory.read(address.into()).map(|[byte]| byte));
        let clock = Rtc::new(configuration.clock.seconds(), machine.memory.size());
        let vga = Vga::new(adapter);
        let requests = Arc::new(Requests::default());
        let inbox = Arc::new(Inbox::default());
        if link.source == InputSource::Nothing {
            inbox.end();
        }
        let peripherals = Peripherals::new(machine.places(), clock, adapter);
        let feed = Feed::new(Arc::clone(&inbox), link.source, link.observed.clone());
        let around = Surroundings {
            requests: Arc::clone(&requests),
            observed: link.observed,
            output: link.output,
            watcher: link.watcher,
            vga: vga.clone(),
            time: time.clone(),
            limits: Limits::new(link.allotment),
            pacer: Pacer::new(configuration.pace, link.source),
            feed,
        };
        let runner = Runner::new(machine, peripherals, around);
        let body = move || {
            let ending = catch_unwind(AssertUnwindSafe(|| runner.run())).unwrap_or(Some(Ending::ThreadPanicked));
            if let Some(ending) = ending {
                (link.ended)(ending);
            }
        };
        let thread = sandbox::spawn(Role::Vcpu, "vcpu", body)
            .map_err(|source| StartError::Process(ProcessStep::VcpuThread, source))?;
        Ok(Self { inbox, time, vga, requests, thread: Some(thread) })
    }
}

impl Guest for EmbeddedGuest {
    fn input(&self) -> Arc<dyn InputSink> {
        Arc::new(SerialEnd(Arc::clone(&self.inbox)))
    }

    fn keyboard(&self) -> Arc<dyn KeySink> {
        Arc::new(KeyEnd(Arc::clone(&self.inbox)))
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        Arc::new(self.vga.clone())
    }

    fn own_time(&self) -> Option<u64> {
        u64::try_from(self.time.get().as_nanos()).ok()
    }

    fn tick(&mut self) {}

    fn take_samples(&mut self) {
        self.requests.take_samples(self.thread.as_ref(), || {});
    }

    fn stop(&mut self) {
        self.requests.stop.store(true, Ordering::Release);
        self.inbox.close();
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
