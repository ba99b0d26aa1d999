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

    /// The symbol that `address` lies in and the offset into it. A symbol without a size reaches to the next one.
    pub fn find(&self, address: u32) -> Option<(&Symbol, u32)> {
        let after = self.symbols.partition_point(|symbol| symbol.address <= address);
        self.symbols[..after]
            .iter()
            .rev()
            .map(|symbol| (symbol, address - symbol.address))
            .find(|(symbol, offset)| symbol.size == 0 || *offset < symbol.size)
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
}
