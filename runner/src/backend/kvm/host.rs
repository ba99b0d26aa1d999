//! The host's KVM: whether it can be used, and of which kind it is.

use std::path::Path;
use std::{fs, io};

use kvm_bindings::KVM_API_VERSION;
use kvm_ioctls::{Cap, Kvm, VmFd};

/// Why the host's KVM can't be used.
#[derive(Debug)]
pub enum KvmProblem {
    /// There is no `/dev/kvm`.
    Missing,
    /// `/dev/kvm` may not be opened by this user.
    Forbidden,
    /// Opening `/dev/kvm` fails; the system's reason.
    NotOpened(io::Error),
    /// It has another version of the interface.
    ApiVersion {
        /// Which.
        found: i32,
        /// The version that this program speaks.
        wanted: u32,
    },
    /// A capability is missing.
    Capability(Cap),
    /// It makes no virtual machine; the system's reason.
    NoVm(io::Error),
}

/// Opens `/dev/kvm` and makes a virtual machine without anything in it.
///
/// # Errors
/// What stands in the way.
pub fn open() -> Result<VmFd, KvmProblem> {
    let kvm = open_device()?;
    let needed = [Cap::Irqchip, Cap::Pit2, Cap::UserMemory, Cap::ExtCpuid, Cap::MpState];
    if let Some(missing) = needed.into_iter().find(|capability| !kvm.check_extension(*capability)) {
        return Err(KvmProblem::Capability(missing));
    }
    create_vm(&kvm)
}

/// Opens `/dev/kvm`.
pub(super) fn open_device() -> Result<Kvm, KvmProblem> {
    let kvm = Kvm::new().map_err(|error| match error.errno() {
        libc::ENOENT | libc::ENODEV | libc::ENXIO => KvmProblem::Missing,
        libc::EACCES | libc::EPERM => KvmProblem::Forbidden,
        _ => KvmProblem::NotOpened(error.into()),
    })?;
    // KVM's api.rst, section 4.1: refuse to run with any other version.
    match kvm.get_api_version() {
        version if u32::try_from(version) == Ok(KVM_API_VERSION) => Ok(kvm),
        found => Err(KvmProblem::ApiVersion { found, wanted: KVM_API_VERSION }),
    }
}

/// A virtual machine without anything in it.
pub(super) fn create_vm(kvm: &Kvm) -> Result<VmFd, KvmProblem> {
    loop {
        match kvm.create_vm() {
            Ok(vm) => return Ok(vm),
            Err(error) if error.errno() == libc::EINTR => {}
            Err(error) => return Err(KvmProblem::NoVm(error.into())),
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
