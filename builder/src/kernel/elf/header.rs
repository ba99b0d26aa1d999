//! The ELF header, which kernels and modules have in common.

use object::read::elf::{FileHeader as _, SectionTable};
use object::{LittleEndian, elf};
use stos_image::is_plain;

use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;

/// The ELF header of a file for i386.
pub type Header = elf::FileHeader32<LittleEndian>;

/// Whether `input` is an object file that is still to be linked.
pub fn is_relocatable(input: &InputFile) -> bool {
    header(input, elf::ET_REL).is_ok()
}

/// A file that ends too early, or makes no sense.
pub fn malformed(input: &InputFile, what: &str, reason: &object::read::Error) -> Diagnostic {
    let message = format!("`{}`: {what} can't be read: {reason}", input.path);
    let size = input.bytes.len();
    input
        .complain(Code::MalformedElf, message)
        .note(format!("the file has {size} bytes ({size:#x})"))
        .help("the file is truncated or damaged; link it again")
}

/// Checks that `input` is an ELF32 little-endian file for i386 of type `wanted`.
pub fn header(input: &InputFile, wanted: object::elf::FileType) -> Result<&Header, Diagnostic> {
    let (path, bytes) = (&input.path, &*input.bytes);
    if !bytes.starts_with(&elf::ELFMAG) {
        let start = match bytes {
            [] => "it is empty".to_owned(),
            _ => format!("it begins with `{}`", bytes[..bytes.len().min(8)].escape_ascii()),
        };
        let message = format!("`{path}` is not an ELF file: {start}, an ELF file begins with `\\x7fELF`");
        let help = "name the linked kernel or module itself, not a disk image, an archive or a text";
        return Err(input.complain(Code::NotElf, message).help(help));
    }
    let class = bytes.get(4).copied();
    if class == Some(2) {
        let message = format!("`{path}` is an ELF64 file; kernels and modules here are ELF32");
        return Err(input
            .complain(Code::Elf64, message)
            .help("compile with `gcc -m32` and link with `ld -m elf_i386`"));
    }
    if bytes.get(5) == Some(&2) {
        let message = format!("`{path}` is big-endian; i386 is little-endian");
        return Err(input.complain(Code::WrongMachine, message).help("compile with `gcc -m32` for x86"));
    }
    let header = Header::parse(bytes).map_err(|reason| malformed(input, "its ELF header", &reason))?;
    let machine = header.e_machine.get(LittleEndian);
    if machine != elf::EM_386 {
        let message =
            format!("`{path}` is for another machine: e_machine is {} ({:#x}), i386 is 3", machine.0, machine.0);
        return Err(input.complain(Code::WrongMachine, message).help("compile with `gcc -m32` for x86"));
    }
    let found = header.e_type.get(LittleEndian);
    if found != wanted {
        let message = format!("`{path}` has ELF type {}, it must be {}", type_name(found), type_name(wanted));
        return Err(input.complain(Code::WrongElfType, message).help(type_help(found, wanted)));
    }
    Ok(header)
}

/// The section headers of a file.
pub fn sections<'a>(input: &'a InputFile, header: &Header) -> Result<SectionTable<'a, Header>, Diagnostic> {
    header.sections(LittleEndian, &*input.bytes).map_err(|reason| malformed(input, "its section headers", &reason))
}

/// The name of a section as messages have it: not too long, and without characters that terminals obey or nobody sees.
pub fn section_name(sections: &SectionTable<'_, Header>, section: &elf::SectionHeader32<LittleEndian>) -> String {
    let name = sections.section_name(LittleEndian, section).map(String::from_utf8_lossy).unwrap_or_default();
    name.chars().filter(|&character| is_plain(character)).take(32).collect()
}

fn type_name(file_type: object::elf::FileType) -> String {
    let name = match file_type {
        elf::ET_NONE => "ET_NONE (no type)",
        elf::ET_REL => "ET_REL (relocatable)",
        elf::ET_EXEC => "ET_EXEC (executable)",
        elf::ET_DYN => "ET_DYN (position-independent or shared)",
        elf::ET_CORE => "ET_CORE (core dump)",
        other => return format!("{:#x}", other.0),
    };
    name.to_owned()
}

fn type_help(found: object::elf::FileType, wanted: object::elf::FileType) -> &'static str {
    match (wanted, found) {
        (elf::ET_EXEC, elf::ET_DYN) => "compile with `-fno-pie` and link with `-no-pie`",
        (elf::ET_EXEC, elf::ET_REL) => {
            "this is an object file: link it with the kernel's linker script, `ld -m elf_i386 -T kernel.ld`"
        }
        (elf::ET_EXEC, _) => "name the linked kernel",
        (elf::ET_REL, elf::ET_EXEC) => "this is linked like a kernel: a module is linked with `ld -m elf_i386 -r`",
        _ => "link the module with `ld -m elf_i386 -r`",
    }
}
