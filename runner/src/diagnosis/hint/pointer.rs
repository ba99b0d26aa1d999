//! Data pointers that point to nothing, or to something else than the code believes.

use stos_image::RegionKind;
use stos_x86::segments::Selector;

use super::super::descriptor::segment_base;
use super::super::exception::{DOUBLE_FAULT, GENERAL_PROTECTION, PAGE_FAULT};
use super::super::instruction::segment_access;
use super::super::page_walk::alias;
use super::super::place::shorten;
use super::super::scene::Scene;

/// Addresses below this one come from NULL and an offset.
pub const FIRST_PAGE: u32 = 4096;
/// Where code for i386 expects the stack protector's canary: the field `stack_guard` of glibc's thread control block.
const CANARY: u32 = 0x14;

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

pub fn null_pointer(scene: &Scene<'_>) -> Option<String> {
    let address = subject(scene)?;
    let is_null =
        scene.vector == PAGE_FAULT && address < FIRST_PAGE && address != scene.cpu.eip && thread_local(scene).is_none();
    is_null.then(|| match address {
        0 => "a NULL pointer was used".to_owned(),
        _ => format!("a NULL pointer was used: {address:#x} is the offset of a field or an element from NULL"),
    })
}

pub fn physical_address(scene: &Scene<'_>) -> Option<String> {
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

pub fn text_as_pointer(scene: &Scene<'_>) -> Option<String> {
    let address = subject(scene)?;
    let text = as_text(address)?;
    Some(format!("the bytes of {address:#010x} are the text \"{text}\": a string may have overwritten a pointer"))
}

/// An access through FS or GS that nothing has set up: thread-local storage, of which the stack protector's canary is one.
pub fn thread_local(scene: &Scene<'_>) -> Option<String> {
    let access = segment_access(scene)?;
    let is_null = Selector(access.selector).is_null();
    let is_at_fault = match scene.vector {
        PAGE_FAULT => scene.cpu.cr2 == access.address,
        GENERAL_PROTECTION => scene.error_code == 0 && is_null,
        _ => false,
    };
    if !is_at_fault || segment_base(scene, access.selector) != 0 {
        return None;
    }
    let name = &access.register;
    let state = if is_null { "holds the null selector".to_owned() } else { "has base 0".to_owned() };
    Some(match access.displacement {
        Some(CANARY) if *name == "gs" => format!(
            "`%gs:0x14` is where the stack protector of the compiler keeps its canary, and nothing has set it up: GS {state}. \
             Compile the kernel with `-fno-stack-protector`"
        ),
        _ => format!(
            "the access goes through %{name}, as those to thread-local variables do, and nothing has set that up: {} {state}",
            name.to_uppercase()
        ),
    })
}
