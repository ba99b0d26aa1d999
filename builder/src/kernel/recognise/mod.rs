//! Recognises which boot protocol a kernel speaks, by its file alone.

mod facts;
mod foreign;
mod report;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use stos_image::{Digest, Input};

use crate::diagnostics::{Code, Diagnostic, Diagnostics, Span, printable_path, read_failure};
use crate::input::Loaded;
use crate::kernel::addresses::KERNEL_BASE;
use crate::kernel::elf::{KernelElf, is_relocatable};
use crate::kernel::linux::has_linux_header;
use crate::kernel::multiboot::{Header, has_second_header};
use crate::manifest::{INPUT_LIMIT, Protocol};
use foreign::{foreign, unknown};

pub use crate::kernel::multiboot::MultibootFacts;
pub use facts::{ElfFacts, Facts, LinuxFacts, StosFacts};
pub use report::{KernelReport, ProtocolReport};

/// What each boot protocol makes of a kernel's file, and which one the file speaks.
#[derive(Clone, Debug)]
pub struct Recognition {
    /// What each protocol makes of it, in the order of [`Protocol::ALL`].
    pub answers: Vec<Answer>,
    /// The protocol that the file speaks, or the one that was probably meant.
    pub protocol: Protocol,
    /// What is missing, when it speaks none; the most telling first.
    pub missing: Diagnostics,
}

/// What a boot protocol makes of a kernel's file.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The protocol.
    pub protocol: Protocol,
    /// What would be loaded, or why nothing can.
    pub facts: Result<Facts, Diagnostics>,
}

impl Recognition {
    /// Recognises a file.
    pub fn new(loaded: &Loaded) -> Self {
        let answer =
            |(_, protocol): &(&str, Protocol)| Answer { protocol: *protocol, facts: Facts::read(*protocol, loaded) };
        let answers: Vec<Answer> = Protocol::ALL.iter().map(answer).collect();
        let (protocol, missing) = match choose(loaded, &answers) {
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
fn choose(loaded: &Loaded, answers: &[Answer]) -> Result<Protocol, (Protocol, Diagnostics)> {
    let accepted = |protocol: Protocol| match answers.iter().find(|answer| answer.protocol == protocol) {
        Some(Answer { facts: Err(reasons), .. }) => Err((protocol, reasons.clone())),
        _ => Ok(protocol),
    };
    // Its first sector looks like a boot sector, and its code may hold anything.
    if has_linux_header(&loaded.bytes) {
        return accepted(Protocol::Linux);
    }
    let header = Header::find(loaded);
    // An object file may have a header, but is not linked.
    if header.is_ok() && !is_relocatable(loaded) {
        return accepted(Protocol::Multiboot);
    }
    // Before headers that are wrong: disk images have kernels in them.
    if let Some(foreign) = foreign(loaded) {
        return Err((Protocol::Stos, foreign.into()));
    }
    match header {
        Err(reason) if reason.code != Code::NoMultibootHeader => return Err((Protocol::Multiboot, reason.into())),
        _ => {}
    }
    if !loaded.bytes.starts_with(b"\x7fELF") {
        return Err((Protocol::Stos, unknown(loaded).into()));
    }
    let is_of_another_sort = |reasons: &Diagnostics| {
        let codes = [Code::Elf64, Code::WrongMachine, Code::WrongElfType, Code::MalformedElf];
        reasons.list.first().is_some_and(|first| codes.contains(&first.code))
    };
    match accepted(Protocol::Stos) {
        Err((_, ref reasons)) if !is_of_another_sort(reasons) && has_second_header(&loaded.bytes) => {
            accepted(Protocol::Multiboot)
        }
        // A kernel that lies where stos kernels do was meant to be one.
        Err((meant, reasons)) => match accepted(Protocol::Elf) {
            Ok(protocol) if !is_linked_high(loaded) => Ok(protocol),
            _ => Err((meant, reasons)),
        },
        stos => stos,
    }
}

/// True when a segment of the kernel lies in the upper half, where stos kernels are linked.
fn is_linked_high(loaded: &Loaded) -> bool {
    let is_high = |kernel: KernelElf| kernel.segments.iter().any(|segment| segment.vaddr >= KERNEL_BASE);
    KernelElf::parse_segments(loaded).is_ok_and(is_high)
}

/// Examines the file at `path`; `None` when it begins as an image does, or can't be read twice.
///
/// # Errors
/// When it can't be read, or is too large for a kernel.
pub fn examine(path: &Path) -> Result<Option<KernelReport>, Diagnostic> {
    // Who reads it as an image says what is wrong with the file.
    let Ok(mut file) = File::open(path) else { return Ok(None) };
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Ok(None);
    }
    let shown = printable_path(path);
    let failed = |error| read_failure(&format!("`{shown}`"), &error);
    let mut bytes = Vec::new();
    let magic = stos_image::MAGIC;
    (&mut file).take(magic.len() as u64).read_to_end(&mut bytes).map_err(failed)?;
    // An image that is cut off is one.
    if !bytes.is_empty() && magic.starts_with(&bytes) {
        return Ok(None);
    }
    file.take(INPUT_LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    let is_too_large = bytes.len() as u64 > INPUT_LIMIT;
    let loaded = loaded(&shown, bytes);
    if is_too_large {
        return Err(foreign(&loaded).unwrap_or_else(|| {
            let message = format!("`{shown}` has more than {INPUT_LIMIT} bytes, which is too large for a kernel");
            Diagnostic::new(Code::DoesNotFit, message).help("name the linked kernel itself")
        }));
    }
    Ok(Some(KernelReport::new(path, &loaded)))
}

/// Reads the file at `path` for [`Recognition::new`]; `None` when it can't be read or is too large.
pub fn load(path: &Path) -> Option<Loaded> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(INPUT_LIMIT + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= INPUT_LIMIT).then(|| loaded(&printable_path(path), bytes))
}

/// A file that no manifest names.
pub fn loaded(path: &str, bytes: Vec<u8>) -> Loaded {
    let origin = Input {
        key: "kernel".to_owned(),
        path: path.to_owned(),
        size: bytes.len() as u64,
        digest: Digest::of(&bytes),
        content: Vec::new(),
    };
    Loaded { origin, bytes: bytes.into(), span: Span::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognise(bytes: &[u8]) -> (Option<Protocol>, Protocol, Option<Code>) {
        let recognition = Recognition::new(&loaded("file", bytes.to_vec()));
        let first = recognition.missing.list.first().map(|first| first.code);
        (recognition.spoken(), recognition.protocol, first)
    }

    fn flat() -> Vec<u8> {
        let header = [0x1bad_b002_u32, 0x1_0003, 0xe451_4ffb, 0x10_0000, 0x10_0000, 0, 0, 0x10_0000];
        header.iter().flat_map(|word| word.to_le_bytes()).collect()
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
        assert!(Facts::read(Protocol::Multiboot, &loaded("file", object.clone())).is_ok());
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
