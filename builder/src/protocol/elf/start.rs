//! The machine code that a guest without a boot protocol begins with: it turns paging on where the manifest asks for it, and
//! calls the kernel with the registers that the manifest gives.

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, cr0, eax};
use stos_x86::registers::{CR0_ET, CR0_PE, CR0_PG, CR0_WP};

use crate::diagnostics::Diagnostic;
use crate::plan::layout::BootPages;
use crate::protocol::boot_code::{BootCode, assemble};
use crate::protocol::trampoline::halt;

/// CR0 with paging on. WP makes read-only pages read-only for the kernel, too (Intel SDM volume 3A, section 4.6.1).
pub const PAGED_CR0: u32 = CR0_PE | CR0_ET | CR0_WP | CR0_PG;

/// How the kernel is reached.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Address of its first instruction.
    pub target: u32,
    /// Whether there is a stack for a return address.
    pub has_stack: bool,
    /// EAX as the kernel shall find it, when paging is turned on, which takes a register.
    pub paged_eax: Option<u32>,
}

impl Start {
    /// The boot code with this in front of the fault catcher. No flag and no register but ESP, by the return address, is
    /// other than the entry state says when the kernel begins.
    ///
    /// # Errors
    /// As for [`assemble`].
    pub fn assemble(self, pages: BootPages) -> Result<BootCode, Diagnostic> {
        assemble(pages, true, |asm| self.emit(asm).map(|()| None))
    }

    fn emit(self, asm: &mut CodeAssembler) -> Result<(), IcedError> {
        if let Some(kernels_eax) = self.paged_eax {
            let mut paged = asm.create_label();
            asm.mov(eax, PAGED_CR0)?;
            asm.mov(cr0, eax)?;
            // A jump right after the switch, as Intel SDM volume 3A, section 9.9.1 asks for.
            asm.jmp(paged)?;
            asm.set_label(&mut paged)?;
            asm.mov(eax, kernels_eax)?;
        }
        if !self.has_stack {
            return asm.jmp(u64::from(self.target));
        }
        asm.call(u64::from(self.target))?;
        // A kernel that returns has nowhere to go: halt for good, which a runner reports.
        halt(asm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::layout::BOOT_CODE;

    #[test]
    fn without_paging_the_kernel_is_just_called() {
        let code = Start { target: 0x10_0000, has_stack: true, paged_eax: None }.assemble(BootPages::USUAL).unwrap();
        assert_eq!(code.start, BOOT_CODE);
        // call 0x100000; cli; hlt; jmp to the hlt
        assert_eq!(code.bytes[..9], [0xe8, 0xfb, 0xcf, 0x0f, 0x00, 0xfa, 0xf4, 0xeb, 0xfd]);
        assert_eq!(code.handlers[0], BOOT_CODE + code.trampoline_size);
    }

    #[test]
    fn with_paging_eax_is_the_kernels_again() {
        let code = Start { target: 0xc000_3000, has_stack: false, paged_eax: Some(0x1234) }
            .assemble(BootPages::USUAL)
            .unwrap();
        let expected = [
            0xb8, 0x11, 0x00, 0x01, 0x80, // mov eax, 0x80010011
            0x0f, 0x22, 0xc0, // mov cr0, eax
            0xeb, 0x00, // jmp to the next instruction
            0xb8, 0x34, 0x12, 0x00, 0x00, // mov eax, 0x1234
            0xe9, 0xec, 0xff, 0xff, 0xbf, // jmp 0xc0003000
        ];
        assert_eq!(code.bytes[..20], expected);
    }
}
