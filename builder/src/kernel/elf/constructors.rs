//! Constructors of static objects: a compiler lists them in a section, and a kernel has to call them itself.

use object::read::elf::SectionHeader as _;
use object::{LittleEndian, elf};
use stos_image::GuestRange;

use super::header::{header, section_name, sections};
use super::segment::LoadSegment;
use super::symbols::Label;
use crate::diagnostics::{Code, Diagnostic};
use crate::input::InputFile;

/// Most constructors that are named.
const NAMES_SHOWN: usize = 8;
/// What gcc's own start-up files put there; nobody misses it.
const OF_THE_COMPILER: &str = "frame_dummy";
/// Loops may count from the word before the list. Its end alone is of no use to them, and is where something else begins.
const BEFORE: u32 = 4;

/// A section of pointers to constructors.
struct List {
    name: String,
    start: u32,
    size: u32,
    /// The pointers, without what only marks the beginning or the end (0 and -1 in `.ctors`).
    pointers: Vec<u32>,
}

/// The sections of constructors of the file.
fn lists(input: &InputFile) -> Vec<List> {
    let Ok(table) = header(input, elf::ET_EXEC).and_then(|header| sections(input, header)) else { return Vec::new() };
    let mut found = Vec::new();
    for section in table.iter() {
        let name = section_name(&table, section);
        let is_list = section.sh_type(LittleEndian) == elf::SHT_INIT_ARRAY
            || [".init_array", ".ctors"].iter().any(|list| name.starts_with(list));
        let bytes = section.data(LittleEndian, &*input.bytes).unwrap_or_default();
        if !is_list || !section.sh_flags(LittleEndian).contains(elf::SHF_ALLOC) {
            continue;
        }
        let words = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
        let pointers = words.filter(|word| !matches!(*word, 0 | u32::MAX)).collect();
        let (start, size) = (section.sh_addr.get(LittleEndian), section.sh_size.get(LittleEndian));
        found.push(List { name, start, size, pointers });
    }
    found
}

/// What to say of constructors that nothing in the kernel can call: no byte of it holds the address of their list.
pub fn never_called(input: &InputFile, segments: &[LoadSegment], symbols: &[Label]) -> Option<Diagnostic> {
    // Position-independent code has distances, not addresses.
    if symbols.iter().any(|symbol| symbol.name == "_GLOBAL_OFFSET_TABLE_") {
        return None;
    }
    let name_of = |address: u32| {
        let symbol = symbols.iter().find(|symbol| symbol.address == address && !symbol.is_variable);
        symbol.map_or_else(|| format!("{address:#x}"), |symbol| format!("`{}`", symbol.name))
    };
    let own = format!("`{OF_THE_COMPILER}`");
    for List { name, start, size, pointers } in lists(input) {
        let names: Vec<String> = pointers.iter().map(|pointer| name_of(*pointer)).filter(|name| *name != own).collect();
        if names.is_empty() || is_known(input, segments, start, size) {
            continue;
        }
        let what = match &*names {
            [_] => "a constructor".to_owned(),
            _ => format!("{} constructors", names.len()),
        };
        let message = format!("`{}`: nothing calls {what} in `{name}`", input.path);
        return Some(
            input
                .complain(Code::ConstructorsNotCalled, message)
                .first_notes(names.into_iter(), NAMES_SHOWN)
                .note(format!("no code and no data of the kernel has the address of the list, {start:#x}"))
                .help(format!("define symbols around the list in the linker script, `{name} : {{ first_constructor = .; KEEP(*({name}*)) last_constructor = .; }}`, and call each function between them before the objects are used")),
        );
    }
    None
}

/// Whether four bytes in a row anywhere in the kernel, but for the list itself, are an address at it: virtual or physical.
fn is_known(input: &InputFile, segments: &[LoadSegment], start: u32, size: u32) -> bool {
    let near = GuestRange::new(start.saturating_sub(BEFORE).into(), u64::from(size) + u64::from(BEFORE));
    let is_near = |address: u32| near.contains(address.into());
    let holder = segments.iter().find(|segment| segment.offset_of(start).is_some());
    let distance = holder.map(|segment| segment.vaddr.wrapping_sub(segment.paddr));
    segments.iter().any(|segment| {
        let bytes = input.bytes.get(segment.file.clone()).unwrap_or_default();
        let own = segment.offset_of(start).map(|offset| offset as usize..offset as usize + size as usize);
        bytes.windows(4).enumerate().any(|(offset, word)| {
            let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            let is_address = is_near(word) || distance.is_some_and(|distance| is_near(word.wrapping_add(distance)));
            is_address && own.as_ref().is_none_or(|own| !own.contains(&offset))
        })
    })
}
