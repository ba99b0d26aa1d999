//! QEMU by itself: the same guest in a ROM in place of the firmware, and as a Multiboot kernel as people start one.

use std::ffi::OsString;
use std::path::Path;

use super::code::MEMORY;
use super::contestant::{Contestant, Team, kvm, words};
use super::forms::Forms;
use super::settings::Settings;

/// Machines, as `-machine` takes them. The first has a serial port only when it is told to.
const MACHINES: [(&str, &str); 2] = [("microvm", "microvm,isa-serial=on"), ("pc", "pc")];
/// Accelerators.
const ACCELERATORS: [&str; 2] = ["tcg", "kvm"];
/// Name of the PC that translates, with a ROM.
pub const TRANSLATING: &str = "QEMU pc on tcg, ROM";
/// Exit status when the guest writes 0 to the exit port: 2 * 0 + 1.
const STATUS: i64 = 1;

/// Each machine with each accelerator, with the guest in its ROM.
pub fn with_rom(forms: Forms<'_>) -> Vec<Contestant> {
    let of_machine = |(name, machine)| {
        ACCELERATORS.map(|accelerator| {
            let boot = || [words(&["-bios"]), vec![forms.rom().into()]].concat();
            qemu(
                &format!("QEMU {name} on {accelerator}, ROM"),
                machine,
                accelerator,
                forms.code.uses_debug_console(),
                boot,
            )
        })
    };
    MACHINES.into_iter().flat_map(of_machine).collect()
}

/// The PC with its firmware, which starts the guest as `-kernel` does. In the quick mode without KVM: one that runs real mode
/// badly takes seconds.
pub fn with_kernel(settings: &Settings, forms: Forms<'_>) -> Vec<Contestant> {
    let of_accelerator = |accelerator| {
        let boot = || [words(&["-kernel"]), vec![forms.multiboot().into()]].concat();
        let name = format!("QEMU pc on {accelerator}, BIOS, -kernel");
        qemu(&name, "pc", accelerator, forms.code.uses_debug_console(), boot)
    };
    settings.unless_quick(&ACCELERATORS[..], &ACCELERATORS[..1]).iter().copied().map(of_accelerator).collect()
}

/// The PC that translates its guest's code, with this ROM.
pub fn translating(rom: &Path) -> Contestant {
    qemu(TRANSLATING, "pc", "tcg", false, || [words(&["-bios"]), vec![rom.into()]].concat())
}

fn qemu(
    name: &str,
    machine: &str,
    accelerator: &str,
    has_debug_console: bool,
    boot: impl FnOnce() -> Vec<OsString>,
) -> Contestant {
    Contestant::if_found(name, Team::Qemu, "qemu-system-x86_64", STATUS, || {
        if accelerator == "kvm" {
            kvm()?;
        }
        let memory = format!("{}k", MEMORY / 1024);
        let mut arguments = words(&["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        arguments.extend(words(&["-machine", machine, "-accel", accelerator, "-m", &memory]));
        arguments.extend(words(&["-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]));
        if has_debug_console {
            arguments.extend(words(&["-chardev", "file,id=debug,path=/dev/stderr"]));
            arguments.extend(words(&["-device", "isa-debugcon,iobase=0xe9,chardev=debug"]));
        }
        Ok([arguments, boot()].concat())
    })
}
