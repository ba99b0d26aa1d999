//! Descriptor tables that are not where the CPU takes them to be, and a stack in one of them.

use stos_image::{Permissions, Region, RegionKind};
use stos_x86::interrupts;
use stos_x86::registers::TableRegister;
use stos_x86::segments::{Descriptor, DescriptorKind, Selector};
use stos_x86::tasks::TSS_SIZE;

use super::super::descriptor::segment;
use super::super::page_walk::linear;
use super::super::place::{describe_address, shorten};
use super::super::scene::Scene;
use super::stack::stray_stack;

/// Most bytes of a region that are searched.
const SEARCHED: u64 = 16 << 20;
/// Bytes of a structure that begins with a limit and has its base at a multiple of four.
const LOOSE: usize = 8;
/// Entries of an IDT that are looked at.
const GATES: u32 = 32;

/// A table register that was read from a structure whose compiler has put two bytes before the base.
pub fn loose_structure(scene: &Scene<'_>) -> Option<String> {
    let (gdtr, idtr) = (scene.cpu.gdtr, scene.cpu.idtr);
    let find = |name, instruction, register: TableRegister, is_table: &dyn Fn(u32) -> bool| {
        if is_table(register.base) {
            return None;
        }
        let (at, base) = loose(scene, register, is_table)?;
        let at = describe_address(scene.guest.symbols, at);
        Some(format!(
            "{name} has base {:#010x}: `{instruction}` has read it from the structure at {at}, at offset 2, and that has {base:#010x} \
             at offset 4. Compilers put two bytes between a `uint16_t` and a `uint32_t`: `__attribute__((packed))`",
            register.base
        ))
    };
    find("GDTR", "lgdt", gdtr, &|base| is_gdt(scene, base))
        .or_else(|| find("IDTR", "lidt", idtr, &|base| is_idt(scene, base)))
}

fn entry_at(scene: &Scene<'_>, address: u32) -> Option<Descriptor> {
    scene.memory.bytes(address, 8).try_into().ok().map(Descriptor::from_le_bytes)
}

/// True when the table at `base` has code where CS says.
fn is_gdt(scene: &Scene<'_>, base: u32) -> bool {
    let index = Selector(scene.cpu.selectors.cs).index();
    let entry = entry_at(scene, base.wrapping_add(u32::from(index) * 8));
    entry.is_some_and(|entry| matches!(entry.kind(), DescriptorKind::Code { .. }) && entry.is_present())
}

/// True when the table at `base` has a gate.
fn is_idt(scene: &Scene<'_>, base: u32) -> bool {
    let entry = |index| entry_at(scene, base.wrapping_add(index * 8)).and_then(interrupts::Gate::decode);
    (0..GATES).filter_map(entry).any(|gate| gate.is_present && gate.selector != 0)
}

/// Address and base of a structure in the kernel's memory whose bytes give this register when they are read without a gap.
fn loose(scene: &Scene<'_>, register: TableRegister, is_table: &dyn Fn(u32) -> bool) -> Option<(u32, u32)> {
    let TableRegister { base, limit } = register;
    // Zeros are found everywhere, and are no trace of a structure.
    if base == 0 || limit == 0 {
        return None;
    }
    let low = limit.to_le_bytes();
    // Bytes 2 to 5, as they were taken for the base.
    let [a, b, c, d] = base.to_le_bytes();
    let pattern = [low[0], low[1], a, b, c, d];
    let is_kernels = |region: &&Region| {
        matches!(region.kind, RegionKind::Kernel | RegionKind::Stack) && region.range.size <= SEARCHED
    };
    scene.guest.regions.iter().filter(is_kernels).find_map(|region| {
        let start = region.range.start.0;
        let bytes = scene.guest.memory.read_many(start, usize::try_from(region.range.size).ok()?)?;
        (start..).zip(bytes.windows(LOOSE)).step_by(2).find_map(|(at, bytes)| {
            if !bytes.starts_with(&pattern) {
                return None;
            }
            let base = u32::from_le_bytes(bytes.get(4..)?.try_into().ok()?);
            if is_table(base) { Some((linear(scene, at)?, base)) } else { None }
        })
    })
}

/// ESP in what the CPU or the kernel reads as something else.
pub fn stack_in_a_table(scene: &Scene<'_>) -> Option<String> {
    let esp = scene.cpu.general.esp;
    let (gdtr, idtr, tr) = (scene.cpu.gdtr, scene.cpu.idtr, scene.cpu.selectors.tr);
    let task =
        segment(scene, tr).ok().map(|tss| (tss.base(), tss.base().wrapping_add(TSS_SIZE - 1), "the TSS that TR names"));
    let table = |register: TableRegister, name| {
        let last = register.base.wrapping_add(register.limit.into());
        (register.limit != 0).then_some((register.base, last, name))
    };
    let tables = [table(gdtr, "the GDT"), table(idtr, "the IDT"), task];
    // What is pushed next lies below ESP.
    let pushed = esp.wrapping_sub(1);
    let (start, last, name) =
        tables.into_iter().flatten().find(|(start, last, _)| (*start..=*last).contains(&pushed))?;
    Some(format!(
        "ESP {esp:#010x} lies in {name}, {start:#010x} to {last:#010x}: whatever is pushed overwrites it. ESP was set to the wrong \
         address (a stack's end, not its beginning or another symbol), or the stack has grown down to it"
    ))
}

/// ESP in code.
pub fn stack_in_code(scene: &Scene<'_>) -> Option<String> {
    let esp = scene.cpu.general.esp;
    let region = scene.region(esp.wrapping_sub(1))?;
    let is_code = region.kind == RegionKind::Kernel
        && region.permissions.contains(Permissions::EXECUTE)
        && !region.permissions.contains(Permissions::WRITE);
    (is_code && stray_stack(scene).is_none()).then(|| {
        format!("ESP {esp:#010x} lies in `{}`, which is code: whatever is pushed overwrites it", shorten(&region.name))
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;
    use stos_x86::segments::Segment;

    /// A GDT at 0xC0005000, and a structure at 0xC0006010 that names it, with a gap before the base or without.
    fn case(has_gap: bool) -> Case {
        let base = if has_gap { 0x5000_0000 } else { 0xc000_5000 };
        let record = FaultRecord { cs: 8, gdtr_base: base, gdtr_limit: 0x17, ..FaultRecord::default() };
        let code = Segment::flat(8, Segment::CODE_ACCESS).descriptor().to_le_bytes();
        let structure: &[u8] =
            if has_gap { &[0x17, 0, 0, 0, 0, 0x50, 0, 0xc0] } else { &[0x17, 0, 0, 0x50, 0, 0xc0, 0, 0] };
        Case::paged(record)
            .with(0x5008, &code)
            .with(0x6010, structure)
            .with_region(0x6000, 0x1000, RegionKind::Kernel, 6, "kernel .data")
            .with_symbol(0xc000_6010, 8, "gdtr")
    }

    #[test]
    fn a_structure_with_a_gap_is_told() {
        let told = loose_structure(&case(true).scene()).unwrap();
        assert!(
            told.starts_with(
                "GDTR has base 0x50000000: `lgdt` has read it from the structure at 0xc0006010 (gdtr+0x0), at offset 2, and that \
                 has 0xc0005000 at offset 4."
            ),
            "{told}"
        );
        assert_eq!(loose_structure(&case(false).scene()), None, "it is right");
        let other = case(true).with(0x6010, &[0x1f]);
        assert_eq!(loose_structure(&other.scene()), None, "another limit");
        let nowhere = case(true).with(0x5008, &[0; 8]);
        assert_eq!(loose_structure(&nowhere.scene()), None, "there is no table, either");
    }

    #[test]
    fn an_idt_from_a_structure_with_a_gap_is_told() {
        let mut case = case(false)
            .with(0x7070, &0xc010_8e00_0008_1000_u64.to_le_bytes())
            .with(0x6020, &[0xff, 0, 0, 0, 0, 0x70, 0, 0xc0]);
        (case.record.idtr_base, case.record.idtr_limit) = (0x7000_0000, 0xff);
        assert!(loose_structure(&case.scene()).unwrap().starts_with("IDTR has base 0x70000000: `lidt` has read it"));
        case.record.idtr_base = 0xc000_7000;
        assert_eq!(loose_structure(&case.scene()), None);
    }

    #[test]
    fn a_stack_in_a_table_or_in_code_is_told() {
        let told = |esp: u32| {
            let mut case = case(false).with_region(0x8000, 0x1000, RegionKind::Kernel, 5, "kernel .text");
            case.record.esp = esp;
            (stack_in_a_table(&case.scene()).is_some(), stack_in_code(&case.scene()).is_some())
        };
        assert_eq!(told(0xc000_5018), (true, false), "its end");
        assert_eq!(told(0xc000_5004), (true, false));
        assert_eq!(told(0xc000_5000), (false, false), "what is pushed lies below it");
        assert_eq!(told(0xc000_5019), (false, false));
        assert_eq!((told(0xc000_8800), told(0xc000_6800)), ((false, true), (false, false)));
    }
}
