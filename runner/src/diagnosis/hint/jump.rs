//! EIP where no code is.

use super::super::backtrace::top_return_address;
use super::super::exception::DOUBLE_FAULT;
use super::super::place::{describe_return, shorten};
use super::super::scene::Scene;
use super::pointer::FIRST_PAGE;

/// What is mapped from 0 up to here is no kernel's code: null page, page directory, descriptor tables.
const LOW: u32 = 64 << 10;

pub fn wild_jump(scene: &Scene<'_>) -> Option<String> {
    let eip = scene.cpu.eip;
    // A double fault keeps no CR3: what the image's tables do not map, the kernel's own may.
    let is_unknown = scene.vector == DOUBLE_FAULT && scene.memory.physical(eip).is_none();
    if is_unknown || scene.is_code(eip) {
        return None;
    }
    let place = match scene.region(eip) {
        None => match scene.guest.symbols.beyond_memory(eip) {
            Some(end) => format!("is beyond the end of memory, {end:#x}"),
            None => "is not mapped".to_owned(),
        },
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

/// Bytes of zero decode as an instruction.
pub fn zeros(scene: &Scene<'_>) -> Option<String> {
    let bytes = scene.memory.bytes(scene.cpu.eip, 8);
    (bytes == [0; 8]).then(|| "the bytes at EIP are zeros: there is no code".to_owned())
}
