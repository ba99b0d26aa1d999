//! A guest that uses each of the 65536 ports in each width, on the emulated backend and on this machine's KVM if it can page.
//! The nested VM's KVM, on which each access takes long, gets every port below 0x1000 and every seventh above with the other guests.

use stos_run::backend::{Backend, BackendChoice, Choice, choose};
use stos_tests::guests::Place;
use stos_tests::hostile::every_port;

#[test]
fn every_port_in_every_width_is_harmless() {
    #[allow(clippy::expect_used, reason = "a test fails by panicking")]
    let folder = tempfile::tempdir().expect("no temporary folder");
    let mut backends = vec!["emulated"];
    match choose(BackendChoice::Auto) {
        Ok(Choice { backend: Backend::Kvm(_), .. }) => backends.push("kvm"),
        other => println!("not on this machine's KVM: {:?}", other.map(|choice| choice.reason)),
    }
    for guest in every_port() {
        let image = guest.pack(folder.path());
        for backend in &backends {
            assert_eq!(
                guest.check(backend, &guest.run(backend, &image), Place::Here),
                Ok(()),
                "{} {backend}",
                guest.name
            );
        }
    }
}
