//! A KVM that was asked for by name and can't turn 32-bit paging on: it shows that in the guest's own code, when the run can open nothing
//! any more.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use stos_tests::backends::{kvm_that_pages, unpaged};
use stos_tests::guests::Guest;

#[test]
fn a_kvm_that_refuses_paging_is_told_as_that() {
    if !unpaged().contains(&"kvm") {
        return println!("skipped: there is no KVM here");
    }
    if kvm_that_pages().is_ok() {
        return println!("skipped: this machine's KVM turns paging on");
    }
    let guest = Guest::tiny("refused paging", "guests/halt", 103, "");
    let folder = tempfile::tempdir().unwrap();
    let run = guest.run("kvm", &guest.pack(folder.path()));
    assert_eq!((run.status, &*run.stdout), (Some(103), ""), "{}", run.stderr);
    assert!(run.stderr.contains("the host's KVM refuses to turn on 32-bit paging"), "{}", run.stderr);
}
