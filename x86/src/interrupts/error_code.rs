//! Error codes of exceptions, bit by bit.

use bitflags::bitflags;

use crate::segments::Table;

/// An error code that names a selector or a gate (Intel SDM volume 3A, section 6.13, figure 6-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectorCode(pub u32);

impl SelectorCode {
    /// The entry's number, 0 to 8191.
    pub const fn index(self) -> u32 {
        self.0 >> 3 & 0x1fff
    }

    /// The table that it is an entry of.
    pub const fn table(self) -> Table {
        match (self.0 >> 1 & 1, self.0 >> 2 & 1) {
            (1, _) => Table::Idt,
            (_, 1) => Table::Ldt,
            _ => Table::Gdt,
        }
    }

    /// True when an interrupt or an earlier exception was being delivered.
    pub const fn is_external(self) -> bool {
        self.0 & 1 == 1
    }

    /// True when a selector or a gate is named at all.
    pub const fn names_an_entry(self) -> bool {
        self.0 & 0xfffe != 0
    }
}

bitflags! {
    /// The error code of a page fault (Intel SDM volume 3A, section 4.7, figure 4-12).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct PageFaultCode: u32 {
        /// P: the page is there, and its rights forbid the access; clear when an entry was not present.
        const PROTECTION = 1 << 0;
        /// W/R: it was a write.
        const WRITE = 1 << 1;
        /// U/S: it came from user mode.
        const USER = 1 << 2;
        /// RSVD: a reserved bit is set in an entry.
        const RESERVED_BIT = 1 << 3;
        /// I/D: it was an instruction fetch. Without NX and SMEP, the CPU leaves it clear at fetches, too.
        const FETCH = 1 << 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_code_names_table_and_entry() {
        let parts = |code| (SelectorCode(code).table(), SelectorCode(code).index(), SelectorCode(code).is_external());
        assert_eq!(parts(0x28), (Table::Gdt, 5, false));
        assert_eq!(parts(0x2c), (Table::Ldt, 5, false));
        assert_eq!(parts(0x103), (Table::Idt, 32, true));
        assert!(!SelectorCode(1).names_an_entry() && SelectorCode(2).names_an_entry());
    }

    #[test]
    fn the_bits_of_a_page_fault_are_the_manuals() {
        let code = PageFaultCode::from_bits_retain(0x16);
        assert_eq!(code, PageFaultCode::FETCH | PageFaultCode::USER | PageFaultCode::WRITE);
    }
}
