//! Where a CPU was when a run was cut short, from a few samples of it.

use std::fmt::Write as _;

use stos_x86::registers::CpuState;

use super::exception::NO_VECTOR;
use super::interrupts::obstacle;
use super::place::{describe_address, shorten};
use super::scene::{Guest, Scene};
use super::sections::surroundings;
use crate::devices::Interrupts;

/// Functions that are named when the CPU was seen in several.
const NAMED: usize = 3;

/// What a CPU was doing, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hang {
    clause: String,
    details: String,
}

impl Hang {
    /// Explains what `samples` show, the last of which is the latest; `interrupts` are what could have woken the CPU then.
    /// `None` without any sample.
    pub fn new(samples: &[CpuState], interrupts: Option<Interrupts>, guest: Guest<'_>) -> Option<Self> {
        let scene = &guest.scene(samples.last()?, NO_VECTOR, 0);
        let all_wait = samples.iter().all(|sample| sample.is_halted);
        let places = Places::new(samples, scene);
        let mut clause = if all_wait { "waiting in HLT for an interrupt, ".to_owned() } else { String::new() };
        clause += &places.clause(samples.len(), scene);
        if let Some(obstacle) = interrupts.and_then(obstacle).filter(|_| all_wait) {
            let _ = write!(clause, "; {obstacle}");
        }
        let mut details = String::new();
        if places.eips.len() > 1 {
            details += "  seen at:\n";
            for (eip, count) in &places.eips {
                let _ = writeln!(details, "    {} {}", describe_address(scene.guest.symbols, *eip), times(*count));
            }
        }
        Some(Self { clause, details: details + &surroundings(scene) })
    }

    /// Where the CPU was, as in "the CPU was ...".
    pub fn clause(&self) -> &str {
        &self.clause
    }

    /// What there is to say beyond that: whole lines, each ended.
    pub fn details(&self) -> &str {
        &self.details
    }
}

/// Where a CPU was seen how often, in the order of addresses.
struct Places {
    eips: Vec<(u32, usize)>,
    /// Functions, the most frequent first; `None` stands for code without a name.
    functions: Vec<(Option<String>, usize)>,
}

impl Places {
    fn new(samples: &[CpuState], scene: &Scene<'_>) -> Self {
        let name = |eip| scene.guest.symbols.find(eip).map(|(symbol, _)| shorten(&symbol.shown_name()));
        let (mut eips, mut functions) = (Vec::new(), Vec::new());
        for sample in samples {
            count(&mut eips, sample.eip);
            count(&mut functions, name(sample.eip));
        }
        eips.sort_unstable();
        // Stable: those that were seen equally often stay in the order in which they were seen.
        functions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Self { eips, functions }
    }

    fn clause(&self, samples: usize, scene: &Scene<'_>) -> String {
        let each = match samples {
            1 => "when it was looked at".to_owned(),
            _ => format!("each of the {samples} times that it was looked at"),
        };
        match (&self.eips[..], &self.functions[..]) {
            ([(eip, _)], _) => format!("at {} {each}", describe_address(scene.guest.symbols, *eip)),
            ([(first, _), .., (last, _)], [(Some(name), _)]) => {
                format!("in {name} {each}, from {first:#x} to {last:#x}")
            }
            ([(first, _), .., (last, _)], [(None, _)]) => {
                format!("from {first:#x} to {last:#x} {each}, in code without a name")
            }
            (_, functions) => {
                let named = functions.iter().take(NAMED).map(|(name, count)| {
                    let name = name.as_deref().unwrap_or("code without a name");
                    format!("in {name} {}", times(*count))
                });
                let named: Vec<String> = named.collect();
                let more = if functions.len() > NAMED { ", and elsewhere" } else { "" };
                format!("{}{more} of the {samples} that it was looked at", named.join(", "))
            }
        }
    }
}

fn count<T: PartialEq>(list: &mut Vec<(T, usize)>, item: T) {
    match list.iter_mut().find(|(known, _)| *known == item) {
        Some((_, number)) => *number += 1,
        None => list.push((item, 1)),
    }
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{count} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::devices::{Controller, Pics};
    use stos_image::FaultRecord;

    fn hang_at(eips: &[u32], is_halted: bool, interrupts: Option<Interrupts>) -> Hang {
        let samples: Vec<CpuState> =
            eips.iter().map(|&eip| CpuState { eip, eflags: 0x202, is_halted, ..CpuState::default() }).collect();
        let case = Case::new(FaultRecord::default())
            .with_symbol(0x1000, 0x100, "spin_lock")
            .with_symbol(0x1100, 0x100, "schedule");
        Hang::new(&samples, interrupts, case.guest()).unwrap()
    }

    #[test]
    fn one_place_is_told_with_its_symbol() {
        let hang = hang_at(&[0x1003; 3], false, None);
        assert_eq!(hang.clause(), "at 0x00001003 (spin_lock+0x3) each of the 3 times that it was looked at");
        assert!(!hang.details().contains("seen at") && hang.details().contains("registers:\n"), "{}", hang.details());
        assert_eq!(hang_at(&[0x9000], false, None).clause(), "at 0x00009000 when it was looked at");
    }

    #[test]
    fn several_places_are_told_by_their_functions() {
        for (eips, clause) in [
            (
                &[0x1003, 0x1009, 0x1003][..],
                "in spin_lock each of the 3 times that it was looked at, from 0x1003 to 0x1009",
            ),
            (
                &[0x9000, 0x9004],
                "from 0x9000 to 0x9004 each of the 2 times that it was looked at, in code without a name",
            ),
            (
                &[0x1100, 0x1003, 0x1009, 0x9000, 0x1003],
                "in spin_lock 3 times, in schedule once, in code without a name once of the 5 that it was looked at",
            ),
        ] {
            let hang = hang_at(eips, false, None);
            assert_eq!(hang.clause(), clause);
            assert!(hang.details().starts_with("  seen at:\n"), "{}", hang.details());
        }
        assert!(
            hang_at(&[0x1003, 0x1009, 0x1003], false, None)
                .details()
                .contains("    0x00001003 (spin_lock+0x3) twice\n")
        );
    }

    #[test]
    fn a_cpu_that_waits_is_told_with_what_holds_interrupts_back() {
        let first = Controller { requested: 1, in_service: 1, ..Controller::default() };
        let interrupts = Interrupts { pics: Pics { first, second: Controller::default() }, is_apic_used: false };
        let hang = hang_at(&[0x1104; 2], true, Some(interrupts));
        assert!(
            hang.clause().starts_with("waiting in HLT for an interrupt, at 0x00001104 (schedule+0x4) each"),
            "{}",
            hang.clause()
        );
        assert!(hang.clause().contains("IRQ 0 is still in service"), "{}", hang.clause());
        assert!(!hang_at(&[0x1104; 2], false, Some(interrupts)).clause().contains("IRQ"), "it runs");
    }
}
