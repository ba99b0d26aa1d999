//! What is told of triple faults.

use super::*;
use crate::diagnosis::testing::{Case, any_case};
use proptest::prelude::*;
use stos_image::{FaultRecord, Segment};

const MAIN: u32 = 0xc010_0500;

/// A kernel with a GDT, and an IDT of 16 entries that are zero.
fn case() -> Case {
    let flat = Segment::flat(0, Segment::CODE_ACCESS).descriptor().to_le_bytes();
    Case::paged(FaultRecord::default()).with(0x2008, &flat).with_symbol(MAIN, 0x100, "kernel_main")
}

fn delivery(vector: u32) -> Delivery {
    let record = FaultRecord {
        eip: MAIN + 0x16,
        cs: 8,
        esp: 0xc020_0000 - 0x100,
        cr0: 0x8000_0011,
        cr2: 0xdead_beef,
        cr3: 0x1000,
        cr4: 0x10,
        gdtr_base: 0xc000_2000,
        gdtr_limit: 0x2f,
        idtr_base: 0xc000_3000,
        idtr_limit: 0x7f,
        ..FaultRecord::default()
    };
    let cpu = record.cpu_state();
    Delivery { vector, error_code: 0, source: Source::Exception, during: None, raised: None, eip: cpu.eip, cpu }
}

fn double(during: u32) -> Delivery {
    Delivery { during: Some(during), raised: Some(13), ..delivery(8) }
}

fn told(case: &Case, deliveries: &[Delivery]) -> TripleFault {
    let mut history = History::default();
    deliveries.iter().cloned().for_each(|delivery| history.push(delivery));
    let remains = Remains { memory: &case.memory, symbols: &case.symbols, regions: &case.regions };
    TripleFault::of_history(&history, &remains).unwrap()
}

#[test]
fn a_page_fault_without_a_handler_is_told() {
    let fault = told(&case(), &[delivery(14), double(14)]);
    assert_eq!(
        fault.to_string(),
        "triple fault: #PF (page fault) at 0xc0100516 (kernel_main+0x16): supervisor read of 0xdeadbeef: no page is \
         mapped there; it could not be delivered (IDT entry 14 is not present), and neither could #DF (entry 8: \
         the same)"
    );
    let expected = "  chain:\n    #PF (page fault) at 0xc0100516 (kernel_main+0x16), CR2 0xdeadbeef\n\
                    \x20     while delivering it: IDT entry 14 is not present\n\
                    \x20   #DF (double fault), made of two: the second was #GP\n\
                    \x20     while delivering it: IDT entry 8 is not present\n\
                    \x20   triple fault: the CPU gives up\n\
                    \x20 IDT at 0xc0003000, limit 0x7f: 16 entries\n\
                    \x20   entry 8 at 0xc0003040 = 00 00 00 00 00 00 00 00: not present: all zeros\n";
    assert!(fault.details().starts_with(expected), "{}", fault.details());
    assert!(fault.details().contains("  page directory entry 890 at 0x1de8 = 0x00000000: not present\n"));
}

#[test]
fn an_interrupt_is_no_exception_of_its_vector() {
    let timer = Delivery { source: Source::Hardware, ..delivery(8) };
    let protection = Delivery { error_code: 0x43, ..delivery(13) };
    let fault = told(&case(), &[timer, protection, double(13)]);
    assert_eq!(
        fault.to_string(),
        "triple fault: hardware interrupt with vector 0x8, that of #DF (program the 8259s before `sti`), at 0xc0100516 \
         (kernel_main+0x16); it could not be delivered (IDT entry 8 is not present), and neither could #GP (entry 13: the \
         same), nor #DF (entry 8: the same)"
    );
    assert!(!fault.details().contains("meaning"), "{}", fault.details());
}

#[test]
fn handlers_that_fail_are_told_with_what_they_were_called_for() {
    let stack = 0x20_0000 - 0x100;
    // A gate to nowhere for 0 and 14; both frames are still there.
    let gate = 0xbadc_8e00_0008_0de0_u64.to_le_bytes();
    let case = case().with(0x3000, &gate).with(0x3070, &gate).with_words(stack - 12, &[MAIN + 0x16, 8, 2]);
    let mut inner = delivery(14);
    (inner.eip, inner.cpu.eip) = (0xbadc_0de0, 0xbadc_0de0);
    inner.cpu.cr2 = 0xbadc_0de0;
    inner.cpu.general.esp -= 12;
    let mut last = inner.clone();
    last.cpu.general.esp = 0xc000_0000;
    let mut handled = delivery(3);
    (handled.eip, handled.cpu.eip) = (MAIN, MAIN);
    let fault = told(&case, &[handled, delivery(0), inner, last, double(14)]);
    let sentence = fault.to_string();
    assert!(
        sentence.starts_with(
            "triple fault: #DE (divide error) at 0xc0100516 (kernel_main+0x16); in its handler came #PF (page fault) at \
             0xbadc0de0 2 times, and the last could not be delivered (the stack is bad: 0xbffffffc below ESP 0xc0000000 \
             is not mapped), and neither could #DF"
        ),
        "{sentence}"
    );
    assert!(
        fault.details().contains("    IDT entry 0 has led to its handler, 0xbadc0de0, which is not mapped\n"),
        "{}",
        fault.details()
    );
    assert!(fault.details().contains("; 0xbadc0de0 is not mapped\n"), "{}", fault.details());
    assert!(fault.details().contains("  delivered before that:\n    #BP (breakpoint) at"), "{}", fault.details());
}

#[test]
fn a_selector_is_told_with_its_table() {
    let gate = 0xc010_8e00_0038_0500_u64.to_le_bytes();
    let fault = told(&case().with(0x3070, &gate), &[delivery(14), double(14)]);
    assert!(
        fault.details().contains("the GDT at 0xc0002000 has 6 entries (limit 0x2f); entry 7 lies past its end\n"),
        "{}",
        fault.details()
    );
}

#[test]
fn a_state_alone_tells_the_place_and_the_gates() {
    let case = case();
    let remains = Remains { memory: &case.memory, symbols: &case.symbols, regions: &case.regions };
    let fault = TripleFault::of_state(&delivery(14).cpu, &remains).with_note("a note");
    assert!(fault.to_string().starts_with("triple fault: an exception at 0xc0100516 (kernel_main+0x16) found no"));
    for line in ["CR2, the address", "entry 8 at", "entry 13 at", "entry 14 at", "registers:", "a note"] {
        assert!(fault.details().contains(&format!("  {line}")), "{line}: {}", fault.details());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_history_and_any_memory_is_told_in_bounded_text(
        case in any_case(),
        vectors in proptest::collection::vec((0_u32..40, 0_u8..3, any::<bool>(), 0_u32..64), 1..20),
    ) {
        let cpu = case.record.cpu_state();
        let deliveries: Vec<Delivery> = vectors
            .iter()
            .map(|&(vector, source, is_during, deeper)| {
                let source = [Source::Exception, Source::Software, Source::Hardware][usize::from(source)];
                let mut cpu = cpu.clone();
                cpu.general.esp = cpu.general.esp.wrapping_sub(deeper);
                let during = is_during.then_some(14);
                Delivery { vector, error_code: case.record.error_code, source, during, raised: Some(vector), eip: cpu.eip, cpu }
            })
            .collect();
        for fault in [told(&case, &deliveries), {
            let remains = Remains { memory: &case.memory, symbols: &case.symbols, regions: &case.regions };
            TripleFault::of_state(&cpu, &remains)
        }] {
            prop_assert!(!fault.to_string().contains('\n'));
            prop_assert!(fault.details().lines().count() <= 140, "{}", fault.details());
            prop_assert!(fault.details().ends_with('\n'));
        }
    }
}
