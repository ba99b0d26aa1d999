//! A register of the local APIC that has a bit for each vector.

/// 256 bits, eight words of which are seen at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vectors([u32; 8]);

impl Vectors {
    /// One of its words.
    pub fn word(&self, number: usize) -> u32 {
        self.0.get(number).copied().unwrap_or(0)
    }

    /// Sets or clears the bit of a vector.
    pub fn set(&mut self, vector: u8, is_set: bool) {
        let (word, bit) = (&mut self.0[usize::from(vector >> 5)], 1 << (vector & 31));
        *word = if is_set { *word | bit } else { *word & !bit };
    }

    /// True when the bit of a vector is set.
    pub fn has(&self, vector: u8) -> bool {
        self.0[usize::from(vector >> 5)] & 1 << (vector & 31) != 0
    }

    /// The highest vector whose bit is set.
    pub fn highest(&self) -> Option<u8> {
        let (number, word) = (0_u8..).zip(self.0).filter(|(_, word)| *word != 0).last()?;
        Some(number << 5 | word.ilog2() as u8)
    }
}
