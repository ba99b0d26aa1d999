//! The CPU state in which a guest is entered: 32-bit protected mode, paging off.

pub use stos_x86::registers::{
    CR0_ET, CR0_PE, CR0_PG, CR0_WP, CR4_PSE, EFLAGS_FIXED, EFLAGS_IF, EntryState, GeneralRegisters, TableRegister,
};
pub use stos_x86::segments::{Segment, Segments};

/// The CR4 bits that every 32-bit baseline CPU has: VME, PVI, TSD, DE, PSE, PAE, MCE and PGE.
pub const CR4_ALLOWED: u32 = 0xff;
