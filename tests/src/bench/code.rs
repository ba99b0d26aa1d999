//! The guests: unpaged code that runs wherever it is put, with flat 32-bit segments, interrupts off, and memory from 0 to 16 MiB.

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, al, byte_ptr, dword_ptr, dx, eax, ebp, ebx, ecx, edi, edx, esi, esp};
use stos_x86::ports::{COM1, DEBUG_CONSOLE, EXIT, PIC1, PIC2, PIT};

/// What guests print, and stopwatch.c counts.
pub const MARK: u8 = b'~';
/// Memory of every guest, in bytes.
pub const MEMORY: u64 = 16 << 20;
/// Where the guests' stack begins.
const STACK_TOP: u32 = 0x9000;
/// Line status register of COM1, and its bit for "may send".
const LINE_STATUS: u16 = COM1 + 5;
const MAY_SEND: u32 = 0x20;
/// Where the flood prints from, and how much of it at once.
const PIECE: u32 = 0x20_0000;
const PIECE_SIZE: u32 = 0x1000;
/// Where the idle guest's tables lie: descriptors, interrupts, and what the CPU loads of each.
const GDT: u32 = 0x1000;
const IDT: u32 = 0x2000;
const POINTERS: u32 = 0x1100;
/// Registers of the local APIC: spurious vector with the bit that enables it, and its input from the 8259s.
const APIC_SPURIOUS: u32 = 0xfee0_00f0;
const APIC_LINT0: u32 = 0xfee0_0350;
/// Delivery mode of that input: the 8259s tell the vector.
const EXTERNAL: u32 = 0x700;
/// Vector of the timer's interrupt.
const TIMER: u32 = 0x20;
/// What divides the timer's 1193182 Hz into 100.
const DIVISOR: u16 = 11932;

/// What a guest does once it has printed its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestCode {
    /// Ends.
    Ends,
    /// Prints on, `pieces` times 4 KiB in all, then ends.
    Prints {
        /// How.
        way: Way,
        /// How much.
        pieces: u32,
    },
    /// Halts with the timer at 100 Hz for so many ticks, then ends.
    Idles {
        /// How long.
        ticks: u32,
    },
}

/// A way of printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To COM1, as many bytes as an instruction takes.
    RepOutsb,
    /// To COM1, asking before each byte whether it may be sent, as kernels do.
    ByteByByte,
    /// To the debug console, a byte at a time.
    DebugConsole,
}

impl GuestCode {
    /// True where what is measured is what a guest costs in a time of the host's, which the embedded machine is to keep to then.
    pub const fn keeps_time(self) -> bool {
        matches!(self, Self::Idles { .. })
    }

    /// How many bytes it prints.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Ends | Self::Idles { .. } => 1,
            Self::Prints { pieces, .. } => u64::from(pieces) * u64::from(PIECE_SIZE),
        }
    }

    /// Whether it prints on the debug console.
    pub fn uses_debug_console(self) -> bool {
        matches!(self, Self::Prints { way: Way::DebugConsole, .. })
    }

    /// The code, made to run at `address`.
    ///
    /// # Panics
    /// Never: every instruction exists.
    pub fn at(self, address: u32) -> Vec<u8> {
        let mut asm = CodeAssembler::new(32).unwrap();
        match self {
            Self::Ends => print_byte(&mut asm, COM1).and_then(|()| end(&mut asm)),
            Self::Prints { way, pieces } => flood(&mut asm, way, pieces),
            Self::Idles { ticks } => idle(&mut asm, ticks),
        }
        .unwrap();
        asm.assemble(address.into()).unwrap()
    }
}

fn print_byte(asm: &mut CodeAssembler, port: u16) -> Result<(), IcedError> {
    asm.mov(edx, u32::from(port))?;
    asm.mov(al, u32::from(MARK))?;
    asm.out(dx, al)
}

fn end(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    asm.mov(edx, u32::from(EXIT))?;
    asm.xor(eax, eax)?;
    asm.out(dx, eax)?;
    asm.hlt()
}

fn flood(asm: &mut CodeAssembler, way: Way, pieces: u32) -> Result<(), IcedError> {
    asm.cld()?;
    asm.mov(edi, PIECE)?;
    asm.mov(ecx, PIECE_SIZE)?;
    asm.mov(al, u32::from(MARK))?;
    asm.rep().stosb()?;
    asm.mov(ebp, pieces)?;
    let (mut piece, mut byte) = (asm.create_label(), asm.create_label());
    asm.set_label(&mut piece)?;
    asm.mov(esi, PIECE)?;
    asm.mov(ecx, PIECE_SIZE)?;
    asm.mov(edx, u32::from(if way == Way::DebugConsole { DEBUG_CONSOLE } else { COM1 }))?;
    if way == Way::RepOutsb {
        asm.rep().outsb()?;
    } else {
        asm.set_label(&mut byte)?;
        if way == Way::ByteByByte {
            wait_until_it_may_send(asm)?;
        }
        asm.lodsb()?;
        asm.out(dx, al)?;
        asm.dec(ecx)?;
        asm.jnz(byte)?;
    }
    asm.dec(ebp)?;
    asm.jnz(piece)?;
    end(asm)
}

fn wait_until_it_may_send(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut wait = asm.create_label();
    asm.mov(edx, u32::from(LINE_STATUS))?;
    asm.set_label(&mut wait)?;
    asm.in_(al, dx)?;
    asm.test(al, MAY_SEND)?;
    asm.jz(wait)?;
    asm.mov(edx, u32::from(COM1))
}

fn idle(asm: &mut CodeAssembler, ticks: u32) -> Result<(), IcedError> {
    let (mut begin, mut sleep) = (asm.create_label(), asm.create_label());
    print_byte(asm, COM1)?;
    // What a call leaves on the stack is the handler's address, wherever the code is.
    asm.mov(esp, STACK_TOP)?;
    asm.call(begin)?;
    out(asm, PIC1, 0x20)?; // end of interrupt
    asm.dec(ebp)?;
    asm.jnz(sleep)?;
    end(asm)?;
    asm.set_label(&mut begin)?;
    asm.pop(eax)?;
    make_tables(asm)?;
    start_the_timer(asm)?;
    asm.mov(ebp, ticks)?;
    // No IRET: there is nothing to return to, and not every KVM can do it without paging.
    asm.set_label(&mut sleep)?;
    asm.mov(esp, STACK_TOP)?;
    asm.sti()?;
    asm.hlt()?;
    asm.jmp(sleep)
}

/// Descriptors for flat segments, and the gate of the timer's interrupt to the handler at EAX. (Intel SDM volume 3A, sections 3.4.5 and 6.11.)
fn make_tables(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    for (offset, word) in [(8, 0xffff), (12, 0x00cf_9b00), (16, 0xffff), (20, 0x00cf_9300_u32)] {
        asm.mov(dword_ptr(GDT + offset), word)?;
    }
    let gate = IDT + TIMER * 8;
    asm.mov(ebx, eax)?;
    asm.and(ebx, 0xffff)?;
    asm.or(ebx, 0x8_0000)?;
    asm.mov(dword_ptr(gate), ebx)?;
    asm.and(eax, 0xffff_0000_u32)?;
    asm.or(eax, 0x8e00)?;
    asm.mov(dword_ptr(gate + 4), eax)?;
    for (pointer, table, size) in [(POINTERS, GDT, 24), (POINTERS + 8, IDT, TIMER * 8 + 8)] {
        // Limit and the low half of the base, then the high half.
        asm.mov(dword_ptr(pointer), (size - 1) | table << 16)?;
        asm.mov(dword_ptr(pointer + 4), table >> 16)?;
    }
    asm.lgdt(byte_ptr(POINTERS))?;
    asm.lidt(byte_ptr(POINTERS + 8))
}

/// The local APIC passes on what comes from the 8259s, as firmware has it (Intel SDM volume 3A, section 11.5.1);
/// only when it is enabled, it can be told so. The timer's interrupt alone is let through (Intel 8259A data sheet, initialization), 100 times a second (8254, mode 2).
fn start_the_timer(asm: &mut CodeAssembler) -> Result<(), IcedError> {
    for (register, value) in [(APIC_SPURIOUS, 0x1ff_u32), (APIC_LINT0, EXTERNAL)] {
        asm.mov(dword_ptr(register), value)?;
    }
    for (port, value) in [
        (PIC1, 0x11),
        (PIC2, 0x11),
        (PIC1 + 1, TIMER),
        (PIC2 + 1, TIMER + 8),
        (PIC1 + 1, 4),
        (PIC2 + 1, 2),
        (PIC1 + 1, 1),
        (PIC2 + 1, 1),
        (PIC1 + 1, 0xfe),
        (PIC2 + 1, 0xff),
        (*PIT.end(), 0x34),
        (*PIT.start(), u32::from(DIVISOR & 0xff)),
        (*PIT.start(), u32::from(DIVISOR >> 8)),
    ] {
        out(asm, port, value)?;
    }
    Ok(())
}

fn out(asm: &mut CodeAssembler, port: u16, value: u32) -> Result<(), IcedError> {
    asm.mov(al, value)?;
    asm.out(u32::from(port), al)
}
