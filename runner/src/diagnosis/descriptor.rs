//! Segment descriptors and gates, and the tables that they are in (Intel SDM volume 3A, sections 3.4.5, 3.5 and 6.11).

use std::fmt;

use stos_image::FaultRecord;

use super::error_code::{SelectorCode, Table};
use super::scene::Scene;

/// Entries that are shown before and after the one at fault.
const NEIGHBOURS: u32 = 2;

/// An entry of a descriptor table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor(pub u64);

impl Descriptor {
    fn bits(self, from: u32, count: u32) -> u32 {
        u32::try_from(self.0 >> from & ((1 << count) - 1)).unwrap_or(0)
    }

    /// First linear address of a segment.
    pub fn base(self) -> u32 {
        self.bits(16, 24) | self.bits(56, 8) << 24
    }

    /// The present bit.
    pub fn is_present(self) -> bool {
        self.bits(47, 1) == 1
    }

    /// The privilege level.
    pub fn dpl(self) -> u32 {
        self.bits(45, 2)
    }

    /// The type of a system descriptor, of which gates and task state segments are some; `None` for code and data.
    pub fn system_type(self) -> Option<u32> {
        (self.bits(44, 1) == 0).then(|| self.bits(40, 4))
    }

    /// The type of a segment that holds code; `None` for others.
    pub fn code_type(self) -> Option<u32> {
        let kind = self.bits(40, 4);
        (self.bits(44, 1) == 1 && kind & 8 != 0).then_some(kind)
    }

    /// Last valid offset of a segment.
    pub fn limit(self) -> u32 {
        let limit = self.bits(0, 16) | self.bits(48, 4) << 16;
        if self.bits(55, 1) == 1 { limit << 12 | 0xfff } else { limit }
    }

    /// Where a gate leads to: selector and offset.
    pub fn target(self) -> (u32, u32) {
        (self.bits(16, 16), self.bits(0, 16) | self.bits(48, 16) << 16)
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("null");
        }
        let kind = self.bits(40, 4);
        let is_system = self.bits(44, 1) == 0;
        let wide = if kind & 8 != 0 { "32-bit" } else { "16-bit" };
        let (selector, offset) = self.target();
        match (is_system, kind) {
            (true, 1 | 9) => write!(f, "{wide} task state segment, free")?,
            (true, 3 | 11) => write!(f, "{wide} task state segment, busy")?,
            (true, 2) => f.write_str("local descriptor table")?,
            (true, 5) => write!(f, "task gate to {selector:#06x}")?,
            (true, 4 | 12) => write!(f, "{wide} call gate to {selector:#06x}:{offset:#010x}")?,
            (true, 6 | 14) => write!(f, "{wide} interrupt gate to {selector:#06x}:{offset:#010x}")?,
            (true, 7 | 15) => write!(f, "{wide} trap gate to {selector:#06x}:{offset:#010x}")?,
            (true, _) => write!(f, "reserved type {kind}")?,
            (false, 8..) => {
                let readable = if kind & 2 != 0 { "readable" } else { "execute-only" };
                let conforming = if kind & 4 != 0 { ", conforming" } else { "" };
                let size = if self.bits(54, 1) == 1 { "32-bit" } else { "16-bit" };
                write!(f, "{size} code, {readable}{conforming}")?;
            }
            (false, _) => {
                let writable = if kind & 2 != 0 { "writable" } else { "read-only" };
                let down = if kind & 4 != 0 { ", expand-down" } else { "" };
                write!(f, "data, {writable}{down}")?;
            }
        }
        if !is_system || matches!(kind, 1 | 2 | 3 | 9 | 11) {
            write!(f, ", base {:#010x}, limit {:#010x}", self.base(), self.limit())?;
        }
        let present = if self.is_present() { "present" } else { "not present" };
        write!(f, ", DPL {}, {present}", self.dpl())
    }
}

/// Where a table is and how large it is, by the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    base: u32,
    limit: u32,
}

impl Place {
    fn entry(self, scene: &Scene<'_>, index: u32) -> Option<Descriptor> {
        let offset = index * 8;
        if offset + 7 > self.limit {
            return None;
        }
        let bytes = scene.memory.bytes(self.base.wrapping_add(offset), 8);
        bytes.try_into().ok().map(|bytes| Descriptor(u64::from_le_bytes(bytes)))
    }

    fn entries(self) -> u32 {
        (self.limit + 1) / 8
    }
}

fn place(scene: &Scene<'_>, table: Table) -> Option<Place> {
    let FaultRecord { gdtr_base, gdtr_limit, idtr_base, idtr_limit, ldtr, .. } = *scene.record;
    let gdt = Place { base: gdtr_base, limit: gdtr_limit & 0xffff };
    let place = match table {
        Table::Gdt => gdt,
        Table::Idt => Place { base: idtr_base, limit: idtr_limit & 0xffff },
        Table::Ldt => {
            let descriptor = gdt.entry(scene, (ldtr >> 3 & 0x1fff).max(1)).filter(|_| ldtr & 0xfffc != 0)?;
            Place { base: descriptor.base(), limit: descriptor.limit().min(0xffff) }
        }
    };
    (place.limit != 0).then_some(place)
}

/// The linear base of the segment that a selector names, 0 where that is not known.
pub fn segment_base(scene: &Scene<'_>, selector: u32) -> u32 {
    segment(scene, selector).map_or(0, Descriptor::base)
}

/// The descriptor that a selector names, or else why there is none, as the end of a sentence about the selector.
pub fn segment(scene: &Scene<'_>, selector: u32) -> Result<Descriptor, String> {
    if selector & 0xfffc == 0 {
        return Err("is the null selector".to_owned());
    }
    // A selector is laid out like an error code, whose IDT bit it has no use for.
    let code = SelectorCode(selector & !3);
    let table = code.table();
    let Some(place) = place(scene, table) else { return Err(format!("is in the {table}, and there is none")) };
    if code.index() >= place.entries() {
        return Err(format!("lies past the {table}'s limit {:#x}", place.limit));
    }
    place.entry(scene, code.index()).ok_or_else(|| format!("is in the {table}, which is not mapped there"))
}

/// The table that an error code names, with the entry at fault and its neighbours.
pub fn table(scene: &Scene<'_>, code: SelectorCode) -> Vec<String> {
    let (table, index) = (code.table(), code.index());
    let Some(place) = place(scene, table) else {
        return match table {
            Table::Ldt => vec!["there is no LDT (LDTR is null), so bit 2 of a selector must be clear".to_owned()],
            Table::Gdt | Table::Idt => Vec::new(),
        };
    };
    let Place { base, limit } = place;
    let entries = place.entries();
    let past = if index >= entries { format!("; entry {index} lies past its end") } else { String::new() };
    let mut lines = vec![format!("the {table} at {base:#010x} has {entries} entries (limit {limit:#x}){past}")];
    let nearest = index.min(entries.saturating_sub(1));
    for shown in nearest.saturating_sub(NEIGHBOURS)..entries.min(nearest + NEIGHBOURS + 1) {
        let mark = if shown == index { '>' } else { ' ' };
        let selector = shown * 8 + if table == Table::Ldt { 4 } else { 0 };
        let name = if table == Table::Idt { format!("vector {shown:#04x}") } else { format!("{selector:#06x}") };
        let entry = place.entry(scene, shown).map_or_else(|| "not mapped".to_owned(), |entry| entry.to_string());
        lines.push(format!("{mark} {name}  {entry}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::Segment;

    #[test]
    fn descriptors_are_told_in_words() {
        let text = |descriptor| Descriptor(descriptor).to_string();
        assert_eq!(text(0), "null");
        assert_eq!(
            text(Segment::flat(8, Segment::CODE_ACCESS).descriptor().0),
            "32-bit code, readable, base 0x00000000, limit 0xffffffff, DPL 0, present"
        );
        assert_eq!(
            text(0x00cf_7300_0000_ffff),
            "data, writable, base 0x00000000, limit 0xffffffff, DPL 3, not present"
        );
        assert_eq!(
            text(0x1200_8934_5000_0067),
            "32-bit task state segment, free, base 0x12345000, limit 0x00000067, DPL 0, present"
        );
        assert_eq!(text(0xc000_8e00_0008_3012), "32-bit interrupt gate to 0x0008:0xc0003012, DPL 0, present");
        assert_eq!(text(0x0000_8500_0028_0000), "task gate to 0x0028, DPL 0, present");
    }

    fn case(error_code: u32) -> Case {
        let record = FaultRecord {
            vector: 13,
            error_code,
            gdtr_base: 0x2000,
            gdtr_limit: 0x1f,
            idtr_base: 0x3000,
            idtr_limit: 0xff,
            ..FaultRecord::default()
        };
        let flat = |access| Segment::flat(0, access).descriptor().to_le_bytes();
        Case::new(record).with(0x2008, &flat(Segment::CODE_ACCESS)).with(0x2010, &flat(Segment::DATA_ACCESS))
    }

    fn lines(code: u32) -> Vec<String> {
        table(&case(code).scene(), SelectorCode(code))
    }

    #[test]
    fn an_entry_past_the_end_is_told_with_the_last_ones() {
        let lines = lines(0x38);
        assert_eq!(lines[0], "the GDT at 0x00002000 has 4 entries (limit 0x1f); entry 7 lies past its end");
        assert_eq!(lines.len(), 4);
        assert!(lines[1].starts_with("  0x0008  32-bit code"), "{lines:?}");
    }

    #[test]
    fn the_entry_at_fault_is_marked() {
        let lines = lines(0x10);
        assert!(lines[3].starts_with("> 0x0010  data, writable"), "{lines:?}");
    }

    #[test]
    fn vectors_and_local_tables_are_told() {
        assert_eq!(lines(0x103)[0], "the IDT at 0x00003000 has 32 entries (limit 0xff); entry 32 lies past its end");
        assert_eq!(lines(0xc), ["there is no LDT (LDTR is null), so bit 2 of a selector must be clear"]);
        let unknown = Case::new(FaultRecord::default());
        assert!(table(&unknown.scene(), SelectorCode(0x38)).is_empty(), "a record without table registers");
    }

    #[test]
    fn a_base_comes_from_the_table() {
        let case = case(0).with(0x2018, &0x0040_9312_3456_ffff_u64.to_le_bytes());
        assert_eq!(segment_base(&case.scene(), 0x18), 0x12_3456);
        assert_eq!((segment_base(&case.scene(), 0), segment_base(&case.scene(), 0x38)), (0, 0));
    }
}
