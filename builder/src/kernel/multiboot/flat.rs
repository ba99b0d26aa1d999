//! Kernels that are loaded as their Multiboot header's address fields say, whatever sort of file they are. (Multiboot
//! specification 0.6.96, section 3.1.3.)

use std::ops::Range;

use super::header::Addresses;
use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;

/// What the address fields make of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatKernel {
    /// The bytes of the file that are loaded.
    pub file: Range<usize>,
    /// Physical address of the first one.
    pub start: u32,
    /// First physical address after the kernel, zeros included.
    pub end: u32,
    /// Physical address of the first instruction.
    pub entry: u32,
}

impl FlatKernel {
    /// Checks the fields of the header at `offset` against each other and against the file.
    ///
    /// # Errors
    /// Names the field that can't be right.
    pub fn new(input: &InputFile, offset: usize, fields: Addresses) -> Result<Self, Diagnostic> {
        let Addresses { header, load, load_end, bss_end, entry } = fields;
        let size = input.bytes.len();
        let wrong = |what: String| {
            let message = format!("`{}`: the Multiboot header's address fields are wrong: {what}", input.path);
            input.complain(Code::BadAddressFields, message).note(format!(
                "the header at byte {offset} says header_addr {header:#x}, load_addr {load:#x}, load_end_addr {load_end:#x}, bss_end_addr {bss_end:#x}, entry_addr {entry:#x}"
            ))
        };
        let Some(before) = header.checked_sub(load) else {
            let what = format!("load_addr {load:#x} lies behind header_addr {header:#x}");
            return Err(
                wrong(what).help("load_addr is the address of the first byte that is loaded, at or before the header")
            );
        };
        let first = usize::try_from(before).ok().and_then(|before| offset.checked_sub(before));
        let Some(first) = first else {
            let what = format!(
                "header_addr - load_addr is {before} ({before:#x}), but only {offset} bytes of the file lie before the header"
            );
            return Err(
                wrong(what).help("header_addr must be the address that the header itself has once it is loaded")
            );
        };
        let length = if load_end == 0 { size - first } else { load_end.saturating_sub(load) as usize };
        if length == 0 {
            let what = format!("load_end_addr {load_end:#x} is not behind load_addr {load:#x}");
            return Err(wrong(what).help("write the address behind the last byte of .data, or 0 for the whole file"));
        }
        let Some(last) = first.checked_add(length).filter(|last| *last <= size) else {
            let what = format!(
                "they ask for the file's bytes {first} to {}, but it has only {size}",
                first.saturating_add(length)
            );
            let help = "the file is truncated, or load_end_addr counts .bss, which belongs to bss_end_addr";
            return Err(wrong(what).help(help));
        };
        let loaded_end = u64::from(load) + length as u64;
        let end = if bss_end == 0 { loaded_end } else { u64::from(bss_end) };
        if end < loaded_end {
            let what = format!("bss_end_addr {bss_end:#x} lies before the end of what is loaded, {loaded_end:#x}");
            return Err(wrong(what).help("write the address behind .bss, or 0 when there is none"));
        }
        let Ok(end) = u32::try_from(end) else {
            return Err(wrong("what is loaded passes the end of the 32-bit address space".to_owned()));
        };
        if entry < load || u64::from(entry) >= loaded_end {
            let what = format!("entry_addr {entry:#x} lies outside of what is loaded, {load:#x}-{:#x}", loaded_end - 1);
            return Err(wrong(what).help("entry_addr is the address of the first instruction, not an offset"));
        }
        Ok(Self { file: first..last, start: load, end, entry })
    }

    /// The byte of the file that is the first instruction.
    pub fn file_offset_of_entry(&self) -> usize {
        self.file.start + (self.entry - self.start) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(offset: usize, fields: [u32; 5]) -> Result<FlatKernel, String> {
        let bytes = vec![0; 1000];
        let [header, load, load_end, bss_end, entry] = fields;
        let fields = Addresses { header, load, load_end, bss_end, entry };
        FlatKernel::new(&InputFile::new("", bytes), offset, fields).map_err(|error| error.message)
    }

    #[test]
    fn zero_stands_for_the_whole_file_and_for_no_bss() {
        let kernel = flat(100, [0x10_0064, 0x10_0000, 0, 0, 0x10_0080]).unwrap();
        assert_eq!(kernel, FlatKernel { file: 0..1000, start: 0x10_0000, end: 0x10_03e8, entry: 0x10_0080 });
        let kernel = flat(100, [0x10_0000, 0x10_0000, 0x10_0010, 0x10_2000, 0x10_000f]).unwrap();
        assert_eq!(kernel, FlatKernel { file: 100..116, start: 0x10_0000, end: 0x10_2000, entry: 0x10_000f });
    }

    #[test]
    fn fields_that_contradict_each_other_are_named() {
        for (fields, name) in [
            ([0x10_0000, 0x10_0001, 0, 0, 0x10_0000], "load_addr"),
            ([0x10_0065, 0x10_0000, 0, 0, 0x10_0000], "header_addr"),
            ([0x10_0000, 0x10_0000, 0x10_0000, 0, 0x10_0000], "load_end_addr"),
            ([0x10_0000, 0x10_0000, 0xf_ffff, 0, 0x10_0000], "load_end_addr"),
            ([0x10_0000, 0x10_0000, 0x10_0385, 0, 0x10_0000], "the file's bytes 100 to 1001"),
            ([0x10_0000, 0x10_0000, 0x10_0010, 0x10_000f, 0x10_0000], "bss_end_addr"),
            ([0x10_0000, 0x10_0000, 0x10_0010, 0, 0x10_0010], "entry_addr"),
            ([0x10_0000, 0x10_0000, 0x10_0010, 0, 0xf_ffff], "entry_addr"),
            ([0xffff_ff00, 0xffff_ff00, 0, 0, 0xffff_ff00], "32-bit"),
        ] {
            let message = flat(100, fields).unwrap_err();
            assert!(message.contains(name), "{message}");
        }
    }
}
