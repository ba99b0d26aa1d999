//! Segment selectors (Intel SDM volume 3A, section 3.4.2).

use std::fmt;

/// A table of descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// The global descriptor table.
    Gdt,
    /// The local descriptor table.
    Ldt,
    /// The interrupt descriptor table.
    Idt,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gdt => "GDT",
            Self::Ldt => "LDT",
            Self::Idt => "IDT",
        })
    }
}

/// What a segment register is loaded with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selector(pub u16);

impl Selector {
    /// The descriptor's number, 0 to 8191.
    pub const fn index(self) -> u16 {
        self.0 >> 3
    }

    /// The table that the descriptor is in: the GDT or the LDT.
    pub const fn table(self) -> Table {
        if self.0 & 1 << 2 == 0 { Table::Gdt } else { Table::Ldt }
    }

    /// The requested privilege level, 0 to 3; in CS, the current one.
    pub const fn rpl(self) -> u16 {
        self.0 & 3
    }

    /// True for the null selector: entry 0 of the GDT, whatever the privilege level.
    pub const fn is_null(self) -> bool {
        self.0 & !3 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_has_three_parts() {
        let user_code = Selector(0x1b);
        assert_eq!((user_code.index(), user_code.table(), user_code.rpl()), (3, Table::Gdt, 3));
        let local = Selector(0xffff);
        assert_eq!((local.index(), local.table(), local.rpl()), (8191, Table::Ldt, 3));
        assert!(Selector(3).is_null() && !Selector(4).is_null());
    }
}
