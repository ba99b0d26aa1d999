//! The host's KVM: whether it can be used, and of which kind it is.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, io};

use kvm_bindings::KVM_API_VERSION;
use kvm_ioctls::{Cap, Kvm, VmFd};

use crate::backend::{KvmCapability, KvmProblem};

/// Bytes of a list of processors that are read at once. What is told of one has 1 to 3 KiB.
const CHUNK: usize = 4096;

/// Opens `/dev/kvm` and makes a virtual machine without anything in it.
///
/// # Errors
/// What stands in the way.
pub fn open() -> Result<VmFd, KvmProblem> {
    let kvm = open_device()?;
    let needed = [
        (Cap::Irqchip, KvmCapability::Irqchip),
        (Cap::Pit2, KvmCapability::Pit2),
        (Cap::UserMemory, KvmCapability::UserMemory),
        (Cap::ExtCpuid, KvmCapability::ExtCpuid),
        (Cap::MpState, KvmCapability::MpState),
    ];
    if let Some((_, missing)) = needed.into_iter().find(|(capability, _)| !kvm.check_extension(*capability)) {
        return Err(KvmProblem::Capability(missing));
    }
    create_vm(&kvm)
}

/// Opens `/dev/kvm`.
pub(super) fn open_device() -> Result<Kvm, KvmProblem> {
    let kvm = uninterrupted(Kvm::new).map_err(|error| match error.errno() {
        libc::ENOENT => KvmProblem::Missing,
        libc::ENODEV | libc::ENXIO => KvmProblem::NoDriver,
        // Of the device's permissions (path_resolution(7)); a container's rules for devices answer with the other.
        libc::EACCES => KvmProblem::Forbidden { group: group_of(Path::new("/dev/kvm"), Path::new("/etc/group")) },
        libc::EPERM => KvmProblem::Refused,
        _ => KvmProblem::NotOpened(error.into()),
    })?;
    // KVM's api.rst, section 4.1: refuse to run with any other version.
    match kvm.get_api_version() {
        version if u32::try_from(version) == Ok(KVM_API_VERSION) => Ok(kvm),
        ..0 => Err(KvmProblem::NotKvm(io::Error::last_os_error())),
        found => Err(KvmProblem::ApiVersion { found, wanted: KVM_API_VERSION }),
    }
}

/// The name that the list `groups` has (group(5)) for the group that may read and write `device`, unless that is root's.
fn group_of(device: &Path, groups: &Path) -> Option<String> {
    let metadata = device.metadata().ok()?;
    let number = Some(metadata.gid()).filter(|number| *number != 0 && metadata.mode() & 0o060 == 0o060)?.to_string();
    let groups = fs::read_to_string(groups).ok()?;
    let fields = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.filter(|fields| fields.get(2) == Some(&&*number)).find_map(|fields| Some((*fields.first()?).to_owned()))
}

/// A virtual machine without anything in it.
pub(super) fn create_vm(kvm: &Kvm) -> Result<VmFd, KvmProblem> {
    uninterrupted(|| kvm.create_vm()).map_err(|error| KvmProblem::NoVm(error.into()))
}

/// What `call` gives when no signal comes meanwhile.
fn uninterrupted<T>(call: impl Fn() -> Result<T, kvm_ioctls::Error>) -> Result<T, kvm_ioctls::Error> {
    loop {
        match call() {
            Err(error) if error.errno() == libc::EINTR => {}
            result => return result,
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
    vendor_module_in(Path::new("/"))
}

fn vendor_module_in(root: &Path) -> VendorModule {
    let modules = root.join("sys/module");
    let loaded = |name: &str| fs::exists(modules.join(name)).unwrap_or(false);
    if loaded("kvm_pvm") {
        return VendorModule::Doubtful(Some("kvm_pvm"));
    }
    match ["kvm_intel", "kvm_amd"].into_iter().find(|name| loaded(name)) {
        None => VendorModule::Doubtful(None),
        // What is below it may be another hypervisor, and what the processor seems to do is that one's work.
        Some(name) if is_virtual(root) || !has_nested_paging(&modules.join(name)) => VendorModule::Doubtful(Some(name)),
        Some(name) => VendorModule::Hardware(name),
    }
}

/// True when this machine is a virtual one that says so: CPUID has a bit for that (Intel SDM volume 2A, CPUID, leaf 1, ECX bit 31:
/// reserved for hypervisors), and Xen a folder.
fn is_virtual(root: &Path) -> bool {
    // No further than the first processor's: for each of the others, the kernel may have to ask that one how fast it is.
    let lines = File::open(root.join("proc/cpuinfo")).map(|list| BufReader::with_capacity(CHUNK, list).lines());
    let flags = lines.ok().and_then(|lines| lines.map_while(Result::ok).find(|line| line.starts_with("flags")));
    flags.is_some_and(|flags| flags.split_ascii_whitespace().any(|flag| flag == "hypervisor"))
        || fs::exists(root.join("sys/hypervisor/type")).unwrap_or(false)
}

/// False for a module that keeps page tables of its own, because the processor can't walk two, or somebody has turned that off.
fn has_nested_paging(module: &Path) -> bool {
    let is_off = |name: &str| {
        let value = fs::read_to_string(module.join("parameters").join(name));
        value.is_ok_and(|value| matches!(value.trim(), "N" | "0"))
    };
    !["ept", "npt", "unrestricted_guest"].into_iter().any(is_off)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_modules(names: &[&str], files: &[(&str, &str)]) -> VendorModule {
        let root = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir_all(root.path().join("sys/module").join(name)).unwrap();
        }
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        vendor_module_in(root.path())
    }

    #[test]
    fn only_hardware_modules_are_trusted_unseen() {
        assert_eq!(with_modules(&["kvm", "kvm_intel"], &[]), VendorModule::Hardware("kvm_intel"));
        assert_eq!(with_modules(&["kvm", "kvm_amd"], &[]), VendorModule::Hardware("kvm_amd"));
        assert_eq!(with_modules(&["kvm", "kvm_pvm", "kvm_intel"], &[]), VendorModule::Doubtful(Some("kvm_pvm")));
        assert_eq!(with_modules(&["kvm"], &[]), VendorModule::Doubtful(None));
        assert_eq!(vendor_module_in(Path::new("/does/not/exist")), VendorModule::Doubtful(None));
    }

    #[test]
    fn a_hardware_module_on_a_virtual_or_odd_machine_is_not() {
        let intel = |files| with_modules(&["kvm_intel"], files);
        let (real, doubtful) = (VendorModule::Hardware("kvm_intel"), VendorModule::Doubtful(Some("kvm_intel")));
        assert_eq!(intel(&[("proc/cpuinfo", "processor: 0\nflags\t\t: fpu vmx ept\n")]), real);
        assert_eq!(intel(&[("proc/cpuinfo", "processor: 0\nflags\t\t: fpu vmx hypervisor ept\n")]), doubtful);
        assert_eq!(intel(&[("sys/hypervisor/type", "xen\n")]), doubtful);
        assert_eq!(intel(&[("sys/module/kvm_intel/parameters/ept", "Y\n")]), real);
        assert_eq!(intel(&[("sys/module/kvm_intel/parameters/ept", "N\n")]), doubtful);
        let amd = with_modules(&["kvm_amd"], &[("sys/module/kvm_amd/parameters/npt", "0\n")]);
        assert_eq!(amd, VendorModule::Doubtful(Some("kvm_amd")));
    }

    #[test]
    fn a_group_is_named_only_if_it_may_use_the_device() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (device, groups) = (folder.path().join("kvm"), folder.path().join("group"));
        fs::write(&device, "").unwrap();
        let number = device.metadata().unwrap().gid();
        fs::write(&groups, format!("other:x:4711:\nkvm:x:{number}:ada\n")).unwrap();
        for (mode, expected) in [(0o660, Some("kvm")), (0o600, None), (0o640, None)] {
            fs::set_permissions(&device, fs::Permissions::from_mode(mode)).unwrap();
            // Root's own group is nobody's to join.
            let expected = expected.filter(|_| number != 0);
            assert_eq!(group_of(&device, &groups).as_deref(), expected, "{mode:o}");
        }
    }
}
