//! Looks at what guests need of a machine, part by part, and says what to do about each: `stos-run doctor`, and `--version -v`.

mod confinement;
mod emulator;
mod finding;
mod kvm;
mod limits;
mod system;
mod terminal;
#[cfg(test)]
mod testing;

use std::path::Path;

use confinement::Confinement;
use emulator::Emulator;
use finding::{Finding, State};
use kvm::Hardware;
use limits::Limits;
use stos_image::FORMAT_VERSION;
use stos_pack::diagnostics::{MESSAGE_VERSION, printable_lines};
use system::System;
use terminal::Terminal;

use crate::backend::{NoKvm, Reason, find_emulator, try_kvm};
use crate::outcome::report::REPORT_VERSION;
use crate::sandbox::has_landlock;
use crate::settings::Settings;

/// What was found.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    findings: Vec<Finding>,
    /// What guests run on, if on anything.
    runs_on: Option<&'static str>,
}

/// The backends of this machine.
struct Backends {
    kvm: Result<Reason, NoKvm>,
    emulator: Option<Emulator>,
}

impl Backends {
    fn look() -> Self {
        Self { kvm: try_kvm(), emulator: find_emulator().map(Emulator::ask) }
    }

    fn has_emulator(&self) -> bool {
        self.emulator.as_ref().is_some_and(Emulator::works)
    }

    fn findings(&self, system: &System) -> [Finding; 2] {
        let hardware = Hardware::read(Path::new("/"));
        [
            kvm::finding(&self.kvm, &hardware, system, self.has_emulator()),
            emulator::finding(self.emulator.as_ref(), system, self.kvm.is_ok()),
        ]
    }
}

impl Diagnosis {
    /// Looks at this machine.
    pub fn make() -> Self {
        let root = Path::new("/");
        let system = System::read(root);
        let backends = Backends::look();
        let mut findings = vec![Finding::good("system", system.told()), Finding::good("versions", versions())];
        findings.extend(backends.findings(&system));
        findings.push(Terminal::of_this_process().finding());
        findings.push(Limits::of_this_process().finding());
        findings.push(Confinement::read(root, has_landlock()).finding(&system));
        findings.push(settings());
        let runs_on = match (backends.kvm.is_ok(), backends.has_emulator()) {
            (true, _) => Some("KVM"),
            (false, true) => Some("the emulator"),
            (false, false) => None,
        };
        Self { findings, runs_on }
    }

    /// Whether a guest can run where nobody says on what.
    pub fn can_run(&self) -> bool {
        self.runs_on.is_some()
    }

    /// It in lines for people.
    pub fn text(&self) -> String {
        let parts: String = self.findings.iter().map(Finding::text).collect();
        let end = match self.runs_on {
            Some(backend) => format!("guests run on {backend}\n"),
            None => "guests run here with `--backend embedded` only: mend KVM or the emulator, one of them is enough\n"
                .to_owned(),
        };
        printable_lines(&(parts + &end))
    }
}

/// What is told of the versions of this program and what it writes.
fn versions() -> String {
    format!(
        "stos-run {}, image format {FORMAT_VERSION}, report {REPORT_VERSION}, messages {MESSAGE_VERSION}",
        env!("CARGO_PKG_VERSION")
    )
}

/// The lines of `--version -v`: versions, and the backends that were found.
pub fn version_and_backends() -> String {
    let system = System::read(Path::new("/"));
    let findings = Backends::look().findings(&system);
    let lines = findings.map(|Finding { part, told, .. }| format!("{part}: {told}\n"));
    printable_lines(&format!("{}\n{}", versions(), lines.concat()))
}

fn settings() -> Finding {
    const PART: &str = "settings";
    match Settings::read() {
        Ok(settings) => Finding::good(PART, settings.told()),
        Err(message) => Finding::other(PART, State::Bad, message, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_stands_below_what_was_found() {
        let findings = vec![
            Finding::good("KVM", "runs"),
            Finding::other("emulator", State::Fair, "none", vec!["get\u{1b} one".to_owned()]),
        ];
        let text = Diagnosis { findings, runs_on: Some("KVM") }.text();
        assert_eq!(
            text,
            "ok    KVM       runs\nnote  emulator  none\n                to do: get\\u{1b} one\nguests run on KVM\n"
        );
    }
}
