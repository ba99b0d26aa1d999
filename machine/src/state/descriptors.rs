//! Descriptor tables, as the CPU reads them (Intel SDM volume 3A, section 3.5), and the loading of segment registers (section 3.4.3).

use stos_x86::interrupts::{GENERAL_PROTECTION, NOT_PRESENT, STACK_FAULT};
use stos_x86::registers::{CR0_PE, EFLAGS_VM};
use stos_x86::segments::{Descriptor, Load, Refusal, Segment, Selector, Table};

use super::core::{Core, Parts, Raised, SS};
use super::fault::{Fault, SelectorProblem};
use super::segment::Hidden;

/// An entry of the GDT or the LDT: its linear address, and what is there.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The linear address.
    pub address: u32,
    /// The entry.
    pub descriptor: Descriptor,
}

/// Which exceptions a load raises.
#[derive(Clone, Copy, Debug)]
pub struct Vectors {
    /// For what can't be loaded.
    pub refused: u8,
    /// For what is not present.
    pub not_present: u8,
    /// Added to the error code: the exception came while another event was delivered.
    pub external: u32,
}

impl Vectors {
    /// Those of DS, ES, FS, GS and of CS.
    pub const DATA: Self = Self { refused: GENERAL_PROTECTION, not_present: NOT_PRESENT, external: 0 };
    /// Those of SS.
    pub const STACK: Self = Self { refused: GENERAL_PROTECTION, not_present: STACK_FAULT, external: 0 };

    /// The exception for a selector.
    pub fn fault(self, selector: u16, descriptor: Option<Descriptor>, problem: SelectorProblem) -> Fault {
        let is_absent = matches!(problem, SelectorProblem::Refused(Refusal::NotPresent));
        let vector = if is_absent { self.not_present } else { self.refused };
        let mut fault = Fault::selector(vector, selector, descriptor, problem);
        fault.error_code = fault.error_code.map(|code| code | self.external);
        fault
    }
}

impl<P: Parts> Core<P> {
    /// True in protected mode, virtual-8086 mode left out.
    pub(crate) fn is_protected(&self) -> bool {
        self.cr0 & CR0_PE != 0 && !self.flags.has(EFLAGS_VM)
    }

    /// The entry that a selector leads to.
    ///
    /// # Errors
    /// The exception of `vectors`, or #PF.
    pub(crate) fn find(&mut self, selector: u16, vectors: Vectors) -> Result<Found, Raised> {
        let parts = Selector(selector);
        if parts.is_null() {
            return Err(self.raise(Fault {
                error_code: Some(vectors.external),
                ..vectors.fault(selector, None, SelectorProblem::Null)
            }));
        }
        let index = u32::from(parts.index()) * 8;
        let (base, limit, is_there) = match parts.table() {
            Table::Ldt => (self.ldtr.base, self.ldtr.limit, !self.ldtr.is_null()),
            _ => (self.gdtr.base, self.gdtr.limit.into(), true),
        };
        if !is_there || index + 7 > limit {
            return Err(self.raise(vectors.fault(selector, None, SelectorProblem::PastTable)));
        }
        let address = base.wrapping_add(index);
        Ok(Found { address, descriptor: self.read_descriptor(address)? })
    }

    /// Reads an entry of a table: always with the supervisor's rights.
    ///
    /// # Errors
    /// #PF.
    pub(crate) fn read_descriptor(&mut self, address: u32) -> Result<Descriptor, Raised> {
        let low = self.load_linear::<u32>(address, false)?;
        let high = self.load_linear::<u32>(address.wrapping_add(4), false)?;
        Ok(Descriptor(u64::from(low) | u64::from(high) << 32))
    }

    /// Sets bits of the fifth byte of an entry that has been read: accessed, or busy.
    ///
    /// # Errors
    /// #PF.
    pub(crate) fn mark(&mut self, found: Found, bits: u8) -> Result<Found, Raised> {
        let access = found.descriptor.to_le_bytes()[5];
        if access & bits == bits {
            return Ok(found);
        }
        self.store_linear::<u8>(found.address.wrapping_add(5), u32::from(access | bits), false)?;
        Ok(Found { descriptor: Descriptor(found.descriptor.0 | u64::from(bits) << 40), ..found })
    }

    /// The segment that `selector` leads to for this use, by code of privilege `cpl`.
    ///
    /// # Errors
    /// The exception of `vectors`, or #PF.
    pub(crate) fn segment_for(
        &mut self,
        load: Load,
        selector: u16,
        cpl: u8,
        vectors: Vectors,
    ) -> Result<Hidden, Raised> {
        let found = self.find(selector, vectors)?;
        if let Some(refusal) = load.refusal(found.descriptor, Selector(selector), cpl.into()) {
            let problem = SelectorProblem::Refused(refusal);
            return Err(self.raise(vectors.fault(selector, Some(found.descriptor), problem)));
        }
        let found = self.mark(found, 1)?;
        Ok(Hidden::of(selector, found.descriptor))
    }

    /// Loads DS, ES, FS, GS or SS.
    ///
    /// # Errors
    /// #GP, #NP, #SS or #PF; then nothing has changed.
    pub(crate) fn load_segment(&mut self, register: u8, selector: u16) -> Result<(), Raised> {
        let segment = if !self.is_protected() {
            self.segment_of_real_mode(register, selector)
        } else if register == SS {
            self.segment_for(Load::Stack, selector, self.cpl, Vectors::STACK)?
        } else if Selector(selector).is_null() {
            Hidden::null(selector)
        } else {
            self.segment_for(Load::Data, selector, self.cpl, Vectors::DATA)?
        };
        self.segments[usize::from(register) % 6] = segment;
        Ok(())
    }

    /// Without protection a selector is a base; limit and rights stay as they were, or are those of virtual-8086 mode.
    pub(crate) fn segment_of_real_mode(&self, register: u8, selector: u16) -> Hidden {
        if self.cr0 & CR0_PE != 0 {
            return Hidden::real(selector, 0xf3);
        }
        let old = self.segments[usize::from(register) % 6].segment();
        Hidden::new(&Segment { selector, base: u32::from(selector) << 4, ..old })
    }
}
