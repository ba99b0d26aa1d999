//! The state of a whole machine as a value: kept, brought back, compared.

use crate::difference::{Differ, Difference};
use crate::machine::Machine;
use crate::pages::{PAGE, Pages};
use crate::state::core::Parts;
use crate::state::saved::Saved;

/// A machine between two instructions, with its bus of type `B`. A clone costs next to nothing but for the bus: snapshots of one machine
/// share the pages that were not written to between them.
#[derive(Clone, Debug)]
pub struct Snapshot<B> {
    cpu: Saved,
    memory: Pages,
    bus: B,
}

impl<P: Parts<Bus: Clone>> Machine<P> {
    /// Keeps the state. What is copied is what was written to since the last snapshot that was taken or restored. The machine goes on as
    /// if nothing had been.
    pub fn snapshot(&mut self) -> Snapshot<P::Bus> {
        for page in self.core.code.take_fresh() {
            self.base.set(page, bytes_of(self.core.memory.from((page * PAGE) as u64)));
        }
        // So that it is seen when one is written to again.
        self.core.tlb.close();
        Snapshot { cpu: self.core.save(), memory: self.base.clone(), bus: self.core.bus.clone() }
    }

    /// Brings a state back, which may be that of another machine.
    ///
    /// # Errors
    /// Gives back how many bytes of memory there are when the state is of a machine with more or fewer; then nothing has changed.
    pub fn restore(&mut self, snapshot: &Snapshot<P::Bus>) -> Result<(), u64> {
        if snapshot.memory.size() != self.core.memory.size() {
            return Err(self.core.memory.size());
        }
        let mut pages = self.core.code.take_fresh();
        pages.extend(self.base.unshared(&snapshot.memory));
        for page in pages {
            let address = (page * PAGE) as u64;
            let size = bytes_of(self.core.memory.from(address)).len();
            match snapshot.memory.get(page) {
                Some(bytes) => self.load(address, bytes)?,
                None => self.load(address, &[0; PAGE][..size])?,
            }
        }
        // As the snapshot has it.
        self.core.code.take_fresh();
        self.base = snapshot.memory.clone();
        self.core.restore(&snapshot.cpu);
        self.core.bus = snapshot.bus.clone();
        Ok(())
    }
}

/// What a page has of the bytes from its address on: the last one may have fewer.
fn bytes_of(from: &[u8]) -> &[u8] {
    from.get(..PAGE).unwrap_or(from)
}

impl<B> Snapshot<B> {
    /// The time since the start, in instructions.
    pub const fn time(&self) -> u64 {
        self.cpu.time()
    }

    /// The bus.
    pub const fn bus(&self) -> &B {
        &self.bus
    }
}

impl<B: Differ> Snapshot<B> {
    /// What is different in another one; nothing when both machines will do the same from here on.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        self.cpu.differ(&other.cpu, &mut found);
        self.bus.differ(&other.bus, &mut found);
        self.memory.differ(&other.memory, &mut found);
        found
    }
}
