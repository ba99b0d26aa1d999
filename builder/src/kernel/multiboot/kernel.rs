//! A kernel for Multiboot: its header, and how its file is loaded.

use stos_image::GuestRange;

use super::flat::FlatKernel;
use super::header::{Header, WANTS_VIDEO};
use super::own_gdt;
use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::input::InputFile;
use crate::kernel::elf::{KernelElf, Names, SectionTable};
use crate::kernel::load_address::Part;

/// A kernel with its header.
pub struct Kernel {
    /// Its Multiboot header.
    pub header: Header,
    /// Physical address of the first instruction.
    pub entry: u32,
    /// How it is loaded.
    pub image: Image,
    /// Names of its addresses.
    pub names: Names,
}

/// How a kernel is loaded.
pub enum Image {
    /// As the header's address fields say.
    Flat(FlatKernel),
    /// As the program headers say.
    Elf {
        /// The segments.
        kernel: KernelElf,
        /// The section headers, if there are any.
        sections: Option<SectionTable>,
    },
}

impl Kernel {
    /// Reads a kernel's file.
    ///
    /// # Errors
    /// Everything that keeps the kernel from being loaded.
    pub fn read(input: &InputFile) -> Result<Self, Diagnostics> {
        let header = Header::find(input);
        let mut names = Names::default();
        if let Ok(header @ Header { addresses: Some(addresses), .. }) = header {
            let flat = FlatKernel::new(input, header.offset, addresses)?;
            let help = "entry_addr is the address of the first instruction, not that of the header";
            check_entry(input, &header, flat.entry, flat.file_offset_of_entry(), || help.to_owned())?;
            // Names are a help, not a condition: the file need not be ELF, or not ELF for 32 bits.
            if names.add_kernel(input).is_err() {
                names = Names::default();
            }
            return Ok(Self { header, entry: flat.entry, image: Image::Flat(flat), names });
        }
        if !input.bytes.starts_with(b"\x7fELF") {
            return Err(header.map_or_else(|error| error, |_| not_elf(input)).into());
        }
        let kernel = match KernelElf::parse_physical(input) {
            Ok(kernel) => kernel,
            Err(mut errors) => {
                errors.list.extend(header.err());
                return Err(errors);
            }
        };
        let (header, sections) = (header?, SectionTable::read(input)?);
        let entry = kernel.entry;
        let entered = kernel.segments.iter().find_map(|segment| Some((segment, segment.offset_of_physical(entry)?)));
        if let Some((segment, offset)) = entered {
            let offset = segment.file.start + offset as usize;
            check_entry(input, &header, entry, offset, || kernel.help_to_start(input))?;
        }
        names.add_kernel(input)?;
        Ok(Self { header, entry: kernel.entry, image: Image::Elf { kernel, sections }, names })
    }

    /// What to say of a kernel that asks for a video mode.
    pub fn video_warning(&self, input: &InputFile) -> Option<Diagnostic> {
        let message = format!("`{}` asks for a video mode, and gets none", input.path);
        let note = "flag bit 2 of its Multiboot header is set; the information structure will say that there is no video information (its flags bits 11 and 12 are clear)";
        let help =
            "let the kernel use text at 0xB8000 when the bits are clear, or clear the flag to be without this warning";
        let warning = input.complain(Code::NoVideoMode, message).note(note).help(help);
        (self.header.flags & WANTS_VIDEO != 0).then_some(warning)
    }

    /// What is probably wrong with it, but for what concerns the protection of pages: paging is off, and the kernel's own affair.
    pub fn warnings(&self, input: &InputFile) -> Vec<Diagnostic> {
        let Image::Elf { kernel, .. } = &self.image else { return Vec::new() };
        let concerns_paging = |code| matches!(code, Code::WritableCode | Code::SharedPage);
        let of_the_file = kernel.warnings.list.iter().filter(|warning| !concerns_paging(warning.code)).cloned();
        of_the_file.chain(own_gdt::warning(input, kernel)).collect()
    }

    /// What is loaded where, with words for each part.
    pub fn parts(&self) -> Vec<Part> {
        match &self.image {
            Image::Elf { kernel, .. } => kernel.segments.iter().map(Part::of).collect(),
            Image::Flat(flat) => {
                let range = GuestRange::new(flat.start.into(), u64::from(flat.end - flat.start));
                let what = "the image that its Multiboot header's address fields describe".to_owned();
                vec![Part { range, what, begins_with_headers: false, linked: None }]
            }
        }
    }
}

/// Checks that the entry point `entry`, the byte `offset` of the file, is not on the header: its words are no instructions.
fn check_entry(
    input: &InputFile,
    header: &Header,
    entry: u32,
    offset: usize,
    help: impl FnOnce() -> String,
) -> Result<(), Diagnostic> {
    let file = header.file();
    if !file.contains(&offset) {
        return Ok(());
    }
    let path = &input.path;
    let message = format!("`{path}`: the entry point {entry:#x} is on the Multiboot header, not on code");
    let diagnostic = input.complain(Code::EntryNotExecutable, message).note(format!(
        "the header takes the bytes {} to {} of the file, and the entry point leads to byte {offset}",
        file.start,
        file.end - 1
    ));
    let by_default = "ld takes the first byte of `.text` when it finds no function of the name that `ENTRY(...)` gives, or `_start`, and warns `cannot find entry symbol`";
    let diagnostic = if header.addresses.is_none() { diagnostic.note(by_default) } else { diagnostic };
    Err(diagnostic.help(help()))
}

fn not_elf(input: &InputFile) -> Diagnostic {
    let message = format!("`{}` is not an ELF file, and its Multiboot header has no address fields", input.path);
    input.complain(Code::NotElf, message)
        .note("flag bit 16 of the header is clear, so that nothing says where a flat binary is to be loaded")
        .help("link the kernel as ELF, `ld -m elf_i386 --oformat elf32-i386`, or set bit 16 and fill in header_addr to entry_addr")
}
