//! Finds room for what a loader adds to a kernel that is entered with paging off: in low memory, or behind the kernel.

use stos_image::{GuestRange, align_up};

use super::layout::BOOT_STACK_END;
use crate::diagnostics::{Code, Diagnostic, Located};
use crate::kernel::LOW_MEMORY_END;
use crate::manifest::Manifest;

/// Memory that is given out upward, around what the manifest reserves.
pub struct Placer {
    /// First free byte of low memory behind the boot pages.
    low: u64,
    /// First free byte behind the kernel.
    high: u64,
    /// End of guest memory.
    end: Located<u64>,
    /// What is taken: whole pages that the manifest reserves, and what else there is; sorted.
    reserved: Vec<GuestRange>,
}

impl Placer {
    /// Free memory around a kernel that ends at `kernel_end`.
    pub fn new(manifest: &Manifest, kernel_end: u32) -> Self {
        let mut reserved: Vec<GuestRange> = manifest.segments.iter().map(|segment| segment.value.pages()).collect();
        reserved.sort_unstable();
        Self { low: BOOT_STACK_END.into(), high: kernel_end.into(), end: manifest.memory.clone(), reserved }
    }

    /// With further memory that is taken.
    #[must_use]
    pub fn around(mut self, taken: Vec<GuestRange>) -> Self {
        self.reserved.extend(taken);
        self.reserved.sort_unstable();
        self
    }

    /// Room for `size` bytes behind the kernel.
    ///
    /// # Errors
    /// When guest memory ends before.
    pub fn high(&mut self, size: usize, alignment: u32, what: &str) -> Result<u32, Diagnostic> {
        let Located { value: end, span } = self.end;
        if let Some(start) = self.fit(self.high, end, size, alignment) {
            self.high = u64::from(start) + size as u64;
            return Ok(start);
        }
        let message = format!("{what} does not fit into guest memory, which ends at {end:#x}");
        let note = format!("{size} bytes ({size:#x}) are needed, and memory is free from {:#x} on", self.high);
        let diagnostic = Diagnostic::new(Code::DoesNotFit, message).at(span, "all of guest memory").note(note);
        Err(diagnostic.help("make `memory` larger, or leave out modules"))
    }

    /// Room for `size` bytes in low memory, or behind the kernel when there is none.
    ///
    /// # Errors
    /// As for [`Placer::high`].
    pub fn low(&mut self, size: usize, alignment: u32, what: &str) -> Result<u32, Diagnostic> {
        if let Some(start) = self.fit(self.low, LOW_MEMORY_END.into(), size, alignment) {
            self.low = u64::from(start) + size as u64;
            return Ok(start);
        }
        self.high(size, alignment, what)
    }

    fn fit(&self, next: u64, end: u64, size: usize, alignment: u32) -> Option<u32> {
        let (size, alignment) = (size as u64, u64::from(alignment.max(1)));
        let mut start = align_up(next, alignment)?;
        for reserved in &self.reserved {
            // Sorted by start, so that what was passed once is passed for good.
            if start < reserved.end() && reserved.start.0 < start.checked_add(size.max(1))? {
                start = align_up(reserved.end(), alignment)?;
            }
        }
        let fits = start.checked_add(size)? <= end;
        u32::try_from(start).ok().filter(|_| fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Span;
    use proptest::prelude::*;

    /// An address up to 4 GiB, often near one of its ends.
    fn any_end() -> impl Strategy<Value = u64> {
        prop_oneof![0..=1_u64 << 32, (1_u64 << 32) - 0x2000..=1 << 32, 0..0x2000_u64]
    }

    /// The lowest place from `next` on, by trying each that can be the lowest.
    fn lowest(taken: &[GuestRange], next: u64, end: u64, size: u64, alignment: u64) -> Option<u32> {
        let starts = taken.iter().map(|taken| taken.end()).filter(|end| *end > next).chain([next]);
        let starts = starts.map(|start| start.next_multiple_of(alignment));
        // Where nothing is to lie, a byte is free.
        let is_free = |start: &u64| !taken.iter().any(|taken| taken.overlaps(GuestRange::new(*start, size.max(1))));
        let lowest = starts.filter(is_free).min()?;
        u32::try_from(lowest).ok().filter(|_| lowest + size <= end)
    }

    proptest! {
        #[test]
        fn what_is_placed_anywhere_is_at_the_lowest_address_that_is_aligned_free_and_within_memory(
            (end, kernel_end) in (any_end(), any::<u32>()),
            taken in proptest::collection::vec((prop_oneof![any::<u32>(), 0..0xc_0000_u32], prop_oneof![any_end(), 1..0x4_0000_u64]), 0..6),
            asked in proptest::collection::vec((prop_oneof![any_end(), 0..0x8_0000_u64], 0..32_u32, any::<bool>()), 1..6),
        ) {
            // Claims and what a manifest reserves are never empty.
            let taken: Vec<GuestRange> =
                taken.into_iter().map(|(start, size)| GuestRange::new(start.into(), size.max(1))).collect();
            let placer = Placer {
                low: BOOT_STACK_END.into(),
                high: kernel_end.into(),
                end: Located::new(end, Span::default()),
                reserved: Vec::new(),
            };
            let mut placer = placer.around(taken.clone());
            let (mut low, mut high) = (u64::from(BOOT_STACK_END), u64::from(kernel_end));
            for (size, shift, is_low) in asked {
                let Ok(length) = usize::try_from(size) else { return Ok(()) };
                let alignment = 1_u32 << shift;
                let in_low = lowest(&taken, low, LOW_MEMORY_END.into(), size, alignment.into()).filter(|_| is_low);
                let expected = in_low.or_else(|| lowest(&taken, high, end, size, alignment.into()));
                let found = if is_low { placer.low(length, alignment, "it") } else { placer.high(length, alignment, "it") };
                prop_assert_eq!(found.ok(), expected);
                match (in_low, expected) {
                    (Some(start), _) => low = u64::from(start) + size,
                    (None, Some(start)) => high = u64::from(start) + size,
                    (None, None) => {}
                }
                prop_assert_eq!((placer.low, placer.high), (low, high), "what was placed is not given out again");
            }
        }
    }
}
