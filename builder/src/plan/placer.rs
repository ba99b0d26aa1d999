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

    proptest! {
        #[test]
        fn what_is_placed_anywhere_is_aligned_free_and_within_memory(
            (end, kernel_end) in (any_end(), any::<u32>()),
            taken in proptest::collection::vec((any::<u32>(), any_end()), 0..6),
            (size, shift) in (any_end(), 0..32_u32),
        ) {
            let alignment = 1_u32 << shift;
            let reserved: Vec<GuestRange> =
                taken.into_iter().map(|(start, size)| GuestRange::new(start.into(), size)).collect();
            let placer = Placer {
                low: BOOT_STACK_END.into(),
                high: kernel_end.into(),
                end: Located::new(end, Span::default()),
                reserved: Vec::new(),
            };
            let mut placer = placer.around(reserved.clone());
            let Ok(size) = usize::try_from(size) else { return Ok(()) };
            if let Ok(start) = placer.high(size, alignment, "it") {
                let place = GuestRange::new(start.into(), size as u64);
                prop_assert!(start.is_multiple_of(alignment) && start >= kernel_end && place.ends_within(end));
                prop_assert!(size == 0 || !reserved.iter().any(|taken| taken.size > 0 && taken.overlaps(place)));
                prop_assert_eq!(placer.high, place.end());
            } else {
                // Nor would the first byte behind everything have done.
                let last = reserved.iter().map(|taken| taken.end()).fold(kernel_end.into(), u64::max);
                let start = align_up(last, alignment.into()).unwrap();
                prop_assert!(u32::try_from(start).is_err() || !GuestRange::new(start, size as u64).ends_within(end));
            }
        }
    }
}
