//! The guest on each backend.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stos_tests::backends::kvm_that_pages;
use stos_tests::bare::{BareGuest, ImageFile, command, flat_entry};
use stos_tests::nested::{self, NestedError, Payload};
use stos_tests::tools::tool_path;

use crate::case::Case;
use crate::layout::{CASES, MEMORY, SUPERVISOR, VARIABLES};
use crate::outcome::{Outcome, Printed, sum};
use crate::supervisor::{self, Settings};
use crate::tables::Low;

/// The most seconds of a run. In the nested VM, they are of its clock.
const LIMIT: &str = "300s";

/// Builds the command before any time is taken.
pub fn build() {
    tool_path("stos-run");
}

/// What a backend gave.
pub struct Ran {
    pub outcomes: Vec<Outcome>,
    pub time: Duration,
}

/// The guest of these cases. With what is expected, it prints only what is other than that.
fn image(cases: &[Case], expected: Option<&[Outcome]>, tells: bool) -> Vec<u8> {
    let low = Low::new();
    let bytes = |words: Vec<u32>| -> Vec<u8> { words.into_iter().flat_map(u32::to_le_bytes).collect() };
    let mut listed = bytes(cases.iter().flat_map(|case| case.words(&low)).collect());
    listed.extend([0; 4]);
    let mut expectation = Vec::new();
    for Outcome(words) in expected.unwrap_or_default() {
        expectation.push(u32::try_from(words.len()).unwrap());
        expectation.extend(words);
    }
    let expectation = bytes(expectation);
    let above = |address: u32, bytes: &[u8]| (address + u32::try_from(bytes.len()).unwrap() + 0xfff) & !0xfff;
    let expected_at = above(CASES, &listed);
    let out = above(expected_at, &expectation);
    assert!(out < MEMORY - (1 << 24), "the cases take more memory than there is");
    let settings = Settings { expected: if expected.is_some() { expected_at } else { 0 }, out, tells };
    let mut pieces = low.pieces();
    pieces.extend(supervisor::code().unwrap());
    pieces.push((VARIABLES.into(), supervisor::variables(&settings)));
    pieces.push((CASES.into(), listed));
    if !expectation.is_empty() {
        pieces.push((expected_at.into(), expectation));
    }
    let mut guest = BareGuest::entered_in(flat_entry(SUPERVISOR));
    guest.description.memory_size = MEMORY.into();
    pieces.iter().fold(guest, |guest, (at, bytes)| guest.with(*at, bytes)).image()
}

/// Reads what a run printed, and fills in what was as expected.
fn read(
    backend: &str,
    cases: &[Case],
    expected: Option<&[Outcome]>,
    status: Option<i32>,
    stdout: &[u8],
    stderr: &[u8],
) -> Vec<Outcome> {
    let said = String::from_utf8_lossy(stderr);
    assert_eq!(status, Some(0), "{backend}, after {} bytes: {said}", stdout.len());
    let printed = Printed::read(stdout).unwrap_or_else(|| panic!("{backend}: {} bytes are damaged", stdout.len()));
    assert_eq!(printed.cases as usize, cases.len(), "{backend}");
    let mut records = printed.records;
    let outcomes: Vec<Outcome> = (0..printed.cases)
        .map(|number| {
            let known = || expected.and_then(|expected| expected.get(number as usize)).cloned();
            records.remove(&number).or_else(known).unwrap_or_else(|| panic!("{backend} has no record of case {number}"))
        })
        .collect();
    assert_eq!(printed.sum, sum(&outcomes), "{backend}: the records are not those that the guest has summed up");
    outcomes
}

/// Runs the cases on a backend of this machine.
pub fn run(backend: &str, cases: &[Case], expected: Option<&[Outcome]>) -> Ran {
    let file = ImageFile::new(&image(cases, expected, false));
    let begun = Instant::now();
    let mut command = command(&["--backend", backend, "--timeout", LIMIT], &file.path());
    let ended = command.stdin(Stdio::null()).output().unwrap();
    let time = begun.elapsed();
    if ended.status.code() != Some(0) {
        culprit(backend, cases);
    }
    Ran { outcomes: read(backend, cases, expected, ended.status.code(), &ended.stdout, &ended.stderr), time }
}

/// Runs the cases on QEMU.
///
/// # Errors
/// Says why there is none.
pub fn run_on_qemu(cases: &[Case], expected: &[Outcome]) -> Result<Ran, String> {
    let asked = Command::new("qemu-system-i386").arg("--version").output();
    asked.map_err(|error| format!("qemu-system-i386: {error}"))?;
    Ok(run("emulated", cases, Some(expected)))
}

/// Names the case that a backend does not survive.
fn culprit(backend: &str, cases: &[Case]) {
    let file = ImageFile::new(&image(cases, None, true));
    let ended = command(&["--backend", backend, "--timeout", "60s"], &file.path()).output().unwrap();
    let numbers = ended.stdout.as_chunks::<4>().0;
    let last =
        numbers.iter().map(|number| u32::from_le_bytes(*number)).zip(0..).take_while(|(number, at)| number == at);
    if let Some(case) = last.last().and_then(|(number, _)| cases.get(number as usize)) {
        println!("{backend} does not come behind {}", crate::told(case));
    }
}

/// Runs the cases on a KVM that can page: this machine's, or the nested VM's.
///
/// # Errors
/// Says what is missing for a nested VM.
pub fn run_on_kvm(cases: &[Case], expected: &[Outcome]) -> Result<(&'static str, Ran), String> {
    let Err(reason) = kvm_that_pages() else { return Ok(("this machine's KVM", run("kvm", cases, Some(expected)))) };
    println!("the nested VM's KVM is used, not this machine's: {reason}");
    let folder = tempfile::tempdir().unwrap();
    let save = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let file = save("cases.img", &image(cases, Some(expected), false));
    let payload = Payload { binaries: vec![tool_path("stos-run")], files: vec![(file, "/cases.img".to_owned())] };
    let argv = ["stos-run", "--backend", "kvm", "--timeout", LIMIT, "/cases.img"].map(str::to_owned).to_vec();
    let case = nested::Case { name: "cases".to_owned(), argv, stdin: None, hide_sys: false, timeout_seconds: 400 };
    let begun = Instant::now();
    let results = match nested::run(&payload, &[case]) {
        Err(error @ NestedError::MissingProgram(_)) => return Err(error.to_string()),
        results => results.unwrap_or_else(|error| panic!("{error}")),
    };
    let time = begun.elapsed();
    let ended = &results[0];
    let outcomes = read("nested KVM", cases, Some(expected), ended.status, &ended.stdout, &ended.stderr);
    Ok(("nested KVM", Ran { outcomes, time }))
}
