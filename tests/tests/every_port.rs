//! A guest that uses each of the 65536 ports in each width, on the emulated backend and on this machine's KVM if it can page.
//! The nested VM's KVM, on which each access takes long, gets every port below 0x1000 and every seventh above with the other guests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use stos_tests::backends;
use stos_tests::guests::every_port;

#[test]
fn every_port_in_every_width_is_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let backends = backends::paged();
    for guest in every_port() {
        let image = guest.pack(folder.path());
        for backend in &backends {
            let run = guest.run(backend, &image);
            assert_eq!(guest.check(backend, &run), Ok(()), "{} {backend}", guest.name);
        }
    }
}
