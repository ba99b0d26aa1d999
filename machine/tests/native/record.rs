//! Records a sample of cases that the machine and the processor agree on, for hosts that have no such processor.

use std::collections::BTreeMap;
use std::fmt::Write;

use fastrand::Rng;
use iced_x86::{Code, Instruction, InstructionInfoFactory, Register};

use super::case::{DATA, Given, WINDOW, WINDOW_SIZE};
use super::floats::{Family, case};
use super::lines::write;
use super::machine::Embedded;
use super::oracle::Oracle;
use super::undefined_floats::comparable;

/// `RECORD=$PWD/machine/tests/floats.txt cargo test -p stos-machine --test native record` writes them anew.
#[test]
fn recorded_cases_are_those_that_the_processor_agrees_on() {
    let Some(path) = std::env::var_os("RECORD") else {
        println!("nothing is recorded: RECORD is not set to the path of a file");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut oracle = Oracle::start(folder.path()).unwrap();
    let mut embedded = Embedded::default();
    let mut rng = Rng::with_seed(1);
    // For each instruction one case that is executed and one that raises an exception.
    let mut kept = BTreeMap::<(Code, bool), String>::new();
    let mut given = Given::default();
    for round in 0..60_u32 {
        let family = if round % 2 == 0 { Family::X87 } else { Family::Simd };
        for _ in 0..2000 {
            let instruction = case(&mut rng, family, &mut given);
            let given = thinned(&given, &instruction);
            // One at a time, so that all of them are at the same address, which is part of what some of them store.
            let wanted = oracle.execute(std::slice::from_ref(&given)).unwrap().next().unwrap();
            embedded.place(std::slice::from_ref(&given));
            let found = embedded.execute(0, &given);
            comparable(&instruction, &given, &wanted, &found).unwrap();
            let floats = [given.floats, found.floats].map(|floats| floats.unwrap_or([0; 512]));
            let is_exceptional = found.trap.is_some() || floats[0][2..4] != floats[1][2..4] && floats[1][2] & 0x80 != 0;
            let line = write(&given, &found);
            let is_short = line.len() < 400 || !kept.contains_key(&(instruction.code(), is_exceptional));
            if is_short && (!is_exceptional || (instruction.mnemonic() as u32).is_multiple_of(4)) {
                kept.insert((instruction.code(), is_exceptional), line);
            }
        }
    }
    let text = kept.iter().fold(String::new(), |mut text, ((code, _), line)| {
        let _ = writeln!(text, "{code:?} | {line}");
        text
    });
    std::fs::write(&path, text).unwrap();
}

/// The case with zeros in everything that its instruction does not look at.
fn thinned(given: &Given, instruction: &Instruction) -> Given {
    let mut given = given.clone();
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    let uses = |wanted: &dyn Fn(Register) -> bool| info.used_registers().iter().any(|used| wanted(used.register()));
    for number in (0..8).filter(|number| *number != 4) {
        if !uses(&|register| register.is_gpr() && register.full_register32().number() == number) {
            given.registers.general[number] = 0;
        }
    }
    let is_whole = instruction.memory_size().size() >= 94;
    if let Some(floats) = given.floats.as_mut().filter(|_| !is_whole) {
        let top = usize::from(floats[3] >> 3 & 7);
        let is_x87 = given.code.iter().take(2).any(|byte| (0xd8..=0xdf).contains(byte));
        for index in 0..8 {
            let is_used = is_x87 && index < 2
                || uses(&|register| register.is_st() && register.number() == index)
                || uses(&|register| register.is_mm() && register.number() == (top + index) & 7);
            if !is_used {
                floats[32 + 16 * index..48 + 16 * index].fill(0);
            }
            if !uses(&|register| register.is_xmm() && register.number() == index) {
                floats[160 + 16 * index..176 + 16 * index].fill(0);
            }
        }
    }
    let general = |register: Register| match register {
        Register::None => 0,
        register => given.registers.general[register.full_register32().number()],
    };
    let address = if instruction.memory_size().size() == 0 {
        given.registers.general[7]
    } else {
        general(instruction.memory_base()).wrapping_add(instruction.memory_displacement32())
    };
    let from = usize::try_from(address.wrapping_sub(DATA + WINDOW)).unwrap_or(WINDOW_SIZE).min(WINDOW_SIZE);
    let end = (from + instruction.memory_size().size()).min(WINDOW_SIZE);
    given.data[..from].fill(0);
    given.data[end..].fill(0);
    given
}
