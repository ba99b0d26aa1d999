//! The machine code in the boot pages: what a guest begins with, or returns to, and the fault catcher behind it.

use iced_x86::code_asm::{CodeAssembler, CodeLabel};
use iced_x86::{BlockEncoderOptions, IcedError};

use super::fault_catcher::fault_catcher;
use super::trampoline::{KernelCall, halt, kernel_call, trampoline};
use crate::diagnostics::{Code, Diagnostic};
use crate::plan::layout::BOOT_CODE;

/// The assembled boot code.
pub struct BootCode {
    /// Bytes from [`BOOT_CODE`] on.
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

/// Assembles the fault catcher, and before it the trampoline that turns paging on for `call`. A kernel that is
/// entered with paging off needs none: for that, the code that it returns to stands there.
///
/// # Errors
/// Only when an instruction can't be encoded, which no choice of addresses causes.
pub fn assemble(call: Option<KernelCall>) -> Result<BootCode, Diagnostic> {
    assemble_parts(call).map_err(|error| failed(&error))
}

fn assemble_parts(call: Option<KernelCall>) -> Result<BootCode, IcedError> {
    let mut asm = CodeAssembler::new(32)?;
    let mut start = asm.create_label();
    if let Some(call) = call {
        kernel_call(&mut asm, call)?;
        asm.set_label(&mut start)?;
        trampoline(&mut asm)?;
    } else {
        asm.set_label(&mut start)?;
        halt(&mut asm)?;
    }
    finish(asm, call.is_some(), Some(start))
}

/// Assembles the fault catcher behind code of a protocol's own, which a guest begins with.
///
/// # Errors
/// As for [`assemble`].
pub fn assemble_after(begin: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Result<BootCode, Diagnostic> {
    let parts = || {
        let mut asm = CodeAssembler::new(32)?;
        begin(&mut asm)?;
        finish(asm, true, None)
    };
    parts().map_err(|error| failed(&error))
}

fn failed(error: &IcedError) -> Diagnostic {
    Diagnostic::new(Code::FormatLimit, format!("the boot code can't be assembled: {error}"))
}

/// Adds the fault catcher. `start` is where a guest begins, unless it is the first instruction of all.
fn finish(mut asm: CodeAssembler, calls_kernel: bool, start: Option<CodeLabel>) -> Result<BootCode, IcedError> {
    let entries = fault_catcher(&mut asm)?;
    let assembled = asm.assemble_options(BOOT_CODE.into(), BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS)?;
    // Everything lies in the first page of a 32-bit address space.
    let address = |label: &CodeLabel| assembled.label_ip(label).map(|ip| u32::try_from(ip).unwrap_or(u32::MAX));
    let handlers = entries.handlers.iter().map(address).collect::<Result<Vec<u32>, _>>()?;
    let trampoline_size = handlers.first().map_or(0, |first| first - BOOT_CODE);
    let start = start.as_ref().map_or(Ok(BOOT_CODE), address)?;
    let double_fault = address(&entries.double_fault)?;
    Ok(BootCode { bytes: assembled.inner.code_buffer, start, trampoline_size, calls_kernel, handlers, double_fault })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KERNEL_BASE;
    use crate::plan::layout::{POINTERS, STACK_TOP};

    #[test]
    fn the_code_fits_its_page_and_has_a_handler_per_vector() {
        let code = assemble(Some(KernelCall { entry: 0xc010_0000, argument: 0xc010_4000 })).unwrap();
        assert!(code.bytes.len() < 0x1000, "{} bytes", code.bytes.len());
        assert_eq!(code.handlers.len(), 32);
        assert!(code.handlers.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(code.handlers[31] < code.double_fault && code.double_fault < 0x4000);
    }

    #[test]
    fn the_addresses_in_the_code_are_those_that_were_asked_for() {
        let code = assemble(Some(KernelCall { entry: 0xc012_3456, argument: 0xc065_4320 })).unwrap();
        let trampoline = &code.bytes[..code.trampoline_size as usize];
        for address in [0xc012_3456_u32, 0xc065_4320, KERNEL_BASE + STACK_TOP, KERNEL_BASE + POINTERS] {
            assert!(trampoline.windows(4).any(|word| word == address.to_le_bytes()), "{address:#x} is missing");
        }
    }
    #[test]
    fn without_paging_there_is_only_a_halt_before_the_catcher() {
        let code = assemble(None).unwrap();
        assert_eq!((code.start, &code.bytes[..2]), (BOOT_CODE, &[0xfa, 0xf4][..]));
        assert_eq!(code.handlers[0], BOOT_CODE + code.trampoline_size);
    }
}
