//! Which backends of this machine can run which guests.

use std::fs::File;

use stos_run::backend::{Backend, BackendChoice, Choice, choose};
use stos_run::outcome::{Outcome, reason};

/// Those that can run guests without paging. One that can't is named with its reason.
pub fn unpaged() -> Vec<&'static str> {
    let mut backends = vec!["embedded", "emulated"];
    match File::options().read(true).write(true).open("/dev/kvm") {
        Ok(_) => backends.push("kvm"),
        Err(error) => eprintln!("skipped on kvm: /dev/kvm: {error}"),
    }
    backends
}

/// Those that can run every guest. One that can't is named with its reason.
pub fn paged() -> Vec<&'static str> {
    let mut backends = vec!["embedded", "emulated"];
    match kvm_that_pages() {
        Ok(()) => backends.push("kvm"),
        Err(reason) => eprintln!("skipped on kvm: {reason}"),
    }
    backends
}

/// Whether this machine's KVM can page in 32 bits.
///
/// # Errors
/// Says why it can't.
pub fn kvm_that_pages() -> Result<(), String> {
    match choose(BackendChoice::Auto, None, |_| {}) {
        Ok(Choice { backend: Backend::Kvm(_), .. }) => Ok(()),
        Ok(choice) => Err(reason(&choice)),
        Err(none) => Err(Outcome::from(none).to_string()),
    }
}
