//! The embedded machine and QEMU execute a guest instruction by instruction: both have the same registers before each of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod code;
mod embedded;
mod qemu;
mod state;
mod tables;
mod undefined;

use std::fmt::Write;

use undefined::Undefined;

/// RF in what an exception pushes, which QEMU leaves out (Intel SDM volume 3B, section 17.3.1.1).
const RF: u32 = 1 << 16;

#[test]
fn registers_are_qemus_before_each_instruction() {
    let memory = tables::memory(&code::system().unwrap());
    let theirs = qemu::states(&memory);
    let mut undefined = Undefined::default();
    let ours = embedded::states(&memory, &theirs[0], theirs.len());
    let mut told = String::new();
    for (step, (our, their)) in ours.iter().zip(&theirs).enumerate() {
        let ignored = undefined.at(&memory, their) | RF;
        if our.without(ignored) != their.without(ignored) {
            for (at, state) in ours[..=step].iter().enumerate().rev().take(3).rev() {
                writeln!(told, "{at}: {state}").unwrap();
            }
            panic!("step {step} of {}:\n{told}QEMU: {their}\nignored flags {ignored:#x}", theirs.len());
        }
    }
    assert_eq!(ours.len(), theirs.len());
    println!("{} steps", theirs.len());
    assert!(theirs.len() > code::LEAST_STEPS, "only {} steps", theirs.len());
}
