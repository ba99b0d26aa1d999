//! The exceptions and interrupts that a CPU has begun to deliver, the last ones, however many there
//! were.

use std::collections::VecDeque;

use stos_x86::registers::CpuState;

/// Most runs of alike deliveries that are kept: the last ones.
const RUNS: usize = 64;

/// What makes a CPU call a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The CPU itself.
    Exception,
    /// `int n`, `int3` or `into`.
    Software,
    /// An interrupt controller.
    Hardware,
}

/// An attempt to call a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The entry of the IDT that is asked, 0 to 255.
    pub vector: u32,
    /// What is pushed for the handler, when the vector has an error code.
    pub error_code: u32,
    /// Why.
    pub source: Source,
    /// The vector of the exception that was being delivered when this one came, if there was one.
    pub during: Option<u32>,
    /// The exception that came, when it is another than `vector`: what became a double fault.
    pub raised: Option<u32>,
    /// Where the CPU was: at the instruction that failed, at an `int`, or at what an interrupt came before.
    pub eip: u32,
    /// The CPU before it.
    pub cpu: CpuState,
}

/// Deliveries in a row that differ in little but the stack pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first of them.
    pub first: Delivery,
    /// The last of them.
    pub last: Delivery,
    /// How many there are, at least 1.
    pub count: u64,
}

/// The last deliveries of a guest, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    runs: VecDeque<Run>,
    /// The exception with which the CPU gave up, if it did.
    pub end: Option<u32>,
}

impl Delivery {
    fn is_like(&self, other: &Self) -> bool {
        let key = |delivery: &Self| (delivery.vector, delivery.source, delivery.during, delivery.eip);
        key(self) == key(other)
    }
}

impl History {
    /// Adds what came next.
    pub fn push(&mut self, delivery: Delivery) {
        if let Some(run) = self.runs.back_mut().filter(|run| run.last.is_like(&delivery)) {
            run.last = delivery;
            run.count += 1;
            return;
        }
        if self.runs.len() == RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back(Run { first: delivery.clone(), last: delivery, count: 1 });
    }

    /// The runs that are kept, the oldest first.
    pub fn runs(&self) -> Vec<&Run> {
        self.runs.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(vector: u32, esp: u32) -> Delivery {
        let mut cpu = CpuState::default();
        cpu.general.esp = esp;
        Delivery { vector, error_code: 0, source: Source::Exception, during: None, raised: None, eip: 0, cpu }
    }

    #[test]
    fn what_comes_again_and_again_takes_no_more_room() {
        let mut history = History::default();
        history.push(delivery(0, 0x1000));
        (0..1000).for_each(|number| history.push(delivery(14, 0x900 - number)));
        let runs = history.runs();
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[1].count, runs[1].first.cpu.general.esp), (1000, 0x900));
        assert_eq!(runs[1].last.cpu.general.esp, 0x900 - 999);
    }

    #[test]
    fn the_last_ones_are_kept() {
        let mut history = History::default();
        (0..1000).for_each(|number| history.push(delivery(number, 0)));
        let vectors: Vec<u32> = history.runs().iter().map(|run| run.first.vector).collect();
        assert_eq!((vectors.len(), vectors[0], vectors[RUNS - 1]), (RUNS, 936, 999));
    }
}
