//! Every guest on the emulated backend, on the embedded machine and on a KVM that can page in 32 bits: this machine's where it can, else the one in
//! the nested VM. Guests that leave paging off run on this machine's in any case. Each run is a test of its own; so is, for
//! each guest, that both backends show the same. A table of the runs is left in `target/tmp/guests.md`.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::{fs, io};

use jsonschema::Validator;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use stos_image::Digest;
use stos_tests::backends::{self, kvm_that_pages};
use stos_tests::guests::{self, Guest, REPORT_MARK};
use stos_tests::nested::{self, NestedError, Payload};
use stos_tests::tools::{Run, tool_path};

/// A guest, with its image and its run on the emulated backend once somebody asks for them.
struct Case {
    guest: Guest,
    folder: PathBuf,
    image: OnceLock<PathBuf>,
    emulated: OnceLock<Run>,
}

impl Case {
    fn image(&self) -> &Path {
        self.image.get_or_init(|| self.guest.pack(&self.folder))
    }

    fn emulated(&self) -> &Run {
        self.emulated.get_or_init(|| self.guest.run("emulated", self.image()))
    }
}

fn main() -> io::Result<ExitCode> {
    let arguments = Arguments::from_args();
    let folder = tempfile::tempdir()?;
    let case = |guest| {
        let folder = folder.path().to_owned();
        Case { guest, folder, image: OnceLock::new(), emulated: OnceLock::new() }
    };
    let cases: Arc<Vec<Case>> = Arc::new(guests::all().into_iter().map(case).collect());
    let (way, kvm) = match kvm_that_pages() {
        Ok(()) => ("this machine's KVM", Kvm::Host),
        Err(reason) => {
            println!("the nested VM's KVM is used, not this machine's: {reason}");
            let cases = Arc::clone(&cases);
            ("nested KVM", Kvm::Nested(Arc::new(LazyLock::new(Box::new(move || run_nested(&cases))))))
        }
    };

    let mut trials = Vec::new();
    for index in 0..cases.len() {
        let name = &cases[index].guest.name;
        let these = Arc::clone(&cases);
        trials.push(Trial::test(format!("emulated: {name}"), move || {
            let case = &these[index];
            note(&case.guest, "emulated", case.emulated());
            case.guest.check("emulated", case.emulated())?;
            check_report(case.emulated(), "emulated").map_err(Failed::from)
        }));
        let these = Arc::clone(&cases);
        trials.push(Trial::test(format!("embedded: {name}"), move || {
            let case = &these[index];
            let run = case.guest.run("embedded", case.image());
            note(&case.guest, "embedded", &run);
            case.guest.check("embedded", &run)?;
            check_report(&run, "embedded").map_err(Failed::from)
        }));
        let (these, way_in) = (Arc::clone(&cases), kvm.clone());
        trials.push(Trial::test(format!("{way}: {name}"), move || {
            let case = &these[index];
            let run = match &way_in {
                Kvm::Host => case.guest.run("kvm", case.image()),
                Kvm::Nested(runs) => runs.as_ref().as_ref().map_err(Failed::from)?[index].clone(),
            };
            note(&case.guest, way, &run);
            case.guest.check("kvm", &run)?;
            check_report(&run, "kvm")?;
            let emulated = case.emulated();
            if case.guest.differs_on_kvm() || (run.status, &run.stdout) == (emulated.status, &emulated.stdout) {
                return Ok(());
            }
            Err(format!("the backends differ\n--- KVM\n{}\n--- emulated\n{}", run.stdout, emulated.stdout).into())
        }));
    }
    if let Kvm::Nested(runs) = &kvm {
        trials.extend(on_host(&cases));
        for (offset, (name, sentence)) in AUTO.iter().enumerate() {
            let (runs, index) = (Arc::clone(runs), cases.len() + offset);
            trials.push(Trial::test(format!("nested KVM: {name}"), move || {
                let run = &runs.as_ref().as_ref().map_err(Failed::from)?[index];
                if run.status == Some(0) && run.stdout.contains("Loading complete") && run.stderr.contains(sentence) {
                    return Ok(());
                }
                Err(format!("expected status 0 and {sentence:?} on standard error: {run:?}").into())
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests.md"), rows().join(""))?;
    Ok(conclusion.exit_code())
}

/// Rows of a table: guest, backend, status, sentence.
static ROWS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Adds a run to the table.
fn note(guest: &Guest, way: &str, run: &Run) {
    let report: Option<Value> = run.stderr.rsplit_once(REPORT_MARK).and_then(|(_, report)| report.parse().ok());
    let sentence = report.and_then(|report| report["outcome"]["sentence"].as_str().map(str::to_owned));
    let status = run.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
    let row = format!("| {} | {way} | {status} | {} |\n", guest.name, sentence.unwrap_or_default().replace('|', "\\|"));
    ROWS.lock().unwrap_or_else(PoisonError::into_inner).push(row);
}

/// The table, a guest's rows together.
fn rows() -> Vec<String> {
    let mut rows = ROWS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    rows.sort();
    rows.splice(
        0..0,
        ["| guest | backend | status | what stos-run says |\n".to_owned(), "|---|---|---|---|\n".to_owned()],
    );
    rows
}

/// Checks the report of a run on `backend` against the schema and against what the run printed.
fn check_report(run: &Run, backend: &str) -> Result<(), String> {
    static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
        let schema = stos_run::report::schema().parse().expect("the schema is JSON");
        jsonschema::draft202012::new(&schema).expect("the schema is one")
    });
    let (said, report) = run.stderr.rsplit_once(REPORT_MARK).ok_or("no report")?;
    let report: Value = report.parse().map_err(|error| format!("the report is no JSON: {error}"))?;
    let errors: Vec<String> = VALIDATOR.iter_errors(&report).map(|error| error.to_string()).collect();
    let success = report["outcome"]["success"] == true;
    let sees_ports = backend != "emulated";
    let facts = [
        ("the schema", errors.is_empty()),
        ("status", report["status"].as_i64() == run.status.map(i64::from)),
        ("success", success == (run.status == Some(0))),
        ("backend", report["backend"]["kind"] == backend),
        ("size", report["serial"]["size"] == run.stdout.len()),
        ("digest", report["serial"]["digest"] == Digest::of(run.stdout.as_bytes()).to_string()),
        ("sentence", report["outcome"]["sentence"].as_str().is_some_and(|sentence| said.contains(sentence))),
        ("wall time", report["time"]["wall_ms"].as_f64().is_some_and(|time| time > 0.0)),
        ("processor time", report["time"]["guest_cpu_ms"].is_number()),
        ("exits", report["exits"]["port_writes"].as_u64().is_some() == sees_ports),
        ("ports", report["ports"].is_object() == sees_ports),
    ];
    let wrong: Vec<&str> = facts.iter().filter(|(_, holds)| !holds).map(|(name, _)| *name).collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("the report is wrong in {wrong:?} {errors:?}: {report:#}\n{said}"))
    }
}

/// Guests that leave paging off, on this machine's KVM although it can't page; none where there is no KVM.
fn on_host(cases: &Arc<Vec<Case>>) -> Vec<Trial> {
    let has_kvm = backends::unpaged().contains(&"kvm");
    let unpaged = (0..cases.len()).filter(|index| has_kvm && cases[*index].guest.is_unpaged());
    let trial = |index: usize| {
        let these = Arc::clone(cases);
        Trial::test(format!("this machine's KVM: {}", these[index].guest.name), move || {
            let case = &these[index];
            let run = case.guest.run("kvm", case.image());
            note(&case.guest, "this machine's KVM", &run);
            case.guest.check("kvm", &run)?;
            check_report(&run, "kvm").map_err(Failed::from)
        })
    };
    unpaged.map(trial).collect()
}

/// What `--backend auto` must do on a KVM that can page, and say: from the loaded module, and by its probe guest when
/// there is no `/sys` to tell.
const AUTO: [(&str, &str); 2] = [("auto knows kvm_amd", "kvm_amd"), ("auto probes without /sys", "probe")];

type NestedRuns = LazyLock<Result<Vec<Run>, String>, Box<dyn FnOnce() -> Result<Vec<Run>, String> + Send>>;

#[derive(Clone)]
enum Kvm {
    Host,
    Nested(Arc<NestedRuns>),
}

/// All guests in one boot, then ministos as [`AUTO`] says.
fn run_nested(cases: &[Case]) -> Result<Vec<Run>, String> {
    let inside = |index: usize| format!("/images/{index}.img");
    let case = |index: usize, backend: &str, hide_sys| {
        let guest = &cases[index].guest;
        let script = format!(
            "stos-run --report /tmp/report \"$@\"; end=$?; {{ printf '{}'; cat /tmp/report; }} >&2; exit $end",
            REPORT_MARK.escape_default()
        );
        let mut argv = ["sh", "-c", &script, "sh", "--backend", backend].map(str::to_owned).to_vec();
        argv.extend(guest.options.iter().map(|&option| option.to_owned()));
        argv.push(inside(index));
        let stdin = Some(guest.input.as_bytes().to_vec());
        nested::Case { name: guest.name.clone(), argv, stdin, hide_sys, timeout_seconds: 90 }
    };
    let mut runs: Vec<nested::Case> = (0..cases.len()).map(|index| case(index, "kvm", false)).collect();
    runs.push(case(0, "auto", false));
    runs.push(case(0, "auto", true));
    let files = cases.iter().enumerate().map(|(index, case)| (case.image().to_owned(), inside(index))).collect();
    let payload = Payload { binaries: vec![tool_path("stos-run")], files };
    let results = nested::run(&payload, &runs).or_else(|error| match error {
        // The emulated machine can lose an interrupt and stand still; a case that hangs is ended by its own limit.
        NestedError::TimeLimit { .. } => {
            println!("{error}\nbooting the nested VM once more");
            nested::run(&payload, &runs)
        }
        error => Err(error),
    });
    let results = results.map_err(|error| error.to_string())?;
    Ok(results.into_iter().map(Run::from).collect())
}
