//! Finds out whether the host's KVM can run 32-bit kernels, with a guest of a few instructions.
//!
//! Some can't although `/dev/kvm` opens and answers: those made for nested clouds emulate unpaged 32-bit code and know
//! neither 32-bit paging nor IRET.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, al, cr0, eax};
use kvm_ioctls::{VcpuExit, VcpuFd, VmFd};
use stos_image::PhysAddr;
use stos_x86::interrupts::{BREAKPOINT, Gate};
use stos_x86::paging::{Access, Entry};
use stos_x86::registers::{CR0_ET, CR0_PE, CR0_PG, CR4_PSE, EFLAGS_FIXED, EntryState, GeneralRegisters, TableRegister};
use stos_x86::segments::{Segment, Segments, TSS_SIZE};
use vmm_sys_util::signal::{Killable, SIGRTMIN};

use super::super::CpuModel;
use super::{cpuid, host, raw, register_kick_signal, registers};
use crate::machine::{GuestMemory, Sharing};

/// What the probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paging {
    /// Paging, an exception and the return from it work.
    Works,
    /// They do not; a clause says what happened.
    Fails(String),
}

const MEMORY_SIZE: u64 = 64 * 1024;
const CODE: u32 = 0x1000;
const HANDLER: u32 = 0x1100;
const PAGE_DIRECTORY: u32 = 0x2000;
const IDT: u32 = 0x3000;
const GDT: u32 = 0x4000;
const STACK_TOP: u32 = 0x8000;
const CODE_SELECTOR: u16 = 0x08;
const DATA_SELECTOR: u16 = 0x10;
/// Port and value with which the probe reports that it got to its end.
const REPORT_PORT: u16 = 0xe0;
const REPORT: u8 = 0x5a;
/// Longest time that the probe may take; it needs less than a millisecond where all is well.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a probe that got stuck is asked to leave.
const KICK_INTERVAL: Duration = Duration::from_millis(1);

/// Runs the probe guest.
pub fn probe() -> Paging {
    prepare().map_or_else(Paging::Fails, run_with_patience)
}

/// The probe guest: its CPU, and what must live as long as it.
struct Probe {
    vcpu: VcpuFd,
    _vm: VmFd,
    _memory: GuestMemory,
}

fn prepare() -> Result<Probe, String> {
    let memory = GuestMemory::new(MEMORY_SIZE, Sharing::Private).map_err(|error| error.to_string())?;
    let write =
        |address: u32, bytes: &[u8]| memory.write(PhysAddr(address.into()), bytes).map_err(|error| error.to_string());
    let assembled = |code: Result<Vec<u8>, IcedError>| code.map_err(|error| error.to_string());
    write(CODE, &assembled(program())?)?;
    write(HANDLER, &assembled(handler())?)?;
    write(PAGE_DIRECTORY, &Entry::big_page(0, Access::KERNEL).0.to_le_bytes())?;
    let gate = Gate::interrupt(CODE_SELECTOR, HANDLER).encode();
    write(IDT + 8 * u32::from(BREAKPOINT), &gate.to_le_bytes())?;
    let segments = entry_state().segments;
    for segment in [segments.cs, segments.ds] {
        write(GDT + u32::from(segment.selector), &segment.descriptor().to_le_bytes())?;
    }

    let kvm = host::open_device().map_err(|problem| problem.to_string())?;
    let vm = host::create_vm(&kvm).map_err(|problem| problem.to_string())?;
    let enter = || -> Result<VcpuFd, kvm_ioctls::Error> {
        vm.set_tss_address(super::TSS_ADDRESS)?;
        vm.set_identity_map_address(super::IDENTITY_MAP_ADDRESS)?;
        raw::add_memory(&vm, &memory)?;
        let vcpu = vm.create_vcpu(0)?;
        cpuid::set(&vcpu, CpuModel::Fixed)?;
        let entry = entry_state();
        vcpu.set_sregs(&registers::system(&entry, &vcpu.get_sregs()?))?;
        vcpu.set_regs(&registers::general(&entry))?;
        Ok(vcpu)
    };
    let vcpu = enter().map_err(|error| format!("a small guest can't be set up: {error}"))?;
    Ok(Probe { vcpu, _vm: vm, _memory: memory })
}

/// Turns on paging, takes an exception, comes back and reports.
fn program() -> Result<Vec<u8>, IcedError> {
    let mut asm = CodeAssembler::new(32)?;
    let mut paged = asm.create_label();
    asm.mov(eax, cr0)?;
    asm.or(eax, CR0_PG)?;
    asm.mov(cr0, eax)?;
    asm.jmp(paged)?;
    asm.set_label(&mut paged)?;
    asm.int3()?;
    asm.mov(al, u32::from(REPORT))?;
    asm.out(u32::from(REPORT_PORT), al)?;
    asm.hlt()?;
    asm.assemble(CODE.into())
}

/// Comes back from the exception.
fn handler() -> Result<Vec<u8>, IcedError> {
    let mut asm = CodeAssembler::new(32)?;
    asm.iretd()?;
    asm.assemble(HANDLER.into())
}

fn entry_state() -> EntryState {
    // The probe never changes its privilege level, but a busy TSS is what every processor's entry checks want.
    let task = Segment { selector: 0x18, base: 0, limit: TSS_SIZE - 1, access: Segment::BUSY_TSS_ACCESS };
    let code = Segment::flat(CODE_SELECTOR, Segment::CODE_ACCESS);
    let data = Segment::flat(DATA_SELECTOR, Segment::DATA_ACCESS);
    EntryState {
        general: GeneralRegisters { esp: STACK_TOP, ..Default::default() },
        eip: CODE,
        eflags: EFLAGS_FIXED,
        cr0: CR0_PE | CR0_ET,
        cr3: PAGE_DIRECTORY,
        cr4: CR4_PSE,
        gdtr: TableRegister { base: GDT, limit: 0x1f },
        idtr: TableRegister { base: IDT, limit: 0xff },
        segments: Segments::new(code, data, task),
    }
}

fn run_with_patience(mut probe: Probe) -> Paging {
    if register_kick_signal().is_err() {
        return Paging::Fails("a probe of it can't be watched".to_owned());
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = channel();
    let seen = Arc::clone(&stop);
    let spawned = thread::Builder::new().name("probe".to_owned()).spawn(move || {
        // The receiver waits for this or has lost patience.
        let _ = sender.send(run(&mut probe, &seen));
    });
    let Ok(thread) = spawned else { return Paging::Fails("a probe of it can't be started".to_owned()) };
    let result = match receiver.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Paging::Fails("a small guest that turns paging on never ends".to_owned()),
        Err(RecvTimeoutError::Disconnected) => Paging::Fails("a probe of it failed".to_owned()),
    };
    stop.store(true, Ordering::Release);
    while !thread.is_finished() {
        // Fails only when the thread has just ended.
        let _ = thread.kill(SIGRTMIN());
        thread::sleep(KICK_INTERVAL);
    }
    result
}

fn run(probe: &mut Probe, stop: &AtomicBool) -> Paging {
    loop {
        let why = match probe.vcpu.run() {
            Ok(VcpuExit::IoOut(REPORT_PORT, [REPORT])) => return Paging::Works,
            Ok(VcpuExit::Shutdown) => {
                "a small guest that turns paging on and takes an exception dies of a triple fault".to_owned()
            }
            Ok(VcpuExit::InternalError) => {
                "it can't execute a small guest that turns paging on and takes an exception".to_owned()
            }
            Ok(exit) => format!("a small guest that turns paging on ends with {exit:?}"),
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) && !stop.load(Ordering::Acquire) => {
                continue;
            }
            Err(error) => format!("a small guest that turns paging on can't be run: {error}"),
        };
        return Paging::Fails(why);
    }
}
