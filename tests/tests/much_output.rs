//! A guest that prints three million bytes loses none of them, on the emulated backend and on this machine's KVM if it can
//! page.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use stos_tests::backends;
use stos_tests::guests::Guest;

fn arrives(words: &str) {
    let guest = Guest::flood("much output", 3_000_000, words);
    let folder = tempfile::tempdir().unwrap();
    let image = guest.pack(folder.path());
    for backend in backends::paged() {
        assert_eq!(guest.check(backend, &guest.run(backend, &image)), Ok(()), "{backend}");
    }
}

#[test]
fn byte_by_byte() {
    arrives("");
}

#[test]
fn by_rep_outsb() {
    arrives(" flood.rep=1");
}
