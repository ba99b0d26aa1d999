//! One instruction with all that it works on, and what has become of it, in the form in which `oracle.c` reads and writes them.

/// Where the first instruction of a batch is; each that follows is [`SLOT`] bytes behind the one before it.
pub const CODE: u32 = 0x1000_0000;
/// See [`CODE`].
pub const SLOT: u32 = 32;
/// The most cases of a batch.
pub const SLOTS: usize = 1024;
/// The page of data; what is told of it begins [`WINDOW`] bytes from its start.
pub const DATA: u32 = 0x1001_0000;
/// See [`DATA`].
pub const WINDOW: u32 = 0x600;
/// How many bytes of data are told.
pub const WINDOW_SIZE: usize = 512;
/// How many bytes before and behind them are zeros, and may be written to.
pub const MARGIN: usize = 256;

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
    /// Where it has gone, from its slot's start.
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
        for word in self.general.into_iter().chain([self.eflags]) {
            to.extend_from_slice(&word.to_ne_bytes());
        }
    }
}

impl Default for Given {
    fn default() -> Self {
        Self { registers: Registers::default(), code: Vec::new(), data: [0; WINDOW_SIZE], floats: None }
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
        to.extend_from_slice(&(u32::try_from(code.len()).unwrap_or(0) | flag).to_ne_bytes());
        to.extend_from_slice(&padded);
        to.extend_from_slice(data);
        to.extend_from_slice(floats.as_ref().map_or(&[], |floats| floats));
    }
}

impl Found {
    /// Takes from `bytes` what the oracle has written, with floating-point registers if they were given.
    ///
    /// # Panics
    /// When it is not whole.
    pub fn take(bytes: &mut &[u8], has_floats: bool) -> Self {
        let words: [u32; 13] = std::array::from_fn(|_| u32::from_ne_bytes(chunk(bytes)));
        let [general @ .., eflags, eip, trap, error_code, cr2] = words;
        let trap =
            u8::try_from(trap).ok().map(|vector| Trap { vector, error_code, address: (vector == 14).then_some(cr2) });
        let registers = Registers { general, eflags };
        Self { registers, eip, trap, data: chunk(bytes), floats: has_floats.then(|| chunk(bytes)) }
    }
}

fn chunk<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (chunk, left) = bytes.split_first_chunk().expect("a result is whole");
    *bytes = left;
    *chunk
}
