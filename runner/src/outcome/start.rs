//! What is said of the beginning of a run: which backend executes it and why, or why none does.

use std::io;
use std::path::Path;

use stos_image::ImageError;
use stos_pack::diagnostics::{describe, for_shell};

use super::ending::USE_EMBEDDED;
use super::{Outcome, conclude};
use crate::backend::{
    Backend, BackendKind, Choice, Ending, KvmCapability, KvmProblem, KvmStep, NoBackend, NoEmulator, NoKvm, NotBegun,
    ProbeFailure, ProcessStep, Reason, StartError, Unconfined,
};
use crate::machine::load::LoadError;
use crate::machine::{CpuModel, Free, Machine, Pace};

/// What to do when no emulator is installed.
const HOW_TO_INSTALL_EMULATOR: &str = "no emulator is installed: neither qemu-system-i386 nor qemu-system-x86_64 is in PATH \
    (Debian and Ubuntu: `sudo apt-get install qemu-system-x86`, Fedora: `sudo dnf install qemu-system-x86-core`, Arch: \
    `sudo pacman -S qemu-system-x86`)";

/// Why no emulator is started.
pub const ONLY_ON_LINUX: &str = "QEMU is started on Linux only, where it can be confined";

/// Why there is no KVM.
const ONLY_LINUX_HAS_KVM: &str = "only Linux on x86 has KVM";

/// Which backend was chosen and why, in a line that fits on a terminal.
pub fn short_reason(choice: &Choice) -> String {
    let runner = program(&choice.backend);
    match &choice.reason {
        Reason::Asked => format!("running on {runner}, as asked"),
        Reason::VendorModule(name) => format!("running on {runner}: module {name}"),
        Reason::Probed(None) => format!("running on {runner}: probed"),
        Reason::Probed(Some(name)) => format!("running on {runner}: module {name}, probed"),
        Reason::NoKvm(why) => format!("running on {runner}: {}", short_no_kvm(why)),
    }
}

/// Why KVM is not taken, in a few words.
fn short_no_kvm(why: &NoKvm) -> &'static str {
    match why {
        NoKvm::NoPaging { .. } => "this KVM can't run 32-bit kernels",
        NoKvm::Problem(problem) => match problem {
            KvmProblem::OtherSystem => ONLY_LINUX_HAS_KVM,
            KvmProblem::Missing => "there is no /dev/kvm",
            KvmProblem::NoDriver => "no KVM behind /dev/kvm",
            KvmProblem::Forbidden { .. } => "this user may not open /dev/kvm",
            KvmProblem::Refused => "the system lets no one open /dev/kvm",
            KvmProblem::NotOpened(_) => "/dev/kvm can't be opened",
            KvmProblem::NotKvm(_) => "/dev/kvm is no KVM",
            KvmProblem::ApiVersion { .. } => "this KVM is of another version",
            KvmProblem::Capability(_) => "this KVM lacks a capability",
            KvmProblem::NoVm(_) => "this KVM makes no virtual machine",
        },
    }
}

/// Which backend was chosen and why.
pub fn reason(choice: &Choice) -> String {
    let the = if choice.backend.kind() == BackendKind::Emulated { "the emulator " } else { "" };
    let runner = format!("{the}{}", program(&choice.backend));
    match &choice.reason {
        Reason::Asked => format!("running on {runner}, as asked"),
        Reason::VendorModule(name) => format!("running on {runner}: module {name}"),
        Reason::Probed(module) => {
            let module = module.map(|name| format!("module {name}, and ")).unwrap_or_default();
            format!("running on {runner}: {module}a probe has shown that it can run 32-bit kernels")
        }
        Reason::NoKvm(why) => format!("running on {runner}, {}", no_kvm(why)),
    }
}

/// That `backend` was taken because `failure` came of KVM.
pub fn reason_to_fall_back(backend: &Backend, failure: &Outcome) -> String {
    format!("running on {} instead of KVM: {}", program(backend), without_advice(failure))
}

/// The sentence of `failure` for a run that goes on with the embedded machine by itself.
pub fn without_advice(failure: &Outcome) -> String {
    let sentence = failure.to_string();
    sentence.strip_suffix(USE_EMBEDDED).unwrap_or(&sentence).to_owned()
}

/// What a backend is called.
fn program(backend: &Backend) -> String {
    match backend {
        Backend::Kvm(_) => "KVM".to_owned(),
        Backend::Embedded => "the embedded machine".to_owned(),
        Backend::Emulated(program) => program.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

/// What there is to say of a processor of this model on such a backend.
pub fn remark(kind: BackendKind, model: CpuModel) -> Option<&'static str> {
    match (model, kind) {
        (CpuModel::Fixed, _) => None,
        (CpuModel::Host, BackendKind::Kvm) => Some("the guest's CPU is this machine's, as far as its KVM passes it on"),
        (CpuModel::Host, BackendKind::Embedded) => Some("the guest's CPU is the embedded machine's: it has no other"),
        (CpuModel::Host, BackendKind::Emulated) => {
            Some("the guest's CPU is the most capable that the emulator has (`max`), which is not this machine's")
        }
    }
}

/// What there is to say of a pace that was asked for on such a backend.
pub fn pace_remark(kind: BackendKind, pace: Option<Pace>) -> Option<&'static str> {
    let is_in_vain = pace == Some(Pace::None) && kind != BackendKind::Embedded;
    is_in_vain.then_some(
        "`--pace none` is left out: only the embedded machine has a time of its own, and this one goes by the host's",
    )
}

/// What there is to say of a guest of `size` bytes where so much memory is `free`.
pub fn memory_remark(size: u64, free: Free) -> Option<String> {
    let (guest, left) = (size >> 20, free.size >> 20);
    let whose = if free.is_limited { "may be used in this container or service" } else { "are free here" };
    (size > free.size).then(|| {
        format!("the guest has {guest} MiB of memory, but only {left} MiB {whose}: it may be killed when it uses more")
    })
}

/// What there is to say of an emulator that goes without these parts of its sandbox.
pub fn unconfined(parts: &[Unconfined]) -> Option<String> {
    let name = |part: &Unconfined| match part {
        Unconfined::OwnFilter => "QEMU's own filter of system calls, with which this one does not start",
        Unconfined::SystemCalls => "a filter of system calls, which this system refuses",
        Unconfined::Files => "a limit on files, for which this kernel needs Landlock",
        Unconfined::Reading => "a limit on what it may read, with which this one does not start",
    };
    let names: Vec<&str> = parts.iter().map(name).collect();
    (!names.is_empty()).then(|| format!("the emulator's sandbox goes without {}", names.join(", and without ")))
}

/// Why KVM is not taken, as a clause.
pub fn no_kvm(why: &NoKvm) -> String {
    match why {
        NoKvm::Problem(problem) => format!("because {}", kvm_problem(problem)),
        NoKvm::NoPaging { module, why } => {
            let module = module.map(|name| format!(" (module {name})")).unwrap_or_default();
            format!("because the host's KVM{module} can't run 32-bit kernels: {}", probe_failure(why))
        }
    }
}

fn kvm_problem(problem: &KvmProblem) -> String {
    match problem {
        KvmProblem::OtherSystem => ONLY_LINUX_HAS_KVM.to_owned(),
        KvmProblem::Missing => {
            "there is no /dev/kvm (on a PC, enable virtualization in the firmware setup and load kvm_intel or \
            kvm_amd; in a container, pass --device /dev/kvm)"
                .to_owned()
        }
        KvmProblem::NoDriver => {
            "there is a /dev/kvm, but no KVM behind it (on a PC, enable virtualization in the firmware setup and load \
            kvm_intel or kvm_amd)"
                .to_owned()
        }
        KvmProblem::Forbidden { group: Some(group) } => {
            format!(
                "this user may not open /dev/kvm (to allow it: `sudo usermod -aG {group} $USER`, then log out and in \
                 again)"
            )
        }
        KvmProblem::Forbidden { group: None } => {
            "this user may not open /dev/kvm, and there is no group of users who may (`ls -l /dev/kvm` shows who may)"
                .to_owned()
        }
        KvmProblem::Refused => {
            "the system lets nothing here open /dev/kvm, whatever its permissions (a container must be started with \
            --device /dev/kvm)"
                .to_owned()
        }
        KvmProblem::NotOpened(source) => format!("/dev/kvm can't be opened: {}", describe(source)),
        KvmProblem::NotKvm(source) => format!(
            "what is at /dev/kvm does not answer as KVM does: {} (`ls -l /dev/kvm` shows what it is)",
            describe(source)
        ),
        KvmProblem::ApiVersion { found, wanted } => format!("/dev/kvm has API version {found}, not {wanted}"),
        KvmProblem::Capability(capability) => format!("the host's KVM has no {}", kvm_capability(*capability)),
        KvmProblem::NoVm(source) => {
            format!(
                "KVM makes no virtual machine (is another hypervisor, such as VirtualBox, running?): {}",
                describe(source)
            )
        }
    }
}

/// What a probe of KVM has shown, as a clause.
fn probe_failure(failure: &ProbeFailure) -> String {
    match failure {
        ProbeFailure::Problem(problem) => kvm_problem(problem),
        ProbeFailure::NoMemory(source) => describe(source),
        ProbeFailure::NotAssembled(source) => format!("a small guest can't be set up: {}", describe(source)),
        ProbeFailure::NotWatched => "a probe of it can't be watched".to_owned(),
        ProbeFailure::NotStarted => "a probe of it can't be started".to_owned(),
        ProbeFailure::Lost => "a probe of it failed".to_owned(),
        ProbeFailure::Endless => "a small guest that turns paging on never ends".to_owned(),
        ProbeFailure::TripleFault => {
            "a small guest that turns paging on and takes an exception dies of a triple fault".to_owned()
        }
        ProbeFailure::InternalError => {
            "it can't execute a small guest that turns paging on and takes an exception".to_owned()
        }
        ProbeFailure::UnexpectedExit(exit) => format!("a small guest that turns paging on ends with {exit}"),
        ProbeFailure::NotRun(source) => {
            format!("a small guest that turns paging on can't be run: {}", describe(source))
        }
    }
}

fn kvm_capability(capability: KvmCapability) -> &'static str {
    match capability {
        KvmCapability::Irqchip => "interrupt controllers (KVM_CAP_IRQCHIP)",
        KvmCapability::Pit2 => "timer (KVM_CAP_PIT2)",
        KvmCapability::UserMemory => "user memory (KVM_CAP_USER_MEMORY)",
        KvmCapability::ExtCpuid => "CPUID setting (KVM_CAP_EXT_CPUID)",
        KvmCapability::MpState => "run state (KVM_CAP_MP_STATE)",
    }
}

impl From<NoBackend> for Outcome {
    fn from(error: NoBackend) -> Self {
        Self::NoBackend(match error {
            NoBackend::Kvm(problem @ KvmProblem::OtherSystem) => format!("{}{USE_EMBEDDED}", kvm_problem(&problem)),
            NoBackend::Kvm(problem) => kvm_problem(&problem),
            NoBackend::Emulator(NoEmulator::Missing) => HOW_TO_INSTALL_EMULATOR.to_owned(),
            NoBackend::Emulator(NoEmulator::OtherSystem) => format!("{ONLY_ON_LINUX}{USE_EMBEDDED}"),
        })
    }
}

fn kvm_step(step: KvmStep) -> &'static str {
    match step {
        KvmStep::SetTssAddress => "reserving pages for real mode",
        KvmStep::SetIdentityMapAddress => "reserving a page for unpaged mode",
        KvmStep::SetUserMemoryRegion => "giving memory to the guest",
        KvmStep::CreateIrqChip => "making the interrupt controllers",
        KvmStep::CreatePit => "making the timer",
        KvmStep::GetPit => "reading the timer's state",
        KvmStep::SetPit => "starting the timer",
        KvmStep::CreateVcpu => "making the CPU",
        KvmStep::SetCpuid => "describing the CPU",
        KvmStep::GetSregs => "reading the CPU's state",
        KvmStep::SetSregs => "setting the system registers",
        KvmStep::SetRegs => "setting the general registers",
        KvmStep::SetFpu => "setting the floating-point registers",
    }
}

fn process_step(step: ProcessStep) -> &'static str {
    match step {
        ProcessStep::VcpuThread => "starting the vCPU's thread",
        ProcessStep::Firmware => "making the emulator's firmware",
        ProcessStep::Connections => "connecting to the emulator",
        ProcessStep::Reader => "reading from the emulator",
        ProcessStep::Watcher => "watching the emulator",
    }
}

/// What to do with the directory at `path`.
fn in_directory(path: &Path) -> String {
    let manifest = path.join("manifest.yaml");
    if manifest.is_file() {
        return format!("it is a directory; name the manifest in it: `stos-run {}`", for_shell(&manifest));
    }
    let path = for_shell(path);
    format!(
        "it is a directory; name an image, a manifest or a kernel in it (`stos-pack init {path}` begins a manifest)"
    )
}

impl Outcome {
    /// The outcome of a run whose image, at `path`, could not be loaded.
    pub fn not_loaded(path: &Path, error: LoadError) -> Self {
        let path_shown = path.display();
        match error {
            LoadError::NotOpened(source) if path.is_dir() => {
                let source = io::Error::new(source.kind(), in_directory(path));
                Self::NoInput { path: path.to_owned(), source }
            }
            LoadError::NotOpened(source) => Self::NoInput { path: path.to_owned(), source },
            LoadError::Rejected(ImageError::Io(source)) => {
                Self::Io { action: format!("reading the image `{path_shown}`"), source }
            }
            LoadError::Rejected(source) => Self::ImageRejected { path: path.to_owned(), source },
            LoadError::NoMemory(size, source) => {
                Self::Io { action: format!("getting {} MiB of guest memory", size >> 20), source }
            }
        }
    }

    /// The outcome of a run whose guest, `machine`, could not be started.
    pub fn not_started(error: StartError, machine: &Machine) -> Self {
        match error {
            StartError::Kvm(step, source) => {
                Self::NoBackend(format!("the host's KVM failed at {}: {}", kvm_step(step), describe(&source)))
            }
            StartError::NotEntered(failure) => conclude(Ending::CpuFailed(failure), machine, BackendKind::Kvm, None),
            StartError::Process(step, source) => Self::Io { action: process_step(step).to_owned(), source },
            StartError::KickSignal(source) => {
                Self::Bug(format!("installing a signal handler failed: {}", describe(&source)))
            }
            StartError::EntryState(reason) => {
                Self::CpuFailed(format!("the entry state is out of the emulator's reach: {reason}"))
            }
            StartError::NotExecuted { program, source } => {
                Self::NoBackend(format!("the emulator {} can't be started: {}", program.display(), describe(&source)))
            }
            StartError::NotBegun { program, complaint, why } => {
                let why = complaint.unwrap_or_else(|| match why {
                    NotBegun::Silent(source) => describe(&source),
                    NotBegun::OtherProtocol => "it does not speak the machine protocol".to_owned(),
                    NotBegun::Refused(words) => words,
                });
                Self::NoBackend(format!("{} did not start: {why}", program.display()))
            }
        }
    }

    /// The outcome of a run in which doing `action`, as in "writing the guest's output", failed.
    pub fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action: action.into(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn what_is_said_before_a_run_fits_on_a_terminal() {
        let problems = [
            KvmProblem::OtherSystem,
            KvmProblem::Missing,
            KvmProblem::NoDriver,
            KvmProblem::Forbidden { group: None },
            KvmProblem::Refused,
            KvmProblem::NotOpened(io::ErrorKind::Other.into()),
            KvmProblem::NotKvm(io::ErrorKind::Other.into()),
            KvmProblem::ApiVersion { found: 11, wanted: 12 },
            KvmProblem::Capability(KvmCapability::Irqchip),
            KvmProblem::NoVm(io::ErrorKind::Other.into()),
        ];
        let paging = NoKvm::NoPaging { module: Some("kvm_pvm"), why: ProbeFailure::TripleFault };
        let reasons = problems.map(|problem| Reason::NoKvm(NoKvm::Problem(problem)));
        for reason in
            reasons.into_iter().chain([Reason::NoKvm(paging), Reason::Asked, Reason::Probed(Some("kvm_intel"))])
        {
            let backend = Backend::Emulated(PathBuf::from("/usr/bin/qemu-system-x86_64"));
            let line = format!("stos-run: {}", short_reason(&Choice { backend, reason }));
            assert!(line.len() <= 80, "{line}");
        }
    }

    #[test]
    fn too_little_memory_is_said_and_enough_is_not() {
        let free = |size, is_limited| Free { size, is_limited };
        assert_eq!(memory_remark(64 << 20, free(64 << 20, false)), None);
        let said = memory_remark(64 << 20, free(63 << 20, true)).unwrap();
        assert!(said.contains("has 64 MiB of memory, but only 63 MiB may be used in this container"), "{said}");
    }

    #[test]
    fn only_a_group_that_is_there_is_to_be_joined() {
        let said = |problem| Outcome::from(NoBackend::Kvm(problem)).to_string();
        assert!(said(KvmProblem::Forbidden { group: Some("kvm".to_owned()) }).contains("`sudo usermod -aG kvm $USER`"));
        for problem in [KvmProblem::Forbidden { group: None }, KvmProblem::Refused, KvmProblem::Missing] {
            let text = said(problem);
            assert!(!text.contains("usermod"), "{text}");
        }
        assert!(said(KvmProblem::Refused).contains("a container must be started with --device /dev/kvm"));
    }
}
