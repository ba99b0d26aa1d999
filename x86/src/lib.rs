//! The vocabulary of a 32-bit x86 machine, each fact of it once: what the registers, descriptor tables, exceptions and page tables
//! of the CPU look like, and at which ports a PC has its devices.
//!
//! The modules follow the chapters of the Intel SDM (Software Developer's Manual), volume 3A, and cite its sections: [`registers`]
//! chapter 2, [`segments`] chapter 3, [`paging`] chapter 4, [`interrupts`] chapter 6, [`tasks`] chapter 8. [`ports`] and
//! [`bios_data`] are the PC's around it. Nothing here does any I/O or holds guest memory: whoever has memory hands in a closure
//! that reads it.
//!
//! # Use
//! ```
//! use stos_x86::paging::{Access, AddressSpace, Mapping, PageSize, Paging, Target};
//!
//! let mapping = Mapping {
//!     start: 0xc000_0000,
//!     size: 4 << 20,
//!     page_size: PageSize::Big,
//!     target: Target::Physical(0, Access::KERNEL),
//! };
//! let tables = AddressSpace::new(vec![mapping]).expect("nothing overlaps").build(0x1000);
//! let read = |address: u64| {
//!     let start = usize::try_from(address).ok()?;
//!     Some(u32::from_le_bytes(tables.directory.get(start..start + 4)?.try_into().ok()?))
//! };
//! // CR0.PG and CR4.PSE set, the page directory at 0.
//! let walk = Paging::of(0x8000_0011, 0, 0x10).walk(0xc010_0000, read);
//! assert_eq!(walk.translation().map(|to| to.physical), Some(0x10_0000));
//! ```

#![forbid(unsafe_code)]

pub mod bios_data;
#[cfg(feature = "handover")]
pub mod handover;
pub mod interrupts;
pub mod paging;
pub mod ports;
pub mod registers;
pub mod segments;
pub mod tasks;
