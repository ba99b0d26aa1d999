//! Faults at the first instruction after `mov` to CR0, CR3 or CR4: the code, or what it uses, was there before, and the new tables
//! do not lead to it.

use stos_x86::paging::{Entry, EntryFlags, TABLE_SIZE, WalkEnd};
use stos_x86::registers::{CR0_ET, CR0_PG, CR3_PCD, CR3_PWT, CR4_PAE, CR4_PSE, CpuState};

use super::control_move::{MOVE_LENGTH, move_at};
use super::exception::{DOUBLE_FAULT, PAGE_FAULT};
use super::pae;
use super::place::describe_address;
use super::scene::{Guest, Scene};
use crate::machine::LinearMemory;

/// Bits of CR3 that name no address: the CPU heeds PWT and PCD and ignores the others (Intel SDM volume 3A, table 4-3).
const CR3_LOW: u32 = TABLE_SIZE - 1;
/// Addresses below this one come from NULL.
const FIRST_PAGE: u32 = TABLE_SIZE;
/// How far from ESP an access still is one to the stack.
const NEAR_STACK: u32 = 64;
/// Fewest entries that make a pattern.
const PATTERN: usize = 8;

/// An instruction that has changed what addresses mean.
#[derive(Clone, Copy, Debug)]
pub struct Switch<'a> {
    /// Its address.
    address: u32,
    /// CR0, CR3 or CR4.
    register: u32,
    /// What it has put there.
    value: u32,
    /// What it has taken that from, in AT&T syntax.
    source: &'static str,
    /// Memory as the code saw it before.
    before: LinearMemory<'a>,
}

impl<'a> Switch<'a> {
    /// The switch that a fault came right after. Its bytes must be there as memory was before, and the register that it has read
    /// must still hold what the control register does.
    pub fn of(scene: &Scene<'a>) -> Option<Self> {
        let CpuState { eip, cr0, cr2, .. } = scene.cpu;
        let is_missing = is_code_missing(scene);
        // What was used of memory may be wrong by itself, as NULL is.
        let is_used = !is_missing
            && cr2 >= FIRST_PAGE
            && scene.memory.physical(eip).is_some()
            && scene.memory.walk(cr2).end == WalkEnd::NotPresent;
        let is_fault = match scene.vector {
            PAGE_FAULT => cr0 & CR0_PG != 0 && (is_used || is_missing && cr2 == eip),
            // The stack, and nothing else, makes the second fault.
            DOUBLE_FAULT => cr0 & CR0_PG != 0 && scene.bad_stack().is_some() && (is_used || is_missing),
            _ => false,
        };
        if !is_fault {
            return None;
        }
        let switch = Self::before_eip(scene)?;
        let was_there = |address| switch.before.physical(address).is_some_and(|at| at < switch.before.physical_size());
        let is_known = if scene.memory.is_extended() {
            pae::missing_hint(scene, switch.before).is_some()
        } else {
            scene.vector == PAGE_FAULT && is_missing || was_there(cr2)
        };
        is_known.then_some(switch)
    }

    /// What `mov` to CR3 right before EIP has put there, when that must have led to this double fault, for which `cpu` has the CR3
    /// of the fault catcher's task.
    pub fn lost_cr3(guest: Guest<'a>, cpu: &CpuState) -> Option<u32> {
        let (_, cr3) = move_at(cpu, guest.boot, cpu.eip.checked_sub(MOVE_LENGTH)?, 3)?;
        let scene = guest.scene(&CpuState { cr3, ..cpu.clone() }, DOUBLE_FAULT, 0);
        let is_other = (cr3 ^ cpu.cr3) & !CR3_LOW != 0;
        (is_other && Self::of(&scene).is_some()).then_some(cr3)
    }

    /// The switch that lies before EIP.
    pub fn before_eip(scene: &Scene<'a>) -> Option<Self> {
        let CpuState { eip, cr0, cr3, cr4, .. } = scene.cpu;
        let address = eip.checked_sub(MOVE_LENGTH)?;
        let unpaged = LinearMemory::new(scene.guest.memory, cr0 & !CR0_PG, cr3, cr4);
        let narrow = |pse| LinearMemory::new(scene.guest.memory, cr0, cr3, cr4 & !CR4_PAE | pse);
        // `mov %eax,%cr0` turns paging on; after `mov %eax,%cr3` it was on before, as the image's tables have it; `mov %eax,%cr4`
        // gives the same tables another form, and may have cleared CR4.PSE.
        let registers = [(0, unpaged), (3, unpaged), (3, scene.guest.boot), (4, narrow(0)), (4, narrow(CR4_PSE))];
        registers.into_iter().find_map(|(register, before)| {
            let (source, value) = move_at(&scene.cpu, before, address, register)?;
            let is_so = match register {
                0 => (value ^ cr0) & !CR0_ET == 0,
                3 => (value ^ cr3) & !CR3_LOW == 0,
                _ => value == cr4 && cr0 & CR0_PG != 0 && cr4 & CR4_PAE != 0,
            };
            is_so.then_some(Self { address, register, value, source, before })
        })
    }

    /// Memory as the code saw it before.
    pub fn before(&self) -> LinearMemory<'a> {
        self.before
    }

    /// The fault with memory as it was before, to look at its code and its stack.
    pub fn scene_before(&self, scene: &Scene<'a>) -> Scene<'a> {
        let guest = Guest { symbols: scene.guest.symbols.seen_through(self.before), ..scene.guest };
        Scene { memory: self.before, guest, ..scene.clone() }
    }

    /// It, in AT&T syntax.
    pub fn instruction(&self) -> String {
        format!("`mov {},%cr{}`", self.source, self.register)
    }

    /// What it was, as the end of a sentence.
    pub fn clause(&self, scene: &Scene<'_>) -> String {
        let Self { address, register, value, .. } = self;
        let at = describe_address(scene.guest.symbols, *address);
        let what = match register {
            0 => "turned paging on".to_owned(),
            3 => format!("loaded CR3 with {value:#x}"),
            _ => "set CR4.PAE".to_owned(),
        };
        format!("right after {} at {at}, which {what}", self.instruction())
    }

    /// What is wrong with the tables, the likeliest first.
    pub fn hints(&self, scene: &Scene<'_>) -> Vec<String> {
        if let Some(hint) = pae::missing_hint(scene, self.before) {
            return vec![hint];
        }
        let cr3 = if self.register == 3 { self.value } else { scene.cpu.cr3 };
        let found: Vec<String> = [
            misaligned(scene, cr3),
            self.virtual_address(scene, cr3),
            large_page_without_pse(scene),
            wide_entries(scene, cr3),
        ]
        .into_iter()
        .flatten()
        .collect();
        if found.is_empty() && !is_code_missing(scene) {
            let (esp, address) = (scene.cpu.general.esp, scene.cpu.cr2);
            let what = if esp.wrapping_sub(address) <= NEAR_STACK || address.wrapping_sub(esp) < NEAR_STACK {
                format!("the stack (ESP is {esp:#010x})")
            } else {
                "what the next instruction uses".to_owned()
            };
            let physical = self.before.physical(address).unwrap_or_default();
            vec![format!(
                "the page tables at CR3 {cr3:#x} map the code, but not {address:#010x}, {what}: before, that was physical \
                 {physical:#x}"
            )]
        } else if found.is_empty() {
            vec![format!(
                "the page tables at CR3 {cr3:#x} do not map the code that turns them on: the next instruction is fetched from \
                 {:#010x} through them",
                scene.cpu.eip
            )]
        } else {
            found
        }
    }

    /// CR3 takes a physical address.
    fn virtual_address(&self, scene: &Scene<'_>, cr3: u32) -> Option<String> {
        let directory = cr3 & !CR3_LOW;
        if u64::from(directory) < scene.memory.physical_size() {
            return None;
        }
        let physical = self.before.physical(directory).filter(|&physical| physical != u64::from(directory));
        let physical = physical.map(|physical| format!("; this virtual address was mapped to {physical:#x} before"));
        Some(format!(
            "CR3 takes a physical address, and there is no memory at {directory:#010x}{}",
            physical.unwrap_or_default()
        ))
    }
}

/// True when the fault is that the instruction at EIP was not found. At a double fault, CR2 tells of the second fault alone.
fn is_code_missing(scene: &Scene<'_>) -> bool {
    match scene.vector {
        DOUBLE_FAULT => scene.memory.physical(scene.cpu.eip).is_none(),
        _ => scene.is_fetch(),
    }
}

/// A directory that does not begin with a page.
fn misaligned(scene: &Scene<'_>, cr3: u32) -> Option<String> {
    let low = cr3 & CR3_LOW & !(CR3_PWT | CR3_PCD);
    (low != 0).then(|| {
        let directory = cr3 & !CR3_LOW;
        let named = describe_address(scene.guest.symbols, cr3);
        format!(
            "CR3 was loaded with {named}, but a page directory begins at a multiple of 4096: the CPU ignores the low 12 bits \
             and reads the directory at {directory:#010x}, {:#x} bytes lower. `__attribute__((aligned(4096)))` on the table \
             itself, not on what holds it",
            cr3 - directory
        )
    })
}

/// An entry that is meant to map 4 MiB, while the CPU takes it for that of a table.
fn large_page_without_pse(scene: &Scene<'_>) -> Option<String> {
    let walk = scene.memory.walk(scene.cpu.cr2);
    let step = walk.steps.first()?;
    let is_large = step.entry.flags().contains(EntryFlags::PRESENT | EntryFlags::PAGE_SIZE);
    let is_large = is_large && scene.cpu.cr4 & CR4_PSE == 0;
    is_large.then(|| {
        format!(
            "page directory entry {} asks for a page of 4 MiB (bit 7), but CR4.PSE (bit 4) is 0, so the CPU takes it for the \
             address of a page table: set CR4.PSE before CR0.PG",
            step.index
        )
    })
}

/// Tables whose entries were written with 64 bits.
fn wide_entries(scene: &Scene<'_>, cr3: u32) -> Option<String> {
    let walk = scene.memory.walk(scene.cpu.cr2);
    let mut tables = walk.steps.first().map(|step| step.entry.address()).into_iter().chain([cr3 & !CR3_LOW]);
    let is_wide = |table: &u32| {
        let word = |index: u32| scene.guest.memory.read(u64::from(*table) + 4 * u64::from(index));
        let words: Vec<u32> = (0..TABLE_SIZE / 4).map_while(word).map(u32::from_le_bytes).collect();
        let (even, mut odd) = (words.iter().step_by(2), words.iter().skip(1).step_by(2));
        even.filter(|&&word| Entry(word).is_present()).count() >= PATTERN && odd.all(|&word| word == 0)
    };
    tables.find(is_wide).map(|table| {
        format!(
            "in the table at {table:#010x} every second word is 0: its entries were written with 64 bits, and without CR4.PAE \
             they have 32 (`uint32_t`)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;

    const MOV_CR0_EAX: [u8; 3] = [0x0f, 0x22, 0xc0];
    const MOV_CR3_EAX: [u8; 3] = [0x0f, 0x22, 0xd8];

    /// A fault at 0x5003, after `code` at 0x5000, with a directory at 0x1000 that maps the upper half.
    fn case(code: &[u8], eax: u32) -> Case {
        let record = FaultRecord { vector: 14, eip: 0x5003, cr2: 0x5003, eax, ..FaultRecord::default() };
        Case::paged(record).with(0x5000, code)
    }

    fn hints(case: &Case) -> Vec<String> {
        let scene = case.scene();
        Switch::of(&scene).map(|switch| switch.hints(&scene)).unwrap_or_default()
    }

    #[test]
    fn paging_without_the_code_is_told() {
        let case = case(&MOV_CR0_EAX, super::super::testing::PAGED);
        let scene = case.scene();
        let switch = Switch::of(&scene).unwrap();
        assert_eq!(switch.clause(&scene), "right after `mov %eax,%cr0` at 0x00005000, which turned paging on");
        assert_eq!(hints(&case).len(), 1);
        assert!(hints(&case)[0].contains("do not map the code"), "{:?}", hints(&case));
        assert_eq!(switch.scene_before(&scene).memory.bytes(0x5000, 3), MOV_CR0_EAX);
    }

    #[test]
    fn other_faults_come_after_no_switch() {
        for (code, eax) in
            [(&MOV_CR0_EAX, 0x11), (&MOV_CR3_EAX, 0x2000), (&[0x90, 0x90, 0x90], super::super::testing::PAGED)]
        {
            assert!(Switch::of(&case(code, eax).scene()).is_none(), "{code:x?}");
        }
        let mut data = case(&MOV_CR0_EAX, super::super::testing::PAGED);
        data.record.cr2 = 0x1234;
        assert!(Switch::of(&data.scene()).is_none());
    }

    #[test]
    fn memory_that_the_new_tables_leave_out_is_told() {
        // The code's page is mapped, the stack's is not.
        let used = |esp: u32, cr2: u32| {
            let mut case = case(&MOV_CR0_EAX, super::super::testing::PAGED)
                .with_words(0x1000, &[0x6003])
                .with_words(0x6014, &[0x5003]);
            (case.record.esp, case.record.cr2) = (esp, cr2);
            hints(&case)
        };
        assert_eq!(
            used(0x9000, 0x8ffc),
            [
                "the page tables at CR3 0x1000 map the code, but not 0x00008ffc, the stack (ESP is 0x00009000): before, that was \
              physical 0x8ffc"
            ]
        );
        assert!(used(0x9000, 0xb_8000)[0].contains("0x000b8000, what the next instruction uses: before"));
        assert!(used(0x9000, 0x10).is_empty(), "NULL is no mistake of the tables");
        assert!(used(0x9000, 0x4000_0000).is_empty(), "it was not there before, either");
        assert!(used(0x9000, 0x5010).is_empty(), "it is mapped");
    }

    #[test]
    fn a_double_fault_is_told_with_the_tables_that_were_loaded_right_before() {
        // The image's tables map the first 4 MiB at 0; those at 0x2000 have all pages up to the stack's.
        let stack = 0x9000;
        let told = |loaded: u32, entries: u32, cr2: u32| {
            let mut case = case(&MOV_CR3_EAX, loaded).with_words(0x1000, &[0x83]).with_words(0x2000, &[0x6003]);
            let table: Vec<u32> = (0..entries).map(|page| page << 12 | 3).collect();
            case = case.with_words(0x6000, &table);
            (case.record.vector, case.record.esp, case.record.cr2) = (8, stack + 8, cr2);
            let cpu = case.record.cpu_state();
            let cr3 = Switch::lost_cr3(case.guest(), &cpu)?;
            case.record.cr3 = cr3;
            Some((cr3, hints(&case).concat()))
        };
        assert_eq!(
            told(0x2000, 9, stack + 4).unwrap(),
            (
                0x2000,
                "the page tables at CR3 0x2000 map the code, but not 0x00009004, the stack (ESP is 0x00009008): before, that was \
                 physical 0x9004"
                    .to_owned()
            )
        );
        assert!(told(0x2000, 5, stack + 4).unwrap().1.contains("do not map the code"));
        assert!(told(0x2000, 10, stack + 4).is_none(), "they map the stack");
        assert!(told(0x2000, 9, 0x1234).is_none(), "CR2 is not the stack's");
        assert!(told(0x1000, 9, stack + 4).is_none(), "they are the image's");
    }

    #[test]
    fn what_is_wrong_with_the_tables_is_told() {
        let misaligned = hints(&case(&MOV_CR3_EAX, 0x1004));
        assert!(misaligned[0].starts_with("CR3 was loaded with 0x00001004, but"), "{misaligned:?}");
        assert!(misaligned[0].contains("reads the directory at 0x00001000, 0x4 bytes lower"), "{misaligned:?}");
        let caching = hints(&case(&MOV_CR3_EAX, 0x1018));
        assert!(caching[0].contains("do not map the code"), "{caching:?}");

        let mut far = case(&MOV_CR3_EAX, 0xc000_1000);
        far.record.cr3 = 0xc000_1000;
        assert!(hints(&far)[0].starts_with("CR3 takes a physical address, and there is no memory at 0xc0001000"));

        let mut large = case(&MOV_CR3_EAX, 0x1000).with_words(0x1000, &[0x83]);
        large.record.cr4 = 0;
        assert!(hints(&large)[0].starts_with("page directory entry 0 asks for a page of 4 MiB"), "{:?}", hints(&large));

        let wide: Vec<u32> = (0..16).flat_map(|page| [page << 12 | 3, 0]).collect();
        let wide = case(&MOV_CR3_EAX, 0x1000).with_words(0x1000, &[0x6003]).with_words(0x6000, &wide);
        // Page 5 is the second half of the third entry.
        assert!(hints(&wide)[0].starts_with("in the table at 0x00006000 every second word is 0"), "{:?}", hints(&wide));
    }
}
