//! The registers between two instructions.

use std::fmt;

/// What is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI.
    pub general: [u32; 8],
    /// EIP.
    pub eip: u32,
    /// EFLAGS.
    pub eflags: u32,
    /// ES, CS, SS, DS, FS, GS and TR.
    pub selectors: [u16; 7],
    /// CR0, CR2 and CR3.
    pub control: [u32; 3],
}

impl State {
    /// The same with these flags clear.
    pub fn without(&self, flags: u32) -> Self {
        Self { eflags: self.eflags & !flags, ..self.clone() }
    }
}

/// Leaves out those whose instruction is the one before, too: repetitions of it.
pub fn first_of_each(states: impl Iterator<Item = State>, most: usize) -> Vec<State> {
    let mut kept = Vec::<State>::new();
    for state in states {
        if kept.last().is_some_and(|last| last.eip == state.eip) {
            continue;
        }
        if kept.len() == most {
            break;
        }
        kept.push(state);
    }
    kept
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { general, eip, eflags, selectors, control } = self;
        write!(f, "EIP {eip:08x} EFLAGS {eflags:08x} general {general:08x?} selectors {selectors:x?} CR {control:x?}")
    }
}
