//! What students' mistakes look like: sentences that say what a fault probably comes from, by what they look at.

mod extension;
mod interrupt;
mod jump;
mod pointer;
mod stack;
mod tables;

pub use extension::{cause as refusal, extension_of, meaning};
pub use interrupt::{of_interrupt, possible as possible_interrupt};
pub use pointer::subject;

use super::other_code;
use super::pae;
use super::scene::Scene;
use super::switch::Switch;

/// Every hint that applies, the likeliest first.
pub fn hints(scene: &Scene<'_>) -> Vec<String> {
    // EIP and its neighbourhood are right; what they are mapped to is not. What other code does says nothing of the tables.
    if let Some(hint) = other_code::hint(scene) {
        return vec![hint];
    }
    if let Some(switch) = Switch::of(scene) {
        return switch.hints(scene);
    }
    if let Some(hint) = pae::refusal_hint(scene) {
        return vec![hint];
    }
    [
        tables::loose_structure(scene),
        extension::hint(scene),
        jump::wild_jump(scene),
        pointer::thread_local(scene),
        pointer::null_pointer(scene),
        stack::bad_stack(scene),
        stack::stray_stack(scene),
        tables::stack_in_a_table(scene),
        tables::stack_in_code(scene),
        pointer::physical_address(scene),
        pointer::text_as_pointer(scene),
        interrupt::no_gate(scene),
        jump::zeros(scene),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::{FaultRecord, GuestRange, Permissions, Region, RegionKind};

    const KERNEL: u32 = 0xc010_0000;

    /// A page fault in the kernel's code, with a good stack.
    fn page_fault(cr2: u32) -> Case {
        let record = FaultRecord { vector: 14, eip: KERNEL + 0x10, esp: 0xc018_0100, cr2, ..FaultRecord::default() };
        case(record)
    }

    fn case(record: FaultRecord) -> Case {
        Case::paged(record)
            .with(0x10_0000, &[0x90; 64])
            .with_symbol(KERNEL, 0x100, "kernel_main")
            .with_region(0x10_0000, 0x1000, RegionKind::Kernel, 5, "kernel .text")
            .with_region(0x10_1000, 0x1000, RegionKind::Kernel, 6, "kernel .data")
            .with_region(0x11_0000, 0x10000, RegionKind::Heap, 6, "early heap")
            .with_region(0x18_0000, 0x1000, RegionKind::Stack, 6, "kernel stack")
    }

    fn only(case: &Case) -> String {
        let hints = hints(&case.scene());
        assert_eq!(hints.len(), 1, "{hints:?}");
        hints.concat()
    }

    #[test]
    fn null_pointers_are_told() {
        assert_eq!(only(&page_fault(0)), "a NULL pointer was used");
        assert!(only(&page_fault(12)).contains("0xc is the offset of a field"));
    }

    #[test]
    fn a_physical_address_is_told_with_its_virtual_one() {
        assert_eq!(
            only(&page_fault(0x10_1004)),
            "0x00101004 is a physical address of `kernel .data` that is mapped at 0xc0101004: add 0xc0000000 to use it"
        );
        assert!(hints(&page_fault(0x8000_0000).scene()).is_empty());
    }

    #[test]
    fn text_is_told() {
        assert!(only(&page_fault(u32::from_le_bytes(*b"abcd"))).contains("\"abcd\""));
        assert!(hints(&page_fault(0x2020_2020).scene()).is_empty(), "spaces alone are no text");
    }

    #[test]
    fn a_call_of_null_is_told_with_its_caller() {
        let record = FaultRecord { vector: 14, esp: 0xc018_0100, ..FaultRecord::default() };
        let call = case(record).with(0x10_0010, &[0xff, 0xd0]).with_words(0x18_0100, &[KERNEL + 0x12]);
        assert_eq!(
            only(&call),
            "EIP 0x00000000 is not mapped: the call of a function pointer that is NULL; called from 0xc0100012 \
             kernel_main+0x12"
        );
        let jump = call.with(0x10_0010, &[0x90, 0x90]);
        assert!(only(&jump).contains("a `ret` that found 0 on the stack"));
    }

    #[test]
    fn at_a_double_fault_an_address_that_the_image_does_not_map_is_no_wild_jump() {
        let eip = 0xd000_0000;
        let record = FaultRecord { vector: 14, eip, cr2: eip, esp: 0xc018_0100, ..FaultRecord::default() };
        assert!(only(&case(record.clone())).starts_with("EIP 0xd0000000 is not mapped"));
        let hints = hints(&case(FaultRecord { vector: 8, ..record }).scene());
        assert!(!hints.iter().any(|hint| hint.contains("EIP")), "{hints:?}");
    }

    #[test]
    fn a_call_of_null_that_found_something_there_is_told() {
        let record = FaultRecord { vector: 13, eip: 0x2000, esp: 0xc018_0100, ..FaultRecord::default() };
        let mut case = case(record)
            .with_words(0x1000, &[0x83])
            .with_words(0x2000, &[0xcf])
            .with(0x10_0010, &[0xff, 0xd0])
            .with_words(0x18_0100, &[KERNEL + 0x12]);
        let tables = GuestRange::new(0x1000, 0x2000);
        let (kind, permissions) = (RegionKind::BootCode, Permissions::R);
        case.regions.insert(0, Region { range: tables, kind, permissions, name: "boot GDT".to_owned() });
        assert!(only(&case).contains("NULL or nearly so, and what is mapped there was executed up to EIP"));
    }

    #[test]
    fn code_in_data_is_told() {
        let record = FaultRecord { vector: 6, eip: KERNEL + 0x1000, esp: 0xc018_0100, ..FaultRecord::default() };
        let hints = hints(&case(record).scene());
        assert!(hints[0].starts_with("EIP 0xc0101000 lies in `kernel .data`, which is no code"), "{hints:?}");
        assert_eq!(hints[1], "the bytes at EIP are zeros: there is no code");
    }

    #[test]
    fn stacks_that_are_gone_are_told() {
        let stack = |esp: u32| {
            let cr2 = esp.wrapping_sub(4);
            only(&case(FaultRecord { vector: 8, eip: KERNEL, esp, cr2, ..FaultRecord::default() }))
        };
        assert!(stack(0xc000_0000).starts_with("stack overflow: the stack has grown down to ESP 0xc0000000"));
        assert!(
            stack(0xdead_0000)
                .starts_with("the stack is bad: ESP is 0xdead0000, and 0xdeacfffc below it is not mapped;")
        );
        assert!(stack(0xc011_8000).contains("unless the kernel has put a stack there"));
        assert!(stack(0xc010_0800).contains("has overwritten what it came across"));
    }

    #[test]
    fn interrupts_without_a_gate_are_told() {
        let record =
            FaultRecord { vector: 13, error_code: 0x103, eip: KERNEL, esp: 0xc018_0100, ..FaultRecord::default() };
        assert!(only(&case(record)).starts_with("a hardware interrupt with vector 0x20 found no gate"));
    }
}
