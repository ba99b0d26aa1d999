//! The page about the machine that guests find says the same as the table of ports in the code.

use std::collections::BTreeSet;

use stos_tests::tools::root;
use stos_x86::ports;

/// The ports that a row's first cell names, such as `0x20, 0x21, 0x40-0x43`; none when it names no number.
fn ports_of(cell: &str) -> BTreeSet<u16> {
    let number = |text: &str| u16::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok();
    let part = |text: &str| match text.split_once('-') {
        Some((first, last)) => Some(number(first)?..=number(last)?),
        None => number(text).map(|port| port..=port),
    };
    cell.split(',').filter_map(part).flatten().collect()
}

#[test]
fn the_page_lists_the_ports_of_the_machine() {
    let page = std::fs::read_to_string(root().join("docs/machine.md")).unwrap();
    let table = page.split("\n## Ports\n\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let cells = table.lines().skip(2).map(|row| row.split('|').nth(1).unwrap());
    let told: Vec<BTreeSet<u16>> = cells.map(ports_of).filter(|ports| !ports.is_empty()).collect();
    let known: Vec<BTreeSet<u16>> =
        ports::TABLE.iter().map(|(_, ranges)| ranges.iter().cloned().flatten().collect()).collect();
    assert_eq!(told, known);
}

#[test]
fn the_page_on_the_format_lists_the_ports_that_are_in_use() {
    let page = std::fs::read_to_string(root().join("docs/image-format.md")).unwrap();
    let list = page.split("on whatever backend:\n").nth(1).unwrap().split(".\n").next().unwrap();
    let told = ports_of(list);
    let used: BTreeSet<u16> = (0..=u16::MAX).filter(|port| ports::user(&(*port..=*port)).is_some()).collect();
    assert_eq!(told, used);
}
