//! The report of a run: everything that was seen of it, for programs to read. Its form has a version, and a JSON Schema that
//! is made from these types.

use schemars::JsonSchema;
use serde::Serialize;
use stos_x86::registers::CpuState;

use super::limit::LimitKind;
use crate::backend::{BackendKind, Exits, SentTo};
use crate::devices::Interrupts;
use crate::diagnosis::{CaughtException, Place};
use crate::timings::Step;

/// Version of the report's form. It grows when a program that reads the old form could misunderstand the new one; new fields
/// alone are no reason.
pub const REPORT_VERSION: u32 = 1;

/// The JSON Schema (draft 2020-12) of reports, as text.
pub fn schema() -> String {
    format!("{:#}\n", schemars::schema_for!(Report).as_value())
}

/// How a run of `stos-run` ended, and what was seen of it. Addresses and registers are plain numbers.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "Report of stos-run")]
pub struct Report {
    /// Version of this form: 1.
    pub report_version: u32,
    /// Name and version of the program.
    pub program: String,
    /// Exit status of the program.
    pub status: u8,
    /// How the run ended.
    pub outcome: OutcomeReport,
    /// What ran.
    pub image: ImageReport,
    /// What executed it; null when the run ended before that was chosen.
    pub backend: Option<BackendReport>,
    /// How long it took.
    pub time: TimeReport,
    /// The CPU at the end; null where that is not known: an emulator that the guest has left, a CPU after reset.
    pub cpu: Option<CpuReport>,
    /// Where the CPU was when the time limit was reached, in the order of time.
    pub looks: Vec<LookReport>,
    /// The interrupt controllers at the last of these looks.
    pub interrupts: Option<Interrupts>,
    /// Instructions that the guest has executed, each element of a string instruction with a REP prefix counted as one; null on KVM
    /// and on the emulator, which do not count.
    pub instructions: Option<u64>,
    /// What it was sent, and when it was given that; null where that is not known: on KVM and on the emulator.
    pub input: Option<InputReport>,
    /// How often the guest left the processor, by reason; null on the emulator, which does not tell.
    pub exits: Option<Exits>,
    /// Ports that the guest has used; null on the emulator, which does not tell.
    pub ports: Option<PortsReport>,
    /// What it printed on COM1.
    pub serial: StreamReport,
    /// What it printed on the debug console, port 0xE9.
    pub debug_console: StreamReport,
    /// Rows of the text screen at the end, without spaces at their ends; null when the guest has not used it.
    pub screen: Option<Vec<String>>,
    /// The expressions that were expected, in their order.
    pub expected: Vec<ExpectationReport>,
}

/// How the run ended.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OutcomeReport {
    /// Which way of ending it was.
    pub kind: OutcomeKind,
    /// True when it counts as success. The status is 0 then, unless `--qemu-exit-codes` has changed it.
    pub success: bool,
    /// The sentence for people.
    pub sentence: String,
    /// What there is to say beyond that, line by line.
    pub details: Vec<String>,
    /// What the guest wrote to its exit port, where that is known.
    pub guest_status: Option<u32>,
    /// The limit that was reached; null unless the run has ended at one.
    pub limit: Option<LimitKind>,
    /// The signal that ended the run.
    pub signal: Option<i32>,
    /// The regular expression that decided.
    pub pattern: Option<String>,
    /// The line that must not appear.
    pub line: Option<String>,
    /// The exception that the fault catcher recorded.
    pub exception: Option<CaughtException>,
}

/// A way in which a run can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// The guest wrote to its exit port.
    Exited,
    /// All that was expected appeared.
    Expected,
    /// What `--until` names appeared.
    Until,
    /// Something that `--reject` names appeared.
    Rejected,
    /// The run ended without all that was expected.
    ExpectedMissing,
    /// A triple fault.
    TripleFault,
    /// The guest reported a panic.
    Panicked,
    /// The fault catcher recorded an exception.
    Exception,
    /// The CPU could not be entered or could not go on.
    CpuFailed,
    /// HLT with interrupts disabled.
    Halted,
    /// HLT with interrupts enabled although none can arrive.
    WaitsForNothing,
    /// The guest asked for a reset.
    Reset,
    /// The guest printed more than `--max-output` allows.
    TooMuchOutput,
    /// The sandbox ended what did something forbidden.
    Forbidden,
    /// A limit of time, or of instructions: `limit` says which.
    TimeLimit,
    /// Ctrl-A X.
    Left,
    /// A signal.
    Signal,
    /// Wrong usage of the command.
    Usage,
    /// No image can be made of the manifest, or of the kernel.
    NotPacked,
    /// The image is rejected.
    ImageRejected,
    /// The image can't be opened.
    NoInput,
    /// Nothing can execute the guest.
    NoBackend,
    /// Reading or writing failed.
    Io,
    /// A mistake in the program.
    Bug,
}

/// What ran.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ImageReport {
    /// The file, as it was named.
    pub path: String,
    /// `sha256:` and 64 hexadecimal digits; null like all below when the image could not be read.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its boot protocol.
    pub protocol: Option<String>,
    /// The manifest's profile.
    pub profile: Option<String>,
    /// Guest memory in bytes.
    pub memory_size: Option<u64>,
}

/// What executed the guest.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BackendReport {
    /// Which it is.
    pub kind: BackendKind,
    /// The line for people that says which and why.
    pub reason: String,
}

/// Times in milliseconds.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct TimeReport {
    /// From the guest's start to its end; null when it was not started.
    pub wall_ms: Option<f64>,
    /// Processor time that executing the guest took: on KVM that of the vCPU's thread, on the emulator that of its
    /// process, in whole clock ticks.
    pub guest_cpu_ms: Option<f64>,
    /// How far the guest's own time has come, in nanoseconds, which is the same in every run; null on KVM and on the emulator, where
    /// a guest's time is the host's.
    pub guest_ns: Option<u64>,
    /// When the run reached its steps, in the order of time; null without `--timings`.
    pub steps: Option<Vec<StepReport>>,
}

/// The input of a guest.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct InputReport {
    /// What it was given, in the order of time: at most 4096 times, and 64 KiB in all.
    pub taken: Vec<TakenReport>,
    /// There was more.
    pub is_cut: bool,
}

/// Input that was given to a guest at once.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TakenReport {
    /// When: nanoseconds of the guest's own time.
    pub at_ns: u64,
    /// To which device.
    pub device: SentTo,
    /// Two hexadecimal digits for each byte.
    pub bytes: String,
}

/// A step that the run has reached.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StepReport {
    /// Which.
    pub step: Step,
    /// When: milliseconds since the process began.
    pub at_ms: f64,
}

/// All registers of the CPU.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[allow(missing_docs, reason = "the names are those of the registers")]
pub struct CpuReport {
    /// Where EIP points to.
    pub place: Place,
    pub eip: u32,
    pub eflags: u32,
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
    pub esi: u32,
    pub edi: u32,
    pub ebp: u32,
    pub esp: u32,
    pub cs: u16,
    pub ds: u16,
    pub es: u16,
    pub fs: u16,
    pub gs: u16,
    pub ss: u16,
    pub ldtr: u16,
    pub tr: u16,
    pub cr0: u32,
    pub cr2: u32,
    pub cr3: u32,
    pub cr4: u32,
    pub gdtr: TableReport,
    pub idtr: TableReport,
    /// The CPU waits in HLT.
    pub halted: bool,
}

/// A descriptor table register.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct TableReport {
    /// Linear address of the table.
    pub base: u32,
    /// Its size in bytes, less one.
    pub limit: u16,
}

/// One look at the CPU.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LookReport {
    /// Where EIP points to.
    pub place: Place,
    /// The CPU waits in HLT.
    pub halted: bool,
    /// The CPU takes interrupts.
    pub interrupts_enabled: bool,
}

/// Ports that were used.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PortsReport {
    /// Those behind which there is nothing: where the guest has looked for hardware in vain.
    pub unknown: Vec<PortReport>,
    /// Accesses to unknown ports that are not listed, because the list is full.
    pub unlisted: u64,
    /// What was last written to port 0x80.
    pub post_code: Option<u8>,
}

/// One kind of access to a port.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct PortReport {
    /// The port.
    pub port: u16,
    /// Bytes of each access: 1, 2 or 4.
    pub width: u8,
    /// Written, not read.
    pub write: bool,
    /// How often.
    pub count: u64,
}

/// A stream of output.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct StreamReport {
    /// Bytes.
    pub size: u64,
    /// Their SHA-256 digest: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// The last lines, at most 20, without what ends them and with U+FFFD for what is not UTF-8.
    pub last_lines: Vec<String>,
}

/// An expected expression.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ExpectationReport {
    /// The regular expression.
    pub pattern: String,
    /// Whether it matched, after those before it.
    pub matched: bool,
}

impl CpuReport {
    /// The registers of `state`, which is at `place`.
    pub fn new(state: &CpuState, place: Place) -> Self {
        let CpuState { general, eip, eflags, selectors, cr0, cr2, cr3, cr4, gdtr, idtr, is_halted } = state;
        let table = |table: &stos_x86::registers::TableRegister| TableReport { base: table.base, limit: table.limit };
        Self {
            place,
            eip: *eip,
            eflags: *eflags,
            eax: general.eax,
            ebx: general.ebx,
            ecx: general.ecx,
            edx: general.edx,
            esi: general.esi,
            edi: general.edi,
            ebp: general.ebp,
            esp: general.esp,
            cs: selectors.cs,
            ds: selectors.ds,
            es: selectors.es,
            fs: selectors.fs,
            gs: selectors.gs,
            ss: selectors.ss,
            ldtr: selectors.ldtr,
            tr: selectors.tr,
            cr0: *cr0,
            cr2: *cr2,
            cr3: *cr3,
            cr4: *cr4,
            gdtr: table(gdtr),
            idtr: table(idtr),
            halted: *is_halted,
        }
    }
}
