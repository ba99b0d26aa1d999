//! Tells a person what led to a triple fault: from a log of the exceptions before it, or from what the CPU was like after it.

use std::fmt;

use stos_x86::interrupts::{ErrorCode, PageFaultCode, SelectorCode};
use stos_x86::registers::{CpuState, TableRegister};

use super::backtrace::source_of;
use super::chain::{Link, Step, chain, is_nested};
use super::delivery::{is_exception, name};
use super::exception::{DOUBLE_FAULT, GENERAL_PROTECTION, PAGE_FAULT, exception};
use super::gate::{Gate, Subject};
use super::place::{Place, describe_address};
use super::scene::{Guest, Scene};
use super::sections::{cause_of, facts_of, indented, surroundings};
use super::{descriptor, error_code, page_walk};
use crate::machine::{Delivery, History, Run};

const NO_HANDLER: &str = "an exception found no handler, and neither did the double fault after it";
/// Most runs of deliveries before the chain that are told.
const EARLIER: usize = 3;

/// A triple fault in words.
#[derive(Clone, Debug)]
pub struct TripleFault {
    sentence: String,
    summary: String,
    details: String,
    source: Place,
}

impl Default for TripleFault {
    /// A triple fault of which nothing is known.
    fn default() -> Self {
        let sentence = NO_HANDLER.to_owned();
        Self { summary: sentence.clone(), sentence, details: String::new(), source: Place::default() }
    }
}

impl TripleFault {
    /// What the state of a CPU after a triple fault tells: it is that of the instruction whose exception could not be
    /// delivered.
    pub fn of_state(cpu: &CpuState, guest: Guest<'_>) -> Self {
        let scene = guest.scene(cpu, DOUBLE_FAULT, 0);
        let place = describe_address(scene.guest.symbols, cpu.eip);
        let sentence = format!("an exception at {place} found no handler, and neither did the double fault after it");
        let mut lines = vec![format!("CR2, the address of the last page fault, is {:#010x}", cpu.cr2)];
        lines.extend(table(&scene, &[DOUBLE_FAULT, GENERAL_PROTECTION, PAGE_FAULT]));
        let details = indented(&lines) + &surroundings(&scene);
        Self { sentence, summary: NO_HANDLER.to_owned(), details, source: source_of(&scene) }
    }

    /// What the exceptions before a triple fault tell; `None` when there are none.
    pub fn of_history(history: &History, guest: Guest<'_>) -> Option<Self> {
        let (steps, before) = chain(history, guest);
        let root = steps.first()?;
        let delivery = &root.run.last;
        // Its instruction is shown as the one at EIP, also where the CPU reports the next one to a handler.
        let scene = guest.before(delivery);
        let mut lines = vec!["chain:".to_owned()];
        for (index, step) in steps.iter().enumerate() {
            lines.extend(step_lines(step, &scene));
            // What was delivered has no obstacle.
            let is_handled = steps.get(index + 1).is_some_and(|next| next.link == Link::Handler);
            lines.extend(is_handled.then(|| handler_line(step, guest)).flatten());
        }
        lines.push("  triple fault: the CPU gives up".to_owned());
        let mut vectors: Vec<u32> = steps.iter().map(|step| step.run.last.vector).collect();
        vectors.sort_unstable();
        vectors.dedup();
        lines.extend(table(&scene, &vectors));
        lines.extend(about(&steps, guest));
        lines.extend(earlier(&history.runs()[..before], &scene));
        lines.extend(facts_of(&scene, delivery));
        let summary = format!("{}{}", name(delivery), reason(&scene, delivery));
        let details = indented(&lines) + &surroundings(&scene);
        Some(Self { sentence: sentence(&steps, &scene), summary, details, source: source_of(&scene) })
    }

    /// With a further line at the end of the details.
    #[must_use]
    pub fn with_note(mut self, note: &str) -> Self {
        self.details += &indented(&[note.to_owned()]);
        self
    }

    /// The exception that it began with and why that came, without where and what followed.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Where it comes from, as far as source lines are known.
    pub fn source(&self) -> &Place {
        &self.source
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

/// What it was about, as the end of a sentence.
fn reason(scene: &Scene<'_>, delivery: &Delivery) -> String {
    // Why a double fault came, the chain says.
    let reason = if delivery.vector == DOUBLE_FAULT { None } else { cause_of(scene, delivery) };
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn sentence(steps: &[Step<'_>], scene: &Scene<'_>) -> String {
    let Some(root) = steps.first() else { return String::new() };
    let delivery = &root.run.last;
    let place = |delivery: &Delivery| describe_address(scene.guest.symbols, delivery.eip);
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
        Link::First | Link::Handler => format!(" at {}", describe_address(scene.guest.symbols, delivery.eip)),
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
fn handler_line(step: &Step<'_>, guest: Guest<'_>) -> Option<String> {
    let scene = guest.before(&step.run.last);
    let handler = Gate::new(&scene, scene.vector).handler()?;
    let place = describe_address(scene.guest.symbols, handler);
    let unmapped = if scene.memory.physical(handler).is_none() { ", which is not mapped" } else { "" };
    Some(format!("    IDT entry {} has led to its handler, {place}{unmapped}", scene.vector))
}

/// The IDT and these entries of it.
fn table(scene: &Scene<'_>, vectors: &[u32]) -> Vec<String> {
    let idtr = scene.cpu.idtr;
    let (TableRegister { base, limit }, entries) = (idtr, descriptor::entries(idtr));
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
fn about(steps: &[Step<'_>], guest: Guest<'_>) -> Vec<String> {
    let Some((step, obstacle)) = steps.iter().find_map(|step| Some((step, step.obstacle.as_ref()?))) else {
        return Vec::new();
    };
    let scene = guest.before(&step.run.last);
    match obstacle.subject {
        Subject::Selector(selector) => descriptor::table(&scene, SelectorCode((selector & !3).into())),
        Subject::Stack(address) if scene.vector != PAGE_FAULT || scene.cpu.cr2 != address => {
            page_walk::walk(&scene, address, PageFaultCode::WRITE)
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
            let place = describe_address(scene.guest.symbols, run.last.eip);
            format!("  {} at {place}{times}", name(&run.last))
        })
        .collect();
    if !lines.is_empty() {
        lines.insert(0, "delivered before that:".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::testing::{Case, any_case};
    use crate::machine::Source;
    use proptest::prelude::*;
    use stos_image::FaultRecord;
    use stos_x86::segments::Segment;

    const MAIN: u32 = 0xc010_0500;

    /// A kernel with a GDT, and an IDT of 16 entries that are zero.
    fn case() -> Case {
        let flat = Segment::flat(0, Segment::CODE_ACCESS).descriptor().to_le_bytes();
        Case::paged(FaultRecord::default()).with(0x2008, &flat).with_symbol(MAIN, 0x100, "kernel_main")
    }

    fn delivery(vector: u32) -> Delivery {
        let record = FaultRecord {
            eip: MAIN + 0x16,
            cs: 8,
            esp: 0xc020_0000 - 0x100,
            cr0: 0x8000_0011,
            cr2: 0xdead_beef,
            cr3: 0x1000,
            cr4: 0x10,
            gdtr_base: 0xc000_2000,
            gdtr_limit: 0x2f,
            idtr_base: 0xc000_3000,
            idtr_limit: 0x7f,
            ..FaultRecord::default()
        };
        let cpu = record.cpu_state();
        Delivery { vector, error_code: 0, source: Source::Exception, during: None, raised: None, eip: cpu.eip, cpu }
    }

    fn double(during: u32) -> Delivery {
        Delivery { during: Some(during), raised: Some(13), ..delivery(8) }
    }

    fn told(case: &Case, deliveries: &[Delivery]) -> TripleFault {
        let mut history = History::default();
        deliveries.iter().cloned().for_each(|delivery| history.push(delivery));
        TripleFault::of_history(&history, case.guest()).unwrap()
    }

    #[test]
    fn a_page_fault_without_a_handler_is_told() {
        let fault = told(&case(), &[delivery(14), double(14)]);
        assert_eq!(
            fault.to_string(),
            "triple fault: #PF (page fault) at 0xc0100516 (kernel_main+0x16): supervisor read of 0xdeadbeef: no page is \
             mapped there; it could not be delivered (IDT entry 14 is not present), and neither could #DF (entry 8: \
             the same)"
        );
        let expected = "  chain:\n    #PF (page fault) at 0xc0100516 (kernel_main+0x16), CR2 0xdeadbeef\n\
                        \x20     while delivering it: IDT entry 14 is not present\n\
                        \x20   #DF (double fault), made of two: the second was #GP\n\
                        \x20     while delivering it: IDT entry 8 is not present\n\
                        \x20   triple fault: the CPU gives up\n\
                        \x20 IDT at 0xc0003000, limit 0x7f: 16 entries\n\
                        \x20   entry 8 at 0xc0003040 = 00 00 00 00 00 00 00 00: not present: all zeros\n";
        assert!(fault.details().starts_with(expected), "{}", fault.details());
        assert!(fault.details().contains("  page directory entry 890 at 0x1de8 = 0x00000000: not present\n"));
    }

    #[test]
    fn an_interrupt_is_no_exception_of_its_vector() {
        let timer = Delivery { source: Source::Hardware, ..delivery(8) };
        let protection = Delivery { error_code: 0x43, ..delivery(13) };
        let fault = told(&case(), &[timer, protection, double(13)]);
        assert_eq!(
            fault.to_string(),
            "triple fault: hardware interrupt with vector 0x8, that of #DF (IRQ 0 (timer): program the 8259s before `sti`), at \
             0xc0100516 (kernel_main+0x16); it could not be delivered (IDT entry 8 is not present), and neither could #GP (entry 13: the \
             same), nor #DF (entry 8: the same)"
        );
        assert!(!fault.details().contains("meaning"), "{}", fault.details());
    }

    #[test]
    fn handlers_that_fail_are_told_with_what_they_were_called_for() {
        let stack = 0x20_0000 - 0x100;
        // A gate to nowhere for 0 and 14; both frames are still there.
        let gate = 0xbadc_8e00_0008_0de0_u64.to_le_bytes();
        let case = case().with(0x3000, &gate).with(0x3070, &gate).with_words(stack - 12, &[MAIN + 0x16, 8, 2]);
        let mut inner = delivery(14);
        (inner.eip, inner.cpu.eip) = (0xbadc_0de0, 0xbadc_0de0);
        inner.cpu.cr2 = 0xbadc_0de0;
        inner.cpu.general.esp -= 12;
        let mut last = inner.clone();
        last.cpu.general.esp = 0xc000_0000;
        let mut handled = delivery(3);
        (handled.eip, handled.cpu.eip) = (MAIN, MAIN);
        let fault = told(&case, &[handled, delivery(0), inner, last, double(14)]);
        let sentence = fault.to_string();
        assert!(
            sentence.starts_with(
                "triple fault: #DE (divide error) at 0xc0100516 (kernel_main+0x16); in its handler came #PF (page fault) at \
                 0xbadc0de0 2 times, and the last could not be delivered (the stack is bad: 0xbffffffc below ESP 0xc0000000 \
                 is not mapped), and neither could #DF"
            ),
            "{sentence}"
        );
        assert!(
            fault.details().contains("    IDT entry 0 has led to its handler, 0xbadc0de0, which is not mapped\n"),
            "{}",
            fault.details()
        );
        assert!(fault.details().contains("; 0xbadc0de0 is not mapped\n"), "{}", fault.details());
        assert!(fault.details().contains("  delivered before that:\n    #BP (breakpoint) at"), "{}", fault.details());
    }

    #[test]
    fn a_selector_is_told_with_its_table() {
        let gate = 0xc010_8e00_0038_0500_u64.to_le_bytes();
        let fault = told(&case().with(0x3070, &gate), &[delivery(14), double(14)]);
        assert!(
            fault.details().contains("the GDT at 0xc0002000 has 6 entries (limit 0x2f); entry 7 lies past its end\n"),
            "{}",
            fault.details()
        );
    }

    #[test]
    fn a_state_alone_tells_the_place_and_the_gates() {
        let case = case();
        let fault = TripleFault::of_state(&delivery(14).cpu, case.guest()).with_note("a note");
        assert!(fault.to_string().starts_with("triple fault: an exception at 0xc0100516 (kernel_main+0x16) found no"));
        for line in ["CR2, the address", "entry 8 at", "entry 13 at", "entry 14 at", "registers:", "a note"] {
            assert!(fault.details().contains(&format!("  {line}")), "{line}: {}", fault.details());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_history_and_any_memory_is_told_in_bounded_text(
            case in any_case(),
            vectors in proptest::collection::vec((0_u32..40, 0_u8..3, any::<bool>(), 0_u32..64), 1..20),
        ) {
            let cpu = case.record.cpu_state();
            let deliveries: Vec<Delivery> = vectors
                .iter()
                .map(|&(vector, source, is_during, deeper)| {
                    let source = [Source::Exception, Source::Software, Source::Hardware][usize::from(source)];
                    let mut cpu = cpu.clone();
                    cpu.general.esp = cpu.general.esp.wrapping_sub(deeper);
                    let during = is_during.then_some(14);
                    Delivery { vector, error_code: case.record.error_code, source, during, raised: Some(vector), eip: cpu.eip, cpu }
                })
                .collect();
            for fault in [told(&case, &deliveries), {
                TripleFault::of_state(&cpu, case.guest())
            }] {
                prop_assert!(!fault.to_string().contains('\n'));
                prop_assert!(fault.details().lines().count() <= 140, "{}", fault.details());
                prop_assert!(fault.details().ends_with('\n'));
            }
        }
    }
}
