//! The parts that diagnoses are made of: a cause, the facts around it, and where the CPU was.

use stos_x86::interrupts::{ErrorCode, PageFaultCode, SelectorCode, real_mode_service};

use super::delivery::is_exception;
use super::exception::{DOUBLE_FAULT, exception, meaning};
use super::refusal::Verdict;
use super::scene::Scene;
use super::switch::Switch;
use super::{backtrace, descriptor, error_code, hint, instruction, pae, page_walk, refusal, registers};
use crate::machine::{Delivery, Source};

/// Why an exception happened, as the end of the sentence.
fn cause(scene: &Scene<'_>) -> Option<String> {
    match exception(scene.vector).error_code {
        ErrorCode::PageFault => {
            let switch = Switch::of(scene).map(|switch| format!(", {}", switch.clause(scene)));
            Some(error_code::page_fault(scene) + &switch.unwrap_or_default())
        }
        ErrorCode::Selector if scene.error_code & !1 == 0 => match refusal::verdict(scene) {
            Verdict::Refused(clause) => Some(clause),
            Verdict::Allowed => {
                pae::refusal(scene).or_else(|| Some(error_code::selector(SelectorCode(scene.error_code))))
            }
            Verdict::Unknown => Some(format!("error code {:#x}", scene.error_code)),
        },
        ErrorCode::Selector => Some(error_code::selector(SelectorCode(scene.error_code))),
        ErrorCode::Number => Some(format!("error code {:#x}", scene.error_code)),
        ErrorCode::Zero | ErrorCode::None => match scene.bad_stack().filter(|_| scene.vector == DOUBLE_FAULT) {
            Some((address, why)) => {
                let esp = scene.cpu.general.esp;
                let switch = Switch::of(scene).map(|switch| format!(", {}", switch.clause(scene)));
                Some(format!(
                    "the stack is bad ({address:#010x} below ESP {esp:#010x} {why}), so an exception could not be delivered{}",
                    switch.unwrap_or_default()
                ))
            }
            None => hint::refusal(scene),
        },
    }
}

/// The same of whatever made the CPU call a handler.
pub fn cause_of(scene: &Scene<'_>, delivery: &Delivery) -> Option<String> {
    match delivery.source {
        _ if is_exception(delivery) => cause(scene),
        Source::Software => {
            real_mode_service(delivery.vector).map(|service| format!("{service}, which only real mode has"))
        }
        Source::Hardware | Source::Exception => None,
    }
}

/// The tables that the CPU followed to the exception.
fn tables(scene: &Scene<'_>) -> Vec<String> {
    let code = SelectorCode(scene.error_code);
    match exception(scene.vector).error_code {
        ErrorCode::PageFault => {
            page_walk::walk(scene, scene.cpu.cr2, PageFaultCode::from_bits_retain(scene.error_code))
        }
        ErrorCode::Selector if code.names_an_entry() => descriptor::table(scene, code),
        _ => match hint::subject(scene) {
            Some(address) => {
                let mut lines = page_walk::walk(scene, address, PageFaultCode::WRITE);
                let whose = match Switch::of(scene) {
                    Some(switch) => {
                        format!("what {} has loaded: a double fault does not keep it", switch.instruction())
                    }
                    None => "that of the image: a double fault does not keep the one before".to_owned(),
                };
                lines.push(format!("(looked up by CR3 {:#x}, {whose})", scene.cpu.cr3));
                lines
            }
            None => Vec::new(),
        },
    }
}

/// Lines of a diagnosis.
pub fn indented(lines: &[String]) -> String {
    lines.iter().flat_map(|line| ["  ", line, "\n"]).collect()
}

/// What there is to say of whatever made the CPU call a handler.
pub fn facts_of(scene: &Scene<'_>, delivery: &Delivery) -> Vec<String> {
    if is_exception(delivery) {
        facts(scene)
    } else {
        hint::of_interrupt(delivery).into_iter().map(|hint| format!("hint: {hint}")).collect()
    }
}

/// What the exception means, its error code, the tables that it is about, and hints.
fn facts(scene: &Scene<'_>) -> Vec<String> {
    let meaning = hint::meaning(scene).unwrap_or_else(|| meaning(scene.vector).to_owned());
    let meaning = format!("meaning: {meaning}");
    let names_entry = SelectorCode(scene.error_code).names_an_entry();
    let is_selector = exception(scene.vector).error_code == ErrorCode::Selector && names_entry;
    let refusal = match refusal::verdict(scene) {
        Verdict::Refused(clause) if is_selector => Some(clause),
        _ => None,
    };
    let facts = error_code::bits(scene).into_iter().chain(refusal).chain(tables(scene));
    let hints = hint::hints(scene).into_iter().map(|hint| format!("hint: {hint}"));
    std::iter::once(meaning).chain(facts).chain(hints).collect()
}

/// Where the CPU was: the code, who called it, and all registers; whole lines.
pub fn surroundings(scene: &Scene<'_>) -> String {
    // Code and stack are where they were before the page tables were changed.
    let scene = &Switch::of(scene).map_or_else(|| scene.clone(), |switch| switch.scene_before(scene));
    let sections = [
        ("instruction", instruction::listing(scene)),
        ("backtrace", backtrace::backtrace(scene)),
        ("registers", registers::registers(&scene.cpu)),
    ];
    let sections = sections.into_iter().filter(|(_, lines)| !lines.is_empty());
    let titled = |(title, lines): (&str, Vec<String>)| format!("  {title}:\n    {}\n", lines.join("\n    "));
    sections.map(titled).collect()
}
