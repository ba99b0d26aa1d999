//! The time of the embedded machine is the number of its instructions: limits count it, runs are equal to the last byte, and neither the
//! host's load nor whoever sends or reads something changes what a guest does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::{Write, pipe};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::io::ioctl_fionread;
use serde_json::Value;
use stos_tests::bare::code::{CRASH, SPIN, exit, print, say};
use stos_tests::bare::{BareGuest, ImageFile};
use stos_tests::guests::Guest;
use stos_tests::process::wait_until;
use stos_tests::tools::{Run, run, tool};
use tempfile::TempDir;

/// What the guest does whose every word depends on when things happen.
#[derive(Clone, Copy)]
enum Mode {
    Serial,
    Keyboard,
    Waits,
}

fn clockwork(folder: &TempDir, mode: Mode) -> PathBuf {
    let entry = format!("entry: {{registers: {{eax: {}, esp: 0x180000}}}}\n", mode as u32);
    let guest = Guest { protocol: "elf", memory: "2MiB", lines: entry, ..Guest::example("elf/clockwork") };
    guest.pack(folder.path())
}

/// Runs an image on the embedded machine with this for its input, and gives the report, too.
fn run_image(image: &Path, options: &[&str], input: impl Into<Stdio>) -> (Run, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let mut command = tool("stos-run");
    let command = command.args(["--backend", "embedded", "-q", "--report"]).arg(&path).args(options).arg(image);
    let output = command.stdin(input).output().unwrap();
    let ran = Run::new(output.status.code(), &output.stdout, &output.stderr);
    (ran, fs::read_to_string(&path).unwrap().parse().unwrap())
}

/// What of a report is the same in every run: all but times of this machine's.
fn lasting(mut report: Value) -> Value {
    for key in ["wall_ms", "guest_cpu_ms"] {
        assert!(report["time"][key].take().is_number(), "{key}");
    }
    report
}

/// An input of so many bytes, the last of which is what the guest waits for.
fn input(folder: &TempDir, size: usize) -> PathBuf {
    let path = folder.path().join("input");
    let mut bytes: Vec<u8> = (b'a'..b'q').cycle().take(size - 1).collect();
    bytes.push(b'q');
    fs::write(&path, bytes).unwrap();
    path
}

/// Runs it three times, once beside threads that take all processors, and gives what was the same each time.
fn run_thrice(image: &Path, options: &[&str], input: Option<&Path>) -> (Run, Value) {
    let once = || {
        let stdin = input.map_or(Stdio::null(), |path| File::open(path).unwrap().into());
        let (ran, report) = run_image(image, options, stdin);
        (ran, lasting(report))
    };
    let first = once();
    let is_over = AtomicBool::new(false);
    let busy = || {
        while !is_over.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    };
    let under_load = thread::scope(|scope| {
        (0..4).for_each(|_| drop(scope.spawn(busy)));
        let found = once();
        is_over.store(true, Ordering::Relaxed);
        found
    });
    for (ran, report) in [once(), under_load] {
        assert_eq!((ran.status, &ran.stdout, &ran.stderr), (first.0.status, &first.0.stdout, &first.0.stderr));
        assert_eq!(report, first.1);
    }
    first
}

#[test]
fn runs_are_equal_to_the_last_byte_and_register_with_timers_and_input_under_any_load() {
    let folder = tempfile::tempdir().unwrap();
    // More than waits anywhere on the way.
    let bytes = input(&folder, 12_000);
    let image = clockwork(&folder, Mode::Serial);
    let (ran, report) = run_thrice(&image, &[], Some(&bytes));
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains(" of the APIC\n0x"), "{}", ran.stdout);
    let (paced, of_paced) = run_image(&image, &["--pace", "real"], File::open(&bytes).unwrap());
    assert_eq!((paced.status, paced.stdout), (ran.status, ran.stdout.clone()));
    assert_eq!(of_paced["input"], report["input"], "a file's bytes come at the same times of the guest's at each pace");
    let taken = report["input"]["taken"].as_array().unwrap();
    let size: usize = taken.iter().map(|one| one["bytes"].as_str().unwrap().len() / 2).sum();
    assert_eq!((size, &report["input"]["is_cut"], &taken[0]["at_ns"]), (12_000, &false.into(), &0.into()));
    let times: Vec<u64> = taken.iter().map(|one| one["at_ns"].as_u64().unwrap()).collect();
    assert!(times.is_sorted() && times.len() > 2, "{times:?}");
    assert!(times.last() < report["time"]["guest_ns"].as_u64().as_ref());

    let (ran, report) =
        run_thrice(&clockwork(&folder, Mode::Keyboard), &["--keyboard", "ps2"], Some(&input(&folder, 5000)));
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    assert_eq!(report["input"]["taken"][0]["device"], "keyboard");
}

#[test]
fn runs_that_end_at_a_limit_or_in_a_crash_are_equal_too() {
    let folder = tempfile::tempdir().unwrap();
    let image = clockwork(&folder, Mode::Serial);
    for (options, status) in
        [(&["--timeout", "77ms"][..], 124), (&["--timeout", "1h", "--limit-instructions", "4567891"], 124)]
    {
        let (ran, report) = run_thrice(&image, options, None);
        assert_eq!(ran.status, Some(status), "{options:?}: {}", ran.stderr);
        assert_eq!(report["looks"].as_array().unwrap().len(), 8, "{options:?}");
    }
    let crash = ImageFile::new(&BareGuest::new(&[&say("before\n")[..], &CRASH].concat()).image());
    let (ran, report) = run_thrice(&crash.path(), &[], None);
    assert_eq!((ran.status, &*ran.stdout), (Some(100), "before\n"));
    assert!(report["instructions"].as_u64().unwrap() > 10);
}

/// Counts EBX down to nothing, with so many reads of a port of a microsecond each.
fn pause(count: u32) -> Vec<u8> {
    // mov ebx, COUNT; in al, 0x80; dec ebx; jnz
    [&[0xbb][..], &count.to_le_bytes(), &[0xe4, 0x80, 0x4b, 0x75, 0xfb]].concat()
}

/// Prints a dot for each 64 such reads, which it counts in EBX, for ever.
const DOTS: [u8; 21] =
    [0xe4, 0x80, 0x43, 0xf7, 0xc3, 63, 0, 0, 0, 0x75, 0xf5, 0xb0, b'.', 0xba, 0xf8, 0x03, 0, 0, 0xee, 0xeb, 0xeb];

#[test]
fn runs_that_end_by_what_the_guest_prints_are_equal_too() {
    let guest = |code: &[&[u8]]| ImageFile::new(&BareGuest::new(&code.concat()).image());
    let endless = guest(&[&say("one\n"), &pause(20_000), &say("two\n"), &DOTS]);
    for (options, status, kind, size) in [
        (&["--until", "two"][..], 0, "until", None),
        (&["--until", "^two$", "--pace", "real"], 0, "until", None),
        (&["--reject", "two"], 105, "rejected", None),
        (&["--expect", "one", "--expect", "two"], 0, "expected", None),
        (&["--max-output", "1000"], 107, "too_much_output", Some(1000)),
        (&["--until", "three", "--timeout", "50ms"], 124, "time_limit", None),
    ] {
        let (ran, report) = run_thrice(&endless.path(), options, None);
        assert_eq!(
            (ran.status, &report["outcome"]["kind"]),
            (Some(status), &kind.into()),
            "{options:?}: {}",
            ran.stderr
        );
        assert!(ran.stdout.starts_with("one\ntwo\n"), "{options:?}");
        assert!(size.is_none_or(|size| report["serial"]["size"] == size), "{options:?}");
    }
}

#[test]
fn the_grace_after_all_that_was_expected_is_time_of_the_guests_own() {
    for (microseconds, status, kind) in [(190_000, 3, "exited"), (210_000, 0, "expected")] {
        let code = [say("ready\n"), pause(microseconds), exit(3)].concat();
        let image = ImageFile::new(&BareGuest::new(&code).image());
        let (ran, report) = run_thrice(&image.path(), &["--expect", "ready"], None);
        assert_eq!(
            (ran.status, &report["outcome"]["kind"]),
            (Some(status), &kind.into()),
            "{microseconds}: {}",
            ran.stderr
        );
    }
}

#[test]
fn what_is_found_on_the_screen_ends_a_run_at_the_same_instruction() {
    // mov dword [0xb8000], "ok" in grey
    let write = [0xc7, 0x05, 0, 0x80, 0x0b, 0, b'o', 7, b'k', 7];
    let image = ImageFile::new(&BareGuest::new(&[&pause(80_000)[..], &write, &DOTS].concat()).image());
    let (ran, report) = run_thrice(&image.path(), &["--until", "^ok$"], None);
    assert_eq!((ran.status, &report["outcome"]["kind"]), (Some(0), &"until".into()), "{}", ran.stderr);
}

#[test]
fn exactly_so_many_instructions_are_executed_as_are_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let clockwork = clockwork(&folder, Mode::Serial);
    // Elements of a string instruction count one by one.
    let copy = [&[0xbf, 0, 0, 2, 0, 0xb9, 0, 0, 1, 0, 0xf3, 0xaa][..], &SPIN].concat();
    let strings = ImageFile::new(&BareGuest::new(&copy).image());
    for image in [&*clockwork, &strings.path()] {
        for limit in [1, 7, 9, 54_321] {
            let (ran, report) = run_image(image, &["--limit-instructions", &limit.to_string()], Stdio::null());
            assert_eq!((ran.status, &report["outcome"]["kind"]), (Some(124), &"time_limit".into()), "{limit}");
            assert_eq!((&report["instructions"], &report["outcome"]["limit"]), (&limit.into(), &"instructions".into()));
            let plural = if limit == 1 { "" } else { "s" };
            let expected = format!("limit of {limit} instruction{plural} reached; the CPU was ");
            assert!(report["outcome"]["sentence"].as_str().unwrap().starts_with(&expected), "{report}");
        }
    }
    // The last that is allowed may be the one that ends the run; one less does not come there.
    let image = ImageFile::new(&BareGuest::new(&exit(5)).image());
    let needed = run_image(&image.path(), &[], Stdio::null()).1["instructions"].as_u64().unwrap();
    for (limit, status) in [(needed, 5), (needed - 1, 124)] {
        let (ran, report) = run_image(&image.path(), &["--limit-instructions", &limit.to_string()], Stdio::null());
        assert_eq!((ran.status, report["instructions"].as_u64()), (Some(status), Some(limit)));
    }
}

#[test]
fn a_limit_of_instructions_takes_a_machine_that_counts_and_no_other() {
    let image = ImageFile::new(&BareGuest::new(&SPIN).image());
    let run = |options: &[&str]| run(tool("stos-run").args(options).arg(image.path()).stdin(Stdio::null()));
    let ran = run(&["--limit-instructions", "100"]);
    assert_eq!(ran.status, Some(124), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("stos-run: running on the embedded machine"), "{}", ran.stderr);
    for backend in ["kvm", "emulated"] {
        let ran = run(&["--backend", backend, "--limit-instructions", "100"]);
        let expected = format!(
            "stos-run: `--limit-instructions` is for a machine that counts them, and `--backend {backend}` does not: take \
             `--backend embedded`, or `--timeout`\n"
        );
        assert_eq!((ran.status, ran.stderr), (Some(64), expected));
    }
    for (value, part) in [("0", "at least 1 instruction"), ("many", "expected a number"), ("-1", "")] {
        let ran = run(&["--limit-instructions", value]);
        assert!(ran.status == Some(64) && ran.stderr.contains(part) && ran.stderr.contains(value), "{}", ran.stderr);
    }
}

#[test]
fn a_guest_that_waits_comes_to_its_limit_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (ran, report) = run_image(&clockwork(&folder, Mode::Waits), &["--timeout", "10m"], Stdio::null());
    assert_eq!((ran.status, &*ran.stdout), (Some(124), "clockwork: waiting\n"), "{}", ran.stderr);
    assert_eq!(
        (&report["time"]["guest_ns"], &report["outcome"]["limit"]),
        (&600_000_000_000_u64.into(), &"own_time".into())
    );
    assert!(
        ran.stderr.contains("stos-run: time limit of 600s reached, in the guest's own time; the CPU was "),
        "{}",
        ran.stderr
    );
    // At the pace of a person, a second is one: at least as much of this machine's time has passed.
    let (_, report) =
        run_image(&clockwork(&folder, Mode::Waits), &["--timeout", "300ms", "--pace", "real"], Stdio::null());
    assert_eq!(report["time"]["guest_ns"], 300_000_000);
    assert!(report["time"]["wall_ms"].as_f64().unwrap() >= 250.0, "{}", report["time"]);
}

#[test]
fn a_cpu_that_nothing_can_wake_any_more_has_halted_for_good() {
    // The timer's interrupt masked; counter 0 in mode 1, which waits for a gate that a PC has not; STI, HLT.
    let stops_timer = [0xb0, 0x01, 0xe6, 0x21, 0xb0, 0x32, 0xe6, 0x43, 0xfb, 0xf4];
    let image = ImageFile::new(&BareGuest::new(&stops_timer).image());
    let (ran, _) = run_image(&image.path(), &["--timeout", "24h"], Stdio::null());
    assert_eq!(ran.status, Some(104), "{}", ran.stderr);
    assert!(ran.stderr.contains("no timer counts any more, and there is no more input"), "{}", ran.stderr);
}

#[test]
fn nobody_who_does_not_read_holds_a_guest_past_its_limit() {
    let image = ImageFile::new(&BareGuest::new(&print(0x3f8, &vec![b'x'; 400_000])).image());
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let (reader, writer) = pipe().unwrap();
    let mut command = tool("stos-run");
    command.args(["--backend", "embedded", "-q", "--timeout", "1s", "--report"]).arg(&report).arg(image.path());
    let mut child = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    assert_eq!(child.wait().unwrap().code(), Some(124));
    drop(reader);
    let report: Value = fs::read_to_string(report).unwrap().parse().unwrap();
    assert_eq!(report["outcome"]["limit"], "held");
    let expected = "time limit of 1s reached: the guest was held for so long, as nobody took its output";
    assert_eq!(report["outcome"]["sentence"], expected);
}

#[test]
fn what_somebody_sends_is_given_at_a_time_that_the_report_has() {
    let folder = tempfile::tempdir().unwrap();
    let image = clockwork(&folder, Mode::Serial);
    let (reader, mut writer) = pipe().unwrap();
    let sender = thread::spawn(move || {
        for part in ["one ", "two q"] {
            writer.write_all(part.as_bytes()).unwrap();
            wait_until(|| ioctl_fionread(&writer).unwrap() == 0, "nobody has read it");
        }
    });
    let (ran, report) = run_image(&image, &["--timeout", "60s"], reader);
    sender.join().unwrap();
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let taken = report["input"]["taken"].as_array().unwrap();
    let bytes: String = taken.iter().map(|one| one["bytes"].as_str().unwrap()).collect();
    assert_eq!(bytes, "6f6e652074776f2071");
    let times: Vec<u64> = taken.iter().map(|one| one["at_ns"].as_u64().unwrap()).collect();
    assert!(times.is_sorted() && times.last() <= report["time"]["guest_ns"].as_u64().as_ref(), "{report}");
    // The other machines don't know.
    let ran = run(tool("stos-run")
        .args(["--backend", "emulated", "--report", "/dev/fd/1"])
        .args(["--serial", "off"])
        .arg(ImageFile::new(&BareGuest::new(&exit(0)).image()).path())
        .stdin(Stdio::null()));
    let report: Value = ran.stdout.parse().unwrap();
    assert_eq!(
        (&report["instructions"], &report["input"], &report["time"]["guest_ns"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
}
