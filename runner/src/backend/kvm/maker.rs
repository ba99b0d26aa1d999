//! Opens KVM and puts a machine together on the thread that becomes its vCPU, while arguments and image are still being read.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use kvm_bindings::{KVM_PIT_SPEAKER_DUMMY, Msrs, kvm_msr_entry, kvm_pit_config};
use kvm_ioctls::{VcpuFd, VmFd};
use stos_x86::registers::EntryState;

use super::remains::Heir;
use super::{cpuid, host, raw, registers};
use crate::backend::{KvmProblem, KvmStep, StartError, build_tables};
use crate::machine::{CpuModel, GuestMemory};
use crate::sandbox::{self, Role};
use crate::timings::{Step, Timings};

/// Three pages that Intel's KVM needs for itself, in the guest's address space (KVM's api.rst, section 4.42). Here they
/// lie above all guest memory, where QEMU puts them, too.
pub const TSS_ADDRESS: usize = 0xfffb_d000;
/// One more page (KVM's api.rst, section 4.84), just below.
pub const IDENTITY_MAP_ADDRESS: u64 = 0xfffb_c000;
/// Mode 3 of the 8254: the whole count again and again, here the longest, 18.2 times a second.
const SQUARE_WAVE: u8 = 3;
/// `IA32_MCG_CAP`: ten banks and a control register (bit 8), as the emulator has it. Recovery by software (bit 24), which that has,
/// too, is not there on AMD's hosts.
const MACHINE_CHECK_CAPABILITIES: u64 = 0x10a;
/// `IA32_MISC_ENABLE` and its value, as the emulator has it: fast strings (bit 0).
const MISCELLANEOUS_FEATURES: (u32, u64) = (0x1a0, 1);

/// What is done with a CPU in its entry state, or without one.
pub type Work = Box<dyn FnOnce(Result<VcpuFd, StartError>) + Send>;

/// What a machine is made of besides a virtual machine without anything in it.
struct Plan {
    memory: Arc<GuestMemory>,
    entry: EntryState,
    cpu: CpuModel,
    timings: Timings,
}

/// Takes a plan and work to the thread that makes a machine. It looks at the first of each only.
#[derive(Debug)]
struct Orders {
    plan: Sender<Plan>,
    work: Sender<Work>,
}

/// The host's KVM while it is opened: nobody need know yet whether it is wanted. Dropping it drops what becomes of it.
#[derive(Debug)]
pub struct Opening {
    opened: Receiver<Result<Arc<VmFd>, KvmProblem>>,
    orders: Orders,
    thread: io::Result<JoinHandle<()>>,
}

/// A machine on KVM, empty or in the making. Dropping it drops the machine.
#[derive(Debug)]
pub struct KvmMachine {
    /// The machine.
    pub vm: Arc<VmFd>,
    /// Who takes care of what is left of it.
    pub heir: Heir,
    orders: Orders,
    thread: io::Result<JoinHandle<()>>,
    /// Gone when the thread has nothing to tell any more.
    opened: Receiver<Result<Arc<VmFd>, KvmProblem>>,
}

impl Opening {
    /// Begins to open KVM, on the thread that will be the CPU's.
    pub fn begin() -> Self {
        let (tell, opened) = channel();
        let (plan, planned) = channel::<Plan>();
        let (work, wanted) = channel::<Work>();
        let body = move || {
            let vm = match host::open() {
                Ok(vm) => Arc::new(vm),
                Err(problem) => {
                    // Nobody listens where KVM turned out not to be wanted.
                    let _ = tell.send(Err(problem));
                    // What is taken in its place.
                    return build_tables();
                }
            };
            let _ = tell.send(Ok(Arc::clone(&vm)));
            let Ok(Plan { memory, entry, cpu, timings }) = planned.recv() else {
                sandbox::enter(Role::Vcpu);
                return drop(tell);
            };
            let vcpu = assemble(&vm, &memory, &entry, cpu);
            timings.mark(Step::Assembled);
            // From here on, the thread needs next to nothing.
            sandbox::enter(Role::Vcpu);
            // Nobody has work when the image turns out to be damaged.
            if let Ok(work) = wanted.recv() {
                work(vcpu);
            }
        };
        let thread = thread::Builder::new().name("vcpu".to_owned()).spawn(body);
        Self { opened, orders: Orders { plan, work }, thread }
    }

    /// What [`KvmMachine::make`] does, before it is known whether there will be a machine.
    pub fn make(&self, memory: &Arc<GuestMemory>, entry: &EntryState, cpu: CpuModel, timings: &Timings) {
        self.orders.make(memory, entry, cpu, timings);
    }

    /// Waits until there is a machine.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn wait(self) -> Result<KvmMachine, KvmProblem> {
        let Self { opened, orders, thread } = self;
        // Here, where this thread would wait for that one.
        let heir = Heir::find();
        // Without the thread, there is no CPU, but whoever asks for one is told that.
        let vm = opened.recv().unwrap_or_else(|_| host::open().map(Arc::new))?;
        Ok(KvmMachine { vm, heir, orders, thread, opened })
    }
}

impl Orders {
    fn make(&self, memory: &Arc<GuestMemory>, entry: &EntryState, cpu: CpuModel, timings: &Timings) {
        let (memory, entry, timings) = (Arc::clone(memory), entry.clone(), timings.clone());
        // Fails only when KVM could not be opened, or the thread has panicked.
        let _ = self.plan.send(Plan { memory, entry, cpu, timings });
    }
}

impl KvmMachine {
    /// Begins to put the machine together, with a CPU of this model that is to enter `memory` at `entry`, unless that was begun
    /// before. What `memory` holds does not matter yet.
    pub fn make(&self, memory: &Arc<GuestMemory>, entry: &EntryState, cpu: CpuModel, timings: &Timings) {
        self.orders.make(memory, entry, cpu, timings);
    }

    /// Takes it apart, as nobody wants it. That takes a while, but the thread that does so has no rights to speak of from now on.
    pub fn dismiss(self) {
        drop(self.orders);
        let _ = self.opened.recv();
    }

    /// Has `work` done on the thread of the CPU, once that is there.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn finish(self, work: Work) -> io::Result<JoinHandle<()>> {
        let thread = self.thread?;
        // Fails only when it has panicked, and then nobody tells of the work.
        let _ = self.orders.work.send(work);
        Ok(thread)
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
