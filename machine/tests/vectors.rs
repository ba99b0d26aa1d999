//! On any host, the machine does with a sample of floating-point and vector instructions what a processor did with them; the target `native`
//! records it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "addresses are counted in both types")]

#[path = "native/case.rs"]
#[allow(dead_code, reason = "the other target also speaks with a processor")]
mod case;
#[path = "native/lines.rs"]
mod lines;
#[path = "native/machine.rs"]
mod machine;

#[test]
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn random_instructions_do_what_the_processor_does() {
    println!("skipped: only Linux on a 64-bit x86 processor executes instructions of 32-bit programs beside this one");
}

#[test]
fn floating_point_instructions_do_what_was_recorded() {
    let mut embedded = machine::Embedded::default();
    let mut count = 0;
    for line in include_str!("floats.txt").lines() {
        let (name, case) = line.split_once(" | ").unwrap();
        let (given, wanted) = lines::read(case);
        embedded.place(std::slice::from_ref(&given));
        let found = embedded.execute(0, &given);
        assert!(found == wanted, "{name}\n{case}\n{}", lines::write(&given, &found));
        count += 1;
    }
    assert!(count > 400, "only {count} cases");
}
