//! The first code of an exported kernel: it asks the Multiboot loader whether there is enough memory, moves the code that
//! fills the guest's memory to its place, and goes on there. When it can't, it says so and halts.

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, CodeLabel, ah, al, bl, byte_ptr, dword_ptr, dx, eax, ebx, ecx, edi, esi};
use stos_image::PAGE_SIZE;
use stos_x86::ports;

use super::fill::{Move, move_memory};
use crate::protocol::multiboot::structures::{LOADER_MAGIC, info_flags};

/// Bytes that it takes.
pub const SIZE: u32 = 0x1000;
/// Offset of the text for a loader that is none, after the code.
const NO_LOADER_TEXT: u32 = 0x800;
/// That text.
const NO_LOADER: &str =
    "stos-pack: this kernel must be started by a Multiboot loader: qemu -kernel, or `multiboot` in GRUB.\r\n\0";
/// Offset of the text for a machine with too little memory.
const TOO_SMALL_TEXT: u32 = 0xc00;

/// Multiboot information: offset of `mem_upper`, KiB of memory from 1 MiB to the first hole (Multiboot 0.6.96, section 3.3).
const MEM_UPPER: i32 = 8;
/// KiB at the end of memory that firmware may keep for its tables. The kernel gets them nevertheless: nobody else is left
/// to use them.
const FIRMWARE_KIB: u64 = 1024;

/// The text screen's first cell.
const SCREEN: u32 = 0xb_8000;
/// White on red.
const ATTRIBUTE: u32 = 0x4f;
/// COM1's registers.
const SERIAL: u32 = ports::COM1 as u32;
/// Its line status register, and the bit that says that it takes another byte.
const SERIAL_STATUS: u32 = SERIAL + 5;
const SERIAL_READY: u32 = 1 << 5;
/// Looks at the status before a byte is given up: a port that nobody answers must not hold up the text on the screen.
const SERIAL_PATIENCE: u32 = 1 << 16;
/// 115200 baud, 8 bits, no parity, no interrupts: what to write to which port.
const SERIAL_SETUP: [(u32, u32); 5] =
    [(SERIAL + 1, 0), (SERIAL + 3, 0x80), (SERIAL, 1), (SERIAL + 1, 0), (SERIAL + 3, 3)];

/// What it is for.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Where it lies.
    pub at: u32,
    /// The code that fills guest memory.
    pub handover: Move,
    /// Where that begins.
    pub enter: u32,
    /// Guest memory in bytes.
    pub memory_size: u64,
}

impl Start {
    /// The code and its texts, [`SIZE`] bytes.
    ///
    /// # Errors
    /// Only when an instruction can't be encoded, which no choice of addresses causes.
    pub fn build(&self) -> Result<Vec<u8>, IcedError> {
        let mut asm = CodeAssembler::new(32)?;
        let (mut no_loader, mut too_small, mut enough) = (asm.create_label(), asm.create_label(), asm.create_label());
        asm.cli()?;
        asm.cld()?;
        asm.cmp(eax, LOADER_MAGIC)?;
        asm.jne(no_loader)?;
        asm.test(byte_ptr(ebx), info_flags::MEMORY)?;
        asm.je(enough)?;
        asm.cmp(dword_ptr(ebx + MEM_UPPER), self.least_mem_upper())?;
        asm.jb(too_small)?;

        asm.set_label(&mut enough)?;
        move_memory(&mut asm, &[self.handover])?;
        asm.mov(eax, self.enter)?;
        asm.jmp(eax)?;

        let mut say = asm.create_label();
        asm.set_label(&mut no_loader)?;
        asm.mov(esi, self.at + NO_LOADER_TEXT)?;
        asm.jmp(say)?;
        asm.set_label(&mut too_small)?;
        asm.mov(esi, self.at + TOO_SMALL_TEXT)?;
        asm.set_label(&mut say)?;
        say_and_halt(&mut asm)?;

        let mut bytes = asm.assemble(self.at.into())?;
        for (offset, text) in [(NO_LOADER_TEXT, NO_LOADER), (TOO_SMALL_TEXT, &self.too_small_text())] {
            bytes.resize(offset as usize, 0);
            bytes.extend(text.as_bytes());
        }
        bytes.resize(SIZE as usize, 0);
        Ok(bytes)
    }

    /// The `mem_upper` of the smallest machine that will do.
    fn least_mem_upper(&self) -> u32 {
        u32::try_from((self.memory_size / 1024).saturating_sub(1024 + FIRMWARE_KIB)).unwrap_or(u32::MAX)
    }

    fn too_small_text(&self) -> String {
        let mebibytes = self.memory_size.div_ceil(1 << 20);
        let size = match self.memory_size % (1 << 20) {
            0 => format!("{mebibytes} MiB"),
            _ => format!("{} pages of {PAGE_SIZE} bytes", self.memory_size / PAGE_SIZE),
        };
        format!("stos-pack: this kernel needs {size} of memory, and the machine has less. QEMU: -m {mebibytes}\r\n\0")
    }
}

/// Prints the text at ESI, which ends with a zero byte, on COM1 and on the screen.
fn say_and_halt(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    for (port, value) in SERIAL_SETUP {
        asm.mov(dx, port)?;
        asm.mov(al, value)?;
        asm.out(dx, al)?;
    }
    asm.mov(edi, SCREEN)?;
    let [mut next, mut serial, mut wait, mut ready, mut end]: [CodeLabel; 5] =
        std::array::from_fn(|_| asm.create_label());
    asm.set_label(&mut next)?;
    asm.lodsb()?;
    asm.test(al, al)?;
    asm.je(end)?;
    asm.cmp(al, u32::from(b' '))?;
    asm.jb(serial)?;
    asm.mov(ah, ATTRIBUTE)?;
    asm.stosw()?;
    asm.set_label(&mut serial)?;
    asm.mov(bl, al)?;
    asm.mov(ecx, SERIAL_PATIENCE)?;
    asm.mov(dx, SERIAL_STATUS)?;
    asm.set_label(&mut wait)?;
    asm.in_(al, dx)?;
    asm.test(al, SERIAL_READY)?;
    asm.jne(ready)?;
    asm.dec(ecx)?;
    asm.jne(wait)?;
    asm.set_label(&mut ready)?;
    asm.mov(dx, SERIAL)?;
    asm.mov(al, bl)?;
    asm.out(dx, al)?;
    asm.jmp(next)?;
    asm.set_label(&mut end)?;
    asm.hlt()?;
    asm.jmp(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stos_image::GuestRange;

    fn start(memory_size: u64) -> Start {
        let handover = Move { from: 0x20_1000, to: GuestRange::new(0x5000, 0x1000) };
        Start { at: 0x20_0000, handover, enter: 0x5080, memory_size }
    }

    #[test]
    fn the_code_ends_before_its_texts_and_they_end_with_the_page() {
        let bytes = start(0xe000_0000).build().unwrap();
        assert_eq!(bytes.len(), SIZE as usize);
        assert_eq!(bytes[NO_LOADER_TEXT as usize - 1], 0);
        let text = &bytes[TOO_SMALL_TEXT as usize..];
        let end = text.iter().position(|&byte| byte == 0).unwrap();
        assert!(text[..end].starts_with(b"stos-pack: this kernel needs 3584 MiB of memory"));
    }

    #[test]
    fn the_firmware_may_keep_a_mebibyte() {
        assert_eq!(start(64 << 20).least_mem_upper(), 62 << 10);
        assert_eq!(start(2 << 20).least_mem_upper(), 0);
        assert!(start((64 << 20) + 0x1000).too_small_text().contains("16385 pages"));
    }
}
