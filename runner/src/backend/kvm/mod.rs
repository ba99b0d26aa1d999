//! The host's KVM as a backend: one vCPU on a thread of its own, interrupt controllers and timer in the kernel.

mod cpuid;
pub mod host;
mod interrupts;
pub mod probe;
#[allow(unsafe_code)]
mod raw;
mod registers;
mod vcpu;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kvm_bindings::{KVM_PIT_SPEAKER_DUMMY, Msrs, kvm_msr_entry, kvm_pit_config};
use kvm_ioctls::{VcpuFd, VmFd};
use stos_x86::registers::EntryState;
use vmm_sys_util::signal::{Killable, SIGRTMIN, register_signal_handler};

use super::guest::{Requests, SAMPLE_GAP, SAMPLE_PATIENCE};
use super::{CpuFailure, Ending, Guest, KvmStep, Link, ProcessStep, SAMPLES, StartError};
use crate::channel::{Adapter, InputSink, KeySink};
use crate::devices::{
    COM1_IRQ, Clock, Devices, I8042, InterruptLine, KEYBOARD_IRQ, KeyboardPort, MOUSE_IRQ, PortBus, RTC_IRQ, Rtc,
    RtcPort, SerialPort, Uart, Vga,
};
use crate::machine::{Configuration, CpuModel, GuestMemory, Machine};
use vcpu::Vcpu;

/// Three pages that Intel's KVM needs for itself, in the guest's address space (KVM's api.rst, section 4.42). Here they
/// lie above all guest memory, where QEMU puts them, too.
const TSS_ADDRESS: usize = 0xfffb_d000;
/// One more page (KVM's api.rst, section 4.84), just below.
const IDENTITY_MAP_ADDRESS: u64 = 0xfffb_c000;
/// Mode 3 of the 8254: the whole count again and again, here the longest, 18.2 times a second.
const SQUARE_WAVE: u8 = 3;
/// `IA32_MCG_CAP`: ten banks and a control register (bit 8), as the emulator has it. Recovery by software (bit 24), which that has,
/// too, is not there on AMD's hosts.
const MACHINE_CHECK_CAPABILITIES: u64 = 0x10a;
/// `IA32_MISC_ENABLE` and its value, as the emulator has it: fast strings (bit 0).
const MISCELLANEOUS_FEATURES: (u32, u64) = (0x1a0, 1);
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
    requests: Arc<Requests>,
    thread: Option<JoinHandle<()>>,
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

impl KvmGuest {
    /// Puts `machine` together in `vm` and lets it run.
    pub(super) fn start(
        vm: VmFd,
        machine: &Machine,
        configuration: Configuration,
        link: Link,
    ) -> Result<Self, StartError> {
        let Configuration { clock, cpu } = configuration;
        let vcpu = assemble(&vm, &machine.memory, &machine.image.description().entry, cpu)?;
        let vm = Arc::new(vm);
        let irq = |number| Irq { vm: Arc::clone(&vm), number };
        let serial = Arc::new(SerialPort::new(Uart::new(irq(COM1_IRQ))));
        let keyboard = Arc::new(KeyboardPort::new(I8042::new(irq(KEYBOARD_IRQ), irq(MOUSE_IRQ))));
        let vga = Vga::new(|address| machine.memory.read(address.into()).map(|[byte]| byte));
        let begin = Instant::now();
        let description = machine.image.description();
        let bus = PortBus::new(Devices {
            serial: Arc::clone(&serial),
            keyboard: Arc::clone(&keyboard),
            vga: vga.clone(),
            rtc: RtcPort::new(Rtc::new(irq(RTC_IRQ), clock.seconds(), machine.memory.size(), move || begin.elapsed())),
            output: Arc::clone(&link.output),
            exit_port: description.run.exit_port,
            fault_port: description.fault_catcher.as_ref().map(|catcher| catcher.port),
        });
        let requests = Arc::new(Requests::default());

        register_kick_signal()?;
        let (memory, wanted) = (Arc::clone(&machine.memory), Arc::clone(&requests));
        let vcpu = Vcpu::new((Arc::clone(&vm), vcpu), bus, memory, wanted, link.observed.clone());
        let (sender, entered) = channel();
        let entering = machine.clone();
        let thread = thread::Builder::new()
            .name("vcpu".to_owned())
            .spawn(move || run(vcpu, &entering, &sender, link.ended))
            .map_err(|source| StartError::Process(ProcessStep::VcpuThread, source))?;
        let guest = Self { serial, keyboard, vga, vm, is_timer_told: false, requests, thread: Some(thread) };
        guest.wait_for_entry(&entered)?;
        Ok(guest)
    }

    /// Waits until the vCPU was in the guest and came back: some KVMs show only then that they can't run it.
    fn wait_for_entry(&self, entered: &Receiver<Result<(), CpuFailure>>) -> Result<(), StartError> {
        let mut patience = ENTRY_PATIENCE;
        loop {
            match entered.recv_timeout(patience) {
                Ok(Err(failure)) => return Err(StartError::NotEntered(failure)),
                // A thread that has panicked tells that elsewhere.
                Ok(Ok(())) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                // A guest that runs need not come back by itself. One kick may come when it is not in the guest yet.
                Err(RecvTimeoutError::Timeout) => self.kick(),
            }
            patience = KICK_INTERVAL;
        }
    }

    /// Brings the vCPU out of the guest. One that halts never leaves the kernel by itself, so its thread can't see that. A kick
    /// that comes just before `KVM_RUN` is lost; the next one is not.
    fn kick(&self) {
        if let Some(thread) = self.thread.as_ref().filter(|thread| !thread.is_finished()) {
            // Fails only when the thread has ended since.
            let _ = thread.kill(SIGRTMIN());
        }
    }
}

/// Runs the `vcpu` of `machine` to its end and tells the session how that was. Whether it could be entered is told to `entered`,
/// and then nothing else if not. Guest memory lives in `vcpu`, so it outlasts the last entry.
fn run<C: Clock>(
    mut vcpu: Vcpu<Irq, C>,
    machine: &Machine,
    entered: &Sender<Result<(), CpuFailure>>,
    ended: Box<dyn FnOnce(Ending) + Send>,
) {
    // Whoever has started this waits for it.
    let tell = |is_entered| drop(entered.send(is_entered));
    let ending = catch_unwind(AssertUnwindSafe(|| match vcpu.enter() {
        Some(Ending::CpuFailed(failure)) => {
            tell(Err(failure));
            None
        }
        // Before this exit, the guest has reached nobody.
        Some(Ending::Exit(_)) if machine.has_refused_paging() => {
            vcpu.report();
            tell(Err(CpuFailure::PagingRefused));
            None
        }
        first => {
            tell(Ok(()));
            vcpu.run(first)
        }
    }));
    if let Some(ending) = ending.unwrap_or(Some(Ending::ThreadPanicked)) {
        ended(ending);
    }
}

/// Makes the machine, in the order that KVM wants, and returns its CPU, about to execute the guest's first instruction.
fn assemble(vm: &VmFd, memory: &GuestMemory, entry: &EntryState, cpu: CpuModel) -> Result<VcpuFd, StartError> {
    // Both before the first vCPU: Intel's KVM uses them to run what the processor can't run as it is.
    at(KvmStep::SetTssAddress, vm.set_tss_address(TSS_ADDRESS))?;
    at(KvmStep::SetIdentityMapAddress, vm.set_identity_map_address(IDENTITY_MAP_ADDRESS))?;

    // Before the interrupt controllers: with them in place, the kernel waits for a grace period when memory changes, which
    // was measured to take 5 ms.
    at(KvmStep::SetUserMemoryRegion, raw::add_memory(vm, memory))?;

    // Before the vCPU, whose local APIC is otherwise made in the wrong place.
    at(KvmStep::CreateIrqChip, vm.create_irq_chip())?;
    // The flag has the kernel answer port 0x61 as well; guests use it to measure the timer.
    let timer = kvm_pit_config { flags: KVM_PIT_SPEAKER_DUMMY, ..Default::default() };
    at(KvmStep::CreatePit, vm.create_pit2(timer))?;
    // It runs from the start, as on every PC, and all its counters as in the emulator: KVM's wait to be programmed otherwise.
    let mut timer = at(KvmStep::GetPit, vm.get_pit2())?;
    timer.channels.iter_mut().for_each(|counter| counter.mode = SQUARE_WAVE);
    at(KvmStep::SetPit, vm.set_pit2(&timer))?;

    let vcpu = at(KvmStep::CreateVcpu, vm.create_vcpu(0))?;
    // Before the system registers: CPUID says which of their bits may be set.
    at(KvmStep::SetCpuid, cpuid::set(&vcpu, cpu))?;
    // A KVM that has other banks shows its own.
    let _ = raw::set_machine_check_capabilities(&vcpu, MACHINE_CHECK_CAPABILITIES);
    // So does one that does not let this be set.
    let (index, data) = MISCELLANEOUS_FEATURES;
    let register = kvm_msr_entry { index, data, ..Default::default() };
    let _ = Msrs::from_entries(&[register]).map(|registers| vcpu.set_msrs(&registers));
    let reset = at(KvmStep::GetSregs, vcpu.get_sregs())?;
    at(KvmStep::SetSregs, vcpu.set_sregs(&registers::system(entry, &reset)))?;
    at(KvmStep::SetRegs, vcpu.set_regs(&registers::general(entry)))?;
    at(KvmStep::SetFpu, vcpu.set_fpu(&registers::fpu()))?;
    Ok(vcpu)
}

/// Names the step that failed.
fn at<T>(step: KvmStep, result: Result<T, kvm_ioctls::Error>) -> Result<T, StartError> {
    result.map_err(|error| StartError::Kvm(step, error.into()))
}

/// Makes the signal that kicks a vCPU harmless. Its arrival alone ends `KVM_RUN`.
fn register_kick_signal() -> Result<(), StartError> {
    extern "C" fn nothing(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}
    register_signal_handler(SIGRTMIN(), nothing).map_err(|error| StartError::KickSignal(error.into()))
}

/// Brings the vCPU of `thread` back from the guest again and again, until the thread has seen that it is to end.
fn kick_until_ended(thread: &JoinHandle<()>) {
    while !thread.is_finished() {
        // Fails only when the thread has just ended.
        let _ = thread.kill(SIGRTMIN());
        thread::sleep(KICK_INTERVAL);
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
        let patience = Instant::now() + SAMPLE_PATIENCE;
        for _ in 0..SAMPLES {
            self.requests.sample.store(true, Ordering::Release);
            let has_ended = || self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            while self.requests.sample.load(Ordering::Acquire) && !has_ended() && Instant::now() < patience {
                self.kick();
                thread::sleep(KICK_INTERVAL);
            }
            if has_ended() {
                return;
            }
            thread::sleep(SAMPLE_GAP);
        }
    }

    fn stop(&mut self) {
        self.requests.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            kick_until_ended(&thread);
            // A panic in it has been reported as an outcome.
            let _ = thread.join();
        }
    }
}

impl Drop for KvmGuest {
    fn drop(&mut self) {
        self.stop();
    }
}
