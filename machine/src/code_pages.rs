//! Which parts of memory instructions were decoded from, which pages of these have changed since, and which were ever written to.

/// A page is watched in lines of 64 bytes, so that data beside instructions can change without these being decoded anew.
const LINE: u32 = 64;
/// Bytes of a page.
const PAGE: u32 = 0x1000;

/// Bits for each page of memory, and the pages of instructions that have changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct CodePages {
    /// For each page, the lines that instructions were decoded from.
    lines: Vec<u64>,
    written: Vec<u64>,
    /// Those that were, since somebody has asked.
    fresh: Vec<u64>,
    /// Frames with instructions that have changed. What was decoded from them is worth nothing.
    pub changed: Vec<u32>,
}

/// The lines of a page that `size` bytes, all of that page, lie in.
const fn lines(address: u32, size: u32) -> u64 {
    let first = address % PAGE / LINE;
    let last = (address % PAGE + size - 1) / LINE;
    u64::MAX >> (63 - (last - first)) << first
}

impl CodePages {
    /// No page of so many bytes of memory has been decoded.
    pub fn new(size: u64) -> Self {
        let words = |per_word: u64| vec![0; usize::try_from(size.div_ceil(per_word)).unwrap_or(0)];
        let [written, fresh] = [0; 2].map(|_| words(64 * u64::from(PAGE)));
        Self { lines: words(PAGE.into()), written, fresh, changed: Vec::new() }
    }

    /// True when instructions were decoded from the page at this address.
    pub fn has(&self, frame: u32) -> bool {
        self.lines.get((frame / PAGE) as usize).is_some_and(|lines| *lines != 0)
    }

    /// Instructions were decoded from `size` bytes of a page.
    pub fn mark(&mut self, address: u32, size: u32) {
        if let Some(word) = self.lines.get_mut((address / PAGE) as usize) {
            *word |= lines(address, size);
        }
    }

    /// The page at this address may be written to from now on.
    pub fn open(&mut self, frame: u32) {
        let page = (frame / PAGE) as usize;
        for pages in [&mut self.written, &mut self.fresh] {
            if let Some(word) = pages.get_mut(page / 64) {
                *word |= 1 << (page % 64);
            }
        }
    }

    /// A part of memory was loaded.
    pub fn freshen(&mut self, part: std::ops::Range<u64>) {
        let page = u64::from(PAGE);
        for number in part.start / page..part.end.div_ceil(page) {
            if let Some(word) = usize::try_from(number / 64).ok().and_then(|at| self.fresh.get_mut(at)) {
                *word |= 1 << (number % 64);
            }
        }
    }

    /// Takes the numbers of the pages that may have been written to since this was asked last.
    pub fn take_fresh(&mut self) -> Vec<usize> {
        let mut pages = Vec::new();
        for (number, word) in self.fresh.iter_mut().enumerate() {
            while *word != 0 {
                pages.push(number * 64 + word.trailing_zeros() as usize);
                *word &= *word - 1;
            }
        }
        pages
    }

    /// Addresses of the pages of a part of memory that may have been written to.
    pub fn written(&self, part: std::ops::Range<u64>) -> Vec<u64> {
        let per_word = 64 * u64::from(PAGE);
        let words = part.start / per_word..part.end.div_ceil(per_word).min(self.written.len() as u64);
        let mut pages = Vec::new();
        for number in words {
            let mut word = usize::try_from(number).ok().and_then(|at| self.written.get(at)).copied().unwrap_or(0);
            while word != 0 {
                pages.push(number * per_word + u64::from(word.trailing_zeros()) * u64::from(PAGE));
                word &= word - 1;
            }
        }
        pages.retain(|page| part.contains(page));
        pages
    }

    /// `size` bytes at this address are written to.
    pub fn touch(&mut self, address: u32, size: u32) {
        let Some(last) = size.checked_sub(1).and_then(|more| address.checked_add(more)) else { return };
        for page in address / PAGE..=last / PAGE {
            let [from, to] = [address.max(page * PAGE), last.min(page * PAGE + (PAGE - 1))];
            self.open(from);
            if let Some(word) =
                self.lines.get_mut(page as usize).filter(|word| **word & lines(from, to - from + 1) != 0)
            {
                *word = 0;
                self.changed.push(page * PAGE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_beside_instructions_can_change() {
        let mut pages = CodePages::new(0x3000);
        pages.mark(0x1010, 0x70);
        assert!(pages.has(0x1fff) && !pages.has(0x2000));
        pages.touch(0x1080, 4);
        pages.touch(0x0ffc, 4);
        assert_eq!((pages.changed.as_slice(), pages.has(0x1000)), (&[][..], true));
        pages.touch(0x0ffd, 4);
        assert_eq!((pages.changed.as_slice(), pages.has(0x1000)), (&[0x1000][..], false));
        assert_eq!(pages.written(0..0x3000), [0, 0x1000]);
        assert_eq!(pages.written(0x1000..0x2000), [0x1000]);
    }

    #[test]
    fn lines_of_a_page_are_counted_from_its_start() {
        assert_eq!((lines(0x2000, 1), lines(0x20ff, 1), lines(0x203f, 2)), (1, 8, 3));
        assert_eq!((lines(0x1000, PAGE), lines(0x1fc0, LINE)), (u64::MAX, 1 << 63));
    }
}
