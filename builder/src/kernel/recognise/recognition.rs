//! Which boot protocol a kernel speaks, by its file alone.

use super::facts::Facts;
use super::foreign::{foreign, unknown};
use super::other::other_protocol;
use crate::diagnostics::{Code, Diagnostics};
use crate::input::InputFile;
use crate::kernel::addresses::KERNEL_BASE;
use crate::kernel::elf::{KernelElf, is_relocatable};
use crate::kernel::linux::has_linux_header;
use crate::kernel::multiboot::Header;
use crate::manifest::Protocol;

/// What each boot protocol makes of a kernel's file, and which one the file speaks.
#[derive(Clone, Debug)]
pub struct Recognition {
    /// What each protocol would load, or why it can't load anything, in the order of [`Protocol::ALL`].
    pub answers: Vec<Answer>,
    /// The protocol that the file speaks, or the one that was probably meant.
    pub protocol: Protocol,
    /// What is missing, when it speaks none; the most telling first.
    pub missing: Diagnostics,
}

/// A boot protocol, and what it makes of a kernel's file.
type Answer = (Protocol, Result<Facts, Diagnostics>);

impl Recognition {
    /// Recognises a file.
    pub fn new(input: &InputFile) -> Self {
        let protocols = Protocol::ALL.iter().map(|(_, protocol)| *protocol);
        let answers: Vec<Answer> = protocols.map(|protocol| (protocol, Facts::read(protocol, input))).collect();
        let (protocol, missing) = match choose(input, &answers) {
            Ok(protocol) => (protocol, Diagnostics::default()),
            Err((protocol, missing)) => (protocol, missing),
        };
        Self { answers, protocol, missing }
    }

    /// The protocol that the file speaks, if any.
    pub fn spoken(&self) -> Option<Protocol> {
        Some(self.protocol).filter(|_| self.missing.list.is_empty())
    }
}

/// The protocol that a file speaks; or the one that was probably meant, and what is missing.
fn choose(input: &InputFile, answers: &[Answer]) -> Result<Protocol, (Protocol, Diagnostics)> {
    let accepted = |protocol: Protocol| match answers.iter().find(|(other, _)| *other == protocol) {
        Some((_, Err(reasons))) => Err((protocol, reasons.clone())),
        _ => Ok(protocol),
    };
    // Its first sector looks like a boot sector, and its code may hold anything.
    if has_linux_header(&input.bytes) {
        return accepted(Protocol::Linux);
    }
    let header = Header::find(input);
    // An object file may have a header, but is not linked.
    if header.is_ok() && !is_relocatable(input) {
        return accepted(Protocol::Multiboot);
    }
    if !is_relocatable(input)
        && let Some(other) = other_protocol(input)
    {
        return Err((Protocol::Multiboot, other.into()));
    }
    // Before headers that are wrong: disk images have kernels in them.
    if let Some(foreign) = foreign(input) {
        return Err((Protocol::Stos, foreign.into()));
    }
    if let Err(reason) = header
        && reason.code != Code::NoMultibootHeader
    {
        return Err((Protocol::Multiboot, reason.into()));
    }
    if !input.bytes.starts_with(b"\x7fELF") {
        return Err((Protocol::Stos, unknown(input).into()));
    }
    match accepted(Protocol::Stos) {
        // A kernel that lies where stos kernels do was meant to be one.
        Err((meant, reasons)) => match accepted(Protocol::Elf) {
            Ok(protocol) if !is_linked_high(input) => Ok(protocol),
            _ => Err((meant, reasons)),
        },
        stos => stos,
    }
}

/// True when a segment of the kernel lies in the upper half, where stos kernels are linked.
fn is_linked_high(input: &InputFile) -> bool {
    let is_high = |kernel: KernelElf| kernel.segments.iter().any(|segment| segment.vaddr >= KERNEL_BASE);
    KernelElf::parse_segments(input).is_ok_and(is_high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognise(bytes: &[u8]) -> (Option<Protocol>, Protocol, Option<Code>) {
        let recognition = Recognition::new(&InputFile::new("file", bytes.to_vec()));
        let first = recognition.missing.list.first().map(|first| first.code);
        (recognition.spoken(), recognition.protocol, first)
    }

    fn flat() -> Vec<u8> {
        let header = [0x1bad_b002_u32, 0x1_0003, 0xe451_4ffb, 0x10_0000, 0x10_0000, 0, 0, 0x10_0020];
        let header = header.iter().flat_map(|word| word.to_le_bytes());
        header.chain([0xf4; 16]).collect()
    }

    #[test]
    fn a_right_header_counts_for_more_than_what_else_the_file_looks_like() {
        let multiboot = (Some(Protocol::Multiboot), Protocol::Multiboot, None);
        assert_eq!(recognise(&flat()), multiboot);
        // A signature of boot sectors may stand in the middle of a kernel.
        let mut signed = flat();
        signed.resize(510, 0);
        signed.extend([0x55, 0xaa]);
        assert_eq!(recognise(&signed), multiboot);
    }

    #[test]
    fn an_object_file_is_no_kernel_whatever_header_it_has() {
        let mut object = [&b"\x7fELF\x01\x01\x01"[..], &[0; 9], &[1, 0, 3, 0, 1, 0, 0, 0]].concat();
        object.resize(52, 0);
        object.extend(flat());
        // Its own flat image would be one that can be loaded.
        object[52 + 12..52 + 16].copy_from_slice(&0x10_0034_u32.to_le_bytes());
        assert!(Facts::read(Protocol::Multiboot, &InputFile::new("file", object.clone())).is_ok());
        assert_eq!(recognise(&object), (None, Protocol::Stos, Some(Code::WrongElfType)));
    }

    #[test]
    fn files_of_any_length_are_read_without_harm() {
        let mut disk = vec![0; 0x8006];
        disk[..2].copy_from_slice(b"MZ");
        disk[0x3c..0x40].fill(0xff);
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        disk[0x8001..].copy_from_slice(b"CD001");
        for length in (0..600).chain(0x8000..=disk.len()) {
            assert_eq!(recognise(&disk[..length]), (None, Protocol::Stos, Some(Code::NotElf)), "{length}");
        }
    }
}
