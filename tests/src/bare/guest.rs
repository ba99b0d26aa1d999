//! A guest in the making: where its code lies, and the plainest state to enter it in.

use stos_image::{Description, FaultCatcher, Image, MemoryChunk, PhysAddr, RunDefaults, Symbol, Symbols};
use stos_x86::registers::{CR0_ET, CR0_PE, CR4_PSE, EFLAGS_FIXED, EntryState, GeneralRegisters};
use stos_x86::segments::{Segment, Segments};

/// Where guests begin.
pub const CODE: u32 = 0x10_0000;
/// Where their task state segment lies.
const TSS: u32 = 0x5000;
/// Where their stack begins.
const STACK_TOP: u32 = 0x9000;
const MEMORY_SIZE: u64 = 4 << 20;

/// The plainest state in which a guest can be entered at `eip`: flat segments, interrupts off.
pub fn flat_entry(eip: u32) -> EntryState {
    let data = Segment::flat(0x10, Segment::DATA_ACCESS);
    let segments = Segments {
        cs: Segment::flat(0x08, Segment::CODE_ACCESS),
        ds: data.clone(),
        es: data.clone(),
        fs: data.clone(),
        gs: data.clone(),
        ss: data,
        tr: Segment { selector: 0x18, base: TSS, limit: 0x67, access: Segment::BUSY_TSS_ACCESS },
    };
    EntryState { eip, eflags: EFLAGS_FIXED, cr0: CR0_PE | CR0_ET, segments, ..EntryState::default() }
}

/// What an image says of a guest of 4 MiB that is entered so, and of which there is nothing else to say.
pub fn description(entry: EntryState) -> Description {
    Description {
        name: "test guest".to_owned(),
        protocol: "none".to_owned(),
        profile: None,
        memory_size: MEMORY_SIZE,
        memory_map: Vec::new(),
        regions: Vec::new(),
        entry,
        fault_catcher: None,
        run: RunDefaults::default(),
        inputs: Vec::new(),
        manifest: String::new(),
    }
}

/// A guest in the making.
#[derive(Clone, Debug)]
pub struct BareGuest {
    /// What its image says of it.
    pub description: Description,
    /// Its symbols.
    pub symbols: Symbols,
    chunks: Vec<(u64, Vec<u8>)>,
}

impl BareGuest {
    /// A guest that executes `code`, unpaged, with a stack, flat segments and interrupts off.
    pub fn new(code: &[u8]) -> Self {
        let general = GeneralRegisters { esp: STACK_TOP, ..GeneralRegisters::default() };
        let entry = EntryState { general, cr3: 0x1000, cr4: CR4_PSE, ..flat_entry(CODE) };
        Self::entered_in(entry).with(CODE.into(), code)
    }

    /// A guest without content that is entered in this state.
    pub fn entered_in(entry: EntryState) -> Self {
        Self { description: description(entry), symbols: Symbols::default(), chunks: Vec::new() }
    }

    /// With `bytes` at `address`, too.
    #[must_use]
    pub fn with(mut self, address: u64, bytes: &[u8]) -> Self {
        self.chunks.push((address, bytes.to_vec()));
        self
    }

    /// With a symbol at `address`.
    #[must_use]
    pub fn with_symbol(mut self, address: u32, size: u32, name: &str) -> Self {
        self.symbols.symbols.push(Symbol { address, size, module: 0, name: name.to_owned() });
        self
    }

    /// With a fault catcher that leaves its record at `record` and writes to `port`.
    #[must_use]
    pub fn with_fault_catcher(mut self, record: u64, port: u16) -> Self {
        self.description.fault_catcher = Some(FaultCatcher { record: PhysAddr(record), port });
        self
    }

    /// With run defaults.
    #[must_use]
    pub fn with_run(mut self, run: RunDefaults) -> Self {
        self.description.run = run;
        self
    }

    /// The image's bytes.
    pub fn image(self) -> Vec<u8> {
        let chunks: Vec<MemoryChunk<'_>> =
            self.chunks.iter().map(|(start, bytes)| MemoryChunk { start: *start, bytes }).collect();
        let mut file = Vec::new();
        Image::assemble(self.description, &self.symbols, &[], &chunks).unwrap().write_to(&mut file).unwrap();
        file
    }
}
