//! Interrupts that the kernel did not expect: with vectors of exceptions, without a gate, or to a BIOS that is not there.

use stos_x86::interrupts::{ErrorCode, SelectorCode, real_mode_service};
use stos_x86::segments::Table;

use super::super::delivery::{EXCEPTIONS, lines_of};
use super::super::exception::exception;
use super::super::gate::Gate;
use super::super::scene::Scene;
use crate::machine::{Delivery, Source};

/// What a kernel uses in place of a BIOS service.
fn in_place_of(vector: u32) -> &'static str {
    match vector {
        0x10 => {
            "write characters to 0xB8000 (0xC00B8000 where memory is mapped in the upper half), or to COM1 at port 0x3F8"
        }
        0x11 | 0x12 | 0x15 => "what memory there is stands in the boot protocol's structures",
        0x13 => "files come with the image, as modules or as an initramfs; a disk takes a driver",
        0x14 => "COM1 is at port 0x3F8",
        0x16 => "the keyboard controller is at ports 0x60 and 0x64",
        0x1a => "the timer is at port 0x40, the real-time clock at ports 0x70 and 0x71",
        _ => "use the devices themselves",
    }
}

/// What there is to say of an interrupt that is no exception.
pub fn of_interrupt(delivery: &Delivery) -> Vec<String> {
    let Delivery { vector, source, .. } = *delivery;
    let hint = match (source, real_mode_service(vector)) {
        (Source::Software, Some(service)) => Some(format!(
            "in real mode, `int {vector:#x}` is {service}; in protected mode it calls what the kernel's own IDT has as entry \
             {vector:#x}, and no BIOS can be called: {}",
            in_place_of(vector)
        )),
        (Source::Hardware, _) if vector < EXCEPTIONS => Some(
            "until the kernel programs the 8259s, their interrupts come with the vectors of exceptions (from 0x00 on here, from \
             0x08 on after a BIOS): before `sti`, load an IDT, have both 8259s send vectors from 0x20 on, and mask the interrupts \
             that have no handler (0xFF to ports 0x21 and 0xA1 masks all)"
                .to_owned(),
        ),
        _ => None,
    };
    hint.into_iter().collect()
}

/// An interrupt whose vector the IDT has no entry for.
pub fn no_gate(scene: &Scene<'_>) -> Option<String> {
    let code = SelectorCode(scene.error_code);
    let is_gate = exception(scene.vector).error_code == ErrorCode::Selector && code.table() == Table::Idt;
    let vector = code.index();
    if !is_gate {
        return None;
    }
    let gate = Gate::new(scene, vector);
    let is_software = !code.is_external();
    let privilege = u32::from(scene.cpu.privilege());
    if let Some(dpl) = gate.dpl().filter(|&dpl| is_software && dpl < privilege) {
        return Some(format!(
            "`int {vector:#x}` at privilege level {privilege} needs a gate of DPL {privilege} or more, and IDT entry {vector:#x} has DPL \
             {dpl}: its sixth byte, type and attributes, is {:#04x} with DPL {privilege}",
            gate.attributes_with(privilege).unwrap_or_default()
        ));
    }
    (vector >= EXCEPTIONS && gate.handler().is_none()).then(|| {
        let source = match (code.is_external(), real_mode_service(vector)) {
            (true, _) => "a hardware interrupt".to_owned(),
            (false, None) => "an `int` instruction".to_owned(),
            (false, Some(service)) => format!("an `int` instruction (in real mode {service}, and here there is none)"),
        };
        format!(
            "{source} with vector {vector:#x} found no gate: load an IDT of the kernel's own before `sti` and `int`"
        )
    })
}

/// What else an exception may be that the instruction may well have raised.
pub fn possible(scene: &Scene<'_>) -> Option<String> {
    let has_code = !matches!(exception(scene.vector).error_code, ErrorCode::None | ErrorCode::Zero);
    (scene.cpu.takes_interrupts() && scene.vector < 16 && !has_code)
        .then(|| format!("or {}, as interrupts are on: program the 8259s before `sti`", lines_of(scene.vector)))
}
