//! Error codes of exceptions, bit by bit.

use stos_x86::interrupts::{ErrorCode, PageFaultCode, SelectorCode};
use stos_x86::segments::Table;

use super::exception::exception;
use super::refusal::{self, Verdict};
use super::scene::Scene;

/// What an error code names, as the end of a clause.
pub fn selector(code: SelectorCode) -> String {
    let external =
        if code.is_external() { ", while an interrupt or an earlier exception was being delivered" } else { "" };
    let (index, table) = (code.index(), code.table());
    match table {
        _ if !code.names_an_entry() => format!("no segment is involved{external}"),
        Table::Idt => format!("through entry {index:#x} of the IDT{external}"),
        Table::Gdt | Table::Ldt => {
            format!("through selector {:#x} (entry {index} of the {table}){external}", code.0 & 0xfffc)
        }
    }
}

/// What a page fault was about, as the end of a sentence (Intel SDM volume 3A, section 4.7).
pub fn page_fault(scene: &Scene<'_>) -> String {
    let code = PageFaultCode::from_bits_retain(scene.error_code);
    let access = match (scene.is_fetch(), code.contains(PageFaultCode::WRITE)) {
        (true, _) => "instruction fetch from",
        (false, true) => "write to",
        (false, false) => "read of",
    };
    let mode = if code.contains(PageFaultCode::USER) { "user" } else { "supervisor" };
    let why = match (code.contains(PageFaultCode::RESERVED_BIT), code.contains(PageFaultCode::PROTECTION)) {
        (true, _) => "a reserved bit is set in its page table entry",
        (false, true) => "the page's protection forbids it",
        (false, false) => "no page is mapped there",
    };
    format!("{mode} {access} {:#010x}: {why}", scene.cpu.cr2)
}

/// The error code with all of its bits; `None` when the exception has none.
pub fn bits(scene: &Scene<'_>) -> Option<String> {
    let code = scene.error_code;
    let bit = |number: u32, clear: &'static str, set: &'static str| {
        let value = code >> number & 1;
        format!("{value} ({})", if value == 1 { set } else { clear })
    };
    let meaning = match exception(scene.vector).error_code {
        ErrorCode::None => return None,
        ErrorCode::Zero => "always 0 for this exception".to_owned(),
        ErrorCode::Number => "see the CPU's manual".to_owned(),
        ErrorCode::PageFault => format!(
            "P {}, W/R {}, U/S {}, RSVD {}, I/D {}",
            bit(0, "not present", "present"),
            bit(1, "read", "write"),
            bit(2, "supervisor", "user"),
            bit(3, "no", "reserved bit set"),
            bit(4, "not known to be a fetch", "instruction fetch"),
        ),
        ErrorCode::Selector if code == 0 => match refusal::verdict(scene) {
            Verdict::Allowed => "no selector is at fault".to_owned(),
            Verdict::Refused(_) | Verdict::Unknown => "it names no selector".to_owned(),
        },
        ErrorCode::Selector => {
            let (index, table) = (SelectorCode(code).index(), SelectorCode(code).table());
            format!(
                "EXT {}, IDT {}, TI {}, index {index}: entry {index} of the {table}",
                bit(0, "by the program", "external"),
                bit(1, "no", "a gate"),
                bit(2, "GDT", "LDT"),
            )
        }
    };
    Some(format!("error code {code:#x}: {meaning}"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;

    fn with(vector: u32, error_code: u32) -> FaultRecord {
        FaultRecord { vector, error_code, eip: 0x1000, ..FaultRecord::default() }
    }

    #[test]
    fn each_page_fault_bit_has_its_words() {
        let words = |error_code| page_fault(&Case::new(with(14, error_code)).scene());
        assert_eq!(words(0), "supervisor read of 0x00000000: no page is mapped there");
        assert_eq!(words(7), "user write to 0x00000000: the page's protection forbids it");
        assert_eq!(words(0x11), "supervisor instruction fetch from 0x00000000: the page's protection forbids it");
        assert_eq!(words(9), "supervisor read of 0x00000000: a reserved bit is set in its page table entry");
        let at_eip = FaultRecord { eip: 0, ..with(14, 0) };
        assert_eq!(
            page_fault(&Case::new(at_eip).scene()),
            "supervisor instruction fetch from 0x00000000: no page is mapped there"
        );
    }

    #[test]
    fn all_bits_are_told() {
        let bits = |vector, code| bits(&Case::new(with(vector, code)).scene());
        assert_eq!(bits(6, 0), None);
        assert_eq!(bits(8, 0).unwrap(), "error code 0x0: always 0 for this exception");
        assert_eq!(
            bits(14, 2).unwrap(),
            "error code 0x2: P 0 (not present), W/R 1 (write), U/S 0 (supervisor), RSVD 0 (no), \
             I/D 0 (not known to be a fetch)"
        );
        assert_eq!(
            bits(13, 0x2c).unwrap(),
            "error code 0x2c: EXT 0 (by the program), IDT 0 (no), TI 1 (LDT), index 5: entry 5 of the LDT"
        );
    }

    #[test]
    fn a_selector_error_names_table_and_entry() {
        let words = |code| selector(SelectorCode(code));
        assert_eq!(words(0), "no segment is involved");
        assert_eq!(words(0x28), "through selector 0x28 (entry 5 of the GDT)");
        assert_eq!(words(0x2c), "through selector 0x2c (entry 5 of the LDT)");
        assert_eq!(
            words(0x103),
            "through entry 0x20 of the IDT, while an interrupt or an earlier exception was being delivered"
        );
    }
}
