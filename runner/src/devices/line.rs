//! The wire from a device to an interrupt controller.

/// An interrupt line.
pub trait InterruptLine: Send + 'static {
    /// Raises or lowers it.
    fn set(&self, high: bool);
}

#[cfg(test)]
pub use tests::Edges;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::InterruptLine;

    /// Counts the rising edges, which is what an edge-triggered interrupt controller acts on.
    #[derive(Clone, Default)]
    pub struct Edges(Arc<AtomicU32>);

    impl InterruptLine for Edges {
        fn set(&self, high: bool) {
            self.0.fetch_add(u32::from(high), Ordering::Relaxed);
        }
    }

    impl Edges {
        /// Those so far.
        pub fn count(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }

        /// Those since the last time.
        pub fn take(&self) -> u32 {
            self.0.swap(0, Ordering::Relaxed)
        }
    }
}
