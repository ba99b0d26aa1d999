//! Decides which backend executes a guest, before the guest has printed anything, and says why.

use std::path::PathBuf;

use kvm_ioctls::VmFd;

use super::kvm::host::{self, KvmProblem, VendorModule};
use super::kvm::probe::{self, Paging};
use super::{BackendChoice, emulated};
use crate::outcome::Outcome;

/// A backend that can be started.
#[derive(Debug)]
pub enum Backend {
    /// A virtual machine on the host's KVM, still without anything in it.
    Kvm(VmFd),
    /// The emulator at this path.
    Emulated(PathBuf),
}

/// The backend that was chosen and the line that says so.
#[derive(Debug)]
pub struct Choice {
    /// The backend.
    pub backend: Backend,
    /// Which one and why, for a person.
    pub reason: String,
}

/// Chooses a backend.
///
/// # Errors
/// [`Outcome::NoBackend`] says what stands in the way of each that was asked for.
pub fn choose(wanted: BackendChoice) -> Result<Choice, Outcome> {
    match wanted {
        BackendChoice::Kvm => match host::open() {
            Ok(vm) => Ok(Choice { backend: Backend::Kvm(vm), reason: "running on KVM, as asked".to_owned() }),
            Err(problem) => Err(Outcome::NoBackend(problem.to_string())),
        },
        BackendChoice::Emulated => emulated(None),
        BackendChoice::Auto => match usable_kvm() {
            Ok((vm, why)) => Ok(Choice { backend: Backend::Kvm(vm), reason: format!("running on KVM: {why}") }),
            Err(why) => emulated(Some(&why)),
        },
    }
}

/// The emulator; `instead_of_kvm` is a clause that says why KVM is not taken, unless the user asked for the emulator.
fn emulated(instead_of_kvm: Option<&str>) -> Result<Choice, Outcome> {
    match (emulated::find_program(), instead_of_kvm) {
        (Some(program), why) => {
            let name = program.file_name().unwrap_or_default().to_string_lossy();
            let reason = format!("running on the emulator {name}, {}", why.unwrap_or("as asked"));
            Ok(Choice { backend: Backend::Emulated(program), reason })
        }
        (None, None) => Err(Outcome::NoBackend(emulated::HOW_TO_INSTALL.to_owned())),
        (None, Some(why)) => {
            Err(Outcome::NoBackend(format!("nothing here can run the guest, {why}, and {}", emulated::HOW_TO_INSTALL)))
        }
    }
}

/// KVM when it can run 32-bit kernels, and why it can; otherwise a clause that says why not.
fn usable_kvm() -> Result<(VmFd, String), String> {
    let vm = host::open().map_err(|problem: KvmProblem| format!("because {problem}"))?;
    match host::vendor_module() {
        VendorModule::Hardware(name) => Ok((vm, format!("module {name}"))),
        VendorModule::Doubtful(module) => {
            let host_is =
                module.map_or_else(|| "the host's KVM".to_owned(), |name| format!("the host's KVM (module {name})"));
            match probe::probe() {
                Paging::Works => Ok((vm, "a probe has shown that it can run 32-bit kernels".to_owned())),
                Paging::Fails(why) => Err(format!("because {host_is} can't run 32-bit kernels: {why}")),
            }
        }
    }
}
