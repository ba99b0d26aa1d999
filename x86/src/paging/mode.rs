//! Which form of paging is in force (Intel SDM volume 3A, section 4.1.1).

use super::pae::Pae;
use super::page::Access;
use super::two_level::{Found, TwoLevel};
use super::walk::{Translation, Walk, WalkEnd};
use crate::registers::{CR0_PG, CR4_PAE};

/// A form of paging. Each has a walker of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// None: linear addresses are physical.
    Off,
    /// 32-bit paging.
    TwoLevel(TwoLevel),
    /// PAE paging.
    Pae(Pae),
}

impl Paging {
    /// The form that these registers choose.
    pub const fn of(cr0: u32, cr3: u32, cr4: u32) -> Self {
        if cr0 & CR0_PG == 0 {
            Self::Off
        } else if cr4 & CR4_PAE != 0 {
            Self::Pae(Pae::new(cr3))
        } else {
            Self::TwoLevel(TwoLevel::new(cr3, cr4))
        }
    }

    /// Follows `address`. `read` gives the 32-bit word at a physical address, or `None` where no memory is. Only 32-bit paging lists
    /// its steps.
    pub fn walk(self, address: u32, read: impl FnMut(u64) -> Option<u32>) -> Walk {
        let end = match self {
            Self::TwoLevel(tables) => return tables.walk(address, read),
            Self::Pae(tables) => tables.walk(address, read),
            Self::Off => {
                WalkEnd::Mapped(Translation { physical: address.into(), access: Access::ALL, page_size: None })
            }
        };
        Walk { steps: Vec::new(), end }
    }

    /// Calls `each` for every table and every page that is mapped; never with paging off, or with PAE.
    pub fn for_each(self, read: impl FnMut(u64) -> Option<u32>, each: impl FnMut(Found)) {
        if let Self::TwoLevel(tables) = self {
            tables.for_each(read, each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_registers_choose_the_form() {
        assert_eq!(Paging::of(0x11, 0x1000, 0x20), Paging::Off);
        assert_eq!(Paging::of(CR0_PG | 0x11, 0x1020, CR4_PAE), Paging::Pae(Pae::new(0x1020)));
        assert_eq!(Paging::of(CR0_PG | 0x11, 0x1000, 0x10), Paging::TwoLevel(TwoLevel::new(0x1000, 0x10)));
    }

    #[test]
    fn without_tables_a_walk_takes_no_step() {
        let walk = Paging::Off.walk(0x1234_5678, |_| None);
        assert_eq!((walk.steps.len(), walk.translation().map(|to| to.physical)), (0, Some(0x1234_5678)));
        let extended = Paging::Pae(Pae::new(0x1000));
        assert_eq!(extended.walk(0, |_| None).end, WalkEnd::OutsideMemory(0x1000));
        extended.for_each(|_| Some(1), |found| panic!("{found:?}"));
    }
}
