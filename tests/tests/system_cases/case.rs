//! One case: what is changed of tables and registers, and what is executed.

use std::collections::BTreeMap;

use crate::layout::*;
use crate::tables::Low;

/// VM.
pub const VM: u32 = 1 << 17;

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// The area that it belongs to, and what is particular about it.
    pub area: &'static str,
    pub text: String,
    /// Its code, without the interrupt that ends it.
    pub code: Vec<u8>,
    /// What it begins with.
    pub cs: u16,
    pub ss: u16,
    pub eip: u32,
    pub esp: u32,
    pub eflags: u32,
    /// ES, FS, GS and DS.
    pub data: [u16; 4],
    /// EAX, ECX, EDX, EBX, EBP, ESI and EDI.
    pub general: [u32; 7],
    pub cr0: u32,
    pub cr4: u32,
    pub ldtr: u16,
    /// The vector that ends it by the manual, where the others don't do what the manual says.
    pub manual: Option<u8>,
    /// Whether it uses debug registers, which are cleared after it.
    pub debugs: bool,
    /// What is changed, byte by byte.
    pub patches: BTreeMap<u32, u8>,
}

impl Case {
    /// A case at this privilege level.
    pub fn new(area: &'static str, level: u8, code: &[u8]) -> Self {
        let data = DATAS[usize::from(level)];
        Self {
            area,
            text: String::new(),
            code: code.to_vec(),
            cs: CODES[usize::from(level)],
            ss: data,
            eip: CODE,
            esp: if level == 0 { STACK } else { USER_STACK },
            eflags: 2,
            data: [data; 4],
            general: [0x1111_1111, 0x2222_2222, 0x3333_3333, 0x4444_4444, 0x5555_5555, 0x6666_6666, 0x7777_7777],
            cr0: CR0,
            cr4: CR4,
            ldtr: 0,
            manual: None,
            debugs: false,
            patches: BTreeMap::new(),
        }
    }

    /// With words about it.
    #[must_use]
    pub fn about(self, text: impl Into<String>) -> Self {
        Self { text: text.into(), ..self }
    }

    /// With these flags at first, in addition.
    #[must_use]
    pub fn with_flags(self, flags: u32) -> Self {
        Self { eflags: self.eflags | flags, ..self }
    }

    /// Which the manual says to end with this vector.
    #[must_use]
    pub fn ending_with(self, vector: u8) -> Self {
        Self { manual: Some(vector), ..self }
    }

    /// With bytes of tables changed.
    #[must_use]
    pub fn with(mut self, at: u32, bytes: &[u8]) -> Self {
        self.patches.extend((at..).zip(bytes.iter().copied()));
        self
    }

    /// With a descriptor of the GDT.
    #[must_use]
    pub fn with_descriptor(self, selector: u16, descriptor: [u8; 8]) -> Self {
        self.with(GDT + u32::from(selector & !7), &descriptor)
    }

    /// With an entry of the IDT.
    #[must_use]
    pub fn with_gate(self, vector: u8, gate: [u8; 8]) -> Self {
        self.with(IDT + 8 * u32::from(vector), &gate)
    }

    /// With a word of a table.
    #[must_use]
    pub fn with_word(self, at: u32, word: u32) -> Self {
        self.with(at, &word.to_le_bytes())
    }

    /// The words of tables that it changes, and those of its code, by their addresses.
    pub fn changed(&self, low: &Low) -> BTreeMap<u32, u32> {
        let mut patches = self.patches.clone();
        let code = [&*self.code, &[0xcd, COMPLETED]].concat();
        assert!(code.len() <= 0x80, "{self:?}");
        patches.extend((CODE..).zip(code));
        let mut changed = BTreeMap::<u32, u32>::new();
        for (at, byte) in patches {
            let word = changed.entry(at & !3).or_insert_with(|| low.word(at & !3));
            let shift = 8 * (at & 3);
            *word = *word & !(0xff << shift) | u32::from(byte) << shift;
        }
        changed
    }

    /// What the supervisor reads: its size in bytes, CR0, CR4, the LDT and bit 16 when it uses debug registers, how many words are changed and how many lie on the stack; the
    /// changes, each an address, what is written there and what was; ES, FS, GS, the general registers, DS and what IRET takes.
    pub fn words(&self, low: &Low) -> Vec<u32> {
        let changed = self.changed(low);
        let is_restored = |at: u32| RANGES.iter().any(|(start, words)| (*start..start + 4 * words).contains(&at));
        assert!(changed.keys().all(|at| is_restored(*at)), "{self:?}");
        let [eax, ecx, edx, ebx, ebp, esi, edi] = self.general;
        let [es, fs, gs, ds] = self.data.map(u32::from);
        let is_v86 = self.eflags & VM != 0;
        let mut block = if is_v86 { vec![0, 0, 0] } else { vec![es, fs, gs] };
        block.extend([edi, esi, ebp, 0, ebx, edx, ecx, eax]);
        block.extend([if is_v86 { DATAS[0].into() } else { ds }, self.eip, self.cs.into(), self.eflags]);
        if is_v86 || self.cs & 3 != 0 {
            block.extend([self.esp, self.ss.into()]);
        }
        if is_v86 {
            block.extend([es, ds, fs, gs]);
        }
        let mut words = vec![0, self.cr0, self.cr4, u32::from(self.ldtr) | u32::from(self.debugs) << 16];
        words.extend([changed.len(), block.len()].map(|length| u32::try_from(length).unwrap()));
        words.extend(changed.iter().flat_map(|(at, word)| [*at, *word, low.word(*at)]));
        words.extend(block);
        words[0] = 4 * u32::try_from(words.len()).unwrap();
        words
    }
}
