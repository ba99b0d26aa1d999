//! The optional symbols section: names and source lines for addresses, so that a runner can tell where a guest died without
//! its ELF files.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use wincode::{SchemaRead, SchemaWrite};

use crate::demangle::demangle;
use crate::error::ImageError;
use crate::limits::{
    FILE_COUNT_LIMIT, LINE_COUNT_LIMIT, SYMBOL_COUNT_LIMIT, TEXT_LIMIT, broken, check_count, check_text, is_clean,
};

/// The whole symbols section, in the same wire form as the metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Symbols {
    /// Functions and objects, sorted by address, name, size and module; no two entries are equal. At most 1 048 576.
    pub symbols: Vec<Symbol>,
    /// Names of source files, as the compiler was given them, in the order in which `lines` first uses them; distinct.
    /// At most 65 536, each plain text of 1 to 4096 bytes.
    pub files: Vec<String>,
    /// The source lines of code, with strictly ascending addresses; no row says what the one before it says. At most 4 194 304.
    pub lines: Vec<Line>,
}

/// A named run of linear addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Symbol {
    /// First linear (virtual) address.
    pub address: u32,
    /// Bytes, or 0 when the ELF file does not say.
    pub size: u32,
    /// The file that it is from: 0 for the kernel, n for the module in the n-th region of kind module.
    pub module: u32,
    /// Name as in the ELF file, plain text of 1 to 4096 bytes.
    pub name: String,
}

impl Symbol {
    /// The name as people write it: decoded, when a Rust or C++ compiler encoded it.
    pub fn shown_name(&self) -> String {
        demangle(&self.name)
    }

    /// What symbols are sorted by.
    pub(crate) fn key(&self) -> (u32, &str, u32, u32) {
        (self.address, &self.name, self.size, self.module)
    }
}

/// The source line of the code from one address up to that of the next row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Line {
    /// First linear (virtual) address.
    pub address: u32,
    /// Index into the files; 0 when `line` is 0.
    pub file: u32,
    /// Line, counted from 1; 0 when from here on nothing is known.
    pub line: u32,
}

impl Symbols {
    /// Sorts and deduplicates `symbols`.
    pub fn new(mut symbols: Vec<Symbol>) -> Self {
        symbols.sort_by(|a, b| a.key().cmp(&b.key()));
        symbols.dedup();
        Self { symbols, ..Self::default() }
    }

    /// With source lines, which may come in any order and say things twice. Of rows with one address, the last one that
    /// names a line counts. Nothing is known from a row on whose file is not in `files`, or has a name that the format does
    /// not take.
    #[must_use]
    pub fn with_lines(mut self, files: &[String], mut lines: Vec<Line>) -> Self {
        // Stable, so that the last row of an address stays the last.
        lines.sort_by_key(|line| (line.address, line.line != 0));
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        self.files.clear();
        self.lines.clear();
        for (index, row) in lines.iter().enumerate() {
            if lines.get(index + 1).is_some_and(|next| next.address == row.address) {
                continue;
            }
            let name = usize::try_from(row.file).ok().and_then(|file| files.get(file));
            let name = name.filter(|name| row.line != 0 && is_clean(name, TEXT_LIMIT)).map(String::as_str);
            let (file, line) = match name {
                Some(name) => {
                    let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                    let number = *numbers.entry(name).or_insert(next);
                    if number == next {
                        self.files.push(name.to_owned());
                    }
                    (number, row.line)
                }
                None => (0, 0),
            };
            if self.lines.last().map_or((0, 0), |last| (last.file, last.line)) != (file, line) {
                self.lines.push(Line { address: row.address, file, line });
            }
        }
        self
    }

    /// True when the image needs no symbols section.
    pub fn is_empty(&self) -> bool {
        let Self { symbols, files, lines } = self;
        symbols.is_empty() && files.is_empty() && lines.is_empty()
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

    /// The source file and line of the code at `address`, when they are known.
    pub fn line(&self, address: u32) -> Option<(&str, u32)> {
        let after = self.lines.partition_point(|line| line.address <= address);
        let row = self.lines[..after].last().filter(|row| row.line != 0)?;
        let file = self.files.get(usize::try_from(row.file).ok()?)?;
        Some((file, row.line))
    }

    /// Checks order, names and source lines for an image with this many modules.
    ///
    /// # Errors
    /// Names the first symbol, file or line that breaks a rule.
    pub fn check(&self, module_count: usize) -> Result<(), ImageError> {
        check_count("symbols", self.symbols.len(), SYMBOL_COUNT_LIMIT)?;
        check_count("files", self.files.len(), FILE_COUNT_LIMIT)?;
        check_count("lines", self.lines.len(), LINE_COUNT_LIMIT)?;
        let mut previous: Option<&Symbol> = None;
        for (index, symbol) in self.symbols.iter().enumerate() {
            check_text(format!("symbols[{index}].name"), &symbol.name, TEXT_LIMIT)?;
            if usize::try_from(symbol.module).is_ok_and(|module| module > module_count) {
                let rule = format!("it must be at most the number of module regions, {module_count}");
                return Err(broken(format!("symbols[{index}].module"), symbol.module, rule));
            }
            if previous.is_some_and(|previous| previous.key() >= symbol.key()) {
                return Err(broken(format!("symbols[{index}]"), &symbol.name, "symbols must be sorted and distinct"));
            }
            previous = Some(symbol);
        }
        self.check_lines()
    }

    fn check_lines(&self) -> Result<(), ImageError> {
        let mut names = HashSet::new();
        for (index, file) in self.files.iter().enumerate() {
            check_text(format!("files[{index}]"), file, TEXT_LIMIT)?;
            if !names.insert(file) {
                return Err(broken(format!("files[{index}]"), format!("`{file}`"), "files must be distinct"));
            }
        }
        let mut files_used = 0;
        let (mut address, mut place) = (None, (0, 0));
        for (index, row) in self.lines.iter().enumerate() {
            let field = format!("lines[{index}]");
            if address.is_some_and(|address| row.address <= address) {
                let rule = "addresses must be strictly ascending";
                return Err(broken(format!("{field}.address"), format!("{:#x}", row.address), rule));
            }
            if row.line == 0 && row.file != 0 {
                return Err(broken(format!("{field}.file"), row.file, "it must be 0 where line is 0"));
            }
            if (row.file, row.line) == place {
                return Err(broken(field, row.line, "it must say something else than the row before it"));
            }
            let file = usize::try_from(row.file).unwrap_or(usize::MAX);
            if row.line != 0 && (file >= self.files.len() || file > files_used) {
                let rule = format!("files are numbered as they are first used, and there are {}", self.files.len());
                return Err(broken(format!("{field}.file"), row.file, rule));
            }
            files_used += usize::from(row.line != 0 && file == files_used);
            (address, place) = (Some(row.address), (row.file, row.line));
        }
        if files_used == self.files.len() {
            Ok(())
        } else {
            Err(broken("files", format!("{} entries", self.files.len()), format!("lines use {files_used} of them")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(address: u32, size: u32, name: &str) -> Symbol {
        Symbol { address, size, module: 0, name: name.to_owned() }
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

    fn with_lines(files: &[&str], rows: &[(u32, u32, u32)]) -> Symbols {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        let rows = rows.iter().map(|&(address, file, line)| Line { address, file, line }).collect();
        let symbols = Symbols::default().with_lines(&files, rows);
        symbols.check(0).unwrap();
        symbols
    }

    #[test]
    fn a_line_holds_up_to_the_next_row_and_no_further_than_the_end_of_its_code() {
        let symbols = with_lines(&["unused.c", "main.c", "timer.c"], &[(0x110, 2, 7), (0x100, 1, 3), (0x120, 0, 0)]);
        assert_eq!(symbols.files, ["main.c", "timer.c"]);
        assert_eq!(symbols.line(0xff), None);
        assert_eq!(symbols.line(0x10f), Some(("main.c", 3)));
        assert_eq!(symbols.line(0x11f), Some(("timer.c", 7)));
        assert_eq!(symbols.line(0x120), None);
    }

    #[test]
    fn rows_of_one_address_are_one_row() {
        // Code that ends where other code begins: the beginning counts, whatever the order.
        for rows in [[(0x100, 0, 1), (0x200, 0, 0), (0x200, 0, 9)], [(0x100, 0, 1), (0x200, 0, 9), (0x200, 0, 0)]] {
            assert_eq!(with_lines(&["a.c"], &rows).line(0x200), Some(("a.c", 9)));
        }
        let symbols = with_lines(&["a.c", "b.c"], &[(0x100, 0, 1), (0x100, 1, 2)]);
        assert_eq!((symbols.line(0x100), &*symbols.files), (Some(("b.c", 2)), &["b.c".to_owned()][..]));
    }

    #[test]
    fn rows_that_say_nothing_new_are_left_out() {
        let symbols = with_lines(&["a.c", "a.c"], &[(0x0, 0, 0), (0x100, 0, 1), (0x104, 1, 1), (0x108, 0, 2)]);
        let rows: Vec<u32> = symbols.lines.iter().map(|row| row.address).collect();
        assert_eq!((rows, symbols.files), (vec![0x100, 0x108], vec!["a.c".to_owned()]));
    }

    #[test]
    fn a_file_that_can_not_be_named_hides_its_lines() {
        let symbols = with_lines(&["a.c", "bell\u{7}.c"], &[(0x100, 0, 1), (0x104, 1, 1), (0x108, 7, 1)]);
        assert_eq!((symbols.line(0x103), symbols.line(0x104), symbols.line(0x108)), (Some(("a.c", 1)), None, None));
    }
}
