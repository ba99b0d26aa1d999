//! Files that are no kernels, but that people take for kernels.

use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;
use crate::input::initramfs::decompressor;
use crate::kernel::elf::{ModuleElf, is_relocatable};

/// Where the first volume descriptor of ISO 9660 names itself, and how (ECMA-119, section 8.1).
const ISO_NAME: (usize, &[u8]) = (0x8001, b"CD001");
/// Where a boot sector has its signature, and what it is.
const BOOT_SIGNATURE: (usize, &[u8]) = (510, &[0x55, 0xaa]);
/// Where a file for MS-DOS names the place of its PE header.
const PE_POINTER: usize = 0x3c;

/// What to say of a file that is something else than a kernel, when it can be told what.
pub fn foreign(input: &InputFile) -> Option<Diagnostic> {
    let path = &input.path;
    let has = |(offset, text): (usize, &[u8])| has_at(&input.bytes, offset, text);
    let no_kernel =
        |what: &str, help: &str| Diagnostic::new(Code::NotElf, format!("`{path}` is no kernel, but {what}")).help(help);
    if let Some(command) = decompressor(&input.bytes) {
        let help = format!("decompress it with `{command}`, and name the result: no loader unpacks it here");
        return Some(no_kernel("a compressed file", &help));
    }
    if has(ISO_NAME) {
        let help = "name the kernel that was put into it, such as `isodir/boot/kernel.elf`: no GRUB is needed here";
        return Some(no_kernel("the image of a CD (ISO 9660)", help));
    }
    if is_pe(&input.bytes) {
        let help = "link the kernel as ELF, `ld -m elf_i386 --oformat elf32-i386`";
        return Some(no_kernel("a PE executable, for Windows or UEFI", help));
    }
    if has(BOOT_SIGNATURE) {
        let help = "a guest here has no BIOS, and begins with the kernel: name the kernel that the boot sector loads";
        let what = "a boot sector or the image of a disk: the bytes 55 AA are at 510, and no Linux header follows";
        return Some(no_kernel(what, help));
    }
    if is_relocatable(input)
        && let Ok(module) = ModuleElf::parse(input)
        && !module.warnings.list.iter().any(|warning| warning.code == Code::NoModuleInformation)
    {
        let message = format!("`{path}` is no kernel, but a module for a stos kernel: it has a section `.modinfo`");
        let help = "name it in the manifest's `modules`, `- path: module.ko`, beside the kernel";
        return Some(Diagnostic::new(Code::WrongElfType, message).help(help));
    }
    None
}

/// What to say of a file of which nothing is known.
pub fn unknown(input: &InputFile) -> Diagnostic {
    let (path, bytes) = (&input.path, &*input.bytes);
    let start = match bytes.get(..8).unwrap_or(bytes) {
        [] => "it is empty".to_owned(),
        start => format!("it begins with `{}`", start.escape_ascii()),
    };
    Diagnostic::new(Code::NotElf, format!("`{path}` is neither a boot image nor a kernel: {start}"))
        .note("a boot image begins with `STOSIMG\\x00`, an ELF file with `\\x7fELF`; a flat kernel has a Multiboot header")
        .help("name the image or the linked kernel itself")
}

fn has_at(bytes: &[u8], offset: usize, text: &[u8]) -> bool {
    bytes.get(offset..).is_some_and(|rest| rest.starts_with(text))
}

fn is_pe(bytes: &[u8]) -> bool {
    let pointer = bytes.get(PE_POINTER..).and_then(|rest| rest.first_chunk());
    let header = pointer.and_then(|pointer| usize::try_from(u32::from_le_bytes(*pointer)).ok());
    bytes.starts_with(b"MZ") && header.is_some_and(|offset| has_at(bytes, offset, b"PE\0\0"))
}
