//! Which pages of memory instructions were decoded from, which of these have changed since, and which were ever written to.

/// Bits for each page of memory, and the pages of instructions that have changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct CodePages {
    marks: Vec<u64>,
    written: Vec<u64>,
    /// Frames with instructions that have changed. What was decoded from them is worth nothing.
    pub changed: Vec<u32>,
}

impl CodePages {
    /// No page of so many bytes of memory has been decoded.
    pub fn new(size: u64) -> Self {
        let words = usize::try_from(size.div_ceil(64 << 12)).unwrap_or(0);
        Self { marks: vec![0; words], written: vec![0; words], changed: Vec::new() }
    }

    /// True when instructions were decoded from the page at this address.
    pub fn has(&self, frame: u32) -> bool {
        let page = (frame >> 12) as usize;
        self.marks.get(page / 64).is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    /// Instructions were decoded from the page at this address.
    pub fn mark(&mut self, frame: u32) {
        let page = (frame >> 12) as usize;
        if let Some(word) = self.marks.get_mut(page / 64) {
            *word |= 1 << (page % 64);
        }
    }

    /// The page at this address may be written to from now on.
    pub fn open(&mut self, frame: u32) {
        let page = (frame >> 12) as usize;
        if let Some(word) = self.written.get_mut(page / 64) {
            *word |= 1 << (page % 64);
        }
    }

    /// Addresses of the pages that may have been written to.
    pub fn written(&self) -> impl Iterator<Item = u64> + '_ {
        let bits = |word: u64| (0..64_u64).filter(move |bit| word >> bit & 1 == 1);
        (0_u64..)
            .zip(&self.written)
            .flat_map(move |(number, word)| bits(*word).map(move |bit| (number * 64 + bit) << 12))
    }

    /// The page at this address is written to.
    pub fn touch(&mut self, frame: u32) {
        self.open(frame);
        let page = (frame >> 12) as usize;
        if let Some(word) = self.marks.get_mut(page / 64).filter(|word| **word >> (page % 64) & 1 == 1) {
            *word &= !(1 << (page % 64));
            self.changed.push(frame & !0xfff);
        }
    }
}
