//! A guest of the examples: what it is packed from, how it is run, what it must print and how it must end.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::text::Text;
use crate::tools::{Run, root, run, tool};

/// Stands before the report in what a run prints on standard error.
pub const REPORT_MARK: &str = "--- report\n";

/// What is said where another backend than the embedded machine has seen a guest's end.
const OF_SECOND_RUN: &str = "  the above was seen in a second run of the image, on the emulator\n";
/// What is said where there is no emulator for a second run.
const NOT_EXPLAINED: &[&str] = &[
    "triple fault: an exception ",
    " found no handler, and neither did the double fault after it\n",
    "  which exceptions led to this would be seen in a second run, but no emulator is installed: ",
];

/// The guest that overwrites what nobody may write to.
pub(super) const OVERWRITES: &str = "guests/overwrite";

/// One run of one guest.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Name of the case.
    pub name: String,
    /// The kernel below `examples/`; `.elf` is left out.
    pub kernel: String,
    /// Its boot protocol.
    pub protocol: &'static str,
    /// Guest memory.
    pub memory: &'static str,
    /// Further lines of the manifest.
    pub lines: String,
    /// Options of `stos-run`.
    pub options: &'static [&'static str],
    /// What the guest reads from its serial port.
    pub input: &'static str,
    /// The exit status that the run must have.
    pub status: i32,
    /// The statuses that it may have on KVM instead, where the machine is another there or processors differ. What is printed
    /// may differ then, too.
    pub on_kvm: &'static [i32],
    /// The statuses that it may have on the embedded machine, where they are others than on KVM.
    pub on_embedded: &'static [i32],
    /// What the run must print on standard output.
    pub stdout: Text,
    /// What it must print instead on KVM, where the machine is another there.
    pub stdout_on_kvm: Option<Text>,
    /// What it must print on the embedded machine, where that is something else than on KVM.
    pub stdout_on_embedded: Option<Text>,
    /// What standard error must contain.
    pub stderr: &'static [&'static str],
    /// What it must contain, too, on KVM.
    pub stderr_on_kvm: &'static [&'static str],
    /// What it must not contain, the report aside.
    pub unsaid: &'static [&'static str],
    /// What it must contain, too, where an emulator is installed for a second run.
    pub explained: &'static [&'static str],
}

/// Where a run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine, which has an emulator.
    Here,
    /// In a nested VM, which has none.
    Nested,
}

impl Guest {
    /// A tiny guest of the stos protocol with 16 MiB that prints exactly `stdout` and ends with `status`.
    pub fn tiny(name: &str, kernel: &str, status: i32, stdout: &str) -> Self {
        Self {
            name: name.to_owned(),
            kernel: kernel.to_owned(),
            protocol: "stos",
            memory: "16MiB",
            lines: String::new(),
            options: &["--timeout", "60s"],
            input: "",
            status,
            on_kvm: &[],
            on_embedded: &[],
            stdout: Text::Exactly(stdout.to_owned()),
            stdout_on_kvm: None,
            stdout_on_embedded: None,
            stderr: &[],
            stderr_on_kvm: &[],
            unsaid: &[],
            explained: &[],
        }
    }

    /// An example of which only the image counts.
    pub fn example(kernel: &str) -> Self {
        Self::tiny("guest", kernel, 0, "")
    }

    /// A guest that prints `bytes` bytes of `flood` and succeeds; `words` follow in its command line.
    pub fn flood(name: &str, bytes: usize, words: &str) -> Self {
        let stdout = Text::Flood(bytes);
        Self { stdout, ..Self::tiny(name, "guests/flood", 0, "").cmdline(&format!("flood.bytes={bytes}{words}")) }
    }

    pub(super) fn options(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    /// With this command line.
    #[must_use]
    pub fn cmdline(self, words: &str) -> Self {
        Self { lines: format!("{}cmdline: {words}\n", self.lines), ..self }
    }

    pub(super) fn says(self, stderr: &'static [&'static str]) -> Self {
        Self { stderr, ..self }
    }

    /// What is only seen on KVM.
    pub(super) fn says_on_kvm(self, stderr_on_kvm: &'static [&'static str]) -> Self {
        Self { stderr_on_kvm, ..self }
    }

    pub(super) fn never_says(self, unsaid: &'static [&'static str]) -> Self {
        Self { unsaid, ..self }
    }

    /// On KVM it ends with one of these.
    pub(super) fn on_kvm(self, statuses: &'static [i32]) -> Self {
        Self { on_kvm: statuses, ..self }
    }

    /// On the embedded machine it ends with one of these.
    pub(super) fn on_embedded(self, statuses: &'static [i32]) -> Self {
        Self { on_embedded: statuses, ..self }
    }

    pub(super) fn explained(self, explained: &'static [&'static str]) -> Self {
        Self { explained, ..self }
    }

    pub(super) fn input(self, input: &'static str) -> Self {
        Self { input, ..self }
    }

    pub(super) fn memory(self, memory: &'static str) -> Self {
        Self { memory, ..self }
    }

    /// Packs the guest into `folder`; returns the image.
    ///
    /// # Panics
    /// When it can't be packed.
    pub fn pack(&self, folder: &Path) -> PathBuf {
        let mut kernel = root().join("examples").join(&self.kernel);
        if kernel.extension().is_none() {
            kernel.set_extension("elf");
        }
        assert!(kernel.is_file(), "{} is missing: run `make -C examples`", kernel.display());
        let file_name = self.name.replace(' ', "-");
        let manifest = folder.join(&file_name).with_extension("yaml");
        let text = format!(
            "version: 1\nname: {:?}\nmemory: {}\nkernel: {{path: {}, protocol: {}}}\n{}",
            self.name,
            self.memory,
            kernel.display(),
            self.protocol,
            self.lines
        );
        let image = manifest.with_extension("img");
        assert!(fs::write(&manifest, text).is_ok(), "can't write {}", manifest.display());
        let packed = run(tool("stos-pack").arg(&manifest).arg("-o").arg(&image));
        assert_eq!(packed.status, Some(0), "{}: {}", self.name, packed.stderr);
        image
    }

    /// Whether it may end or print otherwise on KVM.
    pub fn differs_on_kvm(&self) -> bool {
        !self.on_kvm.is_empty() || self.stdout_on_kvm.is_some()
    }

    /// Whether paging stays off, so that a KVM that can't page in 32 bits runs the guest, too.
    pub fn is_unpaged(&self) -> bool {
        self.protocol == "elf" && !self.lines.contains("paging")
    }

    /// Runs `image` on a backend of this machine; its report is added to standard error, after [`REPORT_MARK`].
    ///
    /// # Panics
    /// When `stos-run` can't be started.
    pub fn run(&self, backend: &str, image: &Path) -> Run {
        let report = image.with_extension(format!("{backend}.json"));
        let mut command = tool("stos-run");
        command.args(["--backend", backend, "--report"]).arg(&report).args(self.options).arg(image);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.spawn().and_then(|mut child| {
            // A guest that ends before it has read all closes the pipe; that is its right.
            let _ = child.stdin.take().map(|mut stdin| stdin.write_all(self.input.as_bytes()));
            child.wait_with_output()
        });
        match output {
            Ok(output) => {
                let run = Run::from(output);
                let report = fs::read_to_string(report).unwrap_or_default();
                Run { stderr: run.stderr + REPORT_MARK + &report, ..run }
            }
            Err(error) => panic!("{command:?}: {error}"),
        }
    }

    /// Compares a run on `backend`, in `place`, with what it must be. The embedded machine does what KVM does unless something else is said
    /// of it.
    ///
    /// # Errors
    /// Says what differs, with everything that the run printed.
    pub fn check(&self, backend: &str, found: &Run, place: Place) -> Result<(), String> {
        let (is_emulated, is_embedded) = (backend == "emulated", backend == "embedded");
        let on_embedded = self.stdout_on_embedded.as_ref().filter(|_| is_embedded);
        let stdout = on_embedded.or(self.stdout_on_kvm.as_ref().filter(|_| !is_emulated)).unwrap_or(&self.stdout);
        let mut mistakes = stdout.mistakes(&found.stdout);
        let right = match () {
            () if is_embedded && !self.on_embedded.is_empty() => self.on_embedded,
            () if !is_emulated && !self.on_kvm.is_empty() => self.on_kvm,
            () => &[self.status],
        };
        if !found.status.is_some_and(|status| right.contains(&status)) {
            mistakes.push(format!("status {:?}, expected {right:?}", found.status));
        }
        let explained = match place {
            _ if self.explained.is_empty() => &[],
            Place::Here => self.explained,
            Place::Nested => NOT_EXPLAINED,
        };
        let is_of_second_run = !self.explained.is_empty() && !is_embedded && place == Place::Here;
        let of_second_run = is_of_second_run.then_some(&OF_SECOND_RUN);
        // What is said belongs to the ending: a guest that may end otherwise on this machine is told of in other words.
        let of_kvm = if is_emulated { &[] } else { self.stderr_on_kvm };
        let of_ending =
            self.stderr.iter().chain(explained).chain(of_second_run).filter(|_| found.status == Some(self.status));
        let silent = of_ending.chain(of_kvm).filter(|text| !found.stderr.contains(**text));
        mistakes.extend(silent.map(|text| format!("{text:?} is missing on standard error")));
        let said = found.stderr.split(REPORT_MARK).next().unwrap_or_default();
        let said = self.unsaid.iter().filter(|text| said.contains(**text));
        mistakes.extend(said.map(|text| format!("{text:?} must not be on standard error")));
        // Whoever overwrites nothing is not accused of it.
        let overwrites = [OVERWRITES, "guests/hostile_memory"].contains(&&*self.kernel);
        if !overwrites && found.stderr.contains("\n  overwritten:\n") {
            mistakes.push("nothing was overwritten".to_owned());
        }
        if mistakes.is_empty() {
            return Ok(());
        }
        let stdout = if matches!(self.stdout, Text::Flood(_)) { "(too much to show)" } else { &found.stdout };
        let stderr = &found.stderr;
        Err(format!("{}\n--- standard output\n{stdout}\n--- standard error\n{stderr}", mistakes.join("\n")))
    }
}
