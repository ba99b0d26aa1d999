//! Stacks that have left their memory.

use stos_image::{Permissions, RegionKind};

use super::super::exception::DOUBLE_FAULT;
use super::super::place::shorten;
use super::super::scene::Scene;

/// How far from ESP an access still is one to the stack.
const NEAR_STACK: u32 = 4096;

/// The stack has run into what is not mapped, or never was anywhere.
pub fn bad_stack(scene: &Scene<'_>) -> Option<String> {
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
pub fn stray_stack(scene: &Scene<'_>) -> Option<String> {
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
