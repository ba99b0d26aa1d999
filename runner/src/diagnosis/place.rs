//! Addresses in words: symbol and offset, source file and line.

use schemars::JsonSchema;
use serde::Serialize;

use super::names::Names;

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
    /// What `names` know about `address`.
    pub fn new(names: Option<Names<'_>>, address: u32) -> Self {
        let symbol = names.and_then(|names| names.find(address));
        let line = names.and_then(|names| names.line(address));
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
pub fn symbol(names: Names<'_>, address: u32) -> Option<String> {
    names.find(address).map(|(symbol, offset)| format!("{}+{offset:#x}", shorten(&symbol.shown_name())))
}

fn line(names: Names<'_>, address: u32) -> Option<String> {
    names.line(address).map(|(file, line)| format!("{}:{line}", shorten(file)))
}

/// `address` in hexadecimal and, as far as `names` know them, as symbol and offset and as source file and line.
pub fn describe_address(names: Names<'_>, address: u32) -> String {
    let nowhere = names.beyond_memory(address).map(|end| format!(" (no memory is there: it ends at {end:#x})"));
    let nowhere = nowhere.unwrap_or_default();
    let name = symbol(names, address).map(|name| format!(" ({name})")).unwrap_or_default();
    let line = line(names, address).map(|line| format!(" ({line})")).unwrap_or_default();
    format!("{address:#010x}{name}{line}{nowhere}")
}

/// As [`describe_address`], for an address that a call returns to: the line is that of the call, and a call that ends a
/// function belongs to that function.
pub fn describe_return(names: Names<'_>, address: u32) -> String {
    let call = address.saturating_sub(1);
    let name = names
        .find(call)
        .map(|(symbol, offset)| format!(" {}+{:#x}", shorten(&symbol.shown_name()), u64::from(offset) + 1))
        .unwrap_or_default();
    let line = line(names, call).map(|line| format!(" ({line})")).unwrap_or_default();
    format!("{address:#010x}{name}{line}")
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::{FaultRecord, Line, RegionKind};

    fn case() -> Case {
        let mut case = Case::paged(FaultRecord::default())
            .with_region(0x10_0000, 0x1000, RegionKind::Kernel, 5, "kernel .text")
            .with_region(0x10_1000, 0x1000, RegionKind::Kernel, 6, "kernel .bss")
            .with_region(0x10_2000, 0x1000, RegionKind::Heap, 6, "early heap")
            .with_symbol(0xc010_0100, 0x100, "kernel_main")
            .with_symbol(0xc010_0200, 0x100, "_ZN5video5clearEjj")
            .with_symbol(0xc010_0800, 0, "label")
            .with_symbol(0xc010_2000, 0, "stack_top");
        case.symbols = case.symbols.with_lines(
            &["kernel/main.c".to_owned()],
            vec![
                Line { address: 0xc010_0100, file: 0, line: 12 },
                Line { address: 0xc010_0110, file: 0, line: 0 },
                Line { address: 0xc010_0300, file: 0, line: 99 },
                Line { address: 0xc010_0380, file: 0, line: 0 },
            ],
        );
        case
    }

    #[test]
    fn an_address_is_told_with_what_is_known_about_it() {
        let case = case();
        for (address, text) in [
            (0xc010_010f, "0xc010010f (kernel_main+0xf) (kernel/main.c:12)"),
            (0xc010_0110, "0xc0100110 (kernel_main+0x10)"),
            (0xc010_0204, "0xc0100204 (video::clear(unsigned int, unsigned int)+0x4)"),
            (0xc010_0304, "0xc0100304 (kernel/main.c:99)"),
            (0x0, "0x00000000"),
        ] {
            assert_eq!(describe_address(case.scene().guest.symbols, address), text);
        }
    }

    #[test]
    fn a_symbol_without_a_size_reaches_to_the_end_of_its_section() {
        let case = case();
        for (address, text) in [
            (0xc010_0fff, "0xc0100fff (label+0x7ff)"),
            (0xc010_1000, "0xc0101000"),
            (0xc010_2000, "0xc0102000 (stack_top+0x0)"),
            (0xc010_2010, "0xc0102010"),
            (0xc01f_f533, "0xc01ff533"),
            (0xdead_0000, "0xdead0000"),
        ] {
            assert_eq!(describe_address(case.scene().guest.symbols, address), text);
        }
    }

    #[test]
    fn an_address_without_memory_is_told_as_that() {
        let case = case();
        let end = "(no memory is there: it ends at 0x200000)";
        assert_eq!(describe_address(case.scene().guest.symbols, 0xc030_0000), format!("0xc0300000 {end}"));
        assert_eq!(describe_address(case.scene().guest.symbols, 0x0030_0000), "0x00300000", "it is not mapped");
        let unpaged = Case::new(FaultRecord::default());
        assert_eq!(describe_address(unpaged.scene().guest.symbols, 0x0030_0000), format!("0x00300000 {end}"));
    }

    #[test]
    fn a_return_address_is_told_as_the_call_before_it() {
        let case = case();
        let names = case.scene().guest.symbols;
        assert_eq!(describe_return(names, 0xc010_0110), "0xc0100110 kernel_main+0x10 (kernel/main.c:12)");
        assert_eq!(
            describe_return(names, 0xc010_0300),
            "0xc0100300 video::clear(unsigned int, unsigned int)+0x100",
            "a call that never returns may be the last instruction of its function"
        );
        assert_eq!(describe_return(names, 0), "0x00000000");
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(shorten(&"ä".repeat(200)), format!("{}...", "ä".repeat(100)));
    }
}
