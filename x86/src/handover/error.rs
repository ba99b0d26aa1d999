//! Why no code can bring about an entry state.

use iced_x86::IcedError;

/// What is wrong with an entry state.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// A selector with a privilege level, in an LDT, or too large.
    #[error("{name} has selector {selector:#x}, which names no entry of a small GDT")]
    Selector {
        /// The segment register.
        name: &'static str,
        /// Its selector.
        selector: u16,
    },
    /// A segment that can't be loaded by its selector, which is 0.
    #[error("{name} is a present segment with the null selector")]
    NullSelector {
        /// The segment register.
        name: &'static str,
    },
    /// A segment that is not present, which no instruction loads.
    #[error("{name} has selector {selector:#x}, and its segment is not present")]
    NotPresent {
        /// The segment register.
        name: &'static str,
        /// Its selector.
        selector: u16,
    },
    /// One selector for two segments.
    #[error("{name} shares selector {selector:#x} with another segment that differs")]
    SharedSelector {
        /// One of the segment registers.
        name: &'static str,
        /// Its selector.
        selector: u16,
    },
    /// CS is not readable 32-bit code of privilege level 0.
    #[error("CS has access bits {access:#x}, which are not those of 32-bit code")]
    NoCode {
        /// Its access bits.
        access: u16,
    },
    /// The code does not lie within the guest's code segment, in which its last instructions run.
    #[error("CS has limit {limit:#x}, so that no code before the guest's can run in it")]
    OutsideCode {
        /// The limit of CS.
        limit: u32,
    },
    /// An instruction can't be encoded, which no choice of addresses causes.
    #[error(transparent)]
    Encoding(#[from] IcedError),
}
