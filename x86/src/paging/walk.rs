//! The walk of a linear address through the tables, with every step that it took.

use super::entry::Entry;
use super::page::{Access, PageSize};

/// A table that paging goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The page directory.
    Directory,
    /// A page table.
    Table,
}

/// An entry that a walk has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is an entry of.
    pub level: Level,
    /// Its number, 0 to 1023.
    pub index: u32,
    /// Its physical address.
    pub address: u64,
    /// Its value.
    pub entry: Entry,
}

/// What a mapped address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The physical address. It need not lie within memory.
    pub physical: u64,
    /// What all levels allow.
    pub access: Access,
    /// The page that it is in; `None` with paging off, and with PAE.
    pub page_size: Option<PageSize>,
}

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkEnd {
    /// The address is mapped.
    Mapped(Translation),
    /// The last entry that was read is not present.
    NotPresent,
    /// The next entry would lie at this physical address, where no memory is.
    OutsideMemory(u64),
}

/// The way from a linear address to a physical one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The entries that were read, the directory's first; none when paging is off, or with PAE.
    pub steps: Vec<Step>,
    /// Where it ended.
    pub end: WalkEnd,
}

impl Walk {
    /// What the address leads to, if it is mapped.
    pub const fn translation(&self) -> Option<Translation> {
        match self.end {
            WalkEnd::Mapped(translation) => Some(translation),
            WalkEnd::NotPresent | WalkEnd::OutsideMemory(_) => None,
        }
    }
}
