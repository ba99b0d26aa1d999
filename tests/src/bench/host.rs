//! The machine on which something was measured, and the programs that took part.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::contestant::{find, kvm};
use crate::tools::{root, run};

/// KVM's modules for processors.
const MODULES: [&str; 3] = ["kvm_pvm", "kvm_intel", "kvm_amd"];

/// What a figure depends on.
#[derive(Clone, Debug)]
pub struct Host {
    /// When, in UTC, as ISO 8601 has it.
    pub date: String,
    /// The machine's name.
    pub name: String,
    /// The kernel's release.
    pub kernel: String,
    /// Which KVM there is, or why none.
    pub kvm: String,
    /// The processor.
    pub cpu: String,
    /// Processors that this process may use.
    pub cpus: usize,
    /// Processes that were running or waiting, over the last minute, when the measurement began.
    pub load: String,
    /// The commit, with a mark when there are changes that it does not have.
    pub commit: String,
    /// Programs and what they say of their version.
    pub versions: Vec<(&'static str, String)>,
}

impl Host {
    /// This machine, now; the `stos-run` that is measured is `program`.
    pub fn now(program: &Path) -> Self {
        let file = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let cpuinfo = file("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let mut versions = vec![("stos-run", first_line(&mut Command::new(program), "--version"))];
        for program in ["qemu-system-x86_64", "lkvm", "solo5-hvt", "firecracker", "cloud-hypervisor"] {
            if let Some(path) = find(program) {
                versions.push((program, first_line(&mut Command::new(path), "--version")));
            }
        }
        Self {
            date: first_line(Command::new("date").arg("-u"), "+%Y-%m-%dT%H:%M:%SZ"),
            name: file("/proc/sys/kernel/hostname"),
            kernel: file("/proc/sys/kernel/osrelease"),
            kvm: kvm().map_or_else(|reason| format!("none ({reason})"), |()| module().to_owned()),
            cpu: model.map_or("unknown", |(_, model)| model.trim()).to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            load: file("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            commit: first_line(Command::new("git").current_dir(root()).args(["describe", "--always"]), "--dirty"),
            versions,
        }
    }

    /// In one line.
    pub fn line(&self) -> String {
        let Self { date, name, kernel, kvm, cpu, cpus, load, commit, versions: _ } = self;
        format!("{date} · {name} · Linux {kernel} · KVM: {kvm} · {cpus} × {cpu} · load {load} · commit {commit}")
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let Self { date, name, kernel, kvm, cpu, cpus, load, commit, versions } = self;
        let versions: serde_json::Map<String, Value> =
            versions.iter().map(|(program, version)| ((*program).to_owned(), json!(version))).collect();
        json!({
            "date": date, "name": name, "kernel": kernel, "kvm": kvm, "cpu": cpu, "cpus": cpus, "load": load,
            "commit": commit, "versions": versions,
        })
    }
}

fn module() -> &'static str {
    let is_loaded = |module: &&&str| Path::new("/sys/module").join(module).exists();
    MODULES.iter().find(is_loaded).copied().unwrap_or("of an unknown kind")
}

fn first_line(command: &mut Command, argument: &str) -> String {
    let ended = run(command.arg(argument));
    ended.stdout.lines().next().unwrap_or_default().to_owned()
}
