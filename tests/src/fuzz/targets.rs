//! All targets.

use super::files::{FileTarget, Kind};
use super::image::ImageTarget;
use super::machine::MachineTarget;
use super::pack::PackTarget;
use super::run::{ConsoleTarget, DiagnosisTarget, EmulatorTarget, PortsTarget};
use super::target::Named;

/// All targets, by their names.
pub const TARGETS: [Named; 12] = [
    Named { name: "image", make: |folder| Ok(Box::new(ImageTarget::new(folder)?)) },
    Named { name: "diagnosis", make: |folder| Ok(Box::new(DiagnosisTarget::new(folder)?)) },
    Named { name: "ports", make: |_| Ok(Box::new(PortsTarget)) },
    Named { name: "machine", make: |_| Ok(Box::new(MachineTarget)) },
    Named { name: "emulator", make: |folder| Ok(Box::new(EmulatorTarget::new(folder)?)) },
    Named { name: "console", make: |_| Ok(Box::new(ConsoleTarget)) },
    Named { name: "manifest", make: |folder| Ok(Box::new(PackTarget::new(folder)?)) },
    Named { name: "elf", make: |folder| Ok(Box::new(FileTarget::new(Kind::Elf, folder)?)) },
    Named { name: "bzimage", make: |folder| Ok(Box::new(FileTarget::new(Kind::BzImage, folder)?)) },
    Named { name: "multiboot", make: |folder| Ok(Box::new(FileTarget::new(Kind::Multiboot, folder)?)) },
    Named { name: "recognise", make: |folder| Ok(Box::new(FileTarget::new(Kind::Recognise, folder)?)) },
    Named { name: "newc", make: |folder| Ok(Box::new(FileTarget::new(Kind::Newc, folder)?)) },
];
