//! Memory as it was at a moment: pages that several such moments share.

use std::sync::Arc;

use crate::difference::{Differ, Difference};

/// Bytes of a page.
pub(crate) const PAGE: usize = 0x1000;
/// Pages that are shared or copied together when another moment is kept.
const GROUP: usize = 256;

/// How many pages of memory that differ are told one by one.
const TOLD: usize = 16;

/// A page that is not all zeros.
type Page = Option<Arc<[u8]>>;

/// All pages of a memory. A clone shares them.
#[derive(Clone, Debug)]
pub struct Pages {
    size: u64,
    groups: Vec<Option<Arc<[Page; GROUP]>>>,
}

/// What a page has that was never written to.
static NOTHING: [u8; PAGE] = [0; PAGE];

impl Pages {
    /// A memory of so many bytes that is all zeros.
    pub(crate) fn new(size: u64) -> Self {
        let groups = size.div_ceil((GROUP * PAGE) as u64);
        Self { size, groups: vec![None; usize::try_from(groups).unwrap_or(0)] }
    }

    /// How many bytes there are.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of a page, of which the last may have fewer; `None` when they are all zero.
    pub(crate) fn get(&self, page: usize) -> Option<&Arc<[u8]>> {
        self.groups.get(page / GROUP)?.as_ref()?[page % GROUP].as_ref()
    }

    fn bytes(&self, page: usize) -> &[u8] {
        self.get(page).map_or(&NOTHING, |bytes| bytes)
    }

    /// Keeps these bytes for a page.
    pub(crate) fn set(&mut self, page: usize, bytes: &[u8]) {
        let Some(group) = self.groups.get_mut(page / GROUP) else { return };
        let new = bytes.iter().any(|byte| *byte != 0).then(|| Arc::from(bytes));
        if new.is_none() && group.is_none() {
            return;
        }
        let group = group.get_or_insert_with(|| Arc::new([const { None }; GROUP]));
        Arc::make_mut(group)[page % GROUP] = new;
    }

    /// The numbers of the pages that the two do not share, which may have the same bytes nevertheless.
    pub(crate) fn unshared<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let groups = 0..self.groups.len().max(other.groups.len());
        let of = |pages: &'a Self, group: usize| pages.groups.get(group).and_then(Option::as_ref);
        let differing = groups.filter(move |group| match (of(self, *group), of(other, *group)) {
            (Some(left), Some(right)) => !Arc::ptr_eq(left, right),
            (left, right) => left.is_some() != right.is_some(),
        });
        let pages = differing.flat_map(|group| group * GROUP..(group + 1) * GROUP);
        pages.filter(|page| match (self.get(*page), other.get(*page)) {
            (Some(left), Some(right)) => !Arc::ptr_eq(left, right),
            (left, right) => left.is_some() != right.is_some(),
        })
    }
}

impl Differ for Pages {
    fn differ(&self, other: &Self, found: &mut Vec<Difference>) {
        let mut count = 0;
        for page in self.unshared(other) {
            let (left, right) = (self.bytes(page), other.bytes(page));
            if left == right {
                continue;
            }
            let Some(first) = left.iter().zip(right).position(|(left, right)| left != right) else { continue };
            count += 1;
            if count <= TOLD {
                let what = format!("memory from {:#x} on, to the end of its page", page * PAGE + first);
                let shown = |bytes: &[u8]| format!("{:02x?}", bytes.iter().skip(first).take(8).collect::<Vec<_>>());
                found.push(Difference { what, left: shown(left), right: shown(right) });
            }
        }
        if let Some(more @ 1..) = count.checked_sub(TOLD) {
            let what = format!("memory in {more} more pages");
            found.push(Difference { what, left: "one".to_owned(), right: "another".to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_written_is_shared() {
        let mut first = Pages::new(4 << 20);
        first.set(3, &[1; PAGE]);
        first.set(700, &[2; PAGE]);
        let mut second = first.clone();
        assert_eq!(first.unshared(&second).count(), 0);
        second.set(700, &[3; PAGE]);
        second.set(9, &[0; PAGE]);
        second.set(1023, &[4; PAGE]);
        assert!(first.unshared(&second).eq([700, 1023]));
        assert!(Arc::ptr_eq(first.get(3).unwrap(), second.get(3).unwrap()));
        assert_eq!((first.get(700).unwrap()[0], second.get(700).unwrap()[0]), (2, 3));
        second.set(3, &[0; PAGE]);
        assert!(second.get(3).is_none() && second.get(5000).is_none());
    }
}
