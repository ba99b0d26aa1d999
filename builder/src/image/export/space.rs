//! Ranges of guest memory: what is taken, and what lies between.

use stos_image::GuestRange;

/// An address or a size. Guest memory ends below 4 GiB, and so do its parts.
pub fn low(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The range from `start` up to `end`.
pub fn from_to(start: u64, end: u64) -> GuestRange {
    GuestRange::new(start, end.saturating_sub(start))
}

/// What of `ranges` lies within `window`.
pub fn within(ranges: &[GuestRange], window: GuestRange) -> Vec<GuestRange> {
    let cut = |range: &GuestRange| from_to(range.start.0.max(window.start.0), range.end().min(window.end()));
    ranges.iter().map(cut).filter(|range| range.size > 0).collect()
}

/// Whole pages that cover all of `ranges`, sorted, with at least one page between two of them.
pub fn pages(ranges: impl IntoIterator<Item = GuestRange>) -> Vec<GuestRange> {
    let mut sorted: Vec<GuestRange> =
        ranges.into_iter().filter(|range| range.size > 0).map(GuestRange::pages).collect();
    sorted.sort_by_key(|range| range.start);
    let mut joined: Vec<GuestRange> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.start.0 <= last.end() => *last = from_to(last.start.0, last.end().max(range.end())),
            _ => joined.push(range),
        }
    }
    joined
}

/// What of `window` none of `taken` covers, which are sorted and disjoint.
pub fn gaps(window: GuestRange, taken: &[GuestRange]) -> Vec<GuestRange> {
    let mut start = window.start.0;
    let mut found = Vec::new();
    for range in within(taken, window) {
        found.push(from_to(start, range.start.0));
        start = range.end();
    }
    found.push(from_to(start, window.end()));
    found.retain(|range| range.size > 0);
    found
}

/// `ranges`, sorted and disjoint, as at most `most` ranges: only the widest gaps between them are kept.
pub fn fewer(ranges: &[GuestRange], most: usize) -> Vec<GuestRange> {
    let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Vec::new() };
    let window = from_to(first.start.0, last.end());
    let mut kept = gaps(window, ranges);
    kept.sort_by_key(|gap| (std::cmp::Reverse(gap.size), gap.start));
    kept.truncate(most.saturating_sub(1));
    kept.sort_by_key(|gap| gap.start);
    gaps(window, &kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: u64 = stos_image::PAGE_SIZE;

    #[test]
    fn pages_cover_everything_and_touch_nothing_else() {
        let covered = pages([GuestRange::new(5 * P + 1, 1), GuestRange::new(P - 1, 2), GuestRange::new(2 * P, 0)]);
        assert_eq!(covered, [from_to(0, 2 * P), from_to(5 * P, 6 * P)]);
        assert_eq!(pages([from_to(P, 3 * P), from_to(2 * P, 4 * P), from_to(4 * P, 5 * P)]), [from_to(P, 5 * P)]);
    }

    #[test]
    fn gaps_and_what_is_taken_make_up_the_window() {
        let taken = [from_to(0, P), from_to(3 * P, 4 * P), from_to(8 * P, 20 * P)];
        let window = from_to(P, 10 * P);
        assert_eq!(gaps(window, &taken), [from_to(P, 3 * P), from_to(4 * P, 8 * P)]);
        assert_eq!(within(&taken, window), [from_to(3 * P, 4 * P), from_to(8 * P, 10 * P)]);
        assert_eq!(gaps(window, &[]), [window]);
        assert!(gaps(window, &[from_to(0, 10 * P)]).is_empty());
    }

    #[test]
    fn the_narrowest_gaps_are_filled_first() {
        let ranges = [from_to(0, P), from_to(2 * P, 3 * P), from_to(9 * P, 10 * P), from_to(12 * P, 13 * P)];
        assert_eq!(fewer(&ranges, 4), ranges);
        assert_eq!(fewer(&ranges, 2), [from_to(0, 3 * P), from_to(9 * P, 13 * P)]);
        assert_eq!(fewer(&ranges, 1), [from_to(0, 13 * P)]);
        assert!(fewer(&[], 3).is_empty());
    }
}
