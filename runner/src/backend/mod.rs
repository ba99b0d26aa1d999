//! What executes a guest: the host's KVM, or an emulator as a child process. It tells facts, without a word for people.
//!
//! Another backend is a folder here with a type that starts a machine and is a [`Guest`] from then on, and an entry in
//! [`Backend`] and [`BackendKind`]. Starting gives the guest its memory and its CPU the image's entry state, and lets it run on a
//! thread or a process of its own. From there:
//!
//! - what the guest prints goes to [`Link::output`], and where time is counted is shown to [`Link::watcher`] before;
//! - what it is sent comes to [`Guest::input`] and [`Guest::keyboard`], from other threads;
//! - at each [`Guest::tick`] the CPU is looked at: a CPU in HLT that takes no interrupts is [`Ending::Halted`], and samples of one
//!   that takes them are shown to [`Idle`];
//! - once it has stopped by itself, [`Link::observed`] gets all that is known of it, and then [`Link::ended`] is told the [`Ending`].
//!
//! A machine whose ports are served by [`PortBus`](stos_machine::devices::ports::PortBus) gets its endings from that. What cannot be set up is a
//! [`StartError`]. Sentences for endings and errors are in [`outcome`](crate::outcome).

mod choose;
mod embedded;
#[cfg_attr(not(target_os = "linux"), path = "elsewhere/emulated.rs")]
mod emulated;
mod ending;
mod guest;
mod idle;
#[cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), path = "elsewhere/kvm.rs")]
mod kvm;
mod no_kvm;
mod observed;
mod start;

pub use choose::{
    Backend, BackendChoice, BackendKind, Choice, NoBackend, NoEmulator, Reason, alternative, choose, prepare_emulators,
    try_kvm,
};
pub use embedded::{begin_tables, build_tables};
pub use emulated::find_program as find_emulator;
pub use emulated::let_go;
#[cfg(feature = "fuzzing")]
pub use emulated::{NoAdapter, hostile};
pub use ending::{CpuFailure, Ending, Spent};
pub use guest::{Allotment, Guest, Link, SAMPLES, TICK};
pub use idle::Idle;
pub use kvm::{Opening, Remains};
pub use no_kvm::{KvmCapability, KvmProblem, NoKvm, ProbeFailure};
pub use observed::{Counted, Exits, Findings, Observed, Sent, SentTo, Taken, Unconfined};
pub use start::{KvmStep, NotBegun, ProcessStep, StartError};
