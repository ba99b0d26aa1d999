//! What students' mistakes look like: sentences that say what a fault probably comes from.

use stos_image::{Permissions, RegionKind};
use stos_x86::interrupts::{ErrorCode, SelectorCode};
use stos_x86::segments::Table;

use super::backtrace::top_return_address;
use super::exception::{DOUBLE_FAULT, PAGE_FAULT, exception};
use super::page_walk::alias;
use super::place::{describe_return, shorten};
use super::scene::Scene;

/// Addresses below this one come from NULL and an offset.
const FIRST_PAGE: u32 = 4096;
/// What is mapped from 0 up to here is no kernel's code: null page, page directory, descriptor tables.
const LOW: u32 = 64 << 10;
/// How far from ESP an access still is one to the stack.
const NEAR_STACK: u32 = 4096;

/// `address` as text, when its four bytes are printable.
fn as_text(address: u32) -> Option<String> {
    let bytes = address.to_le_bytes();
    let is_text = bytes.iter().all(|byte| matches!(byte, 0x20..=0x7e)) && bytes.iter().any(u8::is_ascii_alphanumeric);
    is_text.then(|| bytes.iter().map(|&byte| char::from(byte)).collect())
}

/// The address that the fault is about, if it is about one.
pub fn subject(scene: &Scene<'_>) -> Option<u32> {
    match scene.vector {
        PAGE_FAULT => Some(scene.cpu.cr2),
        DOUBLE_FAULT => scene.bad_stack().map(|(address, _)| address),
        _ => None,
    }
}

fn wild_jump(scene: &Scene<'_>) -> Option<String> {
    let eip = scene.cpu.eip;
    if scene.is_code(eip) {
        return None;
    }
    let place = match scene.region(eip) {
        None => "is not mapped".to_owned(),
        Some(region) => format!("lies in `{}`, which is no code", shorten(&region.name)),
    };
    let is_low = eip < LOW && scene.memory.physical(0).is_some();
    Some(match (top_return_address(scene), eip) {
        (Some(caller), _) => {
            let what = match eip {
                ..FIRST_PAGE => "is NULL",
                _ if is_low => "is NULL or nearly so, and what is mapped there was executed up to EIP",
                _ => "points to no function",
            };
            let caller = describe_return(scene.guest.symbols, caller);
            format!("EIP {eip:#010x} {place}: the call of a function pointer that {what}; called from {caller}")
        }
        (None, ..FIRST_PAGE) => {
            format!("EIP {eip:#010x} {place}: a jump to NULL, or a `ret` that found 0 on the stack")
        }
        (None, _) => {
            format!(
                "EIP {eip:#010x} {place}: a jump to what is no function, or a `ret` that found this on a damaged stack"
            )
        }
    })
}

fn null_pointer(scene: &Scene<'_>) -> Option<String> {
    let address = subject(scene)?;
    let is_null = scene.vector == PAGE_FAULT && address < FIRST_PAGE && address != scene.cpu.eip;
    is_null.then(|| match address {
        0 => "a NULL pointer was used".to_owned(),
        _ => format!("a NULL pointer was used: {address:#x} is the offset of a field or an element from NULL"),
    })
}

/// The stack has run into what is not mapped, or never was anywhere.
fn bad_stack(scene: &Scene<'_>) -> Option<String> {
    let esp = scene.cpu.general.esp;
    let (address, why) = scene.bad_stack()?;
    let is_stack_access =
        scene.vector == DOUBLE_FAULT || scene.cpu.cr2.wrapping_sub(esp.wrapping_sub(NEAR_STACK)) < 2 * NEAR_STACK;
    if !is_stack_access {
        return None;
    }
    let above = address.checked_add(NEAR_STACK);
    Some(if above.is_some_and(|above| scene.refuses_write(above).is_none()) {
        format!(
            "stack overflow: the stack has grown down to ESP {esp:#010x}, and {address:#010x} below it {why}; recursion without \
             end, or too large local variables"
        )
    } else {
        format!(
            "the stack is bad: ESP is {esp:#010x}, and {address:#010x} below it {why}; ESP was never set, or was overwritten"
        )
    })
}

/// ESP has left the image's stack for memory that holds something else.
fn stray_stack(scene: &Scene<'_>) -> Option<String> {
    let esp = scene.cpu.general.esp;
    let region = scene.region(esp.wrapping_sub(4))?;
    let is_no_stack = match region.kind {
        RegionKind::Stack | RegionKind::FrameArray => return None,
        RegionKind::Heap => false,
        RegionKind::Kernel => !region.permissions.contains(Permissions::WRITE),
        _ => true,
    };
    let name = shorten(&region.name);
    let physical = scene.memory.physical(esp.wrapping_sub(4))?;
    let stack =
        scene.guest.regions.iter().find(|stack| stack.kind == RegionKind::Stack && stack.range.start.0 > physical)?;
    let below = stack.range.start.0 - physical;
    match (is_no_stack, region.kind) {
        (true, _) => Some(format!(
            "ESP {esp:#010x} lies in `{name}`, {below} bytes below `{}`: the stack has overflown, and has overwritten what it \
             came across",
            shorten(&stack.name)
        )),
        (false, RegionKind::Heap) => Some(format!(
            "ESP {esp:#010x} lies in `{name}`, {below} bytes below `{}`: unless the kernel has put a stack there, the stack \
             has overflown",
            shorten(&stack.name)
        )),
        (false, _) => None,
    }
}

fn physical_address(scene: &Scene<'_>) -> Option<String> {
    let address = subject(scene)?;
    let is_memory = u64::from(address) < scene.memory.physical_size();
    if !is_memory || address < FIRST_PAGE || scene.memory.physical(address).is_some() {
        return None;
    }
    // Nothing is there to be used: a guard, or addresses without memory.
    if scene.region_at(address.into()).is_some_and(|region| region.kind == RegionKind::Reserved) {
        return None;
    }
    let owner = scene.region_at(address.into()).map(|region| format!(" of `{}`", shorten(&region.name)));
    let owner = owner.unwrap_or_default();
    Some(match alias(scene, address) {
        Some(linear) => format!(
            "{address:#010x} is a physical address{owner} that is mapped at {linear:#010x}: add {:#x} to use it",
            linear.wrapping_sub(address)
        ),
        None => {
            format!("{address:#010x} may be a physical address{owner}: with paging on, it must be mapped to be used")
        }
    })
}

fn text_as_pointer(scene: &Scene<'_>) -> Option<String> {
    let address = subject(scene)?;
    let text = as_text(address)?;
    Some(format!("the bytes of {address:#010x} are the text \"{text}\": a string may have overwritten a pointer"))
}

fn no_gate(scene: &Scene<'_>) -> Option<String> {
    let code = SelectorCode(scene.error_code);
    let is_gate = exception(scene.vector).error_code == ErrorCode::Selector && code.table() == Table::Idt;
    let vector = code.index();
    (is_gate && vector >= 32).then(|| {
        let source = if code.is_external() { "a hardware interrupt" } else { "an `int` instruction" };
        format!(
            "{source} with vector {vector:#x} found no gate: load an IDT of the kernel's own before `sti` and `int`"
        )
    })
}

/// Until the 8259s are programmed, their interrupts come with vectors that belong to exceptions.
pub fn possible_interrupt(scene: &Scene<'_>) -> Option<String> {
    let has_code = !matches!(exception(scene.vector).error_code, ErrorCode::None | ErrorCode::Zero);
    (scene.cpu.takes_interrupts() && scene.vector < 16 && !has_code).then(|| {
        let line = scene.vector % 8;
        format!("or hardware interrupt {line}, as interrupts are on: program the 8259s before `sti`")
    })
}

/// Bytes of zero decode as an instruction.
fn zeros(scene: &Scene<'_>) -> Option<String> {
    let bytes = scene.memory.bytes(scene.cpu.eip, 8);
    (bytes == [0; 8]).then(|| "the bytes at EIP are zeros: there is no code".to_owned())
}

/// Every hint that applies, the likeliest first.
pub fn hints(scene: &Scene<'_>) -> Vec<String> {
    [
        wild_jump(scene),
        null_pointer(scene),
        bad_stack(scene),
        stray_stack(scene),
        physical_address(scene),
        text_as_pointer(scene),
        no_gate(scene),
        zeros(scene),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::{FaultRecord, GuestRange, Region};

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
