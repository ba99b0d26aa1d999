//! The optional symbols section: names for addresses, so that a runner can tell where a guest died without its ELF file.

use serde::Serialize;
use wincode::{SchemaRead, SchemaWrite};

/// The whole symbols section, in the same wire form as the metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Symbols {
    /// Functions and objects, sorted by address, then by name; no two entries are equal.
    pub symbols: Vec<Symbol>,
}

/// A named run of linear addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, SchemaWrite, SchemaRead)]
pub struct Symbol {
    /// First linear (virtual) address.
    pub address: u32,
    /// Bytes, or 0 when the ELF file does not say.
    pub size: u32,
    /// Name as in the ELF file, 1 to 4096 bytes, no control characters.
    pub name: String,
}

impl Symbols {
    /// Sorts and deduplicates `symbols`.
    pub fn new(mut symbols: Vec<Symbol>) -> Self {
        symbols.sort_by(|a, b| (a.address, &a.name, a.size).cmp(&(b.address, &b.name, b.size)));
        symbols.dedup();
        Self { symbols }
    }

    /// The symbol that `address` lies in and the offset into it: the nearest one whose size reaches that far, else the
    /// nearest one before it if that has no size.
    pub fn find(&self, address: u32) -> Option<(&Symbol, u32)> {
        let after = self.symbols.partition_point(|symbol| symbol.address <= address);
        let before = || self.symbols[..after].iter().rev();
        let holds = |symbol: &&Symbol| address - symbol.address < symbol.size;
        let found = before().find(holds).or_else(|| before().next().filter(|nearest| nearest.size == 0))?;
        Some((found, address - found.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(address: u32, size: u32, name: &str) -> Symbol {
        Symbol { address, size, name: name.to_owned() }
    }

    #[test]
    fn an_address_is_named_by_the_symbol_that_holds_it() {
        let symbols = Symbols::new(vec![symbol(0x200, 0, "b"), symbol(0x100, 0x10, "a"), symbol(0x100, 0x10, "a")]);
        assert_eq!(symbols.symbols.len(), 2);
        assert_eq!(symbols.find(0x10f).map(|(found, offset)| (&*found.name, offset)), Some(("a", 0xf)));
        assert_eq!(symbols.find(0x110), None);
        assert_eq!(symbols.find(0x2ff).map(|(found, offset)| (&*found.name, offset)), Some(("b", 0xff)));
        assert_eq!(symbols.find(0xff), None);
    }

    #[test]
    fn a_label_does_not_hide_the_function_around_it() {
        let symbols =
            Symbols::new(vec![symbol(0x100, 0x40, "main"), symbol(0x100, 0, "start"), symbol(0x120, 0, "loop")]);
        assert_eq!(symbols.find(0x124).map(|(found, offset)| (&*found.name, offset)), Some(("main", 0x24)));
    }
}
