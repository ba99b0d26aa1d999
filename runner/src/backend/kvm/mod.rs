//! The host's KVM as a backend: one vCPU on a thread of its own, interrupt controllers and timer in the kernel.

mod cpuid;
mod host;
mod interrupts;
mod maker;
mod probe;
#[allow(unsafe_code)]
mod raw;
mod registers;
mod remains;
mod usable;
mod vcpu;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kvm_ioctls::{VcpuFd, VmFd};
use rustix::process::Pid;
use rustix::thread::gettid;
use stos_machine::devices::i8042::{KEYBOARD_IRQ, MOUSE_IRQ};
use stos_machine::devices::ports::PortBus;
use stos_machine::devices::rtc::{RTC_IRQ, Rtc};
use stos_machine::devices::uart::COM1_IRQ;
use stos_machine::devices::vga::Registers;
use vmm_sys_util::signal::register_signal_handler;

use super::guest::Requests;
use super::{CpuFailure, Ending, Guest, Link, ProcessStep, StartError};
use crate::channel::{Adapter, InputSink, KeySink};
use crate::devices::{Clock, InterruptLine, KeyboardPort, RtcPort, SerialPort, Shared, Vga};
use crate::machine::{Configuration, GuestMemory, Machine};
use crate::timings::{Step, Timings};
pub use maker::{KvmMachine, Opening};
use remains::Heir;
pub use remains::Remains;
pub use usable::usable;
use vcpu::Vcpu;

/// How often a vCPU is asked to leave the guest until it has.
const KICK_INTERVAL: Duration = Duration::from_millis(1);
/// How long a guest may take for its first exit before it is asked for one. What KVM can't run fails at once.
const ENTRY_PATIENCE: Duration = Duration::from_millis(5);

/// A guest on KVM.
#[derive(Debug)]
pub struct KvmGuest {
    serial: Arc<SerialPort<Irq>>,
    keyboard: Arc<KeyboardPort<Irq>>,
    vga: Vga,
    vm: Arc<VmFd>,
    /// The timer has been told what to do with ticks that the guest does not take.
    is_timer_told: bool,
    memory: Arc<GuestMemory>,
    heir: Heir,
    requests: Arc<Requests>,
    /// Told when the machine is put together, and then whether the guest could be entered. The vCPU's thread lets go of the other end
    /// when it ends.
    entered: Receiver<Result<Progress, StartError>>,
    thread: Option<JoinHandle<()>>,
    /// The kernel's number of that, once it has got so far.
    vcpu: Option<Pid>,
}

/// What a vCPU has come to at the beginning.
enum Progress {
    /// Its machine is put together, on this thread.
    Made(Pid),
    /// It was in the guest.
    Entered,
    /// It was, and the guest has ended by that, which is to be told.
    Exited(Ending, Box<dyn FnOnce(Ending) + Send>),
}

/// A wire into the kernel's interrupt controllers.
#[derive(Debug)]
struct Irq {
    vm: Arc<VmFd>,
    number: u32,
}

impl InterruptLine for Irq {
    fn set(&self, high: bool) {
        // Fails only without interrupt controllers, which `assemble` has made.
        let _ = self.vm.set_irq_line(self.number, high);
    }
}

impl KvmMachine {
    /// Puts `machine` together, unless that was begun before, and lets its guest run.
    ///
    /// # Errors
    /// Why that failed.
    pub fn start(
        self,
        machine: &Machine,
        configuration: Configuration,
        link: Link,
    ) -> Result<Box<dyn Guest>, StartError> {
        let entry = &machine.image.description().entry;
        self.make(&machine.memory, entry, configuration.cpu, &link.timings);
        Ok(Box::new(KvmGuest::start(self, machine, configuration, link)?))
    }
}

impl KvmGuest {
    /// Lets `machine` run, which is put together as `made`.
    fn start(
        made: KvmMachine,
        machine: &Machine,
        configuration: Configuration,
        link: Link,
    ) -> Result<Self, StartError> {
        let clock = configuration.clock;
        let (vm, heir) = (Arc::clone(&made.vm), made.heir);
        let irq = |number| Irq { vm: Arc::clone(&vm), number };
        let serial = Arc::new(SerialPort::new(irq(COM1_IRQ)));
        let keyboard = Arc::new(KeyboardPort::new(irq(KEYBOARD_IRQ), irq(MOUSE_IRQ)));
        let read = |address: u32| machine.memory.read(address.into()).map(|[byte]| byte);
        let vga = Vga::new(Registers::of_firmware(read));
        let begin = Instant::now();
        let shared = Shared {
            serial: Arc::clone(&serial),
            keyboard: Arc::clone(&keyboard),
            vga: vga.clone(),
            rtc: RtcPort::new(Rtc::new(clock.seconds(), machine.memory.size()), irq(RTC_IRQ), move || begin.elapsed()),
            output: Arc::clone(&link.output),
        };
        let bus = PortBus::new(shared, machine.places());
        let requests = Arc::new(Requests::default());

        register_kick_signal()?;
        let (memory, wanted) = (Arc::clone(&machine.memory), Arc::clone(&requests));
        let (sender, entered) = channel();
        let (timings, of_vcpu) = (link.timings, Arc::clone(&vm));
        // Whoever has started this waits for what is sent.
        let work = move |vcpu: Result<VcpuFd, StartError>| match vcpu {
            Ok(vcpu) => {
                let vcpu = Vcpu::new((of_vcpu, vcpu), bus, memory, wanted, link.observed);
                drop(sender.send(Ok(Progress::Made(gettid()))));
                run(vcpu, (&sender, &timings), link.ended);
            }
            Err(error) => drop(sender.send(Err(error))),
        };
        let thread =
            made.finish(Box::new(work)).map_err(|source| StartError::Process(ProcessStep::VcpuThread, source))?;
        let (memory, thread) = (Arc::clone(&machine.memory), Some(thread));
        let mut guest = Self {
            serial,
            keyboard,
            vga,
            vm,
            is_timer_told: false,
            memory,
            heir,
            requests,
            entered,
            thread,
            vcpu: None,
        };
        guest.wait_for_entry(machine)?;
        Ok(guest)
    }

    /// Waits until the vCPU was in the guest and came back: some KVMs show only then that they can't run it.
    fn wait_for_entry(&mut self, machine: &Machine) -> Result<(), StartError> {
        // Not asked for anything as long as it is being made: a signal ends some of what the kernel does for that.
        if let Ok(made) = self.entered.recv()
            && let Progress::Made(vcpu) = made?
        {
            self.vcpu = Some(vcpu);
        }
        let mut patience = ENTRY_PATIENCE;
        loop {
            match self.entered.recv_timeout(patience) {
                Ok(Err(failure)) => return Err(failure),
                Ok(Ok(Progress::Exited(ending, ended))) => {
                    // Before that exit, the guest has reached nobody. Here, where the image's file can still be read.
                    if machine.has_refused_paging() {
                        return Err(StartError::NotEntered(CpuFailure::PagingRefused));
                    }
                    ended(ending);
                    return Ok(());
                }
                // A thread that has panicked tells that elsewhere.
                Ok(Ok(_)) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                // A guest that runs need not come back by itself. One kick may come when it is not in the guest yet.
                Err(RecvTimeoutError::Timeout) => self.kick(),
            }
            patience = KICK_INTERVAL;
        }
    }

    /// Brings the vCPU out of the guest. One that halts never leaves the kernel by itself, so its thread can't see that. A kick
    /// that comes just before `KVM_RUN` is lost; the next one is not.
    fn kick(&self) {
        if let (Some(vcpu), Some(false)) = (self.vcpu, self.thread.as_ref().map(JoinHandle::is_finished)) {
            raw::interrupt(vcpu);
        }
    }
}

/// Runs the `vcpu` to its end and tells the session how that was. What came of its first entry is told to `entered`, and then nothing else
/// unless it goes on. Guest memory lives in `vcpu`, so it outlasts the last entry.
fn run<C: Clock>(
    mut vcpu: Vcpu<Irq, C>,
    (entered, timings): (&Sender<Result<Progress, StartError>>, &Timings),
    ended: Box<dyn FnOnce(Ending) + Send>,
) {
    timings.mark(Step::Entered);
    let first = catch_unwind(AssertUnwindSafe(|| vcpu.enter())).unwrap_or(Some(Ending::ThreadPanicked));
    timings.mark(Step::Left);
    // Whoever has started this waits for it.
    let tell = |progress| drop(entered.send(progress));
    match first {
        Some(Ending::CpuFailed(failure)) => return tell(Err(StartError::NotEntered(failure))),
        Some(exit @ Ending::Exit(_)) => {
            vcpu.report();
            return tell(Ok(Progress::Exited(exit, ended)));
        }
        _ => tell(Ok(Progress::Entered)),
    }
    let ending = catch_unwind(AssertUnwindSafe(|| vcpu.run(first))).unwrap_or(Some(Ending::ThreadPanicked));
    if let Some(ending) = ending {
        ended(ending);
    }
}

/// Makes the signal that kicks a vCPU harmless. Its arrival alone ends `KVM_RUN`.
fn register_kick_signal() -> Result<(), StartError> {
    extern "C" fn nothing(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
    register_signal_handler(raw::kick_signal(), nothing).map_err(|error| StartError::KickSignal(error.into()))
}

/// Brings the vCPU of a thread, once its number is known, back from the guest again and again, until the thread has seen that it is to end
/// and let go of the other end of `told`.
fn kick_until_ended<T>(vcpu: impl Fn() -> Option<Pid>, told: &Receiver<T>) {
    let mut patience = Duration::ZERO;
    loop {
        match told.recv_timeout(patience) {
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => vcpu().into_iter().for_each(raw::interrupt),
        }
        patience = KICK_INTERVAL;
    }
}

impl Guest for KvmGuest {
    fn input(&self) -> Arc<dyn InputSink> {
        Arc::clone(&self.serial) as Arc<dyn InputSink>
    }

    fn keyboard(&self) -> Arc<dyn KeySink> {
        Arc::clone(&self.keyboard) as Arc<dyn KeySink>
    }

    fn adapter(&self) -> Arc<dyn Adapter> {
        Arc::new(self.vga.clone())
    }

    fn tick(&mut self) {
        // Not at the start: the kernel waits for a grace period here, which was measured to take 12 ms. A guest that ends
        // before its first tick loses none.
        if !self.is_timer_told {
            self.is_timer_told = true;
            // Where KVM can't, ticks are made up for.
            let _ = raw::drop_lost_ticks(&self.vm);
        }
        self.kick();
    }

    fn take_samples(&mut self) {
        self.requests.take_samples(self.thread.as_ref(), || self.kick());
    }

    fn stop(&mut self) {
        self.requests.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            kick_until_ended(|| self.vcpu, &self.entered);
            // A panic in it has been reported as an outcome.
            let _ = thread.join();
        }
    }

    fn remains(&self) -> Option<Remains> {
        Some(Remains::new(&self.vm, &self.memory, self.heir))
    }
}

impl Drop for KvmGuest {
    fn drop(&mut self) {
        self.stop();
    }
}
