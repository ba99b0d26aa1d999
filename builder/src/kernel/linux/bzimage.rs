//! The bzImage file: what its setup header says, and what kernels are refused for. (Linux, Documentation/arch/x86/boot.rst,
//! "The Real-Mode Kernel Header".)

use std::ops::Range;

use stos_image::GuestRange;

use super::fields::{
    BOOT_FLAG, BOOT_FLAG_VALUE, CMDLINE_SIZE, CODE32_START, HEADER, HEADER_MAGIC, INIT_SIZE, INITRD_ADDR_MAX,
    JUMP_OPERAND, LOADED_HIGH, LOADFLAGS, PREF_ADDRESS, RELOCATABLE_KERNEL, SETUP_HEADER, SETUP_HEADER_LIMIT,
    SETUP_SECTS, SYSSIZE, VERSION, VERSION_2_06, VERSION_2_10, XLF_KERNEL_64, XLOADFLAGS,
};
use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;
use crate::kernel::addresses::HIGH_MEMORY;

/// Bytes of a sector.
const SECTOR: usize = 512;
/// Offset of `kernel_version`.
const KERNEL_VERSION: usize = 0x20e;
/// Most characters of a kernel's version that are shown.
const VERSION_LIMIT: usize = 64;
/// What `setup_sects` means when it is 0.
const SETUP_SECTS_DEFAULT: u8 = 4;
/// Unit of `syssize`.
const PARAGRAPH: usize = 16;

/// A bzImage that can be loaded.
pub struct BzImage {
    /// Version of the boot protocol: the major number in the high byte.
    pub boot_protocol: u16,
    /// What the kernel calls itself, up to the first space.
    pub version: Option<String>,
    /// The setup header, from byte [`SETUP_HEADER`] of the file on.
    pub header: Vec<u8>,
    /// The protected-mode code in the file.
    pub code: Range<usize>,
    /// Physical address at which it is loaded and entered.
    pub start: u32,
    /// Memory that the kernel uses before it looks at the memory map.
    pub needed: GuestRange,
    /// Longest command line, without its NUL character.
    pub cmdline_size: u32,
    /// Highest address that a byte of the initramfs may have.
    pub initrd_addr_max: u32,
}

/// True for a file with the signature and the magic number of a Linux setup header.
pub fn has_linux_header(bytes: &[u8]) -> bool {
    let is_bootable = word16(bytes, BOOT_FLAG) == Some(BOOT_FLAG_VALUE);
    is_bootable && bytes.get(HEADER..HEADER + HEADER_MAGIC.len()) == Some(HEADER_MAGIC)
}

/// What the kernel calls itself: the field `kernel_version` leads to a text, counted from byte 0x200 of the file.
fn kernel_version(bytes: &[u8]) -> Option<String> {
    let start = usize::from(word16(bytes, KERNEL_VERSION).filter(|offset| *offset != 0)?) + 0x200;
    let text = bytes.get(start..)?.iter().take(VERSION_LIMIT).take_while(|byte| byte.is_ascii_graphic());
    let text: String = text.map(|&byte| char::from(byte)).collect();
    (!text.is_empty()).then_some(text)
}

impl BzImage {
    /// Reads the header of `input`.
    ///
    /// # Errors
    /// Says why it is no bzImage, or one that can't be started here.
    pub fn read(input: &InputFile) -> Result<Self, Diagnostic> {
        let bytes = &*input.bytes;
        if !has_linux_header(bytes) {
            return Err(not_bzimage(input));
        }
        let version = word16(bytes, VERSION).ok_or_else(|| truncated(input, VERSION + 2))?;
        let is_relocatable = version >= VERSION_2_10 && bytes.get(RELOCATABLE_KERNEL).is_some_and(|byte| *byte != 0);
        if word32(bytes, CODE32_START) == Some(0) && !is_relocatable {
            return Err(real_mode(input, bytes));
        }
        if version < VERSION_2_06 {
            return Err(old_protocol(input, version));
        }
        let end = HEADER + usize::from(bytes.get(JUMP_OPERAND).copied().unwrap_or_default());
        let end = end.min(SETUP_HEADER_LIMIT);
        let header = bytes.get(SETUP_HEADER..end).ok_or_else(|| truncated(input, end))?;
        // Behind the end of an old, shorter header stands code.
        let field = |offset: usize| word32(bytes, offset).filter(|_| offset + 4 <= end).unwrap_or(0);
        let byte = |offset: usize| bytes.get(offset).copied().unwrap_or(0);
        if byte(LOADFLAGS) & LOADED_HIGH == 0 {
            return Err(zimage(input));
        }
        if word16(bytes, XLOADFLAGS).is_some_and(|flags| flags & XLF_KERNEL_64 != 0) {
            return Err(kernel_64(input));
        }

        let setup_sects = Some(byte(SETUP_SECTS)).filter(|sects| *sects != 0).unwrap_or(SETUP_SECTS_DEFAULT);
        let code_start = (usize::from(setup_sects) + 1) * SECTOR;
        let code_size = usize::try_from(field(SYSSIZE)).ok().and_then(|size| size.checked_mul(PARAGRAPH));
        let code_end = code_size.and_then(|size| code_start.checked_add(size)).unwrap_or(usize::MAX);
        // The size is rounded up; not every kernel's file is.
        if code_end.saturating_sub(bytes.len()) >= PARAGRAPH || bytes.len() <= code_start {
            return Err(truncated(input, code_end));
        }
        let code = code_start..code_end.min(bytes.len());

        let relocatable = byte(RELOCATABLE_KERNEL) != 0;
        let preferred = (version >= VERSION_2_10).then(|| preferred(bytes)).flatten();
        let start = preferred.filter(|_| relocatable).unwrap_or_else(|| u64::from(field(CODE32_START)));
        // A kernel that is not relocatable moves itself to where it runs.
        let run_start = preferred.unwrap_or(start);
        let init_size = if version >= VERSION_2_10 { u64::from(field(INIT_SIZE)) } else { 0 };
        let needed = GuestRange::new(run_start, init_size.max(code.len() as u64));
        let start = place(input, start)?;
        place(input, run_start)?;
        Ok(Self {
            boot_protocol: version,
            version: kernel_version(bytes),
            header: header.to_vec(),
            code,
            start,
            needed,
            cmdline_size: field(CMDLINE_SIZE),
            initrd_addr_max: field(INITRD_ADDR_MAX),
        })
    }

    /// Where the code lies before it runs.
    pub fn loaded(&self) -> GuestRange {
        GuestRange::new(self.start.into(), self.code.len() as u64)
    }

    /// First address behind everything that the kernel uses early.
    pub fn end(&self) -> u64 {
        self.loaded().end().max(self.needed.end())
    }
}

/// Checks that a kernel may lie at `start`.
fn place(input: &InputFile, start: u64) -> Result<u32, Diagnostic> {
    u32::try_from(start).ok().filter(|start| *start >= HIGH_MEMORY).ok_or_else(|| nowhere(input, start))
}

/// The address at which the kernel likes to be loaded.
fn preferred(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.get(PREF_ADDRESS..PREF_ADDRESS + 8)?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}

fn word16(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..offset.checked_add(2)?)?;
    bytes.try_into().ok().map(u16::from_le_bytes)
}

fn word32(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

fn not_bzimage(input: &InputFile) -> Diagnostic {
    let (path, bytes) = (&input.path, &*input.bytes);
    let is_elf = bytes.starts_with(b"\x7fELF");
    let what = match bytes {
        [] => "it is empty".to_owned(),
        _ if is_elf => "it is an ELF file, probably `vmlinux`".to_owned(),
        _ => format!(
            "a bzImage has the bytes 55 AA at {BOOT_FLAG:#x} and `HdrS` at {HEADER:#x}, this file has not; it begins with `{}`",
            bytes[..bytes.len().min(8)].escape_ascii()
        ),
    };
    let help = if is_elf {
        "name `arch/x86/boot/bzImage` of the kernel's build folder, or `vmlinuz` of a distribution"
    } else {
        "name the kernel's `arch/x86/boot/bzImage`, or `/boot/vmlinuz-...` of a distribution for 32-bit x86"
    };
    input.complain(Code::NotBzImage, format!("`{path}` is not a Linux kernel as a bzImage: {what}")).help(help)
}

fn old_protocol(input: &InputFile, version: u16) -> Diagnostic {
    let (major, minor) = (version >> 8, version & 0xff);
    let message = format!(
        "`{}` follows version {major}.{minor:02} of the Linux boot protocol, at least 2.06 is needed",
        input.path
    );
    input.complain(Code::OldBootProtocol, message).help("take Linux 2.6.22 or newer")
}

/// iPXE and memdisk look like a kernel to loaders, and are programs for the BIOS.
fn real_mode(input: &InputFile, bytes: &[u8]) -> Diagnostic {
    let name = kernel_version(bytes).map(|name| format!(" (it calls itself `{name}`)")).unwrap_or_default();
    let message = format!("`{}` follows the Linux boot protocol, but starts in real mode{name}", input.path);
    input
        .complain(Code::OtherProtocol, message)
        .note(format!("code32_start at {CODE32_START:#x} is 0: there is no entry point for 32-bit protected mode, and a guest here begins in it, without a BIOS"))
        .help("name the kernel itself that this program would load: no loader is needed here")
}

fn zimage(input: &InputFile) -> Diagnostic {
    let message = format!(
        "`{}` is a zImage, which is loaded below 1 MiB: bit 0 (LOADED_HIGH) of loadflags at {LOADFLAGS:#x} is clear",
        input.path
    );
    input.complain(Code::LoadedLow, message).help("build the kernel with `make bzImage`")
}

fn kernel_64(input: &InputFile) -> Diagnostic {
    let message = format!("`{}` is a 64-bit kernel, and the guest's CPU has 32 bits", input.path);
    input
        .complain(Code::Kernel64, message)
        .note(format!("bit 0 (XLF_KERNEL_64) of xloadflags at {XLOADFLAGS:#x} is set"))
        .help(
            "take a 32-bit kernel: build with `make ARCH=i386 bzImage`, or Debian's package `linux-image-686` for i386",
        )
}

fn truncated(input: &InputFile, needed: usize) -> Diagnostic {
    let (path, size) = (&input.path, input.bytes.len());
    let message = format!("`{path}` has {size} bytes ({size:#x}), but its header speaks of {needed} ({needed:#x})");
    input.complain(Code::TruncatedKernel, message).help("the file is truncated or damaged; copy or build it again")
}

fn nowhere(input: &InputFile, start: u64) -> Diagnostic {
    let message =
        format!("`{}` wants to be loaded at {start:#x}, but a kernel lies between 1 MiB and 4 GiB", input.path);
    input
        .complain(Code::KernelDoesNotFit, message)
        .note(format!("code32_start is at {CODE32_START:#x} of the file, pref_address at {PREF_ADDRESS:#x}"))
        .help("the file is probably damaged; copy or build it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel with a setup sector more and 64 bytes of code, of protocol 2.15, whose header ends at 0x26c.
    fn file() -> Vec<u8> {
        let mut file = vec![0; 0x400];
        for (at, bytes) in [
            (0x1f1, &[1_u8][..]),
            (0x1f4, &[4]),
            (0x1fe, &[0x55, 0xaa]),
            (0x200, &[0xeb, 0x6a]),
            (0x202, b"HdrS"),
            (0x206, &[0x0f, 0x02]),
            (0x211, &[0x81]),
            (0x214, &[0, 0, 0x10, 0]),
            (0x22c, &[0xff, 0xff, 0xff, 0x7f]),
            (0x234, &[1]),
            (0x238, &[0xff, 0x07]),
            (0x25b, &[1]),
            (0x262, &[0x20]),
        ] {
            file[at..at + bytes.len()].copy_from_slice(bytes);
        }
        // It calls itself `6.1`, where `kernel_version` leads to; the rest of the file is code.
        file.resize(0x440, 0x90);
        file
    }

    fn read(change: impl Fn(&mut [u8])) -> Result<BzImage, Code> {
        let mut file = file();
        change(&mut file);
        BzImage::read(&InputFile::new("kernel", file)).map_err(|diagnostic| diagnostic.code)
    }

    fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
        file[at..at + bytes.len()].copy_from_slice(bytes);
    }

    #[test]
    fn every_value_of_every_byte_of_the_setup_header_means_what_the_protocol_says() {
        for value in 0..=u8::MAX {
            // 64 bytes of code lie behind two sectors; elsewhere, the code that `syssize` tells of is cut off.
            let sects = read(|file| file[SETUP_SECTS] = value);
            let expected = if value < 2 { Ok(0x400..0x440) } else { Err(Code::TruncatedKernel) };
            let expected = if value == 0 { Err(Code::TruncatedKernel) } else { expected };
            assert_eq!(sects.map(|kernel| kernel.code), expected, "setup_sects {value}");

            // The header ends where the jump leads to. `pref_address` and `init_size` need 0x264 - 0x202 of it.
            let jump = read(|file| file[JUMP_OPERAND] = value).unwrap();
            let end = (0x202 + usize::from(value)).min(SETUP_HEADER_LIMIT);
            assert_eq!(jump.header.len(), end - SETUP_HEADER, "jump {value:#x}");
            let has = |field: usize| end >= field + 4;
            assert_eq!(jump.needed.size, if has(INIT_SIZE) { 0x20_0000 } else { 64 }, "jump {value:#x}");
            assert_eq!(jump.cmdline_size, if has(CMDLINE_SIZE) { 0x7ff } else { 0 }, "jump {value:#x}");
            assert_eq!(jump.initrd_addr_max, if has(INITRD_ADDR_MAX) { 0x7fff_ffff } else { 0 }, "jump {value:#x}");

            let flags = read(|file| file[LOADFLAGS] = value);
            assert_eq!(flags.err(), (value & 1 == 0).then_some(Code::LoadedLow), "loadflags {value:#x}");

            let relocatable = read(|file| file[RELOCATABLE_KERNEL] = value).unwrap();
            let start = if value == 0 { 0x10_0000 } else { 0x100_0000 };
            assert_eq!((relocatable.start, relocatable.needed.start.0), (start, 0x100_0000), "relocatable {value}");
        }
    }

    #[test]
    fn every_value_of_every_half_word_of_the_setup_header_means_what_the_protocol_says() {
        for value in 0..=u16::MAX {
            let bytes = value.to_le_bytes();
            let flag = read(|file| put(file, BOOT_FLAG, &bytes));
            assert_eq!(flag.err(), (value != 0xaa55).then_some(Code::NotBzImage), "boot_flag {value:#x}");

            let version = read(|file| put(file, VERSION, &bytes));
            match version {
                Err(code) => assert_eq!((code, value < 0x206), (Code::OldBootProtocol, true), "version {value:#x}"),
                // Without `pref_address`, it is where `code32_start` says.
                Ok(kernel) => {
                    let start = if value < 0x20a { 0x10_0000 } else { 0x100_0000 };
                    let size = if value < 0x20a { 64 } else { 0x20_0000 };
                    assert_eq!((kernel.start, kernel.needed.size), (start, size), "version {value:#x}");
                    assert!(value >= 0x206);
                }
            }

            let xloadflags = read(|file| put(file, XLOADFLAGS, &bytes));
            assert_eq!(xloadflags.err(), (value & 1 != 0).then_some(Code::Kernel64), "xloadflags {value:#x}");

            // A name can stand anywhere in the file, and nowhere else.
            let named = read(|file| {
                put(file, KERNEL_VERSION, &bytes);
                put(file, 0x43c, b"6.1 ");
            });
            let at = usize::from(value) + 0x200;
            let expected = match at {
                0x43c => Some("6.1"),
                0x43d => Some(".1"),
                0x43e => Some("1"),
                _ => None,
            };
            let found = named.unwrap().version;
            assert!(expected.is_none() || found.as_deref() == expected, "kernel_version {value:#x}: {found:?}");
            assert!(at < 0x440 && value != 0 || found.is_none(), "kernel_version {value:#x}: {found:?}");
        }
    }

    #[test]
    fn at_every_edge_of_an_address_the_kernel_lies_where_it_says_or_is_refused() {
        let edges = (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 1]).chain([u64::MAX]);
        for value in edges {
            let preferred = read(|file| put(file, PREF_ADDRESS, &value.to_le_bytes()));
            let is_right = (0x10_0000..1 << 32).contains(&value);
            let expected = if is_right { Ok(value) } else { Err(Code::KernelDoesNotFit) };
            assert_eq!(preferred.map(|kernel| kernel.start.into()), expected, "pref_address {value:#x}");
            let Ok(word) = u32::try_from(value) else { continue };
            let start = read(|file| {
                file[RELOCATABLE_KERNEL] = 0;
                put(file, CODE32_START, &word.to_le_bytes());
            });
            let expected = match word {
                0 => Err(Code::OtherProtocol),
                1..0x10_0000 => Err(Code::KernelDoesNotFit),
                _ => Ok(word),
            };
            assert_eq!(start.map(|kernel| kernel.start), expected, "code32_start {word:#x}");
            let size = read(|file| put(file, INIT_SIZE, &word.to_le_bytes())).unwrap();
            // No sum of both passes 64 bits.
            assert_eq!(size.end(), 0x100_0000 + u64::from(word.max(64)), "init_size {word:#x}");
            let paragraphs = read(|file| put(file, SYSSIZE, &word.to_le_bytes()));
            let expected = if word <= 4 { Ok(0x400..0x400 + 16 * word as usize) } else { Err(Code::TruncatedKernel) };
            assert_eq!(paragraphs.map(|kernel| kernel.code), expected, "syssize {word:#x}");
        }
    }
}
