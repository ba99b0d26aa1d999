//! The files in which each contestant wants the guest.

use std::fs;
use std::path::{Path, PathBuf};

use super::code::{GuestCode, MEMORY};
use crate::bare::BareGuest;
use crate::multiboot;

/// Where a guest lies that is loaded into memory.
pub const CODE: u32 = 0x10_0000;
/// Bytes of a ROM, which ends at 4 GiB.
const ROM_SIZE: usize = 0x1_0000;
/// Where the guest in a ROM lies.
pub const ROM_START: u32 = 0xffff_0000;
/// What else there is in a ROM, from its start on.
const ROM_PARTS: [(usize, &[u8]); 4] = [
    (0xff00, &REAL_MODE),
    (0xff40, &PROTECTED_MODE),
    (0xff80, &DESCRIPTORS),
    // jmp 0xff00: where the processor begins (Intel SDM volume 3A, section 10.1.4)
    (0xfff0, &[0xe9, 0x0d, 0xff]),
];
const REAL_MODE: [u8; 24] = [
    0xfa, // cli
    0x2e, 0x66, 0x0f, 0x01, 0x16, 0x98, 0xff, // lgdt cs:[0xff98]
    0x0f, 0x20, 0xc0, // mov eax, cr0
    0x0c, 0x01, // or al, 1
    0x0f, 0x22, 0xc0, // mov cr0, eax
    0x66, 0xea, 0x40, 0xff, 0xff, 0xff, 0x08, 0x00, // jmp 8:0xffffff40
];
const PROTECTED_MODE: [u8; 24] = [
    0x66, 0xb8, 0x10, 0x00, // mov ax, 16
    0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe0, 0x8e, 0xe8, 0x8e, 0xd0, // mov ds, es, fs, gs, ss
    0xbc, 0x00, 0x90, 0x00, 0x00, // mov esp, 0x9000
    0xe9, 0xa8, 0x00, 0xff, 0xff, // jmp 0xffff0000
];
const DESCRIPTORS: [u8; 30] = [
    0, 0, 0, 0, 0, 0, 0, 0, //
    0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0, // code
    0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0, // data
    0x17, 0, 0x80, 0xff, 0xff, 0xff, // what LGDT loads: limit and base of these
];

/// Writes the forms of one guest into a folder.
#[derive(Clone, Copy, Debug)]
pub struct Forms<'a> {
    /// The guest.
    pub code: GuestCode,
    /// Where its files go.
    pub folder: &'a Path,
}

impl Forms<'_> {
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The code alone, for 1 MiB.
    pub fn flat(&self) -> PathBuf {
        self.write("guest.bin", &self.code.at(CODE))
    }

    /// An image for `stos-run`.
    pub fn image(&self) -> PathBuf {
        self.write("guest.img", &image(&self.code.at(CODE)))
    }

    /// A Multiboot kernel.
    pub fn multiboot(&self) -> PathBuf {
        let mut file = multiboot::bytes(&multiboot::FLAT_HEADER);
        let address = CODE + u32::try_from(file.len()).unwrap();
        file.extend(self.code.at(address));
        self.write("guest.multiboot", &file)
    }

    /// A ROM.
    pub fn rom(&self) -> PathBuf {
        self.write("guest.rom", &rom(&self.code.at(ROM_START)))
    }
}

/// An image for `stos-run` of a guest whose code is for [`CODE`].
pub fn image(code: &[u8]) -> Vec<u8> {
    let mut guest = BareGuest::new(code);
    guest.description.memory_size = MEMORY;
    guest.image()
}

/// A ROM in place of the firmware, whose first instruction after a reset leads to the guest, with code for [`ROM_START`]: no other
/// start is faster.
pub fn rom(code: &[u8]) -> Vec<u8> {
    let mut rom = vec![0; ROM_SIZE];
    rom[..code.len()].copy_from_slice(code);
    for (start, part) in ROM_PARTS {
        rom[start..start + part.len()].copy_from_slice(part);
    }
    rom
}
