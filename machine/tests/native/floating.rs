//! Compares what the x87 FPU, MMX and SSE do on the processor and in the machine.

use std::collections::BTreeMap;

use fastrand::Rng;
use iced_x86::{Instruction, Mnemonic};

use super::case::{Floats, Found, Given, Registers, SLOTS, Trap};
use super::floats::{Family, case};
use super::machine::Embedded;
use super::number;
use super::oracle::Oracle;
use super::undefined_floats::comparable;

#[test]
fn random_x87_instructions_do_what_the_processor_does() {
    compare(Family::X87);
}

#[test]
fn random_mmx_and_sse_instructions_do_what_the_processor_does() {
    compare(Family::Simd);
}

fn compare(family: Family) {
    let (seed, cases) = (number("SEED", 1), number("CASES", 50_000));
    let folder = tempfile::tempdir().unwrap();
    let mut oracle = Oracle::start(folder.path()).unwrap();
    let mut embedded = Embedded::default();
    let mut rng = Rng::with_seed(seed);
    let mut batch = vec![Given::default(); SLOTS];
    let mut met = BTreeMap::<Mnemonic, (u64, u64)>::new();
    let mut differing = Vec::new();
    for _ in 0..cases.div_ceil(SLOTS as u64) {
        let instructions: Vec<Instruction> = batch.iter_mut().map(|given| case(&mut rng, family, given)).collect();
        embedded.place(&batch);
        let wanted = oracle.execute(&batch).unwrap();
        for (slot, ((given, instruction), wanted)) in batch.iter().zip(&instructions).zip(wanted).enumerate() {
            let found = embedded.execute(slot, given);
            let counts = met.entry(instruction.mnemonic()).or_default();
            counts.0 += 1;
            if let Err(difference) = comparable(instruction, given, &wanted, &found) {
                counts.1 += 1;
                let skipped = std::env::var("SKIP").unwrap_or_default();
                if skipped.split(',').any(|name| name == format!("{:?}", instruction.mnemonic())) {
                    continue;
                }
                if counts.1 <= number("SHOW", 2) {
                    differing.push(describe(given, instruction, &wanted, &found, &difference));
                }
            }
        }
    }
    let done: u64 = met.values().map(|(count, _)| count).sum();
    println!("{family:?}, seed {seed}: {done} cases of {} mnemonics", met.len());
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

fn describe(given: &Given, instruction: &Instruction, wanted: &Found, found: &Found, difference: &str) -> String {
    let family = if difference.contains("xmm") || difference.contains("mxcsr") { 160 } else { 32 };
    let line = |floats: &Floats, data: &[u8]| {
        let half = |at: usize| u16::from_le_bytes([floats[at], floats[at + 1]]);
        let hex = |bytes: &[u8]| bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let registers: Vec<String> = (0..8)
            .map(|index| hex(&floats[family + 16 * index..family + 16 * index + if family == 32 { 10 } else { 16 }]))
            .collect();
        format!(
            "cw {:04x} sw {:04x} tags {:02x} mxcsr {} memory {}\n    {}\n   ",
            half(0),
            half(2),
            floats[4],
            hex(&floats[24..28]),
            hex(data),
            registers.join(" "),
        )
    };
    let at = instruction.memory_displacement32().wrapping_sub(super::case::DATA + super::case::WINDOW) as usize;
    let operand = |data: &'_ [u8; 512]| data.get(at..at + 16).unwrap_or_default().to_vec();
    let none = [0; 512];
    let integers = |registers: &Registers, trap: Option<Trap>| {
        let words: Vec<String> = registers.general.iter().map(|word| format!("{word:x}")).collect();
        let trap = trap.map_or(String::new(), |trap| format!("#{} {:x?}", trap.vector, trap.address));
        format!("{} {:x} {trap}", words.join(" "), registers.eflags)
    };
    format!(
        "{:02x?} {:?}: {difference}\n  given     {} {}\n  processor {} {}\n  machine   {} {}",
        given.code,
        instruction.code(),
        line(given.floats.as_ref().unwrap_or(&none), &operand(&given.data)),
        integers(&given.registers, None),
        line(wanted.floats.as_ref().unwrap_or(&none), &operand(&wanted.data)),
        integers(&wanted.registers, wanted.trap),
        line(found.floats.as_ref().unwrap_or(&none), &operand(&found.data)),
        integers(&found.registers, found.trap),
    )
}
