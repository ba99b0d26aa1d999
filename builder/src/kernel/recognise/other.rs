//! Kernels for boot protocols that are not spoken here, and how each of them is told.

use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;
use crate::kernel::multiboot::second_header;

/// How a note of PVH begins: the sizes of a name of 4 bytes and of an address, the type `XEN_ELFNOTE_PHYS32_ENTRY`, the name. (Xen,
/// docs/misc/pvh.pandoc, and `xen/include/public/elfnote.h`.)
const PVH_NOTES: [[u8; 16]; 2] = [*b"\x04\0\0\0\x04\0\0\0\x12\0\0\0Xen\0", *b"\x04\0\0\0\x08\0\0\0\x12\0\0\0Xen\0"];
/// How requests and tags for Limine begin: two words of 64 bits each. (The Limine Boot Protocol, "Features".)
const LIMINE: [[u64; 2]; 2] =
    [[0xc7b1_dd30_df4c_8b88, 0x0a82_e883_a194_f07b], [0xf956_2b2d_5c95_a6c8, 0x6a7b_3849_4453_6bdc]];

/// What to say of a kernel for a boot protocol that is not spoken here.
pub fn other_protocol(input: &InputFile) -> Option<Diagnostic> {
    let path = &input.path;
    let spoken = |name: &str, offset: usize, what: &str, help: &str| {
        let message = format!("`{path}` is a kernel for {name}, which is not spoken here");
        let note = format!("at byte {offset} is {what}");
        input.complain(Code::OtherProtocol, message).note(note).help(help)
    };
    if let Some(offset) = second_header(&input.bytes) {
        let help = "give the kernel a header of Multiboot 1 beside it, `.long 0x1BADB002, 3, -(0x1BADB002 + 3)`, and let it tell by EAX at entry, 0x2BADB002, that EBX leads to the structure of that";
        return Some(spoken(
            "Multiboot 2",
            offset,
            "its header: the magic number 0xe85250d6 with a right checksum",
            help,
        ));
    }
    if let Some(offset) = limine(&input.bytes) {
        let help = "Limine enters kernels in 64-bit mode, and a guest here has 32 bits: build a 32-bit kernel with a header of Multiboot 1";
        return Some(spoken("Limine", offset, "a request for Limine", help));
    }
    if !input.bytes.starts_with(b"\x7fELF") {
        return None;
    }
    let is_note = |bytes: &[u8]| PVH_NOTES.iter().any(|note| bytes == note);
    let offset = input.bytes.windows(16).step_by(4).position(is_note)? * 4;
    let help = "give the kernel a header of Multiboot 1, `.long 0x1BADB002, 3, -(0x1BADB002 + 3)`: it is entered in the same mode, with EAX 0x2BADB002 and another structure at EBX";
    Some(spoken("PVH", offset, "an ELF note of Xen with a 32-bit entry point", help))
}

/// Where a request or a tag for Limine stands.
fn limine(bytes: &[u8]) -> Option<usize> {
    let marks = LIMINE.map(|[first, second]| [first.to_le_bytes(), second.to_le_bytes()].concat());
    Some(bytes.windows(16).step_by(8).position(|bytes| marks.iter().any(|mark| bytes == mark))? * 8)
}
