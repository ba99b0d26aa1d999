//! The block of instructions that is executed.

/// Where it lies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Begun {
    /// The time of its first instruction, with what others have taken beside their own, less that of those that a branch has passed over.
    pub time: u64,
    /// The offset in the code segment that the first byte of its page has.
    pub page: u32,
}
