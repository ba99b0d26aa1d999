//! Reads the manifest's mapping `entry`: the CPU at a kernel's first instruction, where no boot protocol says it.

use stos_x86::paging::PageSize;
use stos_x86::registers::GeneralRegisters;

use super::document::{Eip, Entry, MapEntry, PAGE_SIZES, Paging, SegmentMapping};
use super::fields::Field;
use super::yaml::Node;
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located};

/// Reads the mapping `entry`.
pub fn read(entry: &Field, found: &mut Diagnostics) -> Option<Located<Entry>> {
    let fields = entry.mapping(found)?;
    let mut read = Entry::default();
    if let Some(registers) = fields.optional("registers") {
        read_registers(&registers, &mut read, found);
    }
    read.eip = fields.optional("eip").and_then(|eip| read_eip(&eip, found));
    read.paging = fields.optional("paging").and_then(|paging| read_paging(&paging, found));
    fields.finish(found);
    Some(Located::new(read, entry.node.span))
}

fn read_registers(registers: &Field, entry: &mut Entry, found: &mut Diagnostics) {
    let Some(fields) = registers.mapping(found) else { return };
    let mut register = |name| fields.optional(name).and_then(|value| address(&value, found));
    let GeneralRegisters { eax, ebx, ecx, edx, esi, edi, ebp, esp: _ } = &mut entry.registers;
    for (name, place) in
        [("eax", eax), ("ebx", ebx), ("ecx", ecx), ("edx", edx), ("esi", esi), ("edi", edi), ("ebp", ebp)]
    {
        *place = register(name).map_or(0, |value| value.value);
    }
    entry.esp = register("esp");
    fields.finish(found);
}

fn read_eip(eip: &Field, found: &mut Diagnostics) -> Option<Located<Eip>> {
    match &eip.node.value {
        Node::Text(text) if !text.trim_start().starts_with(|first: char| first.is_ascii_digit()) => {
            let name = eip.text(found)?;
            Some(Located::new(Eip::Symbol(name.value), name.span))
        }
        Node::Text(_) | Node::Integer(_) => {
            let address = address(eip, found)?;
            Some(Located::new(Eip::Address(address.value), address.span))
        }
        other => {
            let message = format!("{} must be an address or the name of a symbol, not {}", eip.what, other.kind());
            let error = Diagnostic::new(Code::WrongType, message).at(eip.node.span, "");
            found.push(error.help("write `eip: 0x100000` or `eip: start`"));
            None
        }
    }
}

fn read_paging(paging: &Field, found: &mut Diagnostics) -> Option<Paging> {
    let fields = paging.mapping(found)?;
    let page_size = fields.optional("page_size").and_then(|size| size.word(PAGE_SIZES, found));
    let segments = fields.optional("segments").and_then(|segments| segments.word(SegmentMapping::ALL, found));
    let mapping = ("mappings", "{virtual: 0xC0000000, physical: 0, size: 4MiB, write: true}");
    let map = fields.list("map", mapping, read_mapping, found);
    fields.finish(found);
    Some(Paging {
        span: paging.node.span,
        page_size: page_size.map_or(PageSize::Small, |located| located.value),
        segments: segments.map_or(SegmentMapping::Virtual, |located| located.value),
        map,
    })
}

fn read_mapping(mapping: &Field, found: &mut Diagnostics) -> Option<Located<MapEntry>> {
    let fields = mapping.mapping(found)?;
    let start = fields.required("virtual", found).and_then(|start| address(&start, found));
    let physical = fields.required("physical", found).and_then(|physical| address(&physical, found));
    let size = fields.required("size", found).and_then(|size| size.number(found));
    let mut flag = |key| fields.optional(key).and_then(|flag| flag.flag(found)).unwrap_or(false);
    let (write, user) = (flag("write"), flag("user"));
    fields.finish(found);
    let entry = MapEntry { start: start?.value, physical: physical?.value, size: size?.value, write, user };
    Some(Located::new(entry, mapping.node.span))
}

/// An address or a register's value: a number that fits 32 bits.
fn address(field: &Field, found: &mut Diagnostics) -> Option<Located<u32>> {
    let read = field.number(found)?;
    let value = u32::try_from(read.value).map_err(|_| {
        let message = format!("{} is {:#x}, which does not fit 32 bits", field.what, read.value);
        Diagnostic::new(Code::OutOfRange, message).at(read.span, "").help("the largest number is 0xffffffff")
    });
    Some(Located::new(found.take(value)?, read.span))
}
