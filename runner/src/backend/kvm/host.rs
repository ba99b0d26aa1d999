//! The host's KVM: whether it can be used, and of which kind it is.

use std::fs;
use std::path::Path;

use kvm_bindings::KVM_API_VERSION;
use kvm_ioctls::{Cap, Kvm, VmFd};

/// Why the host's KVM can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvmProblem {
    /// There is no `/dev/kvm`.
    Missing,
    /// `/dev/kvm` may not be opened by this user.
    Forbidden,
    /// Opening `/dev/kvm` fails; the system's reason.
    Open(String),
    /// Another version of the interface.
    ApiVersion(i32),
    /// A capability is missing.
    Capability(&'static str),
    /// It makes no virtual machine; the system's reason.
    CreateVm(String),
}

impl std::fmt::Display for KvmProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "there is no /dev/kvm (on a PC, enable virtualization in the firmware setup and load kvm_intel or kvm_amd; \
                 in a container, pass --device /dev/kvm)",
            ),
            Self::Forbidden => f.write_str(
                "this user may not open /dev/kvm (to allow it: `sudo usermod -aG kvm $USER`, then log out and in again)",
            ),
            Self::Open(reason) => write!(f, "/dev/kvm can't be opened: {reason}"),
            Self::ApiVersion(version) => write!(f, "/dev/kvm has API version {version}, not {KVM_API_VERSION}"),
            Self::Capability(name) => write!(f, "the host's KVM has no {name}"),
            Self::CreateVm(reason) => {
                write!(f, "KVM makes no virtual machine (is another hypervisor, such as VirtualBox, running?): {reason}")
            }
        }
    }
}

/// Opens `/dev/kvm` and makes a virtual machine without anything in it.
///
/// # Errors
/// What stands in the way.
pub fn open() -> Result<VmFd, KvmProblem> {
    let kvm = open_device()?;
    for (capability, name) in [
        (Cap::Irqchip, "interrupt controllers (KVM_CAP_IRQCHIP)"),
        (Cap::Pit2, "timer (KVM_CAP_PIT2)"),
        (Cap::UserMemory, "user memory (KVM_CAP_USER_MEMORY)"),
        (Cap::ExtCpuid, "CPUID setting (KVM_CAP_EXT_CPUID)"),
        (Cap::MpState, "run state (KVM_CAP_MP_STATE)"),
    ] {
        if !kvm.check_extension(capability) {
            return Err(KvmProblem::Capability(name));
        }
    }
    create_vm(&kvm)
}

/// Opens `/dev/kvm`.
pub(super) fn open_device() -> Result<Kvm, KvmProblem> {
    let kvm = Kvm::new().map_err(|error| match error.errno() {
        libc::ENOENT | libc::ENODEV | libc::ENXIO => KvmProblem::Missing,
        libc::EACCES | libc::EPERM => KvmProblem::Forbidden,
        _ => KvmProblem::Open(error.to_string()),
    })?;
    // KVM's api.rst, section 4.1: refuse to run with any other version.
    match kvm.get_api_version() {
        version if u32::try_from(version) == Ok(KVM_API_VERSION) => Ok(kvm),
        version => Err(KvmProblem::ApiVersion(version)),
    }
}

/// A virtual machine without anything in it.
pub(super) fn create_vm(kvm: &Kvm) -> Result<VmFd, KvmProblem> {
    loop {
        match kvm.create_vm() {
            Ok(vm) => return Ok(vm),
            Err(error) if error.errno() == libc::EINTR => {}
            Err(error) => return Err(KvmProblem::CreateVm(error.to_string())),
        }
    }
}

/// The part of KVM that knows the host's processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VendorModule {
    /// One that uses the processor's virtualization, which runs 32-bit guests as the processor itself does.
    Hardware(&'static str),
    /// Another or none that we can see.
    Doubtful(Option<&'static str>),
}

/// Which vendor module is loaded (or built in: it has a directory in `/sys/module` all the same).
pub fn vendor_module() -> VendorModule {
    vendor_module_in(Path::new("/sys/module"))
}

fn vendor_module_in(modules: &Path) -> VendorModule {
    let loaded = |name: &str| fs::exists(modules.join(name)).unwrap_or(false);
    if loaded("kvm_pvm") {
        return VendorModule::Doubtful(Some("kvm_pvm"));
    }
    ["kvm_intel", "kvm_amd"]
        .into_iter()
        .find(|name| loaded(name))
        .map_or(VendorModule::Doubtful(None), VendorModule::Hardware)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_modules(names: &[&str]) -> VendorModule {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir(directory.path().join(name)).unwrap();
        }
        vendor_module_in(directory.path())
    }

    #[test]
    fn only_hardware_modules_are_trusted_unseen() {
        assert_eq!(with_modules(&["kvm", "kvm_intel"]), VendorModule::Hardware("kvm_intel"));
        assert_eq!(with_modules(&["kvm", "kvm_amd"]), VendorModule::Hardware("kvm_amd"));
        assert_eq!(with_modules(&["kvm", "kvm_pvm", "kvm_intel"]), VendorModule::Doubtful(Some("kvm_pvm")));
        assert_eq!(with_modules(&["kvm"]), VendorModule::Doubtful(None));
        assert_eq!(vendor_module_in(Path::new("/does/not/exist")), VendorModule::Doubtful(None));
    }
}
