//! Thousands of small cases of system instructions and faults end alike on the embedded machine, on QEMU and on KVM.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_imports, reason = "the layout of the guest's memory is the language of the cases")]

mod areas;
mod case;
mod differences;
mod layout;
mod outcome;
mod runs;
mod supervisor;
mod tables;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use iced_x86::{Decoder, DecoderOptions, Formatter, GasFormatter};

use case::{Case, VM};
use outcome::Outcome;
use runs::Ran;

/// There are more cases than that.
const LEAST: usize = 15_000;
/// How many cases of an area are executed unless all are asked for.
const SAMPLE: usize = 600;
/// Differences that are shown of each kind.
const SHOWN: usize = 2;

/// A case in words, with its code.
fn told(case: &Case) -> String {
    let is_v86 = case.eflags & VM != 0;
    let bits = if is_v86 { 16 } else { 32 };
    let mut code = String::new();
    let mut formatter = GasFormatter::new();
    for instruction in &mut Decoder::with_ip(bits, &case.code, case.eip.into(), DecoderOptions::NONE) {
        formatter.format(&instruction, &mut code);
        code.push_str("; ");
    }
    let level = if is_v86 { 3 } else { case.cs & 3 };
    format!("{}: {} | level {level} | {code}", case.area, case.text)
}

/// The outcomes that are others than those of the embedded machine and that no reviewed difference explains.
fn compare(backend: &str, cases: &[Case], ours: &[Outcome], theirs: &[Outcome]) -> String {
    let mut known = BTreeMap::<String, usize>::new();
    let mut unknown = BTreeMap::<(&str, u8, u8, String), Vec<String>>::new();
    for (number, (case, (our, their))) in cases.iter().zip(ours.iter().zip(theirs)).enumerate() {
        if our == their {
            continue;
        }
        if let Some(names) = differences::of(case, our, their) {
            for name in names {
                *known.entry(name).or_default() += 1;
            }
            continue;
        }
        let changes = our.differences(their);
        // Alike are those in which the same fields differ.
        let fields: Vec<&str> = changes.split(" > ").map(|part| part.rsplit(' ').nth(1).unwrap_or_default()).collect();
        let text = format!("case {number}: {}\n  embedded: {our}\n  {backend}:{changes}\n", told(case));
        unknown.entry((case.area, our.vector(), their.vector(), fields.join(" "))).or_default().push(text);
    }
    for (name, count) in known {
        println!("{count:6} times on {backend}: {name}");
    }
    let mut text = String::new();
    for ((area, our, their, _), cases) in unknown {
        writeln!(text, "--- {backend}, {area}, vector {our:#x} here and {their:#x} there: {} cases", cases.len())
            .unwrap();
        text.extend(cases.into_iter().take(SHOWN));
    }
    text
}

/// Those of all cases that are asked for: a sample of each area unless `SYSTEM_CASES` is "all".
fn chosen() -> Vec<Case> {
    let all = areas::all();
    let cases =
        if std::env::var("SYSTEM_CASES").as_deref() == Ok("all") { all.clone() } else { areas::sample(&all, SAMPLE) };
    let count = |cases: &[Case]| {
        let mut counts = BTreeMap::<&str, usize>::new();
        for case in cases {
            *counts.entry(case.area).or_default() += 1;
        }
        counts
    };
    for (area, (count, all)) in
        count(&cases).iter().zip(count(&all)).map(|((area, count), (_, all))| (area, (count, all)))
    {
        println!("{count:6} of {all:6} {area}");
    }
    println!("{:6} of {:6}", cases.len(), all.len());
    assert!(cases.len() > LEAST, "only {} cases", cases.len());
    cases
}

/// The cases that the embedded machine ends otherwise than the manual says.
fn against_manual(cases: &[Case], ours: &[Outcome]) -> String {
    let mut wrong = String::new();
    for (case, our) in cases.iter().zip(ours) {
        if let Some(vector) = case.manual.filter(|vector| *vector != our.vector()) {
            writeln!(wrong, "the manual has vector {vector:#x} for {}\n  embedded: {our}", told(case)).unwrap();
        }
    }
    wrong
}

#[test]
fn cases_end_alike_on_all_backends() {
    let cases = chosen();
    runs::build();
    let Ran { outcomes: ours, time } = runs::run("embedded", &cases, None);
    println!("embedded: {time:.1?}");
    let mut wrong = against_manual(&cases, &ours);
    // KVM prints what is otherwise than on QEMU, which is less than what is otherwise than here: it prints slowly.
    let mut expected = ours.clone();
    match runs::run_on_qemu(&cases, &ours) {
        Ok(Ran { outcomes, time }) => {
            println!("emulated: {time:.1?}");
            wrong += &compare("emulated", &cases, &ours, &outcomes);
            expected = outcomes;
        }
        Err(reason) => println!("skipped on emulated: {reason}"),
    }
    match runs::run_on_kvm(&cases, &expected) {
        Ok((backend, Ran { outcomes, time })) => {
            println!("{backend}: {time:.1?}, with the VM's boot where it is nested");
            wrong += &compare(backend, &cases, &ours, &outcomes);
        }
        Err(reason) => println!("skipped on kvm: {reason}"),
    }
    assert!(wrong.is_empty(), "{wrong}");
}
