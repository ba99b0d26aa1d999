//! An exception that the image's fault catcher has recorded: what it was, why, where, and who called that code.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use stos_image::FaultRecord;
use stos_x86::interrupts::Exception;
use stos_x86::registers::CpuState;

use super::backtrace::source_of;
use super::delivery::name;
use super::exception::exception;
use super::hint;
use super::place::{Place, describe_address};
use super::scene::{Guest, Scene};
use super::sections::{cause_of, facts_of, indented, surroundings};
use super::source::delivery;
use crate::machine::{Delivery, Source};

/// A caught exception in words.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    sentence: String,
    summary: String,
    details: String,
    source: Place,
    exception: CaughtException,
    cpu: CpuState,
}

/// An exception.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "ExceptionReport")]
pub struct CaughtException {
    /// Its vector, 0 to 31.
    pub vector: u32,
    /// Its short name, such as `#PF`; for what was no exception but had the vector of one, `int 0x13` or `vector 0`.
    pub mnemonic: String,
    /// Its name.
    pub name: &'static str,
    /// Its error code; 0 for a vector that has none.
    pub error_code: u32,
    /// Where it happened.
    pub place: Place,
    /// CR2: for a page fault, the address that was used.
    pub cr2: u32,
}

impl Diagnosis {
    /// Explains `record` by what the image of `guest` knows and by what its memory holds.
    pub fn new(record: &FaultRecord, guest: Guest<'_>) -> Self {
        let delivery = delivery(guest, record);
        let scene = guest.before(&delivery);
        let exception = exception_of(&scene, &delivery);
        let details = indented(&facts_of(&scene, &delivery)) + &surroundings(&scene);
        let (sentence, summary) = (sentence(&scene, &delivery), summary(&scene, &delivery));
        let source = source_of(&scene);
        Self { sentence, summary, details, source, exception, cpu: delivery.cpu }
    }

    /// What there is to say beyond one sentence: whole lines, each ended.
    pub fn details(&self) -> &str {
        &self.details
    }

    /// The exception and why it came, without where.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// Where it comes from, as far as source lines are known.
    pub fn source(&self) -> &Place {
        &self.source
    }

    /// The exception.
    pub fn exception(&self) -> &CaughtException {
        &self.exception
    }

    /// The CPU at the exception.
    pub fn cpu(&self) -> &CpuState {
        &self.cpu
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

fn exception_of(scene: &Scene<'_>, delivery: &Delivery) -> CaughtException {
    let Delivery { vector, error_code, eip, .. } = *delivery;
    let Exception { mnemonic, name, .. } = exception(vector);
    let (mnemonic, name) = match delivery.source {
        Source::Exception => (mnemonic.to_owned(), name),
        Source::Software => (format!("int {vector:#x}"), "software interrupt"),
        Source::Hardware => (format!("vector {vector}"), "hardware interrupt"),
    };
    let place = Place::new(Some(scene.guest.symbols), eip);
    CaughtException { vector, mnemonic, name, error_code, place, cr2: scene.cpu.cr2 }
}

fn sentence(scene: &Scene<'_>, delivery: &Delivery) -> String {
    let place = describe_address(scene.guest.symbols, delivery.eip);
    format!("{} at {place} before the kernel had its own IDT{}", name(delivery), cause(scene, delivery))
}

fn summary(scene: &Scene<'_>, delivery: &Delivery) -> String {
    format!("{}{}", name(delivery), cause(scene, delivery))
}

/// Why it came, as the end of a sentence.
fn cause(scene: &Scene<'_>, delivery: &Delivery) -> String {
    let or = || hint::possible_interrupt(scene).filter(|_| delivery.source == Source::Exception);
    cause_of(scene, delivery).or_else(or).map(|cause| format!(": {cause}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, any_case};
    use super::*;
    use proptest::prelude::*;

    /// Most lines and most bytes of details: the longest list of each kind, with names of the longest.
    const LINES: usize = 80;
    const BYTES: usize = 64 << 10;

    fn of(case: &Case) -> Diagnosis {
        Diagnosis::new(&case.record, case.guest())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_record_and_any_memory_is_told_in_bounded_text(case in any_case()) {
            let diagnosis = of(&case);
            prop_assert!(!diagnosis.to_string().contains('\n'));
            prop_assert!(diagnosis.details().lines().count() <= LINES, "{}", diagnosis.details());
            prop_assert!(diagnosis.details().len() <= BYTES);
            prop_assert!(diagnosis.details().ends_with('\n'));
        }
    }

    fn sentence_of(record: FaultRecord) -> String {
        of(&Case::paged(record).with_symbol(0xc010_0500, 0x100, "kernel_main")).to_string()
    }

    #[test]
    fn a_page_fault_is_told_in_words() {
        let record =
            FaultRecord { vector: 14, error_code: 2, eip: 0xc010_0516, cr2: 0xdead_beef, ..FaultRecord::default() };
        assert_eq!(
            sentence_of(record),
            "#PF (page fault) at 0xc0100516 (kernel_main+0x16) before the kernel had its own IDT: \
             supervisor write to 0xdeadbeef: no page is mapped there"
        );
    }

    #[test]
    fn an_unknown_address_is_only_a_number() {
        let record = FaultRecord { vector: 6, eip: 0x1234, ..FaultRecord::default() };
        assert_eq!(sentence_of(record), "#UD (invalid opcode) at 0x00001234 before the kernel had its own IDT");
    }

    #[test]
    fn a_double_fault_says_what_is_wrong_with_the_stack() {
        let record =
            FaultRecord { vector: 8, eip: 0xc010_0500, esp: 0xdead_0000, cr2: 0xdeac_fffc, ..FaultRecord::default() };
        let elsewhere = FaultRecord { cr2: 0x1234, ..record.clone() };
        assert!(!of(&Case::paged(elsewhere)).to_string().contains("stack"), "CR2 is not the stack's");
        let diagnosis = of(&Case::paged(record));
        let sentence = diagnosis.to_string();
        let end = ": the stack is bad (0xdeacfffc below ESP 0xdead0000 is not mapped), so an exception could not be delivered";
        assert!(sentence.ends_with(end), "{sentence}");
        assert!(diagnosis.details().contains("page directory entry 890 at 0x1de8"), "{}", diagnosis.details());
    }
}
