//! What an error of one boot protocol is to say of the file, when the file is plainly for another.

use super::foreign::foreign;
use super::other::other_protocol;
use super::recognition::Recognition;
use crate::diagnostics::{Code, Diagnostics};
use crate::input::InputFile;
use crate::kernel::linux::has_linux_header;
use crate::kernel::multiboot::Header;
use crate::manifest::Protocol;

/// Mistakes that a file of another sort makes: with them, what the file is tells more than what it is not.
const OF_ANOTHER_SORT: &[Code] = &[
    Code::NotElf,
    Code::Elf64,
    Code::WrongMachine,
    Code::WrongElfType,
    Code::SegmentOutsideWindow,
    Code::NoMultibootHeader,
    Code::NotBzImage,
];

/// The `errors` of `protocol` about the kernel's file, and what the file is, when it is something else.
pub fn answer(input: &InputFile, protocol: Protocol, mut errors: Diagnostics) -> Diagnostics {
    let Some(first) = errors.list.iter_mut().find(|error| OF_ANOTHER_SORT.contains(&error.code)) else { return errors };
    // A header says what a file was made for. That it could be loaded in some other way says little.
    let (is_linux, has_header) = (has_linux_header(&input.bytes), Header::find(input).is_ok());
    if is_linux || has_header {
        if let Some(spoken) = Recognition::new(input).spoken().filter(|spoken| *spoken != protocol) {
            let mark = if is_linux { "the setup header of Linux" } else { "a Multiboot header" };
            first.notes.push(format!("it has {mark}"));
            first.help = Some(format!("it is a kernel for the protocol {}: write `protocol: {0}`", spoken.name()));
        }
        return errors;
    }
    if let Some(mut real) = other_protocol(input).or_else(|| foreign(input)) {
        real.primary = first.primary.take();
        *first = real;
    }
    errors
}
