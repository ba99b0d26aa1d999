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

/// A section that names memory of a segment, or zeroed memory.
#[derive(Clone, Debug)]
pub struct Section {
    /// Name.
    pub name: &'static str,
    /// `sh_addr`.
    pub vaddr: u32,
    /// `sh_size`.
    pub size: u32,
    /// `sh_flags` beside `SHF_ALLOC`: 1 write, 4 execute.
    pub flags: u32,
    /// The segment whose bytes it names; `None` for `SHT_NOBITS`.
    pub segment: Option<usize>,
}

impl Section {
    /// Code of a segment.
    pub fn text(segment: usize, vaddr: u32, size: u32) -> Self {
        Self { name: ".text", vaddr, size, flags: 4, segment: Some(segment) }
    }

    /// Data of a segment.
    pub fn data(segment: usize, vaddr: u32, size: u32) -> Self {
        Self { name: ".data", vaddr, size, flags: 1, segment: Some(segment) }
    }

    /// Zeroed memory.
    pub fn bss(vaddr: u32, size: u32) -> Self {
        Self { name: ".bss", vaddr, size, flags: 1, segment: None }
    }
}

/// A section with bytes of its own, which no segment loads.
#[derive(Clone, Debug)]
pub struct Content {
    /// Name.
    pub name: &'static str,
    /// `sh_type`: 1 `SHT_PROGBITS`, 9 `SHT_REL`.
    pub kind: u32,
    /// `sh_flags`.
    pub flags: u32,
    /// `sh_info`; may lie.
    pub info: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Content {
    /// Relocations of the section with index `target`: offset, symbol and type of each.
    pub fn relocations(target: u32, entries: &[(u32, u32, u32)]) -> Self {
        let words = entries.iter().flat_map(|(offset, symbol, kind)| [*offset, symbol << 8 | kind]);
        let bytes = words.flat_map(u32::to_le_bytes).collect();
        Self { name: ".rel.text", kind: 9, flags: 0x40, info: target, bytes }
    }

    /// Code of a module.
    pub fn text(size: usize) -> Self {
        Self { name: ".text", kind: 1, flags: 6, info: 0, bytes: vec![0x90; size] }
    }
}

/// An entry of the symbol table.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Name.
    pub name: &'static str,
    /// `st_value`.
    pub value: u32,
    /// `st_size`.
    pub size: u32,
    /// `st_info`: binding and type.
    pub info: u8,
    /// `st_shndx`; may lie.
    pub section: u16,
}

impl Symbol {
    /// A global function of 4 bytes in the first section.
    pub fn function(name: &'static str, value: u32) -> Self {
        Self { name, value, size: 4, info: 0x12, section: 1 }
    }

    /// A global variable in the first section.
    pub fn variable(name: &'static str, value: u32, size: u32) -> Self {
        Self { name, value, size, info: 0x11, section: 1 }
    }

    /// A name that must be defined elsewhere.
    pub fn undefined(name: &'static str) -> Self {
        Self { name, value: 0, size: 0, info: 0x10, section: 0 }
    }

    /// A name that may be defined elsewhere.
    pub fn weak(name: &'static str) -> Self {
        Self { info: 0x20, ..Self::undefined(name) }
    }

    /// A variable that has no place yet: `SHN_COMMON`.
    pub fn common(name: &'static str, size: u32) -> Self {
        Self { name, value: 4, size, info: 0x11, section: 0xfff2 }
    }
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
    /// `p_align` of all of them.
    pub alignment: u32,
    /// Allocated sections.
    pub sections: Vec<Section>,
    /// Other sections; their indices come after those of `sections`.
    pub contents: Vec<Content>,
    /// The symbol table after its empty first entry.
    pub symbols: Vec<Symbol>,
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
            alignment: 4096,
            sections: vec![
                Section::text(0, 0xc010_0000, 4),
                Section::data(1, 0xc010_1000, 18),
                Section::bss(0xc010_1020, 0x1000),
            ],
            contents: Vec::new(),
            symbols: vec![Symbol::function("kernel_main", 0xc010_0000)],
        }
    }

    /// A kernel of one segment that is linked and loaded at 1 MiB, and entered behind room for a header.
    pub fn low_kernel() -> Self {
        let code = Segment { paddr: 0x10_0000, ..Segment::new(0x10_0000, 5, &[0xf4; 16]) };
        Self {
            entry: 0x10_0004,
            segments: vec![code],
            sections: vec![Section::text(0, 0x10_0000, 16)],
            symbols: Vec::new(),
            ..Self::kernel()
        }
    }

    /// A module with one function and its `.modinfo`.
    pub fn module(function: &'static str) -> Self {
        Self {
            file_type: RELOCATABLE,
            machine: I386,
            entry: 0,
            segments: Vec::new(),
            alignment: 4096,
            sections: vec![Section::bss(0, 16)],
            contents: vec![Content { name: ".modinfo", kind: 1, flags: 2, info: 0, bytes: b"name=module\0".to_vec() }],
            symbols: vec![Symbol::function(function, 0)],
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
        let mut offsets = Vec::new();
        for segment in &self.segments {
            let offset = size(headers_end + body.len());
            let Segment { vaddr, paddr, file_size, memory_size, flags, bytes } = segment;
            let words = [1, offset, *vaddr, *paddr, *file_size, *memory_size, *flags, self.alignment];
            program_headers.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            offsets.push((*vaddr, offset));
            body.extend_from_slice(bytes);
        }

        let mut names = vec![0];
        let mut name_of = |name: &str| {
            let offset = size(names.len());
            names.extend_from_slice(name.as_bytes());
            names.push(0);
            offset
        };
        let mut symbol_table = vec![0; 16];
        for symbol in &self.symbols {
            let words = [name_of(symbol.name), symbol.value, symbol.size];
            symbol_table.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            symbol_table.extend([symbol.info, 0]);
            symbol_table.extend(symbol.section.to_le_bytes());
        }
        let symbol_section = size(1 + self.sections.len() + self.contents.len());
        let mut section_headers = vec![[0_u32; 10]];
        for Section { name, vaddr, size, flags, segment } in &self.sections {
            // SHT_PROGBITS with the bytes of its segment, or SHT_NOBITS; SHF_ALLOC.
            let (kind, offset) = match segment.and_then(|index| offsets.get(index)) {
                Some((segment_vaddr, offset)) => (1, offset + (vaddr - segment_vaddr)),
                None => (8, 0),
            };
            section_headers.push([name_of(name), kind, flags | 2, *vaddr, offset, *size, 0, 0, 1, 0]);
        }
        for Content { name, kind, flags, info, bytes } in &self.contents {
            body.resize(body.len().next_multiple_of(4), 0);
            let offset = size(headers_end + body.len());
            let link = if *kind == 9 { symbol_section } else { 0 };
            section_headers.push([name_of(name), *kind, *flags, 0, offset, size(bytes.len()), link, *info, 4, 0]);
            body.extend_from_slice(bytes);
        }
        let (symtab_name, strtab_name) = (name_of(".symtab"), name_of(".strtab"));
        let strings = symbol_section + 1;
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
