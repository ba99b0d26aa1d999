//! Makes tiny ELF32 files, right ones and wrong ones, out of a few declared parts. (System V ABI, chapters 4 and 5.)

/// `ET_REL`.
pub const RELOCATABLE: u16 = 1;
/// `ET_EXEC`.
pub const EXECUTABLE: u16 = 2;
/// `ET_DYN`.
pub const SHARED: u16 = 3;
/// `EM_386`.
pub const I386: u16 = 3;

/// A program header and the bytes it loads.
#[derive(Clone, Debug)]
pub struct Segment {
    /// `p_vaddr`.
    pub vaddr: u32,
    /// `p_paddr`.
    pub paddr: u32,
    /// `p_filesz`; may lie.
    pub file_size: u32,
    /// `p_memsz`.
    pub memory_size: u32,
    /// `p_flags`: 1 execute, 2 write, 4 read.
    pub flags: u32,
    /// The bytes that are stored.
    pub bytes: Vec<u8>,
}

impl Segment {
    /// An honest segment whose memory is just its bytes.
    pub fn new(vaddr: u32, flags: u32, bytes: &[u8]) -> Self {
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let paddr = vaddr.wrapping_sub(0xc000_0000);
        Self { vaddr, paddr, file_size: size, memory_size: size, flags, bytes: bytes.to_vec() }
    }
}

/// A section header without bytes of its own in the file: it names memory of a segment, or nothing.
#[derive(Clone, Debug)]
pub struct Section {
    /// Name.
    pub name: &'static str,
    /// `sh_addr`.
    pub vaddr: u32,
    /// `sh_size`.
    pub size: u32,
}

/// An ELF file to be.
#[derive(Clone, Debug)]
pub struct Elf {
    /// `e_type`.
    pub file_type: u16,
    /// `e_machine`.
    pub machine: u16,
    /// `e_entry`.
    pub entry: u32,
    /// Program headers, all `PT_LOAD`.
    pub segments: Vec<Segment>,
    /// Allocated sections.
    pub sections: Vec<Section>,
    /// Global functions: name and address, in the first section.
    pub symbols: Vec<(&'static str, u32)>,
}

impl Elf {
    /// A kernel of one segment at 0xC0100000 that halts at once, with a little read-only and zeroed data.
    pub fn kernel() -> Self {
        let code = [0xfa, 0xf4, 0xeb, 0xfd];
        let mut data = Segment::new(0xc010_1000, 6, b"data of the kernel");
        data.memory_size = 0x1800;
        Self {
            file_type: EXECUTABLE,
            machine: I386,
            entry: 0xc010_0000,
            segments: vec![Segment::new(0xc010_0000, 5, &code), data],
            sections: vec![
                Section { name: ".text", vaddr: 0xc010_0000, size: 4 },
                Section { name: ".data", vaddr: 0xc010_1000, size: 18 },
                Section { name: ".bss", vaddr: 0xc010_1020, size: 0x1000 },
            ],
            symbols: vec![("kernel_main", 0xc010_0000)],
        }
    }

    /// A module with one function.
    pub fn module(function: &'static str) -> Self {
        Self {
            file_type: RELOCATABLE,
            machine: I386,
            entry: 0,
            segments: Vec::new(),
            sections: vec![Section { name: ".bss", vaddr: 0, size: 16 }],
            symbols: vec![(function, 0)],
        }
    }

    /// The file: header, program headers, segment bytes, symbols, strings, section headers.
    ///
    /// # Panics
    /// When a part does not fit 32 bits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let size = |length: usize| u32::try_from(length).unwrap_or_else(|_| panic!("{length} bytes are no tiny file"));
        let half = |length: usize| u16::try_from(length).unwrap_or_else(|_| panic!("{length} are too many"));
        let headers_end = 52 + 32 * self.segments.len();
        let mut body = Vec::new();
        let mut program_headers = Vec::new();
        for segment in &self.segments {
            let offset = size(headers_end + body.len());
            let words =
                [1, offset, segment.vaddr, segment.paddr, segment.file_size, segment.memory_size, segment.flags, 4096];
            program_headers.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            body.extend_from_slice(&segment.bytes);
        }

        let mut names = vec![0];
        let mut name_of = |name: &str| {
            let offset = size(names.len());
            names.extend_from_slice(name.as_bytes());
            names.push(0);
            offset
        };
        let mut symbol_table = vec![0; 16];
        for (name, address) in &self.symbols {
            symbol_table.extend(name_of(name).to_le_bytes());
            symbol_table.extend(address.to_le_bytes());
            // A function of 4 bytes, global, in section 1.
            symbol_table.extend(4_u32.to_le_bytes());
            symbol_table.extend([0x12, 0, 1, 0]);
        }
        let mut section_headers = vec![[0_u32; 10]];
        for section in &self.sections {
            // SHT_NOBITS, SHF_ALLOC: memory of a segment.
            section_headers.push([name_of(section.name), 8, 2, section.vaddr, 0, section.size, 0, 0, 1, 0]);
        }
        let (symtab_name, strtab_name) = (name_of(".symtab"), name_of(".strtab"));
        let strings = size(section_headers.len() + 1);
        let symbols_offset = size(headers_end + body.len());
        body.extend_from_slice(&symbol_table);
        section_headers.push([symtab_name, 2, 0, 0, symbols_offset, size(symbol_table.len()), strings, 1, 4, 16]);
        let names_offset = size(headers_end + body.len());
        body.extend_from_slice(&names);
        section_headers.push([strtab_name, 3, 0, 0, names_offset, size(names.len()), 0, 0, 1, 0]);
        let sections_offset = size(headers_end + body.len());

        let mut bytes = b"\x7fELF\x01\x01\x01".to_vec();
        bytes.resize(16, 0);
        bytes.extend(self.file_type.to_le_bytes());
        bytes.extend(self.machine.to_le_bytes());
        for word in [1, self.entry, if self.segments.is_empty() { 0 } else { 52 }, sections_offset, 0] {
            bytes.extend(word.to_le_bytes());
        }
        let counts =
            [52, 32, half(self.segments.len()), 40, half(section_headers.len()), half(section_headers.len() - 1)];
        bytes.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
        bytes.extend(program_headers);
        bytes.extend(body);
        bytes.extend(section_headers.iter().flatten().flat_map(|word| word.to_le_bytes()));
        bytes
    }
}
