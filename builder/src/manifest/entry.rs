//! The manifest's mapping `entry`: the CPU at a kernel's first instruction, where no boot protocol says it.

use stos_image::{GeneralRegisters, TEXT_LIMIT};
use stos_x86::paging::PageSize;

use super::fields::{self, Fields};
use super::quantity::parse_size;
use super::read;
use super::yaml::Node;
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located, Span};

/// Most mappings.
pub const MAPPINGS_LIMIT: usize = 256;
/// What a person could write.
const EXAMPLE: &str = "entry: {registers: {eax: 0x1234}}";
const MAPPING_EXAMPLE: &str = "{virtual: 0xC0000000, physical: 0, size: 4MiB, write: true}";
/// Sizes of pages with their names.
pub const PAGE_SIZES: &[(&str, PageSize)] = &[("4KiB", PageSize::Small), ("4MiB", PageSize::Big)];
/// Ways to map segments with their names.
pub const SEGMENT_MAPPINGS: &[(&str, SegmentMapping)] =
    &[("virtual", SegmentMapping::Virtual), ("identity", SegmentMapping::Identity), ("none", SegmentMapping::Unmapped)];

/// The CPU at the first instruction.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The general registers; ESP is apart.
    pub registers: GeneralRegisters,
    /// ESP, unless it is a stack of ours.
    pub esp: Option<Located<u32>>,
    /// The first instruction, unless it is the ELF file's entry point.
    pub eip: Option<Located<Eip>>,
    /// What is mapped, when paging is on.
    pub paging: Option<Paging>,
}

/// The first instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eip {
    /// By its address: physical with paging off, else virtual.
    Address(u32),
    /// By a symbol of the kernel.
    Symbol(String),
}

/// What the page tables map.
#[derive(Clone, Debug)]
pub struct Paging {
    /// Where `paging` stands.
    pub span: Span,
    /// Size of all pages.
    pub page_size: PageSize,
    /// Where the segments of the kernel are mapped.
    pub segments: SegmentMapping,
    /// Further mappings.
    pub map: Vec<Located<MapEntry>>,
}

/// Where the segments of the kernel are mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentMapping {
    /// At `p_vaddr`.
    Virtual,
    /// At `p_paddr`.
    Identity,
    /// Not at all, unless further mappings do.
    Unmapped,
}

/// A mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapEntry {
    /// First virtual address.
    pub start: u32,
    /// Where it leads.
    pub physical: u32,
    /// Bytes.
    pub size: u64,
    /// Whether it may be written to.
    pub write: bool,
    /// Whether privilege level 3 may use it.
    pub user: bool,
}

/// Reads the mapping `entry`.
pub fn read(node: &Located<Node>, found: &mut Diagnostics) -> Option<Entry> {
    let mut fields = Fields::new("entry", node, EXAMPLE, found)?;
    let mut entry = Entry::default();
    if let Some(node) = fields.optional("registers") {
        read_registers(node, &mut entry, found);
    }
    entry.eip = fields.optional("eip").and_then(|node| found.take(read_eip(node)));
    entry.paging = fields.optional("paging").and_then(|node| read_paging(node, found));
    fields.finish(found);
    Some(entry)
}

fn read_registers(node: &Located<Node>, entry: &mut Entry, found: &mut Diagnostics) {
    let Some(mut fields) = Fields::new("entry.registers", node, "registers: {eax: 0x1234}", found) else { return };
    let mut register = |name: &'static str, found: &mut Diagnostics| {
        let node = fields.optional(name)?;
        found.take(number(&fields.path(name), node))
    };
    let GeneralRegisters { eax, ebx, ecx, edx, esi, edi, ebp, esp: _ } = &mut entry.registers;
    for (name, place) in
        [("eax", eax), ("ebx", ebx), ("ecx", ecx), ("edx", edx), ("esi", esi), ("edi", edi), ("ebp", ebp)]
    {
        *place = register(name, found).map_or(0, |value| value.value);
    }
    entry.esp = register("esp", found);
    fields.finish(found);
}

fn read_eip(node: &Located<Node>) -> Result<Located<Eip>, Diagnostic> {
    if let Node::Text(text) = &node.value
        && !text.trim_start().starts_with(|first: char| first.is_ascii_digit())
    {
        let name = fields::clean_text("entry.eip", node, TEXT_LIMIT)?;
        return Ok(Located::new(Eip::Symbol(name.value), name.span));
    }
    if !matches!(node.value, Node::Text(_) | Node::Integer(_)) {
        let message = format!("entry.eip must be an address or the name of a symbol, not {}", node.value.kind());
        return Err(Diagnostic::new(Code::WrongType, message)
            .at(node.span, "")
            .help("write `eip: 0x100000` or `eip: start`"));
    }
    let address = number("entry.eip", node)?;
    Ok(Located::new(Eip::Address(address.value), address.span))
}

fn read_paging(node: &Located<Node>, found: &mut Diagnostics) -> Option<Paging> {
    let mut fields = Fields::new("entry.paging", node, "paging: {page_size: 4KiB, segments: virtual}", found)?;
    let page_size = fields.optional("page_size");
    let page_size = page_size.and_then(|node| found.take(read::word("entry.paging.page_size", node, PAGE_SIZES)));
    let segments = fields.optional("segments");
    let segments = segments.and_then(|node| found.take(read::word("entry.paging.segments", node, SEGMENT_MAPPINGS)));
    let map = fields.optional("map").map_or_else(Vec::new, |node| read_map(node, found));
    fields.finish(found);
    Some(Paging {
        span: node.span,
        page_size: page_size.map_or(PageSize::Small, |located| located.value),
        segments: segments.map_or(SegmentMapping::Virtual, |located| located.value),
        map,
    })
}

fn read_map(node: &Located<Node>, found: &mut Diagnostics) -> Vec<Located<MapEntry>> {
    let example = format!("map: [{MAPPING_EXAMPLE}]");
    let items = found.take(fields::sequence("entry.paging.map", node, &example)).unwrap_or_default();
    if items.len() > MAPPINGS_LIMIT {
        let message = format!("{} mappings are too many, at most {MAPPINGS_LIMIT} are allowed", items.len());
        found.push(Diagnostic::new(Code::OutOfRange, message).at(node.span, ""));
    }
    items.iter().enumerate().filter_map(|(index, item)| read_mapping(index, item, found)).collect()
}

fn read_mapping(index: usize, node: &Located<Node>, found: &mut Diagnostics) -> Option<Located<MapEntry>> {
    let mut fields = Fields::new(format!("entry.paging.map[{index}]"), node, MAPPING_EXAMPLE, found)?;
    let start = fields.required("virtual", "virtual: 0xC0000000", found);
    let start = start.and_then(|node| found.take(number(&fields.path("virtual"), node)));
    let physical = fields.required("physical", "physical: 0", found);
    let physical = physical.and_then(|node| found.take(number(&fields.path("physical"), node)));
    let size = fields.required("size", "size: 4MiB", found);
    let size = size.and_then(|node| found.take(read::size(&fields.path("size"), node)));
    let mut flag = |key: &'static str| {
        let node = fields.optional(key)?;
        found.take(fields::boolean(&fields.path(key), node))
    };
    let (write, user) = (flag("write").unwrap_or(false), flag("user").unwrap_or(false));
    fields.finish(found);
    let mapping = MapEntry { start: start?.value, physical: physical?.value, size: size?.value, write, user };
    Some(Located::new(mapping, node.span))
}

/// An address or a register's value: a number that fits 32 bits.
fn number(what: &str, node: &Located<Node>) -> Result<Located<u32>, Diagnostic> {
    let read = fields::quantity(what, node, "a number such as 0x100000 or 1MiB", parse_size);
    let read = fields::with_unit_help(read, node, parse_size)?;
    let value = u32::try_from(read.value).map_err(|_| {
        let message = format!("{what} is {:#x}, which does not fit 32 bits", read.value);
        Diagnostic::new(Code::OutOfRange, message).at(read.span, "").help("the largest number is 0xffffffff")
    })?;
    Ok(Located::new(value, read.span))
}
