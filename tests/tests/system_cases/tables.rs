//! Tables, task states and stubs as they are before each case.

use stos_x86::segments::Segment;

use crate::layout::*;

const SIZE: usize = 0x1_0000;
/// What a page table's entry has of pages that the supervisor uses: present, writable, accessed and dirty, so that nothing of it changes.
const USED: u32 = 0x63;
/// The same, for everybody.
const USED_BY_ALL: u32 = 0x67;

/// A segment's descriptor.
pub fn descriptor(base: u32, limit: u32, access: u16) -> [u8; 8] {
    Segment { selector: 0, base, limit, access }.descriptor().to_le_bytes()
}

/// A flat segment of 32 bits with this byte of rights.
pub fn flat(rights: u8) -> [u8; 8] {
    descriptor(0, u32::MAX, 0xc000 | u16::from(rights))
}

/// A gate with this byte of rights.
pub fn gate(selector: u16, offset: u32, rights: u8, parameters: u8) -> [u8; 8] {
    let [low, next, high, top] = offset.to_le_bytes();
    let [selector, above] = selector.to_le_bytes();
    [low, next, selector, above, parameters, rights, high, top]
}

/// A descriptor with this byte of rights that makes sense: a flat segment, a task state, a gate to where cases end.
pub fn sensible(rights: u8) -> [u8; 8] {
    match rights & 0x1f {
        1 | 3 => descriptor(SMALL_TSS, 0x2b, rights.into()),
        9 | 11 => descriptor(OTHER_TSS, 0x67, rights.into()),
        2 => descriptor(LDT, LDT_LIMIT, rights.into()),
        5 => gate(OTHER_TASK, 0, rights, 0),
        0..16 => gate(CODES[0], TARGET, rights, 0),
        // Those that expand down have what is above their limit.
        0x14..0x18 => descriptor(0, 0xfff, 0xc000 | u16::from(rights)),
        _ => flat(rights),
    }
}

/// Where the stub of a vector lies.
pub fn stub(vector: u8) -> u32 {
    STUBS + STUB_SIZE * u32::from(vector)
}

/// Memory below 64 KiB.
pub struct Low(Vec<u8>);

impl Low {
    fn put(&mut self, at: u32, bytes: &[u8]) {
        self.0[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    fn put_words(&mut self, at: u32, words: &[(u32, u32)]) {
        for (offset, word) in words {
            self.put(at + offset, &word.to_le_bytes());
        }
    }

    /// The template's tables.
    pub fn new() -> Self {
        let mut low = Self(vec![0; SIZE]);
        low.put_descriptors();
        low.put_tasks();
        low.put_pages();
        for vector in 0..=255_u8 {
            let rights = if vector == COMPLETED { 0xee } else { 0x8e };
            low.put(IDT + 8 * u32::from(vector), &gate(CODES[0], stub(vector), rights, 0));
        }
        for at in (TARGET..TARGET + 0x1000).step_by(2) {
            low.put(at, &[0xcd, COMPLETED]);
        }
        low
    }

    fn put_descriptors(&mut self) {
        for level in 0..4_u8 {
            let [code, data] = [CODES, DATAS].map(|table| u32::from(table[usize::from(level)] & !7));
            self.put(GDT + code, &flat(0x9b | level << 5));
            self.put(GDT + data, &flat(0x93 | level << 5));
        }
        let tasks = [
            (TASK, TSS, TSS_LIMIT, 0x8b),
            (OTHER_TASK, OTHER_TSS, 0x67, 0x89),
            (SMALL_TASK, SMALL_TSS, 0x2b, 0x81),
            (FAULT_TASK, FAULT_TSS, 0x67, 0x89),
            (THIRD_TASK, THIRD_TSS, 0x67, 0x89),
            (FOURTH_TASK, FOURTH_TSS, 0x67, 0x89),
            (FIFTH_TASK, FIFTH_TSS, 0x67, 0x89),
            (SIXTH_TASK, SIXTH_TSS, 0x67, 0x89),
            (TABLE_LDT, LDT, LDT_LIMIT, 0x82),
        ];
        for (selector, base, limit, rights) in tasks {
            self.put(GDT + u32::from(selector), &descriptor(base, limit, rights));
        }
        self.put(GDT + u32::from(TASK_GATE), &gate(OTHER_TASK, 0, 0xe5, 0));
    }

    fn put_tasks(&mut self) {
        let word = |selector: u16| u32::from(selector);
        let inner = [0, 1, 2].map(|level: u8| (4 + 8 * u32::from(level), INNER_STACKS[usize::from(level)]));
        self.put_words(TSS, &inner);
        self.put_words(TSS, &[0, 1, 2].map(|level: u8| (8 + 8 * u32::from(level), word(DATAS[usize::from(level)]))));
        self.put_words(TSS, &[(28, DIRECTORY), (100, BITMAP << 16)]);
        self.put(TSS + BITMAP, &[0xff; 0x81]);
        let data = word(DATAS[0]);
        let tasks = [
            (OTHER_TSS, TARGET, STACK),
            (THIRD_TSS, TARGET + 0x100, STACK),
            (FOURTH_TSS, TARGET + 0x200, FAULT_STACK),
            (FIFTH_TSS, TARGET + 0x300, FAULT_STACK),
            (SIXTH_TSS, TARGET + 0x400, FAULT_STACK),
            (FAULT_TSS, stub(8), FAULT_STACK),
        ];
        for (at, eip, esp) in tasks {
            self.put_words(at, &inner);
            self.put_words(
                at,
                &[(8, data), (16, word(DATAS[1])), (24, word(DATAS[2])), (28, DIRECTORY), (32, eip), (36, 2)],
            );
            self.put_words(
                at,
                &[(40, 0xa0), (44, 0xa1), (48, 0xa2), (52, 0xa3), (56, esp), (60, 0xa5), (64, 0xa6), (68, 0xa7)],
            );
            self.put_words(at, &[(72, data), (76, word(CODES[0])), (80, data), (84, data), (88, data), (92, data)]);
            self.put_words(at, &[(100, 0x68 << 16)]);
        }
        // The same with 16 bits: stacks, IP, FLAGS, AX to DI, ES to DS, LDT.
        let values =
            [0, INNER_STACKS[0], data, INNER_STACKS[1], word(DATAS[1]), INNER_STACKS[2], word(DATAS[2]), TARGET, 2];
        let registers = [0xb0, 0xb1, 0xb2, 0xb3, STACK, 0xb5, 0xb6, 0xb7, data, word(CODES[0]), data, data, 0];
        for (at, value) in (SMALL_TSS..).step_by(2).zip(values.into_iter().chain(registers)) {
            self.put(at, &value.to_le_bytes()[..2]);
        }
    }

    fn put_pages(&mut self) {
        self.put_words(DIRECTORY, &[(0, TABLE | USED_BY_ALL)]);
        for place in 1..PAGES >> 22 {
            self.put_words(DIRECTORY, &[(4 * place, place << 22 | 0xe3)]);
        }
        self.put_words(DIRECTORY, &[(PAGES >> 20, TEST_TABLE | 7)]);
        for page in 0..0x400 {
            let is_for_all = [CODE, TARGET, USER_STACK & !0xfff, DATA, DATA + 0x1000].contains(&(page << 12));
            self.put_words(TABLE, &[(4 * page, page << 12 | if is_for_all { USED_BY_ALL } else { USED })]);
        }
    }

    /// The word at an address.
    pub fn word(&self, at: u32) -> u32 {
        u32::from_le_bytes(*self.0[at as usize..].first_chunk().unwrap())
    }

    /// What lies where the image is to have it: the page tables and targets that no case changes, and the template of all else.
    pub fn pieces(&self) -> Vec<(u64, Vec<u8>)> {
        let of = |start: u32, size: u32| self.0[start as usize..][..size as usize].to_vec();
        let mut pieces = vec![(TABLE.into(), of(TABLE, 0x1000)), (TARGET.into(), of(TARGET, 0x1000))];
        for (start, words) in RANGES {
            pieces.push(((start + TEMPLATE).into(), of(start, 4 * words)));
        }
        pieces
    }
}
