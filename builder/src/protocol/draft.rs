//! The last step of every boot protocol: makes a plan of the filled memory and of what the manifest says.

use stos_image::{Description, MapRange, Symbols};
use stos_x86::registers::EntryState;

use super::boot_pages::fault_catcher;
use crate::diagnostics::Diagnostics;
use crate::input::{Inputs, recipes};
use crate::manifest::{Manifest, RecordedPaths};
use crate::plan::layout::BootPages;
use crate::plan::{Memory, Plan};

/// What a protocol has worked out.
pub struct Draft {
    /// Memory with everything in it.
    pub memory: Memory,
    /// The memory map that the kernel is told.
    pub memory_map: Vec<MapRange>,
    /// Where the boot pages are.
    pub pages: BootPages,
    /// The CPU at the first instruction.
    pub entry: EntryState,
    /// Names of addresses.
    pub symbols: Symbols,
    /// What is probably wrong with the guest.
    pub warnings: Diagnostics,
}

impl Draft {
    /// The plan of `manifest`'s guest.
    ///
    /// # Errors
    /// Everything that collides.
    pub fn finish(self, manifest: &Manifest, inputs: &Inputs) -> Result<Plan, Diagnostics> {
        let Self { memory, memory_map, pages, entry, symbols, warnings } = self;
        let paths = RecordedPaths::new(manifest);
        let (origins, kept) = recipes(inputs.all().zip(paths.all()), &memory.loads);
        let description = Description {
            name: manifest.name.value.clone(),
            protocol: manifest.kernel.protocol.value.name().to_owned(),
            profile: manifest.profile.clone(),
            memory_size: manifest.memory.value,
            memory_map,
            regions: memory.claims.settle()?,
            entry,
            fault_catcher: Some(fault_catcher(pages)),
            run: manifest.run.clone(),
            inputs: origins,
            manifest: manifest.to_yaml()?,
        };
        Ok(Plan { description, symbols, kept, chunks: memory.chunks, warnings })
    }
}
