//! Finds out whether the host's KVM can run 32-bit kernels, with a guest of a few instructions.
//!
//! Some can't although `/dev/kvm` opens and answers: those made for nested clouds emulate unpaged 32-bit code and know
//! neither 32-bit paging nor IRET.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{io, thread};

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, al, cr0, eax};
use kvm_ioctls::{VcpuExit, VcpuFd, VmFd};
use rustix::thread::gettid;
use stos_image::PhysAddr;
use stos_x86::interrupts::{BREAKPOINT, Gate};
use stos_x86::paging::{Access, Entry};
use stos_x86::registers::{CR0_ET, CR0_PE, CR0_PG, CR4_PSE, EFLAGS_FIXED, EntryState, GeneralRegisters, TableRegister};
use stos_x86::segments::{Segment, Segments};
use stos_x86::tasks::TSS_SIZE;

use super::{cpuid, host, kick_until_ended, maker, raw, register_kick_signal, registers};
use crate::backend::ProbeFailure;
use crate::machine::{CpuModel, GuestMemory, Sharing};

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

/// Runs the probe guest.
///
/// # Errors
/// What it shows to be wrong.
pub fn probe() -> Result<(), ProbeFailure> {
    run_with_patience(prepare()?)
}

/// The probe guest: its CPU, and what must live as long as it.
struct Probe {
    vcpu: VcpuFd,
    _vm: VmFd,
    _memory: GuestMemory,
}

fn prepare() -> Result<Probe, ProbeFailure> {
    let memory = GuestMemory::new(MEMORY_SIZE, Sharing::Private).map_err(ProbeFailure::NoMemory)?;
    let write =
        |address: u32, bytes: &[u8]| memory.write(PhysAddr(address.into()), bytes).map_err(ProbeFailure::NoMemory);
    let not_assembled = |error| ProbeFailure::NotAssembled(io::Error::other::<IcedError>(error));
    write(CODE, &program().map_err(not_assembled)?)?;
    write(HANDLER, &handler().map_err(not_assembled)?)?;
    write(PAGE_DIRECTORY, &Entry::big_page(0, Access::KERNEL).0.to_le_bytes())?;
    let gate = Gate::interrupt(CODE_SELECTOR, HANDLER).encode();
    write(IDT + 8 * u32::from(BREAKPOINT), &gate.to_le_bytes())?;
    let segments = entry_state().segments;
    for segment in [segments.cs, segments.ds] {
        write(GDT + u32::from(segment.selector), &segment.descriptor().to_le_bytes())?;
    }

    let kvm = host::open_device().map_err(ProbeFailure::Problem)?;
    let vm = host::create_vm(&kvm).map_err(ProbeFailure::Problem)?;
    let enter = || -> Result<VcpuFd, kvm_ioctls::Error> {
        vm.set_tss_address(maker::TSS_ADDRESS)?;
        vm.set_identity_map_address(maker::IDENTITY_MAP_ADDRESS)?;
        raw::add_memory(&vm, &memory)?;
        let vcpu = vm.create_vcpu(0)?;
        cpuid::set(&vcpu, CpuModel::Fixed)?;
        let entry = entry_state();
        vcpu.set_sregs(&registers::system(&entry, &vcpu.get_sregs()?))?;
        vcpu.set_regs(&registers::general(&entry))?;
        Ok(vcpu)
    };
    let vcpu = enter().map_err(|error| ProbeFailure::NotAssembled(error.into()))?;
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

fn run_with_patience(mut probe: Probe) -> Result<(), ProbeFailure> {
    if register_kick_signal().is_err() {
        return Err(ProbeFailure::NotWatched);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = channel();
    let (seen, number) = (Arc::clone(&stop), Arc::new(OnceLock::new()));
    let vcpu = Arc::clone(&number);
    let spawned = thread::Builder::new().name("probe".to_owned()).spawn(move || {
        // Nobody else sets it.
        let _ = vcpu.set(gettid());
        // The receiver waits for this or has lost patience.
        let _ = sender.send(run(&mut probe, &seen));
    });
    if spawned.is_err() {
        return Err(ProbeFailure::NotStarted);
    }
    let result = match receiver.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(ProbeFailure::Endless),
        Err(RecvTimeoutError::Disconnected) => Err(ProbeFailure::Lost),
    };
    stop.store(true, Ordering::Release);
    kick_until_ended(|| number.get().copied(), &receiver);
    result
}

fn run(probe: &mut Probe, stop: &AtomicBool) -> Result<(), ProbeFailure> {
    loop {
        return Err(match probe.vcpu.run() {
            Ok(VcpuExit::IoOut(REPORT_PORT, [REPORT])) => return Ok(()),
            Ok(VcpuExit::Shutdown) => ProbeFailure::TripleFault,
            Ok(VcpuExit::InternalError) => ProbeFailure::InternalError,
            Ok(exit) => ProbeFailure::UnexpectedExit(format!("{exit:?}")),
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) && !stop.load(Ordering::Acquire) => {
                continue;
            }
            Err(error) => ProbeFailure::NotRun(error.into()),
        });
    }
}
