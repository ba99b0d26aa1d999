//! A guest that prints three million bytes loses none of them, on the emulated backend and on this machine's KVM if it can
//! page.

use stos_run::backend::{Backend, BackendChoice, Choice, choose};
use stos_tests::guests::{Guest, Place};

fn arrives(words: &str) {
    let guest = Guest::flood("much output", 3_000_000, words);
    #[allow(clippy::expect_used, reason = "a test fails by panicking")]
    let folder = tempfile::tempdir().expect("no temporary folder");
    let image = guest.pack(folder.path());
    let mut backends = vec!["emulated"];
    if let Ok(Choice { backend: Backend::Kvm(_), .. }) = choose(BackendChoice::Auto) {
        backends.push("kvm");
    }
    for backend in backends {
        assert_eq!(guest.check(backend, &guest.run(backend, &image), Place::Here), Ok(()), "{backend}");
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
