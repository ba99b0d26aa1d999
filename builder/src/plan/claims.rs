//! Claims on guest memory. Two owners of one byte are an error that names both, with the line that mends it.

use stos_image::{GuestRange, PAGE_SIZE, Permissions, Region, RegionKind};

use crate::diagnostics::{Code, Diagnostic, Diagnostics, Span};

/// Most owners of the same memory that one message shows.
const OWNERS_SHOWN: usize = 6;

/// A claim on guest memory, and the place in the manifest that made it.
#[derive(Clone, Debug)]
pub struct Claim {
    /// All of it.
    pub range: GuestRange,
    /// What it is for.
    pub kind: RegionKind,
    /// What a guest may do with it.
    pub permissions: Permissions,
    /// Who claims it.
    pub name: String,
    /// The place in the manifest that asked for it.
    pub span: Option<Span>,
    /// Named parts of the claim, sorted and disjoint: the sections of a segment.
    pub parts: Vec<(String, GuestRange)>,
}

/// Collects claims and finds out which of them collide.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    list: Vec<Claim>,
    /// Where a kernel is usually linked, for advice.
    link_address: u32,
}

impl Claims {
    /// No claims yet, on the memory of a kernel that is usually linked at `link_address`.
    pub fn new(link_address: u32) -> Self {
        Self { list: Vec::new(), link_address }
    }

    /// True when nobody claims a byte of `range`.
    pub fn is_free(&self, range: GuestRange) -> bool {
        self.list.iter().all(|claim| !claim.range.overlaps(range))
    }

    /// True when a kernel claims a byte of `range`.
    pub fn has_kernel_in(&self, range: GuestRange) -> bool {
        self.list.iter().any(|claim| claim.kind == RegionKind::Kernel && claim.range.overlaps(range))
    }

    /// What is claimed so far.
    pub fn ranges(&self) -> impl Iterator<Item = GuestRange> {
        self.list.iter().map(|claim| claim.range)
    }

    /// The first address of whole pages from `start` on, with `size` bytes before `end` that nobody claims and that are not in
    /// `kept_free`.
    pub fn first_free(&self, start: u64, end: u64, size: u64, kept_free: GuestRange) -> Option<u64> {
        let mut ranges: Vec<GuestRange> = self.ranges().chain([kept_free]).collect();
        ranges.sort_unstable();
        let mut candidate = start.next_multiple_of(PAGE_SIZE);
        for range in ranges.iter().filter(|range| range.end() > start) {
            // Sorted by start: what begins behind the candidate's end leaves it free, as does all that follows.
            if range.start.0 >= candidate.checked_add(size)? {
                break;
            }
            candidate = candidate.max(range.end().checked_next_multiple_of(PAGE_SIZE)?);
        }
        (candidate.checked_add(size)? <= end).then_some(candidate)
    }

    /// Claims `size` bytes from `start`. Nothing is no claim.
    pub fn add(
        &mut self,
        start: u32,
        size: u64,
        kind: RegionKind,
        permissions: Permissions,
        name: impl Into<String>,
        span: Option<Span>,
    ) {
        let range = GuestRange::new(start.into(), size);
        self.add_claim(Claim { range, kind, permissions, name: name.into(), span, parts: Vec::new() });
    }

    /// Adds a claim. Nothing is no claim.
    pub fn add_claim(&mut self, claim: Claim) {
        if claim.range.size > 0 {
            self.list.push(claim);
        }
    }

    /// The regions in order of their addresses. A claim with parts is a region for each part, and for what lies between.
    ///
    /// # Errors
    /// One diagnostic per claim that collides, with all that it collides with: kernel segments first, then the manifest's
    /// segments.
    pub fn settle(self) -> Result<Vec<Region>, Diagnostics> {
        let mut found = Diagnostics::default();
        let mut sorted: Vec<&Claim> = self.list.iter().collect();
        sorted.sort_by_key(|claim| (claim.span.is_none(), claim.range));
        // Segments of a kernel are disjoint, which was checked before; there may be very many.
        let (kernel, rest): (Vec<&Claim>, Vec<&Claim>) =
            sorted.into_iter().partition(|claim| claim.kind == RegionKind::Kernel);
        let kernel_and_rest = kernel.iter().map(|claim| (*claim, &*rest));
        let among_rest =
            rest.iter().enumerate().map(|(index, claim)| (*claim, rest.get(index + 1..).unwrap_or_default()));
        for (claim, others) in kernel_and_rest.chain(among_rest) {
            let mut others: Vec<&Claim> =
                others.iter().copied().filter(|other| other.range.overlaps(claim.range)).collect();
            others.sort_by_key(|other| other.range);
            if !others.is_empty() {
                found.push(collision(claim, &others, &self));
            }
        }
        found.finish(())?;
        let mut regions: Vec<Region> = self.list.into_iter().flat_map(Claim::into_regions).collect();
        regions.sort_by_key(|region| region.range);
        Ok(regions)
    }
}

impl Claim {
    fn into_regions(self) -> Vec<Region> {
        let (kind, permissions) = (self.kind, self.permissions);
        let mut regions = Vec::new();
        let mut push = |name: &str, start: u64, end: u64| {
            if start < end {
                let range = GuestRange::new(start, end - start);
                regions.push(Region { range, kind, permissions, name: name.to_owned() });
            }
        };
        let mut cursor = self.range.start.0;
        for (name, range) in &self.parts {
            push(&self.name, cursor, range.start.0);
            push(name, range.start.0, range.end());
            cursor = range.end();
        }
        push(&self.name, cursor, self.range.end());
        regions
    }

    /// True for what the manifest reserves.
    fn is_reserved(&self) -> bool {
        self.kind == RegionKind::Reserved && self.span.is_some()
    }

    /// Where it lies, with the parts that `others` claim as well.
    fn fact(&self, others: &[&Self]) -> String {
        let names = |wanted: bool| {
            let is_hit = |range: GuestRange| others.iter().any(|other| other.range.overlaps(range));
            let parts = self.parts.iter().filter(|(_, range)| is_hit(*range) == wanted);
            parts.map(|(name, _)| section_name(name)).collect::<Vec<_>>().join(" ")
        };
        let holds = match (names(true), names(false)) {
            (hit, others) if hit.is_empty() && others.is_empty() => String::new(),
            (hit, others) if others.is_empty() => format!(", holds {hit}"),
            (hit, others) if hit.is_empty() => format!(", holds {others} elsewhere"),
            (hit, others) => format!(", holds {hit} there and {others} elsewhere"),
        };
        let size = self.range.size;
        format!("`{}` takes guest-physical {}, {size} bytes ({size:#x}){holds}", self.name, self.range)
    }
}

/// `.text` for the region `kernel .text`.
fn section_name(part: &str) -> &str {
    part.strip_prefix("kernel ").unwrap_or(part)
}

fn collision(claim: &Claim, others: &[&Claim], all: &Claims) -> Diagnostic {
    let message = match others {
        [other] => format!("`{}` and `{}` claim the same guest memory", claim.name, other.name),
        [other, rest @ ..] => {
            format!("`{}` claims the same guest memory as `{}` and {} more", claim.name, other.name, rest.len())
        }
        [] => format!("`{}` claims guest memory that is taken", claim.name),
    };
    let mut diagnostic = Diagnostic::new(Code::Collision, message).note(claim.fact(others));
    for other in others.iter().take(OWNERS_SHOWN) {
        diagnostic = diagnostic.note(other.fact(&[claim]));
    }
    if let Some(more @ 1..) = others.len().checked_sub(OWNERS_SHOWN) {
        diagnostic = diagnostic.note(format!("and {more} more up to {:#x}", claim.range.end().saturating_sub(1)));
    }
    let comes_from = |claim: &Claim| format!("`{}` comes from here", claim.name);
    let mut labels =
        std::iter::once(claim).chain(others.iter().copied()).filter_map(|claim| Some((claim, claim.span?)));
    if let Some((first, span)) = labels.next() {
        diagnostic = diagnostic.at(span, comes_from(first));
        for (other, other_span) in labels.take(OWNERS_SHOWN).filter(|(_, other_span)| *other_span != span) {
            diagnostic = diagnostic.and_at(other_span, comes_from(other));
        }
    }
    diagnostic.help(help(claim, others, all))
}

fn help(claim: &Claim, others: &[&Claim], all: &Claims) -> String {
    let reserved = others.iter().copied().chain([claim]).find(|claim| claim.is_reserved());
    if let Some(reserved) = reserved {
        return format!(
            "move `{}` in the manifest, or leave it out: memory that is in use is reserved already",
            reserved.name
        );
    }
    if claim.kind != RegionKind::Kernel {
        return "move one of them, or leave it out: memory that is in use is reserved already".to_owned();
    }
    let link_address = all.link_address;
    // What GNU ld makes of `-Ttext=…` without a linker script: the headers, on the page before the first section.
    if claim.range.start.0 == 0xf_f000 && claim.parts.iter().all(|(_, part)| part.start.0 >= 0x10_0000) {
        return format!(
            "it probably begins with the ELF headers, which ld puts before the code: link with the kernel's script, or with `-Ttext-segment={link_address:#x}` instead of `-Ttext={link_address:#x}`"
        );
    }
    let in_place = all.list.iter().filter(|other| other.kind == RegionKind::Kernel && other.range.start.0 >= 0x10_0000);
    let before = in_place.filter_map(|other| other.parts.last()).next_back();
    let first = claim.parts.first().map(|(name, _)| section_name(name));
    match (before, first) {
        (Some((before, _)), Some(first)) => format!(
            "let `{first}` follow `{}` instead of giving it this address: `{first} ALIGN(4096) : {{ ... }}` in the linker script",
            section_name(before)
        ),
        (_, first) => {
            let first = first.map_or("the first section".to_owned(), |first| format!("`{first}`"));
            format!("put `. = {link_address:#x};` before {first} in the linker script: physical 1 MiB is free")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A range of the 32-bit space; it may pass its end, as a claim that is told to do so.
    fn any_range() -> impl Strategy<Value = GuestRange> {
        let start = prop_oneof![any::<u32>(), 0..0x2_0000_u32, u32::MAX - 0x2_0000..=u32::MAX];
        let size = prop_oneof![1..0x1_0000_u64, 1..=1_u64 << 32];
        (start, size).prop_map(|(start, size)| GuestRange::new(start.into(), size))
    }

    proptest! {
        #[test]
        fn the_first_free_pages_are_free_and_none_before_them_are(
            ranges in proptest::collection::vec(any_range(), 1..8),
            (start, end) in (any_range(), any_range()),
            size in prop_oneof![0..0x1_0000_u64, 0..=1_u64 << 32],
        ) {
            let (start, end) = (start.start.0, end.end().min(1 << 32));
            let mut claims = Claims::default();
            for range in &ranges[1..] {
                let first = u32::try_from(range.start.0).unwrap();
                claims.add(first, range.size, RegionKind::Kernel, Permissions::all(), "kernel", None);
            }
            // What is first free begins at the start or behind something that is taken.
            let mut starts: Vec<u64> = ranges.iter().map(|range| range.end()).filter(|end| *end > start).collect();
            starts.push(start);
            let free = |at: &u64| {
                at + size <= end && !ranges.iter().any(|range| size > 0 && range.overlaps(GuestRange::new(*at, size)))
            };
            let expected = starts.iter().map(|start| start.next_multiple_of(PAGE_SIZE)).filter(free).min();
            let found = claims.first_free(start, end, size, ranges[0]);
            if size > 0 {
                prop_assert_eq!(found, expected);
            } else {
                // Nothing lies anywhere.
                prop_assert!(found.is_none_or(|found| found >= start && found <= end));
            }
        }
    }
}
