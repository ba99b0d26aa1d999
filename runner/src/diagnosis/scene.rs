//! What a diagnosis is made from: the CPU, the guest's memory as the code that it executed saw it, and what the image knows about
//! both.

use stos_image::{Description, FaultRecord, Permissions, Region, RegionKind};
use stos_x86::interrupts::PageFaultCode;
use stos_x86::paging::{Translation, WalkEnd};
use stos_x86::registers::{CR0_PG, CR0_WP, CpuState};

use super::exception::{DOUBLE_FAULT, NO_VECTOR};
use super::names::Names;
use super::place::{Place, describe_address};
use crate::machine::{Delivery, GuestMemory, LinearMemory, Machine};

/// A guest that has stopped or stands still, and what its image says of it.
#[derive(Clone, Copy, Debug)]
pub struct Guest<'a> {
    /// Its physical memory.
    pub memory: &'a GuestMemory,
    /// Names of addresses.
    pub symbols: Names<'a>,
    /// Owners of physical memory, sorted.
    pub regions: &'a [Region],
    /// Its memory through the page tables that it was entered with, which mean nothing for a guest without paging.
    pub boot: LinearMemory<'a>,
}

impl<'a> From<&'a Machine> for Guest<'a> {
    fn from(machine: &'a Machine) -> Self {
        let Machine { image, memory, .. } = machine;
        let Description { regions, entry, .. } = image.description();
        // Code of the image's own turns paging on before it calls the kernel.
        let boot = LinearMemory::new(memory, entry.cr0 | CR0_PG, entry.cr3, entry.cr4);
        Self { memory, symbols: Names::new(image.symbols(), regions, boot), regions, boot }
    }
}

impl<'a> Guest<'a> {
    /// The guest as `cpu` saw it when it took the exception `vector` with this error code.
    pub fn scene(self, cpu: &CpuState, vector: u32, error_code: u32) -> Scene<'a> {
        let memory = LinearMemory::new(self.memory, cpu.cr0, cpu.cr3, cpu.cr4);
        let guest = Self { symbols: self.symbols.seen_through(memory), ..self };
        Scene { cpu: cpu.clone(), vector, error_code, guest, memory }
    }

    /// The guest as the fault catcher found it.
    pub fn caught(self, record: &FaultRecord) -> Scene<'a> {
        self.scene(&record.cpu_state(), record.vector, record.error_code)
    }

    /// The guest before a handler was called.
    pub fn before(self, delivery: &Delivery) -> Scene<'a> {
        self.scene(&delivery.cpu, delivery.vector, delivery.error_code)
    }
}

/// A fault and its surroundings.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// The CPU at the fault.
    pub cpu: CpuState,
    /// The vector of its exception, which may be any number.
    pub vector: u32,
    /// Its error code; 0 for a vector that has none.
    pub error_code: u32,
    /// The guest.
    pub guest: Guest<'a>,
    /// Its memory, through the page tables that the CPU used.
    pub memory: LinearMemory<'a>,
}

impl<'a> Scene<'a> {
    /// The region that holds a physical address.
    pub fn region_at(&self, physical: u64) -> Option<&'a Region> {
        let after = self.guest.regions.partition_point(|region| region.range.start.0 <= physical);
        let region = self.guest.regions.get(after.checked_sub(1)?)?;
        (physical - region.range.start.0 < region.range.size).then_some(region)
    }

    /// The region that holds a linear address.
    pub fn region(&self, address: u32) -> Option<&'a Region> {
        self.region_at(self.memory.physical(address)?)
    }

    /// True when code may well lie at `address`: it is mapped, and the image knows nothing else to be there.
    pub fn is_code(&self, address: u32) -> bool {
        let Some(physical) = self.memory.physical(address) else { return false };
        if physical >= self.memory.physical_size() {
            return false;
        }
        self.region_at(physical).is_none_or(|region| {
            let is_free = matches!(region.kind, RegionKind::Heap | RegionKind::FrameArray);
            is_free || region.permissions.contains(Permissions::EXECUTE)
        })
    }

    /// True when CR0.WP makes read-only pages read-only for the kernel.
    pub fn is_write_protected(&self) -> bool {
        self.cpu.cr0 & CR0_WP != 0
    }

    /// Why the supervisor can't write to `address`, as the end of a sentence.
    pub fn refuses_write(&self, address: u32) -> Option<&'static str> {
        match self.memory.walk(address).end {
            WalkEnd::Mapped(to) if !to.access.writable && self.is_write_protected() => Some("is read-only"),
            WalkEnd::Mapped(Translation { physical, .. }) if physical >= self.memory.physical_size() => {
                Some("is mapped to where no memory is")
            }
            WalkEnd::Mapped(_) => None,
            WalkEnd::NotPresent | WalkEnd::OutsideMemory(_) => Some("is not mapped"),
        }
    }

    /// The address that the CPU could not push to when it wanted to call a handler, and why: one of the 16 bytes below ESP.
    pub fn bad_stack(&self) -> Option<(u32, &'static str)> {
        let esp = self.cpu.general.esp;
        // At a double fault, CR3 may be another one than that of the stack; but CR2 tells whether the stack was to blame.
        if self.vector == DOUBLE_FAULT && self.cpu.cr2.wrapping_sub(esp.wrapping_sub(16)) >= 16 {
            return None;
        }
        let pushed = [4, 1, 16].map(|below| esp.wrapping_sub(below));
        pushed.into_iter().find_map(|address| Some((address, self.refuses_write(address)?)))
    }

    /// True when the address that a page fault is about is that of the instruction itself.
    pub fn is_fetch(&self) -> bool {
        // Without NX and SMEP, the CPU leaves bit 4 of the error code clear at fetches, too.
        let code = PageFaultCode::from_bits_retain(self.error_code);
        let is_write = code.contains(PageFaultCode::WRITE);
        code.contains(PageFaultCode::FETCH) || (!is_write && self.cpu.cr2 == self.cpu.eip)
    }
}

/// `address` in words, as `cpu` sees it.
pub fn describe_seen(machine: &Machine, cpu: &CpuState, address: u32) -> String {
    describe_address(Guest::from(machine).scene(cpu, NO_VECTOR, 0).guest.symbols, address)
}

/// EIP of `cpu`, and what is known about it.
pub fn place_of(machine: &Machine, cpu: &CpuState) -> Place {
    place_at(machine, cpu, cpu.eip)
}

/// `address`, where `cpu` is or has just been, and what is known about it.
pub fn place_at(machine: &Machine, cpu: &CpuState, address: u32) -> Place {
    Place::new(Some(Guest::from(machine).scene(cpu, NO_VECTOR, 0).guest.symbols), address)
}

/// The name of the image's own code that `cpu` is in, if it is in such code.
pub fn boot_code<'a>(machine: &'a Machine, cpu: &CpuState) -> Option<&'a str> {
    let region = Guest::from(machine).scene(cpu, NO_VECTOR, 0).region(cpu.eip);
    region.filter(|region| region.kind == RegionKind::BootCode).map(|region| &*region.name)
}

/// `cli` and `hlt`: what a kernel's entry function returns to, where it may.
const CLI_HLT: [u8; 2] = [0xfa, 0xf4];

/// True when `cpu` has halted because the kernel's entry function returned: it is behind `cli` and `hlt` of the image's own code,
/// and the address of these is what was taken from the stack last.
pub fn has_returned(machine: &Machine, cpu: &CpuState) -> bool {
    let scene = Guest::from(machine).scene(cpu, NO_VECTOR, 0);
    let to = cpu.eip.wrapping_sub(2);
    let is_boot_code = scene.region(to).is_some_and(|region| region.kind == RegionKind::BootCode);
    let taken = scene.memory.word(cpu.general.esp.wrapping_sub(4));
    is_boot_code && scene.memory.bytes(to, 2) == CLI_HLT && taken == Some(to)
}
