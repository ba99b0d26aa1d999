//! A guest on the embedded machine.

use stos_machine::bus::Empty;
use stos_machine::machine::{Machine, Stop};
use stos_machine::memory::Memory;
use stos_x86::registers::{CR0_ET, CR0_PE, EntryState, GeneralRegisters};
use stos_x86::segments::{Segment, Segments};

use crate::state::{State, first_of_each};

/// The registers before each instruction, from a state on that has flat segments, `most` of them.
pub fn states(bytes: &[u8], first: &State, most: usize) -> Vec<State> {
    let mut memory = Memory::new(bytes.len());
    memory.load(0, bytes).unwrap();
    let data = Segment::flat(0x10, Segment::DATA_ACCESS);
    let entry = EntryState {
        general: GeneralRegisters::from_numbers(first.general),
        eip: first.eip,
        eflags: first.eflags,
        cr0: CR0_PE | CR0_ET,
        segments: Segments::new(Segment::flat(8, Segment::CODE_ACCESS), data, Segment::default()),
        ..EntryState::default()
    };
    let mut machine = Machine::<(Empty, ())>::new(&entry, memory, Empty, ());
    let mut is_over = false;
    let states = std::iter::from_fn(|| {
        if is_over {
            return None;
        }
        let cpu = machine.core.cpu();
        is_over = machine.run(machine.core.count + 1) != Stop::Count;
        let selectors = &cpu.selectors;
        Some(State {
            general: cpu.general.by_number(),
            eip: cpu.eip,
            eflags: cpu.eflags,
            selectors: [
                selectors.es,
                selectors.cs,
                selectors.ss,
                selectors.ds,
                selectors.fs,
                selectors.gs,
                selectors.tr,
            ],
            control: [cpu.cr0, cpu.cr2, cpu.cr3],
        })
    });
    first_of_each(states, most)
}
