//! Addresses in words: symbol and offset, source file and line.

use schemars::JsonSchema;
use serde::Serialize;
use stos_image::Symbols;

/// Longest name that a line of a diagnosis shows, in characters.
const NAME_LIMIT: usize = 100;

/// An address and what is known about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Place {
    /// The linear address.
    pub address: u32,
    /// The symbol that holds it.
    pub symbol: Option<String>,
    /// Bytes from the symbol's beginning.
    pub offset: Option<u32>,
    /// The source file.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
}

impl Place {
    /// What `symbols` know about `address`.
    pub fn new(symbols: Option<&Symbols>, address: u32) -> Self {
        let symbol = symbols.and_then(|symbols| symbols.find(address));
        let line = symbols.and_then(|symbols| symbols.line(address));
        Self {
            address,
            symbol: symbol.as_ref().map(|(symbol, _)| symbol.shown_name()),
            offset: symbol.map(|(_, offset)| offset),
            file: line.map(|(file, _)| file.to_owned()),
            line: line.map(|(_, line)| line),
        }
    }
}

/// `name`, or its beginning if it is too long for a line.
pub fn shorten(name: &str) -> String {
    match name.char_indices().nth(NAME_LIMIT) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

/// Symbol and offset of `address`, if a symbol holds it.
pub fn symbol(symbols: &Symbols, address: u32) -> Option<String> {
    symbols.find(address).map(|(symbol, offset)| format!("{}+{offset:#x}", shorten(&symbol.shown_name())))
}

fn line(symbols: &Symbols, address: u32) -> Option<String> {
    symbols.line(address).map(|(file, line)| format!("{}:{line}", shorten(file)))
}

/// `address` in hexadecimal and, as far as `symbols` know them, as symbol and offset and as source file and line.
pub fn describe_address(symbols: &Symbols, address: u32) -> String {
    let name = symbol(symbols, address).map(|name| format!(" ({name})")).unwrap_or_default();
    let line = line(symbols, address).map(|line| format!(" ({line})")).unwrap_or_default();
    format!("{address:#010x}{name}{line}")
}

/// As [`describe_address`], for an address that a call returns to: the line is that of the call, and a call that ends a
/// function belongs to that function.
pub fn describe_return(symbols: &Symbols, address: u32) -> String {
    let call = address.saturating_sub(1);
    let name = symbols
        .find(call)
        .map(|(symbol, offset)| format!(" {}+{:#x}", shorten(&symbol.shown_name()), u64::from(offset) + 1))
        .unwrap_or_default();
    let line = line(symbols, call).map(|line| format!(" ({line})")).unwrap_or_default();
    format!("{address:#010x}{name}{line}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use stos_image::{Line, Symbol};

    fn symbols() -> Symbols {
        let symbol = |address, name: &str| Symbol { address, size: 0x100, module: 0, name: name.to_owned() };
        let encoded = symbol(0x200, "_ZN5video5clearEjj");
        Symbols::new(vec![symbol(0x100, "kernel_main"), encoded]).with_lines(
            &["kernel/main.c".to_owned()],
            vec![
                Line { address: 0x100, file: 0, line: 12 },
                Line { address: 0x110, file: 0, line: 0 },
                Line { address: 0x300, file: 0, line: 99 },
            ],
        )
    }

    #[test]
    fn an_address_is_told_with_what_is_known_about_it() {
        for (address, text) in [
            (0x10f, "0x0000010f (kernel_main+0xf) (kernel/main.c:12)"),
            (0x110, "0x00000110 (kernel_main+0x10)"),
            (0x204, "0x00000204 (video::clear(unsigned int, unsigned int)+0x4)"),
            (0x304, "0x00000304 (kernel/main.c:99)"),
            (0x0, "0x00000000"),
        ] {
            assert_eq!(describe_address(&symbols(), address), text);
        }
    }

    #[test]
    fn a_return_address_is_told_as_the_call_before_it() {
        assert_eq!(describe_return(&symbols(), 0x110), "0x00000110 kernel_main+0x10 (kernel/main.c:12)");
        assert_eq!(
            describe_return(&symbols(), 0x300),
            "0x00000300 video::clear(unsigned int, unsigned int)+0x100",
            "a call that never returns may be the last instruction of its function"
        );
        assert_eq!(describe_return(&symbols(), 0), "0x00000000");
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(shorten(&"ä".repeat(200)), format!("{}...", "ä".repeat(100)));
    }
}
