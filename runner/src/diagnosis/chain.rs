//! Which of the deliveries before a triple fault led to it: the last failed because of the one before it, and so on back to
//! the one that came while all was well.

use super::gate::{Gate, Obstacle};
use super::scene::Guest;
use crate::machine::{Delivery, History, Run, Source};

/// Most steps that are followed back.
const STEPS: usize = 8;
/// Most bytes of an instruction: `int n` pushes the address after it.
const LONGEST: u32 = 15;

/// Why `delivery` could not reach its handler, if it could not.
fn obstacle(guest: Guest<'_>, delivery: &Delivery) -> Option<Obstacle> {
    let scene = guest.before(delivery);
    Gate::new(&scene, delivery.vector).obstacle(&scene, delivery)
}

/// How a step came out of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is the first.
    First,
    /// The CPU found it on its way to the handler.
    Delivering,
    /// The handler ran and came upon it.
    Handler,
}

/// A step on the way to the triple fault.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// What was delivered; more than one only when each came in the handler of the one before.
    pub run: &'a Run,
    /// How it came about.
    pub link: Link,
    /// Why the last of the run could not be delivered.
    pub obstacle: Option<Obstacle>,
}

/// The steps that led to the end of `history`, and how many runs of it came before them.
pub fn chain<'a>(history: &'a History, guest: Guest<'_>) -> (Vec<Step<'a>>, usize) {
    let runs = history.runs();
    let mut steps = Vec::new();
    let mut index = runs.len();
    while let Some(run) = index.checked_sub(1).and_then(|last| runs.get(last).copied()) {
        index -= 1;
        let before = index.checked_sub(1).and_then(|before| runs.get(before).copied());
        let link = match before {
            _ if steps.len() + 1 == STEPS => Link::First,
            Some(before) if is_found_while_delivering(before, run, guest) => Link::Delivering,
            Some(before) if is_in_the_handler_of(before, run, guest) => Link::Handler,
            _ => Link::First,
        };
        steps.push(Step { run, link, obstacle: obstacle(guest, &run.last) });
        if link == Link::First {
            break;
        }
    }
    steps.reverse();
    (steps, index)
}

fn is_found_while_delivering(before: &Run, run: &Run, guest: Guest<'_>) -> bool {
    let (old, new) = (&before.last, &run.first);
    // The emulator tells it of exceptions that can make a double fault. Of others the state of the CPU tells it, which is
    // unchanged when a delivery has failed.
    let is_told = new.during == Some(old.vector);
    let is_unchanged = (old.cpu.eip, old.cpu.general.esp) == (new.cpu.eip, new.cpu.general.esp);
    is_told || (new.source == Source::Exception && is_unchanged && obstacle(guest, old).is_some())
}

/// True when the frame that `before` pushed is still on the stack. Handlers take theirs away at their end, and what is called
/// after that overwrites it.
fn is_in_the_handler_of(before: &Run, run: &Run, guest: Guest<'_>) -> bool {
    let (old, new) = (&before.last.cpu, &run.first.cpu);
    let scene = guest.before(&before.last);
    let gate = Gate::new(&scene, before.last.vector);
    let frame = old.general.esp.wrapping_sub(gate.frame_size());
    let mask = if gate.word_size() == 2 { 0xffff } else { u32::MAX };
    let word = |index: u32| Some(scene.memory.word(frame.wrapping_add(index * gate.word_size()))? & mask);
    let is_deeper = new.general.esp <= frame && old.general.esp >= gate.frame_size();
    let is_kernels = [old, new].iter().all(|cpu| cpu.privilege() == 0);
    // EIP, then CS, then EFLAGS.
    let returns = word(0).is_some_and(|eip| eip.wrapping_sub(old.eip & mask) & mask <= LONGEST);
    let same_code = word(1).is_some_and(|cs| cs & 0xffff == u32::from(old.selectors.cs));
    is_deeper && is_kernels && returns && same_code
}

/// The smallest frame, that of a gate of 16 bits.
const SMALLEST_FRAME: u64 = 6;

/// True when each of a run came in the handler of the one before.
pub fn is_nested(run: &Run) -> bool {
    let (first, last) = (run.first.cpu.general.esp, run.last.cpu.general.esp);
    let frames = SMALLEST_FRAME * (run.count - 1);
    run.count > 1 && first.checked_sub(last).is_some_and(|grown| u64::from(grown) >= frames)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;
    use stos_x86::registers::CpuState;

    const STACK: u32 = 0xc010_0000;

    /// A delivery at an EIP, with the IDT of [`case`].
    fn delivery(vector: u32, eip: u32, esp: u32) -> Delivery {
        let mut cpu = CpuState { eip, cr0: 0x8000_0011, cr3: 0x1000, cr4: 0x10, ..CpuState::default() };
        cpu.general.esp = esp;
        cpu.selectors.cs = 8;
        cpu.gdtr = stos_x86::registers::TableRegister { base: 0xc000_2000, limit: 0xf };
        cpu.idtr = stos_x86::registers::TableRegister { base: 0xc000_3000, limit: 0x7f };
        Delivery { vector, error_code: 0, source: Source::Exception, during: None, raised: None, eip: cpu.eip, cpu }
    }

    /// Gates for 0 and 14, to code.
    fn case() -> Case {
        let gate = 0xc010_8e00_0008_1000_u64.to_le_bytes();
        Case::paged(FaultRecord::default())
            .with_words(0x2008, &[0xffff, 0x00cf_9b00])
            .with(0x3000, &gate)
            .with(0x3070, &gate)
    }

    /// What each step of the chain is, and how many runs came before.
    fn steps(case: &Case, deliveries: &[Delivery]) -> (Vec<(u32, Link)>, usize) {
        let mut history = History::default();
        deliveries.iter().cloned().for_each(|delivery| history.push(delivery));
        let (steps, before) = chain(&history, case.guest());
        (steps.iter().map(|step| (step.run.first.vector, step.link)).collect(), before)
    }

    #[test]
    fn the_emulators_word_is_taken() {
        let double = Delivery { during: Some(14), raised: Some(13), ..delivery(8, 0x10, STACK) };
        let found = steps(&case(), &[delivery(14, 0x10, STACK), double]);
        assert_eq!(found, (vec![(14, Link::First), (8, Link::Delivering)], 0));
    }

    #[test]
    fn an_exception_without_a_gate_leads_to_the_next() {
        let found = steps(&case(), &[delivery(14, 0x8, STACK), delivery(3, 0x10, STACK), delivery(13, 0x10, STACK)]);
        assert_eq!(found, (vec![(3, Link::First), (13, Link::Delivering)], 1));
    }

    #[test]
    fn one_that_was_handled_does_not() {
        // Its gate is good, its frame has gone.
        let found = steps(&case(), &[delivery(14, 0x10, STACK), delivery(13, 0x10, STACK)]);
        assert_eq!(found, (vec![(13, Link::First)], 1));
    }

    #[test]
    fn one_whose_handler_has_not_returned_does() {
        let case = case().with_words(0x10_0000 - 12, &[0x10, 8, 0x46]);
        let found = steps(&case, &[delivery(0, 0x10, STACK), delivery(14, 0x1000, STACK - 12)]);
        assert_eq!(found, (vec![(0, Link::First), (14, Link::Handler)], 0));
        let higher = steps(&case, &[delivery(0, 0x10, STACK), delivery(14, 0x1000, STACK - 8)]);
        assert_eq!(higher.0.len(), 1);
    }

    #[test]
    fn only_a_growing_stack_is_nested() {
        let run = |esp| {
            let (first, last) = (delivery(14, 0x10, STACK), delivery(14, 0x10, esp));
            is_nested(&Run { first, last, count: 11 })
        };
        assert!(run(STACK - 160));
        assert!(!run(STACK - 12));
        assert!(!run(STACK));
    }
}
