//! Tells a person what led to a triple fault: from a log of the exceptions before it, or from what the CPU was like after it.

use std::fmt;

use stos_image::{FaultRecord, VerifiedImage};
use stos_x86::interrupts::{ErrorCode, Exception, SelectorCode};

use super::chain::{Link, Remains, Step, chain, is_nested};
use super::error_code;
use super::exception::{BREAKPOINT, DOUBLE_FAULT, GENERAL_PROTECTION, OVERFLOW, PAGE_FAULT, exception};
use super::gate::{Gate, Subject};
use super::page_walk::Access;
use super::place::describe_address;
use super::scene::Scene;
use super::{cause, descriptor, facts, indented, page_walk, surroundings};
use crate::machine::GuestMemory;
use crate::machine::{Delivery, History, Run, Source};
use stos_x86::registers::CpuState;

/// Vectors that are the CPU's own.
const EXCEPTIONS: u32 = 32;
/// Most runs of deliveries before the chain that are told.
const EARLIER: usize = 3;

/// A triple fault in words.
#[derive(Clone, Debug)]
pub struct TripleFault {
    sentence: String,
    details: String,
}

impl Default for TripleFault {
    /// A triple fault of which nothing is known.
    fn default() -> Self {
        let sentence = "an exception found no handler, and neither did the double fault after it".to_owned();
        Self { sentence, details: String::new() }
    }
}

impl TripleFault {
    /// What the state of a CPU after a triple fault tells: it is that of the instruction whose exception could not be
    /// delivered.
    pub fn from_state(cpu: &CpuState, image: &VerifiedImage, memory: &GuestMemory) -> Self {
        Self::of_state(cpu, &remains(image, memory))
    }

    /// What the exceptions before a triple fault tell; `None` when there are none.
    pub fn from_history(history: &History, image: &VerifiedImage, memory: &GuestMemory) -> Option<Self> {
        Self::of_history(history, &remains(image, memory))
    }

    fn of_state(cpu: &CpuState, remains: &Remains<'_>) -> Self {
        let record = FaultRecord::of(cpu, DOUBLE_FAULT, 0);
        let scene = remains.scene(&record);
        let place = describe_address(scene.symbols, record.eip);
        let sentence = format!("an exception at {place} found no handler, and neither did the double fault after it");
        let mut lines = vec![format!("CR2, the address of the last page fault, is {:#010x}", record.cr2)];
        lines.extend(table(&scene, &[DOUBLE_FAULT, GENERAL_PROTECTION, PAGE_FAULT]));
        Self { sentence, details: indented(&lines) + &surroundings(&scene) }
    }

    fn of_history(history: &History, remains: &Remains<'_>) -> Option<Self> {
        let (steps, before) = chain(history, remains);
        let root = steps.first()?;
        let delivery = &root.run.last;
        let record = delivery.record();
        // Its instruction is shown as the one at EIP, also where the CPU reports the next one to a handler.
        let scene = remains.scene(&record);
        let mut lines = vec!["chain:".to_owned()];
        for (index, step) in steps.iter().enumerate() {
            lines.extend(step_lines(step, &scene));
            // What was delivered has no obstacle.
            let is_handled = steps.get(index + 1).is_some_and(|next| next.link == Link::Handler);
            lines.extend(is_handled.then(|| handler_line(step, remains)).flatten());
        }
        lines.push("  triple fault: the CPU gives up".to_owned());
        let mut vectors: Vec<u32> = steps.iter().map(|step| step.run.last.vector).collect();
        vectors.sort_unstable();
        vectors.dedup();
        lines.extend(table(&scene, &vectors));
        lines.extend(subject(&steps, remains));
        lines.extend(earlier(&history.runs()[..before], &scene));
        if is_exception(delivery) {
            lines.extend(facts(&scene));
        }
        Some(Self { sentence: sentence(&steps, &scene), details: indented(&lines) + &surroundings(&scene) })
    }

    /// With a further line at the end of the details.
    #[must_use]
    pub fn with_note(mut self, note: &str) -> Self {
        self.details += &indented(&[note.to_owned()]);
        self
    }

    /// What there is to say beyond one sentence: whole lines, each ended.
    pub fn details(&self) -> &str {
        &self.details
    }
}

impl fmt::Display for TripleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "triple fault: {}", self.sentence)
    }
}

fn remains<'a>(image: &'a VerifiedImage, memory: &'a GuestMemory) -> Remains<'a> {
    Remains { memory, symbols: image.symbols(), regions: &image.description().regions }
}

/// True when the vector says what it was.
fn is_exception(delivery: &Delivery) -> bool {
    match delivery.source {
        Source::Exception => true,
        Source::Software => matches!(delivery.vector, BREAKPOINT | OVERFLOW),
        Source::Hardware => false,
    }
}

fn name(delivery: &Delivery) -> String {
    let Delivery { vector, .. } = *delivery;
    let Exception { mnemonic, name, .. } = exception(vector);
    match delivery.source {
        _ if is_exception(delivery) => format!("{mnemonic} ({name})"),
        Source::Hardware if vector < EXCEPTIONS => {
            format!("hardware interrupt with vector {vector:#x}, that of {mnemonic} (program the 8259s before `sti`),")
        }
        Source::Hardware => format!("hardware interrupt with vector {vector:#x}"),
        Source::Software | Source::Exception => format!("`int {vector:#x}`"),
    }
}

/// What it was about, as the end of a sentence.
fn reason(scene: &Scene<'_>, delivery: &Delivery) -> String {
    let has_one = !matches!(exception(delivery.vector).error_code, ErrorCode::None | ErrorCode::Zero);
    let reason = if is_exception(delivery) && has_one { cause(scene) } else { None };
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn sentence(steps: &[Step<'_>], scene: &Scene<'_>) -> String {
    let Some(root) = steps.first() else { return String::new() };
    let delivery = &root.run.last;
    let place = |delivery: &Delivery| describe_address(scene.symbols, delivery.eip);
    let mut text = format!("{} at {}{}; ", name(delivery), place(delivery), reason(scene, delivery));
    // What failed while its handler ran is what was not delivered.
    let failed = steps.iter().rposition(|step| step.link == Link::Handler);
    let (failed, mut clause) = match failed.and_then(|index| Some((index, steps.get(index)?))) {
        None => (0, "it could not be delivered".to_owned()),
        Some((index, step)) => {
            let last = &step.run.last;
            let times = if is_nested(step.run) { format!(" {} times", step.run.count) } else { String::new() };
            let subject = if times.is_empty() { "it" } else { "the last" };
            let came = format!("in its handler came {} at {}{times}", name(last), place(last));
            (index, format!("{came}, and {subject} could not be delivered"))
        }
    };
    let mut known: Option<&str> = None;
    for (number, step) in steps.iter().skip(failed).enumerate() {
        clause += ["", ", and neither could ", ", nor "][number.min(2)];
        if number > 0 {
            clause += exception(step.run.last.vector).mnemonic;
        }
        let Some(obstacle) = &step.obstacle else { continue };
        let why = match obstacle.subject {
            _ if known != Some(&obstacle.fault) => format!(" ({obstacle})"),
            Subject::Entry | Subject::Selector(_) => format!(" (entry {}: the same)", step.run.last.vector),
            Subject::Stack(_) | Subject::Task => String::new(),
        };
        clause += &why;
        known = Some(&obstacle.fault);
    }
    text += &clause;
    text
}

/// A step with what it was about, where it was, and why it went no further.
fn step_lines(step: &Step<'_>, scene: &Scene<'_>) -> Vec<String> {
    let Step { run, link, obstacle } = step;
    let delivery = &run.last;
    let place = match link {
        Link::Delivering => String::new(),
        Link::First | Link::Handler => format!(" at {}", describe_address(scene.symbols, delivery.eip)),
    };
    let mut facts = vec![format!("  {}{place}", name(delivery))];
    if *link == Link::Handler {
        facts.push("in that handler".to_owned());
    }
    if is_nested(run) {
        facts.push(format!("{} times, each in the handler of the one before", run.count));
    }
    let code = SelectorCode(delivery.error_code);
    match exception(delivery.vector).error_code {
        _ if !is_exception(delivery) => {}
        ErrorCode::PageFault => facts.push(format!("CR2 {:#010x}", delivery.cpu.cr2)),
        ErrorCode::Selector if code.names_an_entry() => facts.push(error_code::selector(code)),
        ErrorCode::Zero => {
            let second = delivery.raised.map(|raised| exception(raised).mnemonic);
            facts.extend(second.map(|second| format!("made of two: the second was {second}")));
        }
        ErrorCode::Selector | ErrorCode::Number | ErrorCode::None => {}
    }
    let mut lines = vec![facts.join(", ")];
    lines.extend(obstacle.as_ref().map(|obstacle| format!("    while delivering it: {obstacle}")));
    lines
}

/// Where the handler is that was called.
fn handler_line(step: &Step<'_>, remains: &Remains<'_>) -> Option<String> {
    let record = step.run.last.record();
    let scene = remains.scene(&record);
    let handler = Gate::new(&scene, record.vector).handler()?;
    let place = describe_address(scene.symbols, handler);
    let unmapped = if scene.memory.physical(handler).is_none() { ", which is not mapped" } else { "" };
    Some(format!("    IDT entry {} has led to its handler, {place}{unmapped}", record.vector))
}

/// The IDT and these entries of it.
fn table(scene: &Scene<'_>, vectors: &[u32]) -> Vec<String> {
    let (base, limit) = (scene.record.idtr_base, scene.record.idtr_limit & 0xffff);
    let entries = (limit + 1) / 8;
    let mut lines = vec![format!("IDT at {base:#010x}, limit {limit:#x}: {entries} entries")];
    lines.extend(vectors.iter().map(|&vector| {
        let gate = Gate::new(scene, vector);
        let unmapped = gate.handler().filter(|&handler| scene.memory.physical(handler).is_none());
        let unmapped = unmapped.map(|handler| format!("; {handler:#010x} is not mapped")).unwrap_or_default();
        format!("  {}{unmapped}", gate.describe(scene))
    }));
    lines
}

/// More about what kept the exceptions of the chain from their handlers: the segments around a selector, the pages of a stack.
fn subject(steps: &[Step<'_>], remains: &Remains<'_>) -> Vec<String> {
    let Some((step, obstacle)) = steps.iter().find_map(|step| Some((step, step.obstacle.as_ref()?))) else {
        return Vec::new();
    };
    let record = step.run.last.record();
    let scene = remains.scene(&record);
    match obstacle.subject {
        Subject::Selector(selector) => descriptor::table(&scene, SelectorCode(selector & !3)),
        Subject::Stack(address) if record.vector != PAGE_FAULT || record.cr2 != address => {
            page_walk::walk(&scene, address, Access { write: true, user: false, reserved: false })
        }
        Subject::Stack(_) | Subject::Entry | Subject::Task => Vec::new(),
    }
}

/// The last deliveries that did not lead to it.
fn earlier(runs: &[&Run], scene: &Scene<'_>) -> Vec<String> {
    let shown = &runs[runs.len().saturating_sub(EARLIER)..];
    let mut lines: Vec<String> = shown
        .iter()
        .map(|run| {
            let times = if run.count > 1 { format!(", {} times", run.count) } else { String::new() };
            let place = describe_address(scene.symbols, run.last.eip);
            format!("  {} at {place}{times}", name(&run.last))
        })
        .collect();
    if !lines.is_empty() {
        lines.insert(0, "delivered before that:".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests;
