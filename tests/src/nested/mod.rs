//! Runs programs in a VM whose Linux has a real KVM.
//!
//! QEMU's TCG emulates AMD's SVM with nested paging, so `kvm-amd` in such a VM is a KVM that can run 32-bit guests with
//! paging, whatever the KVM of the host can do. [`run`] boots that VM once, runs a list of [`Case`]s in it and returns
//! what each printed and how it ended.
//!
//! ```text
//! Payload, Cases --initramfs--> archive --vm--> report --report--> CaseResults
//! ```
//!
//! Inside, `init.sh` is the first program. Nothing is installed and no file is left outside `target/nested/`.

mod initramfs;
mod kernel;
mod report;
mod vm;

use std::path::PathBuf;
use std::{fs, io};

use crate::tools::{Run, root};

/// One program to run in the VM.
#[derive(Clone, Debug)]
pub struct Case {
    /// What errors call the case. Need not be unique.
    pub name: String,
    /// Program and arguments. A program without a slash in its name is looked up in `/bin`, where the [`Payload`]'s
    /// binaries are, then among busybox's applets. (For commands in a script of `sh`, applets come first.) It starts
    /// in `/`, as root.
    pub argv: Vec<String>,
    /// What it reads from its standard input; without it, `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    /// Whether it runs without `/sys`.
    pub hide_sys: bool,
    /// After so many seconds (at least 1) of the VM's clock, it and everything that it has started are killed.
    pub timeout_seconds: u32,
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// Its exit status as a shell has it: 127 when there is no such program, 128 + n when signal n killed it.
    /// `None` when it was killed for exceeding its time limit.
    pub status: Option<i32>,
    /// What it wrote to standard output. Both outputs together are cut off at 4 MiB ("no space left on device").
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

/// What the VM has besides busybox.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    /// Programs of this machine, put into `/bin` together with the shared libraries that `ldd` lists.
    pub binaries: Vec<PathBuf>,
    /// Other files: the path here, and the path inside. Permissions are kept.
    pub files: Vec<(PathBuf, String)>,
}

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
pub enum NestedError {
    /// A program that the harness uses is not there.
    #[error("{0} is missing: run scripts/setup.sh test")]
    MissingProgram(String),
    /// `scripts/fetch-nested-kernel.sh` failed.
    #[error("cannot get a kernel with kvm-amd (has scripts/setup.sh test been run?):\n{0}")]
    Kernel(String),
    /// A shared library that a binary wants is not on this machine.
    #[error("{binary}: shared library {library} is not found")]
    MissingLibrary {
        /// Which binary wants it.
        binary: PathBuf,
        /// The library's name as the binary has it.
        library: String,
    },
    /// A path or argument that cannot be used in the VM.
    #[error("{what} cannot be used in the VM: {reason}")]
    Unusable {
        /// The path or argument.
        what: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Reading, writing or running something on this machine failed.
    #[error("cannot {action}")]
    Io {
        /// What was to be done, with the file or program.
        action: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The VM's first program could not prepare the machine.
    #[error("the nested VM could not be set up: {reason}; its console ended with:\n{console}")]
    SetUp {
        /// The first program's words.
        reason: String,
        /// The last lines of the console.
        console: String,
    },
    /// The VM stood still.
    #[error(
        "the nested VM was killed because nothing had come from it for {seconds} s, {progress}; its console ended with:\n{console}"
    )]
    TimeLimit {
        /// The limit: an allowance for the boot and the longest limit of a case.
        seconds: u64,
        /// How far it had got.
        progress: String,
        /// The last lines of the console.
        console: String,
    },
    /// The VM ended without having run all cases.
    #[error("the nested VM ended early ({end}), {progress}; its console ended with:\n{console}")]
    EndedEarly {
        /// How QEMU ended, with what it said.
        end: String,
        /// How far it had got.
        progress: String,
        /// The last lines of the console.
        console: String,
    },
    /// The report is not one that the first program writes.
    #[error("the nested VM's report is damaged at byte {offset}: {reason}")]
    Report {
        /// Where in the report.
        offset: usize,
        /// What was expected there.
        reason: String,
    },
}

impl NestedError {
    /// For `map_err`: the error of an operating system's call that was to do `action`.
    fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}

/// Boots the VM, runs `cases` in their order and returns one result for each.
///
/// A case that fails or exceeds its limit is a result, not an error.
///
/// # Errors
///
/// When the set-up on this machine is incomplete (the message says to run `scripts/setup.sh test`), when the VM cannot
/// be prepared or started, and when it ends, or has to be killed, before all cases have run. The last lines of its
/// console are part of the error then.
pub fn run(payload: &Payload, cases: &[Case]) -> Result<Vec<CaseResult>, NestedError> {
    // Before anything is downloaded.
    for program in ["busybox", "ldd", "setpriv", "qemu-system-x86_64"] {
        find_program(program)?;
    }
    let kernel = kernel::fetch(root())?;
    let archive = initramfs::build(payload, cases, &kernel.modules)?;

    let folder = root().join("target/nested");
    fs::create_dir_all(&folder).map_err(NestedError::io(format!("create {}", folder.display())))?;
    let folder = tempfile::Builder::new()
        .prefix("run-")
        .tempdir_in(&folder)
        .map_err(NestedError::io(format!("create a folder in {}", folder.display())))?;

    let longest = cases.iter().map(|case| u64::from(case.timeout_seconds)).max().unwrap_or(0);
    let boot = vm::boot(&kernel.vmlinuz, &archive, folder.path(), longest)?;
    let report = report::parse(&boot.report)?;
    conclude(cases, boot, report)
}

/// Turns what came out of the VM into the results, or into the reason why they are not complete.
fn conclude(cases: &[Case], boot: vm::Boot, report: report::Report) -> Result<Vec<CaseResult>, NestedError> {
    let vm::Boot { end, console, .. } = boot;
    if let Some(reason) = report.failure {
        return Err(NestedError::SetUp { reason, console });
    }
    if !report.done || report.records.len() != cases.len() {
        let progress = match cases.get(report.records.len()) {
            _ if !report.ready => "before the first case began".to_owned(),
            Some(case) => format!("during case {:?}", case.name),
            None => "after the last case".to_owned(),
        };
        return Err(match end {
            vm::End::Killed { seconds } => NestedError::TimeLimit { seconds, progress, console },
            vm::End::Itself { description } => NestedError::EndedEarly { end: description, progress, console },
        });
    }
    let named = |(case, record): (&Case, report::Record)| CaseResult {
        name: case.name.clone(),
        status: record.status,
        stdout: record.stdout,
        stderr: record.stderr,
    };
    Ok(cases.iter().zip(report.records).map(named).collect())
}

impl From<CaseResult> for Run {
    fn from(result: CaseResult) -> Self {
        Self::new(result.status, &result.stdout, &result.stderr)
    }
}

/// Finds `program` in `PATH`.
fn find_program(program: &str) -> Result<PathBuf, NestedError> {
    std::env::var_os("PATH")
        .and_then(|path| std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file()))
        .ok_or_else(|| NestedError::MissingProgram(program.to_owned()))
}
