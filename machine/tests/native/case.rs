//! One instruction with all that it works on, and what has become of it, in the form in which `oracle.c` reads and writes them.

use std::io::{self, Read};

/// Where the instruction is.
pub const CODE: u32 = 0x1000_0000;
/// The page of data; what is told of it begins [`WINDOW`] bytes from its start.
pub const DATA: u32 = 0x1001_0000;
/// See [`DATA`].
pub const WINDOW: u32 = 0x600;
/// How many bytes of data are told.
pub const WINDOW_SIZE: usize = 512;

/// The x87 FPU and SSE, as FXSAVE shows them.
pub type Floats = [u8; 512];
/// In the length of an instruction: registers of this kind follow.
const HAS_FLOATS: u32 = 0x100;

/// The registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI.
    pub general: [u32; 8],
    /// EFLAGS.
    pub eflags: u32,
}

/// A case.
#[derive(Clone, Debug)]
pub struct Given {
    /// The registers before.
    pub registers: Registers,
    /// The instruction.
    pub code: Vec<u8>,
    /// The data before.
    pub data: [u8; WINDOW_SIZE],
    /// The floating-point registers before, where they matter.
    pub floats: Option<Floats>,
}

/// An exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// Its vector.
    pub vector: u8,
    /// Its error code, 0 without one.
    pub error_code: u32,
    /// For a page fault, CR2.
    pub address: Option<u32>,
}

/// What has become of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The registers afterwards.
    pub registers: Registers,
    /// Where it has gone, from the instruction's start.
    pub eip: u32,
    /// The exception that it has raised.
    pub trap: Option<Trap>,
    /// The data afterwards.
    pub data: [u8; WINDOW_SIZE],
    /// The floating-point registers afterwards, where they matter.
    pub floats: Option<Floats>,
}

impl Registers {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend(self.general.into_iter().chain([self.eflags]).flat_map(u32::to_ne_bytes));
    }
}

impl Given {
    /// As the oracle reads it.
    pub fn encode(&self, to: &mut Vec<u8>) {
        let Self { registers, code, data, floats } = self;
        registers.encode(to);
        let mut padded = [0x90; 16];
        padded[..code.len()].copy_from_slice(code);
        let flag = if floats.is_some() { HAS_FLOATS } else { 0 };
        to.extend((u32::try_from(code.len()).unwrap_or(0) | flag).to_ne_bytes());
        to.extend(padded);
        to.extend(data);
        to.extend(floats.iter().flatten());
    }
}

impl Given {
    /// What ends a batch: a case without an instruction.
    pub fn encode_end(to: &mut Vec<u8>) {
        to.extend([0; 9 * 4 + 4 + 16 + WINDOW_SIZE]);
    }
}

impl Found {
    /// Reads what the oracle writes, with floating-point registers if they were given.
    ///
    /// # Errors
    /// When there is nothing more.
    pub fn read(from: &mut impl Read, has_floats: bool) -> io::Result<Self> {
        let mut words = [0; 13];
        for word in &mut words {
            let mut bytes = [0; 4];
            from.read_exact(&mut bytes)?;
            *word = u32::from_ne_bytes(bytes);
        }
        let mut data = [0; WINDOW_SIZE];
        from.read_exact(&mut data)?;
        let mut floats = has_floats.then_some([0; 512]);
        if let Some(floats) = &mut floats {
            from.read_exact(floats)?;
        }
        let [general @ .., eflags, eip, trap, error_code, cr2] = words;
        let trap =
            u8::try_from(trap).ok().map(|vector| Trap { vector, error_code, address: (vector == 14).then_some(cr2) });
        Ok(Self { registers: Registers { general, eflags }, eip, trap, data, floats })
    }
}
