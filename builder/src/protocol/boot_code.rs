//! The machine code in the boot pages: what a guest begins with, or returns to, and the fault catcher behind it.

use iced_x86::code_asm::{CodeAssembler, CodeLabel};
use iced_x86::{BlockEncoderOptions, IcedError};

use super::fault_catcher::fault_catcher;
use super::trampoline::halt;
use crate::diagnostics::{Code, Diagnostic};
use crate::plan::layout::{BOOT_CODE, BootPages};

/// The assembled boot code.
pub struct BootCode {
    /// Bytes in the place of [`BOOT_CODE`] and on.
    pub bytes: Vec<u8>,
    /// Physical address of the trampoline's first instruction; without one, of the code that halts when a kernel returns.
    pub start: u32,
    /// Bytes of the trampoline or of that code; the fault catcher follows it.
    pub trampoline_size: u32,
    /// Whether what is before the fault catcher calls the kernel; else it is where a kernel returns to.
    pub calls_kernel: bool,
    /// Physical address of the handler of each exception vector.
    pub handlers: Vec<u32>,
    /// Physical address of the code that a double fault's task begins with.
    pub double_fault: u32,
}

/// Assembles `begin`, which calls the kernel or is what it returns to, and the fault catcher behind it. `begin` tells where a
/// guest begins, unless that is its first instruction.
///
/// # Errors
/// Only when an instruction can't be encoded, which no choice of addresses causes.
pub fn assemble(
    pages: BootPages,
    calls_kernel: bool,
    begin: impl FnOnce(&mut CodeAssembler) -> Result<Option<CodeLabel>, IcedError>,
) -> Result<BootCode, Diagnostic> {
    let parts = || {
        let mut asm = CodeAssembler::new(32)?;
        let start = begin(&mut asm)?;
        let entries = fault_catcher(&mut asm)?;
        let code = pages.at(BOOT_CODE);
        let assembled = asm.assemble_options(code.into(), BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS)?;
        // Everything lies in a page of a 32-bit address space.
        let address = |label: &CodeLabel| assembled.label_ip(label).map(|ip| u32::try_from(ip).unwrap_or(u32::MAX));
        let handlers = entries.handlers.iter().map(address).collect::<Result<Vec<u32>, _>>()?;
        let trampoline_size = handlers.first().map_or(0, |first| first - code);
        let start = start.as_ref().map_or(Ok(code), address)?;
        let double_fault = address(&entries.double_fault)?;
        let bytes = assembled.inner.code_buffer;
        Ok(BootCode { bytes, start, trampoline_size, calls_kernel, handlers, double_fault })
    };
    parts().map_err(|error: IcedError| {
        Diagnostic::new(Code::FormatLimit, format!("the boot code can't be assembled: {error}"))
    })
}

/// The boot code for a kernel that is entered with paging off: what it returns to, and the fault catcher.
///
/// # Errors
/// As for [`assemble`].
pub fn without_paging(pages: BootPages) -> Result<BootCode, Diagnostic> {
    assemble(pages, false, |asm| halt(asm).map(|()| None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KERNEL_BASE;
    use crate::plan::layout::{POINTERS, STACK_TOP};
    use crate::protocol::trampoline::trampoline;

    #[test]
    fn the_code_fits_its_page_and_has_a_handler_per_vector() {
        let code = assemble(BootPages::USUAL, true, |asm| trampoline(asm, 0xc010_0000, 0xc010_4000).map(Some)).unwrap();
        assert!(code.bytes.len() < 0x1000, "{} bytes", code.bytes.len());
        assert_eq!(code.handlers.len(), 32);
        assert!(code.handlers.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(code.handlers[31] < code.double_fault && code.double_fault < 0x4000);
    }

    #[test]
    fn the_addresses_in_the_code_are_those_that_were_asked_for() {
        let code = assemble(BootPages::USUAL, true, |asm| trampoline(asm, 0xc012_3456, 0xc065_4320).map(Some)).unwrap();
        let trampoline = &code.bytes[..code.trampoline_size as usize];
        for address in [0xc012_3456_u32, 0xc065_4320, KERNEL_BASE + STACK_TOP, KERNEL_BASE + POINTERS] {
            assert!(trampoline.windows(4).any(|word| word == address.to_le_bytes()), "{address:#x} is missing");
        }
    }

    #[test]
    fn without_paging_there_is_only_a_halt_before_the_catcher() {
        let code = without_paging(BootPages::USUAL).unwrap();
        assert_eq!((code.start, &code.bytes[..2]), (BOOT_CODE, &[0xfa, 0xf4][..]));
        assert_eq!(code.handlers[0], BOOT_CODE + code.trampoline_size);
    }
}
