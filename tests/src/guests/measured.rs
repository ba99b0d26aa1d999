//! What the page about the machine says that a guest measures on each backend.

use std::fs;

use super::guest::Guest;
use super::text::Text;
use crate::tools::root;

/// Columns of the page's tables.
const KVM_COLUMN: usize = 2;
const EMULATED_COLUMN: usize = 3;
const EMBEDDED_COLUMN: usize = 4;

/// `guest`, which must print a line for each row of the table that the page has after the name of `source`.
pub(super) fn as_the_page_says(source: &str, guest: Guest) -> Guest {
    let page = fs::read_to_string(root().join("docs/machine.md")).unwrap_or_default();
    let rest = page.split(&format!("(`{source}`)")).nth(1);
    let table = rest.and_then(|rest| rest.split("\n\n").nth(1)).unwrap_or_default();
    let rows: Vec<Vec<&str>> = table.lines().skip(2).map(|row| row.split('|').map(str::trim).collect()).collect();
    let lines = |column: usize| {
        let line = |cells: &Vec<&str>| Some(format!("{}: {}\n", cells.get(1)?, cells.get(column)?));
        Text::Exactly(rows.iter().filter_map(line).collect())
    };
    Guest {
        stdout: lines(EMULATED_COLUMN),
        stdout_on_kvm: Some(lines(KVM_COLUMN)),
        stdout_on_embedded: Some(lines(EMBEDDED_COLUMN)),
        ..guest
    }
}
