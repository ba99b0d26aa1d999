//! Segment descriptors and gates, and the tables that they are in (Intel SDM volume 3A, sections 3.4.5, 3.5 and 6.11).

use stos_x86::interrupts::SelectorCode;
use stos_x86::registers::{CpuState, TableRegister};
use stos_x86::segments::{Descriptor, DescriptorKind, Selector, SystemType, Table};

use super::scene::Scene;

/// Entries that are shown before and after the one at fault.
const NEIGHBOURS: u32 = 2;

/// A descriptor in words.
pub fn describe(descriptor: Descriptor) -> String {
    if descriptor == Descriptor(0) {
        return "null".to_owned();
    }
    let (selector, offset) = descriptor.target();
    let kind = descriptor.kind();
    let what = match kind {
        DescriptorKind::Code { conforming, readable } => {
            let size = if descriptor.is_32_bit() { "32-bit" } else { "16-bit" };
            let readable = if readable { "readable" } else { "execute-only" };
            format!("{size} code, {readable}{}", if conforming { ", conforming" } else { "" })
        }
        DescriptorKind::Data { expand_down, writable } => {
            let writable = if writable { "writable" } else { "read-only" };
            format!("data, {writable}{}", if expand_down { ", expand-down" } else { "" })
        }
        DescriptorKind::System(SystemType::Ldt) => "local descriptor table".to_owned(),
        DescriptorKind::System(SystemType::TaskGate) => format!("task gate to {selector:#06x}"),
        DescriptorKind::System(SystemType::Reserved) => format!("reserved type {}", descriptor.type_code()),
        DescriptorKind::System(system) => {
            let wide = if descriptor.type_code() & 8 != 0 { "32-bit" } else { "16-bit" };
            match system {
                SystemType::AvailableTss16 | SystemType::AvailableTss32 => format!("{wide} task state segment, free"),
                SystemType::BusyTss16 | SystemType::BusyTss32 => format!("{wide} task state segment, busy"),
                SystemType::CallGate16 | SystemType::CallGate32 => {
                    format!("{wide} call gate to {selector:#06x}:{offset:#010x}")
                }
                SystemType::InterruptGate16 | SystemType::InterruptGate32 => {
                    format!("{wide} interrupt gate to {selector:#06x}:{offset:#010x}")
                }
                _ => format!("{wide} trap gate to {selector:#06x}:{offset:#010x}"),
            }
        }
    };
    let is_segment = match kind {
        DescriptorKind::System(system) => system == SystemType::Ldt || system.is_tss(),
        DescriptorKind::Code { .. } | DescriptorKind::Data { .. } => true,
    };
    let range = if is_segment {
        format!(", base {:#010x}, limit {:#010x}", descriptor.base(), descriptor.limit())
    } else {
        String::new()
    };
    let present = if descriptor.is_present() { "present" } else { "not present" };
    format!("{what}{range}, DPL {}, {present}", descriptor.dpl())
}

/// The entry of `table` with this number; `None` past its end, or where it is not mapped.
fn entry(scene: &Scene<'_>, table: TableRegister, index: u32) -> Option<Descriptor> {
    let bytes = scene.memory.bytes(table.entry(index)?, 8);
    bytes.try_into().ok().map(Descriptor::from_le_bytes)
}

/// Whole entries of a table.
pub fn entries(table: TableRegister) -> u32 {
    (u32::from(table.limit) + 1) / 8
}

/// Where a table is; `None` for one that is not there.
fn place(scene: &Scene<'_>, table: Table) -> Option<TableRegister> {
    let CpuState { gdtr, idtr, ref selectors, .. } = scene.cpu;
    let place = match table {
        Table::Gdt => gdtr,
        Table::Idt => idtr,
        Table::Ldt => {
            let selector = Some(Selector(selectors.ldtr)).filter(|selector| !selector.is_null())?;
            let descriptor = entry(scene, gdtr, selector.index().into())?;
            TableRegister { base: descriptor.base(), limit: u16::try_from(descriptor.limit()).unwrap_or(u16::MAX) }
        }
    };
    (place.limit != 0).then_some(place)
}

/// The linear base of the segment that a selector names, 0 where that is not known.
pub fn segment_base(scene: &Scene<'_>, selector: u16) -> u32 {
    segment(scene, selector).map_or(0, Descriptor::base)
}

/// The descriptor that a selector names, or else why there is none, as the end of a sentence about the selector.
pub fn segment(scene: &Scene<'_>, selector: u16) -> Result<Descriptor, String> {
    let selector = Selector(selector);
    if selector.is_null() {
        return Err("is the null selector".to_owned());
    }
    let (table, index) = (selector.table(), u32::from(selector.index()));
    let Some(place) = place(scene, table) else { return Err(format!("is in the {table}, and there is none")) };
    if index >= entries(place) {
        return Err(format!("lies past the {table}'s limit {:#x}", place.limit));
    }
    entry(scene, place, index).ok_or_else(|| format!("is in the {table}, which is not mapped there"))
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
    let TableRegister { base, limit } = place;
    let entries = entries(place);
    let past = if index >= entries { format!("; entry {index} lies past its end") } else { String::new() };
    let mut lines = vec![format!("the {table} at {base:#010x} has {entries} entries (limit {limit:#x}){past}")];
    let nearest = index.min(entries.saturating_sub(1));
    for shown in nearest.saturating_sub(NEIGHBOURS)..entries.min(nearest + NEIGHBOURS + 1) {
        let mark = if shown == index { '>' } else { ' ' };
        let selector = shown * 8 + if table == Table::Ldt { 4 } else { 0 };
        let name = if table == Table::Idt { format!("vector {shown:#04x}") } else { format!("{selector:#06x}") };
        let entry = entry(scene, place, shown).map_or_else(|| "not mapped".to_owned(), describe);
        lines.push(format!("{mark} {name}  {entry}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;
    use stos_x86::segments::Segment;

    #[test]
    fn descriptors_are_told_in_words() {
        let text = |descriptor| describe(Descriptor(descriptor));
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
