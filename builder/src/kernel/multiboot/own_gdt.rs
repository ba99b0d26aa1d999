//! Kernels that take hardware interrupts by the loader's GDT, which need not be there any more. (Multiboot specification 0.6.96,
//! section 3.2: GDTR may be invalid, so that the kernel must not load a segment register before it has a GDT of its own. Intel
//! SDM volume 3A, section 6.12.1: each interrupt loads CS.)

use iced_x86::{Decoder, DecoderOptions, Mnemonic};

use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;
use crate::kernel::elf::{KernelElf, Label};

/// Where a kernel has the instructions that its interrupts need.
#[derive(Default)]
struct Interrupts {
    /// LIDT: it has an IDT of its own.
    lidt: Option<u32>,
    /// STI.
    sti: Option<u32>,
    /// IRET: it has handlers that go back to what was interrupted.
    iret: Option<u32>,
}

/// What to say of a kernel that loads an IDT, enables interrupts and returns from them, but can't load a GDT: that instruction is
/// nowhere in its bytes, at whatever offset.
pub fn warning(input: &InputFile, kernel: &KernelElf) -> Option<Diagnostic> {
    let loaded = |range: &std::ops::Range<usize>| input.bytes.get(range.clone()).unwrap_or_default();
    if kernel.segments.iter().any(|segment| has_lgdt(loaded(&segment.file))) {
        return None;
    }
    let mut labels: Vec<&Label> = kernel.symbols.iter().filter(|label| !label.is_variable).collect();
    labels.sort_by_key(|label| label.address);
    let mut found = Interrupts::default();
    for section in kernel.sections.iter().filter(|section| section.executable) {
        let segment = kernel.segments.iter().find(|segment| segment.offset_of(section.vaddr).is_some())?;
        let bytes = loaded(&segment.file);
        let first = labels.partition_point(|label| label.address < section.vaddr);
        let inside = labels.get(first..).unwrap_or_default();
        let inside = inside.iter().take_while(|label| u64::from(label.address) < section.end());
        let mut starts: Vec<u32> = inside.map(|label| label.address).collect();
        starts.dedup();
        // From each name to the next one: what is data between functions does not shift the instructions behind it.
        for (start, end) in
            starts.iter().zip(starts.iter().skip(1).map(|start| u64::from(*start)).chain([section.end()]))
        {
            let offset = |address: u64| usize::try_from(address - u64::from(segment.vaddr)).ok();
            let code = offset((*start).into()).zip(offset(end)).and_then(|(start, end)| bytes.get(start..end));
            found.decode(code.unwrap_or_default(), *start);
        }
    }
    let (lidt, sti, _) = (found.lidt?, found.sti?, found.iret?);
    let place = |address: u32| {
        let label = labels.get(..labels.partition_point(|label| label.address <= address)).unwrap_or_default().last();
        label.map_or_else(|| format!("{address:#x}"), |label| format!("{address:#x} (`{}`)", label.name))
    };
    let message = format!("`{}` takes hardware interrupts, but has no GDT of its own", input.path);
    Some(
        input
            .complain(Code::NoOwnGdt, message)
            .note(format!("it has LIDT at {}, STI at {}, and LGDT nowhere", place(lidt), place(sti)))
            .note("each interrupt loads CS from the GDT, and the loader's need not be there any more (Multiboot specification, section 3.2)")
            .help("before `sti`, load a GDT with `lgdt`, then CS with a far jump, and DS, ES, FS, GS and SS with `mov`"),
    )
}

/// Whether three bytes in a row can be an LGDT: 0F 01 /2 with an operand in memory (Intel SDM volume 2A, "LGDT/LIDT").
fn has_lgdt(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|bytes| bytes[0] == 0x0f && bytes[1] == 0x01 && bytes[2] >> 3 & 7 == 2 && bytes[2] < 0xc0)
}

impl Interrupts {
    /// Looks at the instructions of `code`, which is linked at `start`, up to the first bytes that are none.
    fn decode(&mut self, code: &[u8], start: u32) {
        let mut decoder = Decoder::with_ip(32, code, start.into(), DecoderOptions::NONE);
        while decoder.can_decode() {
            let instruction = decoder.decode();
            if instruction.is_invalid() {
                return;
            }
            let place = match instruction.mnemonic() {
                Mnemonic::Lidt => &mut self.lidt,
                Mnemonic::Sti => &mut self.sti,
                Mnemonic::Iretd => &mut self.iret,
                _ => continue,
            };
            place.get_or_insert(instruction.ip32());
        }
    }
}
