//! The host's KVM: the processor, the kernel's module, the device and who may open it, and whether 32-bit kernels run there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::finding::{Finding, NAME_ANOTHER, State};
use super::system::System;
use crate::backend::{KvmProblem, NoKvm, Reason};
use crate::outcome::no_kvm;

const PART: &str = "KVM";

/// What a machine has for KVM, as far as files tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// The module for the processor, if its flags show virtualization (`vmx`, `svm`).
    module: Option<&'static str>,
    /// The modules of KVM that are loaded or built in.
    loaded: Vec<&'static str>,
    /// Mode and group of the device, if it is there.
    device: Option<(u32, u32)>,
}

impl Hardware {
    /// That of the system whose files are below `root`.
    pub fn read(root: &Path) -> Self {
        let list = fs::read_to_string(root.join("proc/cpuinfo")).unwrap_or_default();
        let flags = list.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        let has = |name: &str| flags.split_ascii_whitespace().any(|flag| flag == name);
        let module = if has("vmx") { Some("kvm_intel") } else { has("svm").then_some("kvm_amd") };
        let is_loaded = |name: &&str| root.join("sys/module").join(name).exists();
        let loaded = ["kvm", "kvm_intel", "kvm_amd", "kvm_pvm"].into_iter().filter(is_loaded).collect();
        let device = root.join("dev/kvm").metadata().ok().map(|device| (device.mode() & 0o777, device.gid()));
        Self { module, loaded, device }
    }

    /// One clause on it.
    fn told(&self) -> String {
        let modules = match &*self.loaded {
            [] => "no module is loaded".to_owned(),
            [one] => format!("module {one}"),
            several => format!("modules {}", several.join(", ")),
        };
        let device = self.device.map(|(mode, group)| format!("; /dev/kvm has mode {mode:04o} and group {group}"));
        modules + &device.unwrap_or_default()
    }

    /// What is to be done so that there is a KVM.
    fn make(&self, system: &System) -> String {
        if system.container.is_some() {
            return "start the container with `--device /dev/kvm`, on a machine that has it".to_owned();
        }
        if system.is_wsl && self.module.is_none() {
            return "put `nestedVirtualization=true` below `[wsl2]` into %UserProfile%\\.wslconfig, then `wsl --shutdown`; it takes \
                    Windows 11"
                .to_owned();
        }
        match self.module {
            None => "turn virtualization on: VT-x, AMD-V or SVM in the firmware's setup, or nested virtualization on the host of \
                     this virtual machine (its processor shows neither vmx nor svm in /proc/cpuinfo)"
                .to_owned(),
            Some(module) if self.loaded.contains(&module) => {
                format!("look what the kernel says: `sudo dmesg | grep -i kvm` (module {module} is loaded)")
            }
            Some(module) => system.load_module(module),
        }
    }
}

/// What is told of a KVM that was tried with this result. Where guests are to run on it by name, nothing replaces it.
pub fn finding(tried: &Result<Reason, NoKvm>, hardware: &Hardware, system: &System, is_named: bool) -> Finding {
    let facts = hardware.told();
    let why = match tried {
        Ok(Reason::VendorModule(_)) => return Finding::good(PART, format!("runs 32-bit kernels; {facts}")),
        Ok(_) => return Finding::good(PART, format!("runs 32-bit kernels, as a probe has shown; {facts}")),
        Err(why) => why,
    };
    let state = if is_named { State::Bad } else { State::Fair };
    if let NoKvm::Problem(KvmProblem::OtherSystem) = why {
        let told = "only Linux on x86 has it; guests run on the embedded machine";
        return Finding::other(PART, state, told, Vec::from_iter(is_named.then(|| NAME_ANOTHER.to_owned())));
    }
    let told = format!("not used, {}; {facts}", no_kvm(why));
    let advice = match why {
        NoKvm::NoPaging { .. } => "nothing here: its makers left that out; guests run on the embedded machine".to_owned(),
        NoKvm::Problem(KvmProblem::Missing | KvmProblem::NoDriver) => hardware.make(system),
        NoKvm::Problem(KvmProblem::Forbidden { group }) => match group {
            Some(group) => system.join_group(group),
            None => "give the device to a group: `sudo chgrp kvm /dev/kvm && sudo chmod 660 /dev/kvm`; the udev rule of the \
                     distribution's QEMU does that at each start"
                .to_owned(),
        },
        NoKvm::Problem(KvmProblem::Refused) => "start the container with `--device /dev/kvm`".to_owned(),
        NoKvm::Problem(_) => "look what the kernel says: `sudo dmesg | grep -i kvm`".to_owned(),
    };
    Finding::other(PART, state, told, vec![advice])
}

#[cfg(test)]
mod tests {
    use super::super::testing::root;
    use super::*;

    const INTEL: (&str, &str) = ("proc/cpuinfo", "processor: 0\nflags\t\t: fpu vmx ept\n");
    const AMD: (&str, &str) = ("proc/cpuinfo", "flags : fpu svm npt\n");

    /// What is told of the system with these `files`, where KVM is of no use because of `problem`.
    fn of(files: &[(&str, &str)], problem: KvmProblem) -> Finding {
        let root = root(files);
        let (hardware, system) = (Hardware::read(root.path()), System::read(root.path()));
        finding(&Err(NoKvm::Problem(problem)), &hardware, &system, false)
    }

    #[test]
    fn a_module_that_is_missing_is_named_by_the_processor() {
        let intel = of(&[INTEL], KvmProblem::Missing);
        assert_eq!(intel.state, State::Fair);
        assert!(
            intel.told.contains("there is no /dev/kvm") && intel.told.ends_with("; no module is loaded"),
            "{intel:?}"
        );
        assert!(intel.advice[0].starts_with("sudo modprobe kvm_intel "), "{intel:?}");
        assert!(of(&[AMD], KvmProblem::Missing).advice[0].starts_with("sudo modprobe kvm_amd "));
        let loaded = of(&[INTEL, ("sys/module/kvm_intel/x", ""), ("sys/module/kvm/x", "")], KvmProblem::NoDriver);
        assert!(loaded.advice[0].contains("dmesg") && loaded.told.ends_with("; modules kvm, kvm_intel"), "{loaded:?}");
    }

    #[test]
    fn a_processor_without_virtualization_is_told_where_it_is_turned_on() {
        assert!(of(&[], KvmProblem::Missing).advice[0].contains("firmware's setup"));
        let wsl = of(&[("proc/sys/kernel/osrelease", "5.15-microsoft-standard-WSL2")], KvmProblem::Missing);
        assert!(wsl.advice[0].contains("nestedVirtualization=true"), "{wsl:?}");
        let container = of(&[(".dockerenv", ""), INTEL], KvmProblem::Missing);
        assert!(container.advice[0].contains("--device /dev/kvm"), "{container:?}");
    }

    #[test]
    fn rights_are_a_matter_of_groups() {
        let group = Some("kvm".to_owned());
        let device = [INTEL, ("dev/kvm", "")];
        let forbidden = of(&device, KvmProblem::Forbidden { group: group.clone() });
        assert!(forbidden.advice[0].starts_with("sudo usermod -aG kvm $USER"), "{forbidden:?}");
        assert!(forbidden.told.contains("; /dev/kvm has mode 0"), "{forbidden:?}");
        let nixos = [device[0], device[1], ("etc/os-release", "ID=nixos\n")];
        assert!(of(&nixos, KvmProblem::Forbidden { group }).advice[0].contains("extraGroups"));
        assert!(of(&device, KvmProblem::Forbidden { group: None }).advice[0].contains("chgrp kvm"));
        assert!(of(&device, KvmProblem::Refused).advice[0].contains("--device /dev/kvm"));
    }

    #[test]
    fn a_kvm_that_works_or_is_not_needed_is_no_trouble() {
        let root = root(&[INTEL, ("sys/module/kvm_intel/x", "")]);
        let (hardware, system) = (Hardware::read(root.path()), System::read(root.path()));
        let good = finding(&Ok(Reason::VendorModule("kvm_intel")), &hardware, &system, false);
        assert_eq!((good.state, &*good.told), (State::Good, "runs 32-bit kernels; module kvm_intel"));
        assert!(finding(&Ok(Reason::Probed(None)), &hardware, &system, false).told.contains("a probe has shown"));
        let named = finding(&Err(NoKvm::Problem(KvmProblem::Missing)), &hardware, &system, true);
        assert_eq!(named.state, State::Bad, "guests are to run on it");
        let elsewhere = |is_named| finding(&Err(NoKvm::Problem(KvmProblem::OtherSystem)), &hardware, &system, is_named);
        assert_eq!((elsewhere(false).state, elsewhere(false).advice.len()), (State::Fair, 0));
        assert_eq!((elsewhere(true).state, &*elsewhere(true).advice[0]), (State::Bad, NAME_ANOTHER));
    }
}
