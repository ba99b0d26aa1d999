//! What metadata and symbols are made of, so that values, texts and lists in their bytes can be found and changed. As
//! docs/image-format.md has them.

use std::ops::Range;

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// An integer of so many bytes.
    Number(usize),
    /// A count of 64 bits and as many bytes of UTF-8.
    Text,
    /// 32 bytes.
    Digest,
    /// A byte, and the value when that is 1.
    Optional(&'static Shape),
    /// A count of 64 bits and as many values.
    List(&'static Shape),
    /// A number of 32 bits, and what belongs to that variant.
    Choice(&'static [Shape]),
    /// Values one after another.
    Record(&'static [Shape]),
}

use Shape::{Choice, Digest, List, Number, Optional, Record, Text};

const U16: Shape = Number(2);
const U32: Shape = Number(4);
const U64: Shape = Number(8);
const NOTHING: Shape = Record(&[]);
const RANGE: Shape = Record(&[U64, U64]);
const TABLE: Shape = Record(&[U32, U16]);
const SEGMENT: Shape = Record(&[U16, U32, U32, U16]);
const REGION: Shape = Record(&[RANGE, Choice(&[NOTHING; 11]), Number(1), Text]);
const ENTRY: Shape = Record(&[Record(&[U32; 8]), Record(&[U32; 5]), TABLE, TABLE, Record(&[SEGMENT; 7])]);
const RUN: Shape = Record(&[Optional(&U64), List(&Text), U16]);
const INPUT: Shape = Record(&[Text, Text, U64, Digest, List(&Choice(&[RANGE, RANGE]))]);

/// The metadata. Its extents are the last list in it.
pub const METADATA: Shape = Record(&[
    Text,
    Text,
    Optional(&Text),
    U64,
    List(&Record(&[RANGE, Choice(&[NOTHING; 2])])),
    List(&REGION),
    ENTRY,
    Optional(&Record(&[U64, U16])),
    RUN,
    List(&INPUT),
    Text,
    List(&RANGE),
]);

/// The symbols.
pub const SYMBOLS: Shape =
    Record(&[List(&Record(&[U32, U32, U32, Text])), List(&Text), List(&Record(&[U32, U32, U32]))]);

/// A list in bytes: where its count is, and where its items are.
#[derive(Clone, Debug)]
pub struct Items {
    /// Where the count begins.
    pub count: usize,
    /// The items, as far as they are there.
    pub items: Vec<Range<usize>>,
}

/// Where in some bytes the parts of a value are, as far as the bytes are one.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Integers.
    pub numbers: Vec<Range<usize>>,
    /// Texts, without their counts, which are the 8 bytes before.
    pub texts: Vec<Range<usize>>,
    /// Lists.
    pub lists: Vec<Items>,
    /// Numbers of variants, and the bytes that say whether there is a value.
    pub variants: Vec<Range<usize>>,
}

impl Found {
    /// The parts of the value in `bytes`.
    pub fn new(shape: Shape, bytes: &[u8]) -> Self {
        let mut found = Self::default();
        // What comes before the end of the bytes has been found.
        let _ = found.pass(shape, bytes, 0);
        found
    }

    /// Notes the value at `at`, and gives where it ends.
    fn pass(&mut self, shape: Shape, bytes: &[u8], at: usize) -> Option<usize> {
        let end = |size: usize| at.checked_add(size).filter(|end| *end <= bytes.len());
        match shape {
            Number(size) => {
                self.numbers.push(at..end(size)?);
                end(size)
            }
            Text => {
                let text = end(8)?..end(8)?.checked_add(usize::try_from(number(bytes, at..at + 8)).ok()?)?;
                if text.end > bytes.len() {
                    return None;
                }
                self.texts.push(text.clone());
                Some(text.end)
            }
            Digest => end(32),
            Optional(inner) => {
                self.variants.push(at..end(1)?);
                if bytes[at] == 0 { end(1) } else { self.pass(*inner, bytes, at + 1) }
            }
            List(inner) => {
                let mut next = end(8)?;
                let (count, list) = (number(bytes, at..at + 8), self.lists.len());
                self.lists.push(Items { count: at, items: Vec::new() });
                for _ in 0..count {
                    let item = next..self.pass(*inner, bytes, next)?;
                    next = item.end;
                    self.lists[list].items.push(item);
                }
                Some(next)
            }
            Choice(variants) => {
                self.variants.push(at..end(4)?);
                let variant = usize::try_from(number(bytes, at..at + 4)).ok()?;
                self.pass(*variants.get(variant)?, bytes, at + 4)
            }
            Record(fields) => fields.iter().try_fold(at, |at, field| self.pass(*field, bytes, at)),
        }
    }
}

/// The little-endian number in `range` of `bytes`.
pub fn number(bytes: &[u8], range: Range<usize>) -> u64 {
    bytes[range].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_and_bytes_that_end_early_give_those_before() {
        let bytes = [&2_u64.to_le_bytes()[..], &1_u64.to_le_bytes(), b"a", &0_u64.to_le_bytes()].concat();
        let found = Found::new(List(&Text), &bytes);
        assert_eq!(found.texts, [16..17, 25..25]);
        assert_eq!(found.lists[0].items, [8..17, 17..25]);
        let cut = Found::new(List(&Text), &bytes[..20]);
        assert_eq!((cut.texts.len(), cut.lists[0].items.len()), (1, 1));
    }
}
