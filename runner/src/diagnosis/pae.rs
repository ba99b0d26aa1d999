//! CR4.PAE in a kernel whose page tables have the other form: `mov` to CR0 or CR4 is refused, or leads to where nothing is mapped.

use stos_x86::paging::{Pae, Paging, Pointer, TABLE_SIZE};
use stos_x86::registers::{CR0_PG, CR4_PAE, CR4_PSE, CpuState};

use super::control_move::move_at;
use super::exception::GENERAL_PROTECTION;
use super::scene::Scene;
use crate::machine::LinearMemory;

/// CPU and memory as they are with PAE and paging.
struct Extended<'a> {
    /// CR3.
    cr3: u32,
    /// The tables in the form that the CPU takes them for.
    tables: Pae,
    /// The code that is executed.
    eip: u32,
    /// Memory with the same tables in the form without PAE.
    narrow: LinearMemory<'a>,
    /// Memory as the code saw it before.
    before: LinearMemory<'a>,
}

/// The CPU's own words for #GP at `mov` to CR0 or CR4 that turns on the two together, a clause.
pub fn refusal(scene: &Scene<'_>) -> Option<String> {
    let (extended, source, register) = refused(scene)?;
    let pointer = extended.refused(scene)?;
    let Pointer { index, address, value } = pointer;
    Some(format!(
        "`mov {source},%cr{register}` turns on paging with CR4.PAE, and entry {index} of the four that CR3 leads to, {value:#x} at \
         {address:#x}, has reserved bits set"
    ))
}

/// What is wrong with the tables at such a #GP.
pub fn refusal_hint(scene: &Scene<'_>) -> Option<String> {
    let (extended, ..) = refused(scene)?;
    Some(extended.hint(extended.refused(scene)?))
}

/// What is wrong with them when the instruction after the `mov` was not found through them. `before` is memory before it.
pub fn missing_hint(scene: &Scene<'_>, before: LinearMemory<'_>) -> Option<String> {
    let CpuState { eip, cr0, cr3, cr4, .. } = scene.cpu;
    let extended = Extended::new(scene, (cr0, cr3, cr4), before)?;
    let pointer = extended.tables.pointer(eip, word(scene))?;
    (!pointer.is_present() || pointer.is_refused()).then(|| extended.hint(pointer))
}

/// The `mov` at EIP whose outcome would be paging with PAE, its source and its register.
fn refused<'a>(scene: &Scene<'a>) -> Option<(Extended<'a>, &'static str, u32)> {
    let CpuState { eip, cr0, cr3, cr4, .. } = scene.cpu;
    if scene.vector != GENERAL_PROTECTION || scene.error_code != 0 || scene.cpu.privilege() != 0 {
        return None;
    }
    [0, 4].into_iter().find_map(|register| {
        let (source, value) = move_at(&scene.cpu, scene.memory, eip, register)?;
        let after = if register == 0 { (value, cr3, cr4) } else { (cr0, cr3, value) };
        Some((Extended::new(scene, after, scene.memory)?, source, register))
    })
}

fn word<'a>(scene: &Scene<'a>) -> impl Fn(u64) -> Option<u32> + 'a {
    let memory = scene.guest.memory;
    move |address| memory.read(address).map(u32::from_le_bytes)
}

impl<'a> Extended<'a> {
    fn new(scene: &Scene<'a>, (cr0, cr3, cr4): (u32, u32, u32), before: LinearMemory<'a>) -> Option<Self> {
        let narrow = LinearMemory::new(scene.guest.memory, CR0_PG, cr3, cr4 & !CR4_PAE | CR4_PSE);
        let eip = scene.cpu.eip;
        let Paging::Pae(tables) = Paging::of(cr0, cr3, cr4) else { return None };
        Some(Self { cr3, tables, eip, narrow, before })
    }

    fn refused(&self, scene: &Scene<'_>) -> Option<Pointer> {
        self.tables.pointers(word(scene)).find(|pointer| pointer.is_refused())
    }

    fn hint(&self, pointer: Pointer) -> String {
        let Self { cr3, eip, narrow, before, .. } = self;
        let directory = cr3 & !(TABLE_SIZE - 1);
        let code = before.physical(*eip);
        let meaning = "with CR4.PAE (bit 5), page tables have entries of 64 bits, and CR3 leads to four of them";
        if code.is_some() && narrow.physical(*eip) == code {
            format!(
                "{meaning}; the page directory at {directory:#x} has entries of 32 bits, and without PAE it maps the code where it \
                 is: leave CR4.PAE clear (CR4.PSE, which allows pages of 4 MiB, is bit 4: 0x10)"
            )
        } else {
            let Pointer { index, address, value } = pointer;
            let why = if pointer.is_present() {
                "its bits 1, 2, 5 to 8 and those above the address must be 0"
            } else {
                "it is not present"
            };
            format!("{meaning}: of entry {index}, {value:#x} at {address:#x}, {why}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::switch::Switch;
    use super::super::testing::{Case, PAGED};
    use super::*;
    use stos_image::FaultRecord;

    const MOV_CR0_EAX: [u8; 3] = [0x0f, 0x22, 0xc0];
    const MOV_CR4_EAX: [u8; 3] = [0x0f, 0x22, 0xe0];

    /// Code at 0x5000 with a directory of entries of 32 bits at 0x1000, whose first maps 4 MiB.
    fn case(vector: u32, eip: u32, code: &[u8], (cr0, cr4, eax): (u32, u32, u32)) -> Case {
        let record = FaultRecord { vector, eip, cr2: eip, cs: 8, eax, ..FaultRecord::default() };
        let mut case = Case::paged(record).with(0x5000, code).with_words(0x1000, &[0x83]);
        (case.record.cr0, case.record.cr4) = (cr0, cr4);
        case
    }

    const LEAVE_IT: &str = "with CR4.PAE (bit 5), page tables have entries of 64 bits, and CR3 leads to four of them; the page \
        directory at 0x1000 has entries of 32 bits, and without PAE it maps the code where it is: leave CR4.PAE clear \
        (CR4.PSE, which allows pages of 4 MiB, is bit 4: 0x10)";

    #[test]
    fn a_move_that_the_cpu_refuses_is_told() {
        let told = |case: &Case| (refusal(&case.scene()), refusal_hint(&case.scene()));
        let refused = case(13, 0x5000, &MOV_CR4_EAX, (PAGED, CR4_PSE, CR4_PAE));
        let (clause, hint) = told(&refused);
        assert_eq!(
            clause.unwrap(),
            "`mov %eax,%cr4` turns on paging with CR4.PAE, and entry 0 of the four that CR3 leads to, 0x83 at 0x1000, has \
             reserved bits set"
        );
        assert_eq!(hint.unwrap(), LEAVE_IT);
        let paging = told(&case(13, 0x5000, &MOV_CR0_EAX, (0x11, CR4_PAE, PAGED)));
        assert!(paging.0.unwrap().starts_with("`mov %eax,%cr0` turns on paging with CR4.PAE"));
        assert_eq!(paging.1.unwrap(), LEAVE_IT);

        let mut user = case(13, 0x5000, &MOV_CR4_EAX, (PAGED, CR4_PSE, CR4_PAE));
        user.record.cs = 0xb;
        let fine = case(13, 0x5000, &MOV_CR4_EAX, (PAGED, CR4_PSE, CR4_PAE)).with_words(0x1000, &[0x2001]);
        let without = case(13, 0x5000, &MOV_CR4_EAX, (PAGED, CR4_PSE, CR4_PSE));
        let unpaged = case(13, 0x5000, &MOV_CR4_EAX, (0x11, CR4_PSE, CR4_PAE));
        let other = case(13, 0x5000, &[0x90; 3], (PAGED, CR4_PSE, CR4_PAE));
        for case in [user, fine, without, unpaged, other] {
            assert_eq!(told(&case), (None, None), "{:?}", case.record);
        }
    }

    #[test]
    fn tables_that_lead_nowhere_with_pae_are_told() {
        let told = |case: &Case| {
            let scene = case.scene();
            Switch::of(&scene).map(|switch| (switch.clause(&scene), switch.hints(&scene)))
        };
        let (clause, hints) = told(&case(14, 0x5003, &MOV_CR4_EAX, (PAGED, CR4_PAE, CR4_PAE))).unwrap();
        assert_eq!(clause, "right after `mov %eax,%cr4` at 0x00005000, which set CR4.PAE");
        assert_eq!(hints, [LEAVE_IT]);
        let (clause, hints) = told(&case(14, 0x5003, &MOV_CR0_EAX, (PAGED, CR4_PAE, PAGED))).unwrap();
        assert_eq!(clause, "right after `mov %eax,%cr0` at 0x00005000, which turned paging on");
        assert_eq!(hints, [LEAVE_IT]);

        // Tables that are meant for PAE, without a pointer to the code's GiB.
        let absent = case(14, 0x5003, &MOV_CR0_EAX, (PAGED, CR4_PAE, PAGED)).with_words(0x1000, &[0x2000]);
        assert!(told(&absent).unwrap().1[0].ends_with(": of entry 0, 0x2000 at 0x1000, it is not present"));
        // With one, whatever is wrong lies further on.
        let deeper = case(14, 0x5003, &MOV_CR0_EAX, (PAGED, CR4_PAE, PAGED)).with_words(0x1000, &[0x2001]);
        assert!(told(&deeper).is_none());
        let other = case(14, 0x5003, &[0x90; 3], (PAGED, CR4_PAE, CR4_PAE));
        assert!(told(&other).is_none());
    }
}
