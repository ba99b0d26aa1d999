//! Signals without end, to processes and threads, and signals that end a command at any moment.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};
use stos_tests::backends::unpaged;
use stos_tests::bare::code::flood;
use stos_tests::bare::{BareGuest, ImageFile, command};
use stos_tests::faults::{Bombardier, every};
use stos_tests::files::names_in;
use stos_tests::fixtures::copy_golden;
use stos_tests::process::{started_with, wait_until};
use stos_tests::tools::{pack_in, tool};

/// What `flood` prints.
fn flooded(count: usize) -> String {
    format!("{}\nend\n", "x".repeat(count << 16))
}

#[test]
fn signals_without_end_change_no_byte_of_a_run() {
    let bombardier = Bombardier::new();
    let image = ImageFile::new(&BareGuest::new(&flood(2)).image());
    for backend in unpaged() {
        let mut sent = 0;
        for seed in every(20, 2) {
            let done = bombardier.run(&command(&["--timeout=60s", "--backend", backend], &image.path()), seed);
            let run = &done.run;
            assert_eq!(run.status, Some(0), "{backend}, seed {seed}: {}", run.stderr);
            assert!(run.stdout == flooded(2), "{backend}, seed {seed}: {} bytes", run.stdout.len());
            wait_until(|| started_with(&image.path()).is_empty(), "a process is left");
            sent += done.signals;
        }
        assert!(sent > 100, "{backend}: only {sent} signals came");
    }
}

#[test]
fn signals_without_end_change_no_byte_of_an_image() {
    let bombardier = Bombardier::new();
    let folder = tempfile::tempdir().unwrap();
    copy_golden(folder.path());
    // It takes a while.
    fs::write(folder.path().join("initramfs/large"), vec![7; 1 << 20]).unwrap();
    assert_eq!(pack_in(folder.path(), &["golden.yaml"]).status, Some(0));
    let (image, names) = (fs::read(folder.path().join("golden.img")).unwrap(), names_in(folder.path()));
    let mut sent = 0;
    for seed in every(100, 10) {
        fs::remove_file(folder.path().join("golden.img")).unwrap();
        let done = bombardier.run(tool("stos-pack").current_dir(folder.path()).arg("golden.yaml"), seed);
        assert_eq!((done.run.status, &*done.run.stderr), (Some(0), ""), "seed {seed}");
        assert!(fs::read(folder.path().join("golden.img")).unwrap() == image, "seed {seed}: another image");
        assert_eq!(names_in(folder.path()), names, "seed {seed}");
        sent += done.signals;
    }
    assert!(sent > 100, "only {sent} signals came");
}

#[test]
fn a_signal_that_ends_a_run_at_any_moment_has_its_status_and_leaves_nothing() {
    let image = ImageFile::new(&BareGuest::new(&flood(2)).image());
    let folder = tempfile::tempdir().unwrap();
    for backend in unpaged() {
        let start = || {
            let mut runner = command(&["--timeout=60s", "--report=run.json", "--backend", backend], &image.path());
            runner.current_dir(folder.path()).env("TMPDIR", folder.path()).stdin(Stdio::null()).spawn().unwrap()
        };
        let begin = Instant::now();
        assert_eq!(start().wait_with_output().unwrap().status.code(), Some(0));
        let (takes, mut rng, mut ended) = (begin.elapsed(), Rng::with_seed(1), 0);
        for _ in every(60, 6) {
            let signal = rng.choice([Signal::USR1, Signal::ALARM, Signal::USR2, Signal::TERM, Signal::HUP]).unwrap();
            let child = start();
            std::thread::sleep(Duration::from_millis(20) + takes.mul_f64(rng.f64()));
            kill_process(Pid::from_child(&child), signal).unwrap();
            let output = child.wait_with_output().unwrap();
            let (status, stdout) = (output.status.code(), String::from_utf8(output.stdout).unwrap());
            let what = format!("{backend}, {signal:?}: {:?}", String::from_utf8_lossy(&output.stderr));
            // Before anything is watched for, a signal ends the process as it does any.
            let is_by_signal = status.is_none_or(|status| status == 128 + signal.as_raw());
            assert!(is_by_signal || status == Some(0), "{what}: {status:?}");
            assert!(flooded(2).starts_with(&stdout), "{what}: {} bytes", stdout.len());
            assert!(status != Some(0) || stdout == flooded(2), "{what}: {} bytes", stdout.len());
            ended += u32::from(is_by_signal);
            wait_until(|| started_with(&image.path()).is_empty(), "a process is left");
            let left: Vec<String> = names_in(folder.path()).into_iter().filter(|name| name != "run.json").collect();
            assert_eq!(left, Vec::<String>::new(), "{what}");
        }
        assert!(ended > 0, "{backend}: all had ended before");
    }
}
