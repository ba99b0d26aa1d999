//! The CPU of the embedded machine is the processor: random instructions are executed on both.
//!
//! `make processor` goes on for longer, and `make processor SEED=2` elsewhere.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::cast_possible_truncation, reason = "registers are cut to their width all the time")]

mod case;
mod floating;
mod floats;
mod generate;
mod lines;
mod machine;
mod numbers;
mod oracle;
mod record;
mod undefined;
mod undefined_floats;
mod vendor;

use std::collections::BTreeMap;

use case::{Found, Given, Registers, SLOTS};
use fastrand::Rng;
use generate::case as random_case;
use iced_x86::{Instruction, Mnemonic};
use machine::Embedded;
use oracle::Oracle;
use undefined::{has_undefined_result, undefined_flags};
use vendor::is_amd;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn random_instructions_do_what_the_processor_does() {
    let (seed, cases) = (number("SEED", 1), number("CASES", 50_000));
    let folder = tempfile::tempdir().unwrap();
    let mut oracle = Oracle::start(folder.path()).unwrap();
    let mut embedded = Embedded::default();
    let mut rng = Rng::with_seed(seed);
    let mut batch = vec![Given::default(); SLOTS];
    let mut met = BTreeMap::<Mnemonic, (u64, u64)>::new();
    let mut differing = Vec::new();
    let mut done = 0;
    while done < cases {
        let instructions: Vec<Instruction> = batch.iter_mut().map(|given| random_case(&mut rng, given)).collect();
        embedded.place(&batch);
        let wanted = oracle.execute(&batch).unwrap();
        for (slot, ((given, instruction), wanted)) in batch.iter().zip(&instructions).zip(wanted).enumerate() {
            let found = embedded.execute(slot, given);
            let counts = met.entry(instruction.mnemonic()).or_default();
            counts.0 += 1;
            // Processors of Intel do as this one.
            if is_amd() && has_undefined_result(instruction, given) {
                continue;
            }
            let ignored = if wanted.trap.is_some() { 0 } else { undefined_flags(instruction, given) };
            if !agree(&found, &wanted, ignored) {
                counts.1 += 1;
                if counts.1 <= 3 {
                    differing.push(describe(given, instruction, &wanted, &found));
                }
            }
        }
        done += SLOTS as u64;
    }
    println!("seed {seed}: {done} cases of {} mnemonics", met.len());
    if std::env::var_os("LIST").is_some() {
        for (name, (count, wrong)) in &met {
            println!("{:16} {count:8} {wrong:8}", format!("{name:?}"));
        }
    }
    let wrong: Vec<String> = met
        .iter()
        .filter(|(_, (_, wrong))| *wrong > 0)
        .map(|(name, (all, wrong))| format!("{name:?} {wrong} of {all}"))
        .collect();
    assert!(wrong.is_empty(), "{}\n{}", differing.join("\n"), wrong.join(", "));
}

/// True when both are the same but for these flags.
fn agree(left: &Found, right: &Found, ignored: u32) -> bool {
    let Found { registers: Registers { general, eflags }, eip, trap, data, floats } = left;
    (eflags ^ right.registers.eflags) & !ignored == 0
        && (general, eip, trap) == (&right.registers.general, &right.eip, &right.trap)
        && (data, floats) == (&right.data, &right.floats)
}

fn describe(given: &Given, instruction: &Instruction, wanted: &Found, found: &Found) -> String {
    let registers = |registers: &Registers| {
        let words: Vec<String> = registers.general.iter().map(|word| format!("{word:08x}")).collect();
        format!("{} {:08x}", words.join(" "), registers.eflags)
    };
    let data = found.data.iter().zip(&wanted.data).position(|(left, right)| left != right);
    format!(
        "{:02x?} {:?}\n  given     {}\n  processor {} +{} {:x?}\n  machine   {} +{} {:x?} data {data:?}",
        given.code,
        instruction.code(),
        registers(&given.registers),
        registers(&wanted.registers),
        wanted.eip,
        wanted.trap,
        registers(&found.registers),
        found.eip,
        found.trap,
    )
}
