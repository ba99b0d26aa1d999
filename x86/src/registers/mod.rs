//! The registers of the CPU (Intel SDM volume 1, section 3.4, and volume 3A, chapter 2).

mod control;
mod cpu;
mod eflags;
mod entry;
mod general;
mod table;

pub use control::{
    CR0_AM, CR0_CD, CR0_EM, CR0_ET, CR0_MP, CR0_NE, CR0_NW, CR0_PE, CR0_PG, CR0_RESERVED, CR0_TS, CR0_WP, CR3_PCD,
    CR3_PWT, CR4_DE, CR4_MCE, CR4_OSFXSR, CR4_OSXMMEXCPT, CR4_OSXSAVE, CR4_PAE, CR4_PCE, CR4_PGE, CR4_PSE, CR4_PVI,
    CR4_SMEP, CR4_TSD, CR4_VME,
};
pub use cpu::{CpuState, Selectors};
pub use eflags::{
    EFLAGS_AC, EFLAGS_DF, EFLAGS_FIXED, EFLAGS_IF, EFLAGS_IOPL, EFLAGS_NT, EFLAGS_RESERVED, EFLAGS_RF, EFLAGS_TF,
    EFLAGS_VM,
};
pub use entry::EntryState;
pub use general::GeneralRegisters;
pub use table::TableRegister;
