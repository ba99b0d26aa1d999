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

use clap::ValueEnum;
use confinement::Confinement;
use emulator::Emulator;
use finding::{Finding, State};
use kvm::Hardware;
use limits::Limits;
use stos_image::FORMAT_VERSION;
use stos_pack::diagnostics::{MESSAGE_VERSION, printable_lines};
use system::System;
use terminal::Terminal;

use crate::backend::{BackendChoice, NoEmulator, NoKvm, Reason, find_emulator, try_kvm};
use crate::outcome::report::REPORT_VERSION;
use crate::sandbox;
use crate::settings::Settings;

/// What was found.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    findings: Vec<Finding>,
    /// What guests run on where the command line does not say on what.
    runs_on: &'static str,
}

/// The backends of this machine.
struct Backends {
    kvm: Result<Reason, NoKvm>,
    emulator: Result<Emulator, NoEmulator>,
}

impl Backends {
    fn look() -> Self {
        Self { kvm: try_kvm(), emulator: find_emulator().map(Emulator::ask) }
    }

    /// What is told of them where `named` is the one that the settings name.
    fn findings(&self, system: &System, named: Option<BackendChoice>) -> [Finding; 3] {
        let hardware = Hardware::read(Path::new("/"));
        let is_named = |choice| named == Some(choice);
        [
            kvm::finding(&self.kvm, &hardware, system, is_named(BackendChoice::Kvm)),
            Finding::good("embedded", format!("the machine that is part of stos-run {}", env!("CARGO_PKG_VERSION"))),
            emulator::finding(&self.emulator, system, is_named(BackendChoice::Emulated)),
        ]
    }
}

impl Diagnosis {
    /// Looks at this machine.
    pub fn make() -> Self {
        let root = Path::new("/");
        let system = System::read(root);
        let backends = Backends::look();
        let settings = Settings::read();
        let mut findings = vec![Finding::good("system", system.told()), Finding::good("versions", versions())];
        findings.extend(backends.findings(&system, named(&settings)));
        findings.push(Terminal::of_this_process().finding());
        findings.push(Limits::of_this_process().finding());
        findings.push(if sandbox::IS_THERE {
            Confinement::read(root, sandbox::has_landlock()).finding(&system)
        } else {
            confinement::none()
        });
        findings.push(of_settings(&settings));
        let runs_on = match named(&settings) {
            Some(BackendChoice::Kvm) => "KVM, as the settings say",
            Some(BackendChoice::Emulated) => "the emulator, as the settings say",
            Some(BackendChoice::Embedded) => "the embedded machine, as the settings say",
            _ if backends.kvm.is_ok() => "KVM",
            _ => "the embedded machine",
        };
        Self { findings, runs_on }
    }

    /// Whether nothing is to be mended.
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.state != State::Bad)
    }

    /// It in lines for people.
    pub fn text(&self) -> String {
        let parts: String = self.findings.iter().map(Finding::text).collect();
        printable_lines(&format!("{parts}guests run on {}\n", self.runs_on))
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
    let findings = Backends::look().findings(&system, named(&Settings::read()));
    let lines = findings.map(|Finding { part, told, .. }| format!("{part}: {told}\n"));
    printable_lines(&format!("{}\n{}", versions(), lines.concat()))
}

/// The backend that the settings name.
fn named(settings: &Result<Settings, String>) -> Option<BackendChoice> {
    BackendChoice::from_str(settings.as_ref().ok()?.backend()?, false).ok()
}

fn of_settings(settings: &Result<Settings, String>) -> Finding {
    const PART: &str = "settings";
    match settings {
        Ok(settings) => Finding::good(PART, settings.told()),
        Err(message) => Finding::other(PART, State::Bad, message.clone(), Vec::new()),
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
        let diagnosis = Diagnosis { findings, runs_on: "KVM" };
        assert!(diagnosis.is_well());
        assert_eq!(
            diagnosis.text(),
            "ok    KVM       runs\nnote  emulator  none\n                to do: get\\u{1b} one\nguests run on KVM\n"
        );
    }
}
