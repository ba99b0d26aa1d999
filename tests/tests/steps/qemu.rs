//! A guest on QEMU, which tells the registers before each instruction.

use std::fs;

use std::process::Command;
use stos_tests::emulator::boot;

use crate::state::{State, first_of_each};
use crate::tables::CODE;

/// Firmware: from the reset vector to flat segments in protected mode, and to the guest.
fn firmware() -> Vec<u8> {
    let mut rom = vec![0xf4; 0x1_0000];
    let pieces: [(usize, &[u8]); 5] = [
        // CLI; LGDT CS:[0x40]; MOV EAX, 0x11; MOV CR0, EAX; JMP 8:0xF0080.
        (0, b"\xfa\x2e\x66\x0f\x01\x16\x40\0\x66\xb8\x11\0\0\0\x0f\x22\xc0\x66\xea\x80\0\x0f\0\x08\0"),
        (0x40, b"\x17\0\x50\0\x0f\0"),
        // A flat code segment, and one of data.
        (0x50, b"\0\0\0\0\0\0\0\0\xff\xff\0\0\0\x9b\xcf\0\xff\xff\0\0\0\x93\xcf\0"),
        // MOV EAX, 0x10; MOV to DS, ES, SS, FS and GS; JMP 8:0x8000.
        (0x80, b"\xb8\x10\0\0\0\x8e\xd8\x8e\xc0\x8e\xd0\x8e\xe0\x8e\xe8\xea\0\x80\0\0\x08\0"),
        // JMP 0xF000:0.
        (0xfff0, b"\xea\0\0\0\xf0"),
    ];
    for (at, bytes) in pieces {
        rom[at..at + bytes.len()].copy_from_slice(bytes);
    }
    rom
}

/// The registers before each instruction, from the first one of the guest on.
pub fn states(memory: &[u8]) -> Vec<State> {
    let folder = tempfile::tempdir().unwrap();
    let [rom, guest, log] = ["rom", "guest", "log"].map(|name| folder.path().join(name));
    fs::write(&rom, firmware()).unwrap();
    fs::write(&guest, memory).unwrap();
    let mut command = Command::new("qemu-system-i386");
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-vga", "none", "-accel", "tcg"]);
    command.args(["-machine", "isapc", "-cpu", "qemu32,vme=off", "-m", "4", "-no-reboot", "-serial", "stdio"]);
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    command.arg("-bios").arg(&rom);
    command.arg("-device").arg(format!("loader,file={},addr=0,force-raw=on", guest.display()));
    command.args(["-singlestep", "-d", "cpu,nochain", "-D"]).arg(&log);
    let status = boot(command, None).status;
    // An even one comes of a triple fault.
    assert!(status.is_some_and(|status| status % 2 == 1), "the guest has not come to its end: {status:?}");
    let log = fs::read_to_string(&log).unwrap();
    let blocks = log.split("EAX=").skip(1).map(state);
    first_of_each(blocks.skip_while(|state| state.eip != CODE), usize::MAX)
}

/// What follows `EAX=` up to the next state.
fn state(block: &str) -> State {
    let text = |name: &str| block.split_once(name).map_or("", |(_, after)| after);
    let number = |name: &str, digits: usize| u32::from_str_radix(&text(name)[..digits], 16).unwrap();
    let word = |name: &str| number(name, 8);
    let selector = |name: &str| u16::try_from(number(name, 4)).unwrap();
    let eax = u32::from_str_radix(&block[..8], 16).unwrap();
    let [ecx, edx, ebx, esp, ebp, esi, edi] = ["ECX=", "EDX=", "EBX=", "ESP=", "EBP=", "ESI=", "EDI="].map(word);
    State {
        general: [eax, ecx, edx, ebx, esp, ebp, esi, edi],
        eip: word("EIP="),
        eflags: word("EFL="),
        selectors: ["\nES =", "\nCS =", "\nSS =", "\nDS =", "\nFS =", "\nGS =", "\nTR ="].map(selector),
        control: ["CR0=", "CR2=", "CR3="].map(word),
    }
}
