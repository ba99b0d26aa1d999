//! Monitors of others, where they are installed: each gets a guest that does the same, in the form and with the ending that it
//! takes.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use stos_x86::ports::{COM1, KEYBOARD_COMMAND};

use super::code::MARK;
use super::contestant::{Contestant, Team, kvm, words};
use super::settings::Settings;

/// Command of the keyboard controller that resets the machine, which ends these monitors.
const RESET: u8 = 0xfe;
/// Where the guest in an ELF file lies.
const CODE: u32 = 0x10_0000;

/// All of them.
pub fn others(settings: &Settings) -> Vec<Contestant> {
    let folder = settings.scratch.path();
    let found = |name, program, arguments: &dyn Fn(&Path) -> Result<Vec<OsString>, String>| {
        Contestant::if_found(name, Team::Other, program, 0, || kvm().and_then(|()| arguments(folder)))
    };
    vec![
        found("kvmtool", "lkvm", &|folder| {
            let mut arguments = words(&["run", "--console", "serial", "--mem", "16", "--kernel"]);
            arguments.push(real_mode(folder).into());
            Ok(arguments)
        }),
        found("solo5-hvt", "solo5-hvt", &|_| solo5()),
        found("Firecracker", "firecracker", &|folder| {
            let configuration = json!({
                "boot-source": { "kernel_image_path": elf(folder), "boot_args": "" },
                "drives": [],
                "machine-config": { "vcpu_count": 1, "mem_size_mib": 16 },
            });
            let path = written(folder, "firecracker.json", configuration.to_string().as_bytes());
            let mut arguments = words(&["--no-api", "--config-file"]);
            arguments.push(path.into());
            Ok(arguments)
        }),
        found("Cloud Hypervisor", "cloud-hypervisor", &|folder| {
            let mut arguments = words(&["--serial", "tty", "--console", "off", "--memory", "size=16M", "--kernel"]);
            arguments.push(elf(folder).into());
            Ok(arguments)
        }),
    ]
}

/// A unikernel that prints one byte. Solo5 has ports and an ABI of its own, so a guest must be linked with its library.
fn solo5() -> Result<Vec<OsString>, String> {
    let name = "BENCH_SOLO5_GUEST";
    let guest = env::var_os(name).map(PathBuf::from).filter(|path| path.is_file());
    let guest = guest.ok_or(format!("it runs unikernels of its own only: name one that prints one byte in {name}"))?;
    Ok([words(&["--mem=16"]), vec![guest.into()]].concat())
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Code for real mode, as kvmtool starts what is no Linux.
fn real_mode(folder: &Path) -> PathBuf {
    let [low, high] = COM1.to_le_bytes();
    // mov dx, COM1; mov al, MARK; out dx, al; then the ending
    let code = [&[0xba, low, high, 0xb0, MARK, 0xee][..], &ending()].concat();
    written(folder, "guest.real-mode", &code)
}

/// `mov al, RESET; out KEYBOARD_COMMAND, al; hlt`: the same in every mode.
fn ending() -> [u8; 5] {
    [0xb0, RESET, 0xe6, KEYBOARD_COMMAND.to_le_bytes()[0], 0xf4]
}

/// A 64-bit ELF file with the note of PVH, whose code means the same in 32-bit and in 64-bit mode. (Xen's
/// `XEN_ELFNOTE_PHYS32_ENTRY`, type 18.)
fn elf(folder: &Path) -> PathBuf {
    let [low, high] = COM1.to_le_bytes();
    let code = [&[0x66, 0xba, low, high, 0xb0, MARK, 0xee][..], &ending()].concat();
    // Header, two program headers, the note; the code follows on the next page.
    let note: Vec<u8> = [4_u32.to_le_bytes(), 8_u32.to_le_bytes(), 18_u32.to_le_bytes()]
        .concat()
        .into_iter()
        .chain(*b"Xen\0")
        .chain(u64::from(CODE).to_le_bytes())
        .collect();
    let mut file = Vec::new();
    file.extend(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend([2_u16, 62].into_iter().flat_map(u16::to_le_bytes)); // an executable for x86-64
    file.extend(1_u32.to_le_bytes());
    file.extend([u64::from(CODE), 64, 0].into_iter().flat_map(u64::to_le_bytes)); // entry, program headers
    file.extend(0_u32.to_le_bytes());
    file.extend([64_u16, 56, 2, 64, 0, 0].into_iter().flat_map(u16::to_le_bytes));
    let sizes = [code.len(), note.len()].map(|size| u64::try_from(size).unwrap());
    for (kind, flags, offset, address, size) in
        [(1_u32, 5_u32, 0x1000_u64, u64::from(CODE), sizes[0]), (4, 4, 64 + 2 * 56, 0, sizes[1])]
    {
        file.extend([kind, flags].into_iter().flat_map(u32::to_le_bytes));
        file.extend([offset, address, address, size, size, 4].into_iter().flat_map(u64::to_le_bytes));
    }
    file.extend(note);
    file.resize(0x1000, 0);
    file.extend(code);
    written(folder, "guest.elf", &file)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::emulator::{self, boot};

    /// QEMU starts both forms, too, and a reset ends it.
    const ENDED: Option<i32> = Some(0);

    #[test]
    fn the_elf_file_starts_by_its_note_and_prints_its_byte() {
        let folder = tempfile::tempdir().unwrap();
        // The other one takes no file for x86-64.
        let mut machine = Command::new("qemu-system-x86_64");
        machine.args(emulator::machine(16).get_args()).arg("-kernel").arg(elf(folder.path()));
        let booted = boot(machine, None);
        assert_eq!((booted.serial.matches(char::from(MARK)).count(), booted.status), (1, ENDED), "{booted:?}");
    }

    #[test]
    fn the_real_mode_code_prints_its_byte() {
        let folder = tempfile::tempdir().unwrap();
        let mut sector = fs::read(real_mode(folder.path())).unwrap();
        sector.resize(510, 0);
        sector.extend([0x55, 0xaa]);
        let disk = written(folder.path(), "disk", &sector);
        let mut machine = emulator::machine(16);
        machine.arg("-drive").arg(format!("file={},format=raw", disk.display()));
        let booted = boot(machine, None);
        assert_eq!((booted.serial.matches(char::from(MARK)).count(), booted.status), (1, ENDED), "{booted:?}");
    }
}
