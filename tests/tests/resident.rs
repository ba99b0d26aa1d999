//! What a run on KVM keeps in memory, beside what its guest has touched.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read;

use stos_tests::backends::unpaged;
use stos_tests::bare::code::say;
use stos_tests::bare::{BareGuest, ImageFile, start};

/// JMP to itself.
const SPIN: [u8; 2] = [0xeb, 0xfe];
const KIB: u64 = 1024;
/// Most KiB of its own that a run may have: heap, stacks, what it has written of its variables. The program's code is not among them: all
/// runs have that together.
const OWN: u64 = 4 * KIB;
/// Most KiB by which two runs of the same guest may differ.
const NOISE: u64 = 128;

/// KiB of memory that is the run's alone, and of its page tables, when its guest has printed.
fn kept(memory: u64, content: &[u8]) -> [u64; 2] {
    let mut guest = BareGuest::new(&[&say("x")[..], &SPIN].concat()).with(2 << 20, content);
    guest.description.memory_size = memory;
    let image = ImageFile::new(&guest.image());
    let mut run = start("kvm", &["--quiet", "--timeout", "60s"], &image);
    let read = run.stdout.take().unwrap().read_exact(&mut [0]);
    let status = fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap();
    run.kill().unwrap();
    let ended = run.wait_with_output().unwrap();
    read.unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    println!("{} MiB, {} KiB of content: {status}", memory >> 20, content.len() >> 10);
    [field("RssAnon:") + field("RssShmem:"), field("VmPTE:")]
}

#[test]
fn a_run_keeps_what_its_guest_has_touched_and_little_more_however_large_that_is() {
    if !unpaged().contains(&"kvm") {
        println!("not measured: there is no /dev/kvm that can be used");
        return;
    }
    let [small, tables] = kept(16 << 20, b"");
    assert!(small <= OWN, "{small} KiB");
    let [large, more_tables] = kept(3 << 30, b"");
    assert!(large <= small + NOISE && more_tables <= tables + NOISE, "{small} and {large} KiB");
    let content = vec![1; 24 << 20];
    let [filled, _] = kept(64 << 20, &content);
    let touched = content.len() as u64 / KIB;
    assert!((touched..=touched + small + NOISE).contains(&filled), "{filled} KiB, of which {touched} are the guest's");
}
