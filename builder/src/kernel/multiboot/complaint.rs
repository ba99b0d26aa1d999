//! What to say of a Multiboot header that is missing, in the wrong place, or wrong.

use super::words::{
    DEMANDS, HEADER_MAGIC, KNOWN_DEMANDS, SEARCH_LIMIT, checksum, checksum_of, could_be_flags, positions,
    second_header, word,
};
use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;
use crate::kernel::elf::{FileSection, section_at};

/// Most sections before the header's that are named.
const NAMES_SHOWN: usize = 8;
/// How far into the first section of a kernel a header lies when the section is what begins too far behind.
const NEAR: usize = 4096;

/// Whether somebody who wrote the magic number at `offset` meant it to be a header: not what debug information tells of the
/// number, and no operand of an instruction.
pub fn is_meant(input: &InputFile, sections: &[FileSection], offset: usize) -> bool {
    section_at(sections, offset).is_none_or(|section| {
        let flags = word(&input.bytes, offset + 4);
        let follows = flags.is_none_or(could_be_flags) || flags_left_out(input, offset).is_some();
        !section.is_about_the_program && (follows || !section.executable)
    })
}

/// The flags that a checksum right behind the magic number fits, when one stands there.
fn flags_left_out(input: &InputFile, offset: usize) -> Option<u32> {
    word(&input.bytes, offset + 4).map(checksum_of).filter(|flags| could_be_flags(*flags))
}

pub fn no_header(input: &InputFile, sections: &[FileSection]) -> Diagnostic {
    let message = format!("`{}` has no Multiboot header", input.path);
    let diagnostic = input.complain(Code::NoMultibootHeader, message);
    let bytes = &*input.bytes;
    // Three words that add up to 0 are no chance.
    let is_right = |offset: &usize| checksum(bytes, *offset).is_some_and(|sum| word(bytes, *offset + 8) == Some(sum));
    if let Some(offset) = positions(bytes, HEADER_MAGIC, 1).filter(|offset| offset % 4 != 0).find(is_right) {
        return diagnostic
            .note(format!("the magic number {HEADER_MAGIC:#x} stands nowhere in the file at a multiple of 4"))
            .note(format!("it stands at byte {offset}, which is not a multiple of 4"))
            .help("write `.align 4` before the header");
    }
    let stands = match positions(bytes, HEADER_MAGIC, 1).next() {
        None => format!("the magic number {HEADER_MAGIC:#x} stands nowhere in the file at a multiple of 4"),
        Some(offset) => {
            let stands = format!("the magic number {HEADER_MAGIC:#x} stands at byte {offset}");
            match section_at(sections, offset) {
                Some(FileSection { name, is_about_the_program: true, .. }) => {
                    format!("{stands} in `{name}`, which tells debuggers of the program and is no part of it")
                }
                Some(FileSection { name, executable: true, .. }) => {
                    format!("{stands} in `{name}`, probably within an instruction: no flags and checksum follow it")
                }
                _ => format!("{stands}, but no flags and checksum follow it"),
            }
        }
    };
    let mut diagnostic = diagnostic.note(stands);
    if let Some(offset) = second_header(bytes) {
        diagnostic = diagnostic.note(format!("at byte {offset} is a Multiboot2 header, which is another protocol"));
    }
    diagnostic.help(
        "give the kernel a header, `.section .multiboot, \"a\"; .align 4; .long 0x1BADB002, 3, -(0x1BADB002 + 3)`, and let the linker script begin with `KEEP(*(.multiboot))`",
    )
}

pub fn wrong_checksum(input: &InputFile, offset: usize) -> Diagnostic {
    let field = |index: usize| word(&input.bytes, offset + 4 * index);
    let (path, flags) = (&input.path, field(1));
    if let (Some(flags), Some(second)) = (flags_left_out(input, offset), flags) {
        let message = format!("`{path}`: the flags word is missing in the Multiboot header at byte {offset}");
        return input
            .complain(Code::WrongMultibootChecksum, message)
            .note(format!("its words are magic, flags and checksum; behind the magic number stands {second:#010x}, the checksum for the flags {flags:#x}"))
            .help(format!("write all three: `.long 0x1BADB002, {flags:#x}, -(0x1BADB002 + {flags:#x})`"));
    }
    let (Some(flags), Some(found), Some(expected)) = (flags, field(2), checksum(&input.bytes, offset)) else {
        let message = format!("`{path}` ends within its Multiboot header, which begins at byte {offset}");
        let help = "the file is truncated; link it again";
        return input.complain(Code::WrongMultibootChecksum, message).help(help);
    };
    let message =
        format!("`{path}`: the Multiboot header at byte {offset} has the checksum {found:#010x}, not {expected:#010x}");
    let sum = HEADER_MAGIC.wrapping_add(flags).wrapping_add(found);
    let note = format!(
        "magic, flags and checksum must add up to 0 in 32 bits: {HEADER_MAGIC:#x} + {flags:#x} + {found:#x} = {sum:#x}"
    );
    input
        .complain(Code::WrongMultibootChecksum, message)
        .note(note)
        .help(format!("let the assembler do it: `.long -(0x1BADB002 + FLAGS)`, here {expected:#010x}"))
}

pub fn too_far(input: &InputFile, sections: &[FileSection], offset: usize, size: usize) -> Diagnostic {
    let path = &input.path;
    let message = format!(
        "`{path}`: the Multiboot header is at byte {offset} of the file, it must end within the first {SEARCH_LIMIT}"
    );
    let mut diagnostic = input
        .complain(Code::MultibootHeaderTooFar, message)
        .note(format!("it takes the bytes {offset} to {}", offset + size - 1));
    let help = if let Some(section) = section_at(sections, offset) {
        let (facts, help) = how_to_move(sections, section, offset);
        diagnostic = diagnostic.note(facts);
        help
    } else if input.bytes.starts_with(b"\x7fELF") {
        "let its section come first in the linker script, `.multiboot : { KEEP(*(.multiboot)) }` before `.text`; if it does, link with `-z max-page-size=4096` or with `-n`, so that the first section follows the ELF headers closely".to_owned()
    } else {
        "let the header's section come first in the linker script".to_owned()
    };
    diagnostic.help(help)
}

/// What keeps the header in `section` from the beginning of the file, and what would move it there.
fn how_to_move(sections: &[FileSection], section: &FileSection, offset: usize) -> (String, String) {
    let name = &section.name;
    if !section.is_loaded {
        let facts = format!(
            "it lies in the section `{name}`, which has no flag ALLOC: ld puts such sections behind all that is loaded"
        );
        let help = format!(
            "give the section its flag, `.section {name}, \"a\"`, and let it come first in the linker script, `{name} : {{ KEEP(*({name})) }}`"
        );
        return (facts, help);
    }
    if let Some(meant) = name.strip_suffix(':').filter(|meant| !meant.is_empty()) {
        let facts = format!(
            "it lies in the section `{name}`, with a colon in its name: ld puts sections that the linker script does not name behind those that it names"
        );
        return (facts, format!("write `section {meant}` without the colon"));
    }
    let before = sections.iter().filter(|other| other.is_loaded && other.file.start < section.file.start);
    let before: Vec<&str> = before.map(|other| &*other.name).collect();
    let named = match before.get(..NAMES_SHOWN) {
        Some(first) if before.len() > NAMES_SHOWN => {
            format!("{} and {} more", first.join(" "), before.len() - NAMES_SHOWN)
        }
        _ => before.join(" "),
    };
    let inside = offset - section.file.start;
    let start = section.file.start;
    match *before {
        [] if inside <= NEAR => (
            format!("it lies in the section `{name}`, the first one, which begins at byte {start} of the file"),
            "link with `-z max-page-size=4096` or with `-n`: the first section then follows the ELF headers closely"
                .to_owned(),
        ),
        [first, ..] if inside == 0 => (
            format!("it lies in the section `{name}`, which comes behind {named}"),
            format!("let it come first in the linker script: `{name} : {{ KEEP(*({name})) }}` before `{first}`"),
        ),
        _ => {
            let first = before.first().copied().unwrap_or(name);
            let behind = if before.is_empty() { String::new() } else { format!(", which comes behind {named}") };
            (
                format!("it lies in the section `{name}`{behind}, {inside} bytes behind its beginning"),
                format!(
                    "give the header a section of its own, `.section .multiboot, \"a\"`, and let `{first}` begin with it in the linker script: `{first} : {{ KEEP(*(.multiboot)) ... }}`"
                ),
            )
        }
    }
}

pub fn unknown_demands(input: &InputFile, offset: usize, flags: u32) -> Diagnostic {
    let path = &input.path;
    let unknown: Vec<String> =
        (0..16).filter(|bit| flags & DEMANDS & !KNOWN_DEMANDS & 1 << bit != 0).map(|bit| bit.to_string()).collect();
    // Three words add up to 0 in any order.
    let other = checksum_of(flags);
    if could_be_flags(other) && !could_be_flags(flags) {
        let message =
            format!("`{path}`: flags and checksum of the Multiboot header at byte {offset} have changed places");
        return input
            .complain(Code::UnknownMultibootFlags, message)
            .note(format!("the flags are {flags:#010x}, the checksum is {other:#x}"))
            .help(format!("the flags come first: `.long 0x1BADB002, {other:#x}, -(0x1BADB002 + {other:#x})`"));
    }
    let what = match &*unknown {
        [bit] => format!("flag bit {bit}, which is"),
        [first @ .., last] => format!("the flag bits {} and {last}, which are", first.join(", ")),
        [] => String::new(),
    };
    let message = format!("`{path}`: the Multiboot header at byte {offset} sets {what} not defined");
    let note = format!(
        "flags are {flags:#010x}; of the demands in bits 0 to 15, bit 0 (page-aligned modules), bit 1 (memory information) and bit 2 (video mode) are defined"
    );
    input.complain(Code::UnknownMultibootFlags, message).note(note).help(
        "clear the bits, and compute the checksum anew: a loader must refuse a kernel whose demands it does not know",
    )
}
