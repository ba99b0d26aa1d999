//! The report of a run: its schema, what it says of runs that never began, and how it is written.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stos_tests::guests::Guest;
use stos_tests::tools::{Run, root, run, tool};
use tempfile::TempDir;

/// A folder with the image of the guest `name` in it, packed with `lines`.
fn packed(name: &str, lines: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let guest = Guest { lines: lines.to_owned(), ..Guest::example(&format!("guests/{name}")) };
    let image = guest.pack(folder.path());
    (folder, image)
}

fn run_guest(image: &Path, options: &[&str]) -> Run {
    run(tool("stos-run").args(["--backend", "emulated"]).args(options).arg(image))
}

/// The report at `path`, which the schema must allow.
fn report(path: &Path) -> Value {
    let schema = run(tool("stos-run").arg("schema"));
    assert_eq!((schema.status, &*schema.stderr), (Some(0), ""));
    let validator = jsonschema::draft202012::new(&schema.stdout.parse().unwrap()).unwrap();
    let report: Value = fs::read_to_string(path).unwrap().parse().unwrap();
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    report
}

#[test]
fn the_copy_in_docs_is_the_schema_and_a_valid_one() {
    let schema = run(tool("stos-run").arg("schema")).stdout;
    let copy = fs::read_to_string(root().join("docs/report.schema.json")).unwrap();
    assert!(copy == schema, "it differs: `cargo run -q -p stos-run schema > docs/report.schema.json` renews it");
    let schema: Value = schema.parse().unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(jsonschema::meta::is_valid(&schema), "it is no JSON Schema");
}

#[test]
fn a_crash_is_reported_with_its_place() {
    let (folder, image) = packed("early_fault", "");
    let path = folder.path().join("report.json");
    let result = run_guest(&image, &["--report", path.to_str().unwrap()]);
    assert_eq!(result.status, Some(102));
    let report = report(&path);
    assert_eq!((&report["report_version"], &report["status"]), (&1.into(), &102.into()));
    let exception = &report["outcome"]["exception"];
    assert_eq!((&report["outcome"]["kind"], &exception["mnemonic"]), (&"exception".into(), &"#PF".into()));
    assert_eq!(
        (&exception["place"]["symbol"], &exception["place"]["file"]),
        (&"kernel_main".into(), &"guests/early_fault.c".into())
    );
    assert_eq!((&exception["cr2"], &report["cpu"]["cr2"]), (&0xdead_0000_u32.into(), &0xdead_0000_u32.into()));
    assert_eq!(report["cpu"]["eip"], exception["place"]["address"]);
    assert_eq!(report["serial"]["last_lines"], serde_json::json!(["early_fault: reading 0xDEAD0000"]));
    let details: Vec<&str> =
        report["outcome"]["details"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(details.contains(&"  registers:") && result.stderr.ends_with(&(details.join("\n") + "\n")), "{details:?}");
}

#[test]
fn expectations_are_reported_one_by_one() {
    let (folder, image) = packed("spin", "run: {expect: [\"^spin\", never, Loading]}\n");
    let path = folder.path().join("report.json");
    let result = run_guest(&image, &["--timeout", "2s", "--report", path.to_str().unwrap()]);
    assert_eq!(result.status, Some(105));
    let report = report(&path);
    assert_eq!(
        (&report["outcome"]["kind"], &report["outcome"]["pattern"]),
        (&"expected_missing".into(), &"never".into())
    );
    let matched: Vec<bool> =
        report["expected"].as_array().unwrap().iter().filter_map(|entry| entry["matched"].as_bool()).collect();
    assert_eq!(matched, [true, false, false]);
    assert_eq!(report["looks"].as_array().unwrap().len(), 8);
    assert_eq!(report["looks"][7]["place"]["symbol"], "kernel_main");
}

#[test]
fn the_screen_is_reported() {
    let (folder, image) = packed("screen", "");
    let path = folder.path().join("report.json");
    assert_eq!(run_guest(&image, &["--screen", "off", "--report", path.to_str().unwrap()]).status, Some(0));
    let rows = report(&path)["screen"].clone();
    assert_eq!((&rows[2], &rows[24]), (&"  ║ screen ║".into(), &"the last row".into()));
}

#[test]
fn a_run_that_never_began_is_reported_too() {
    let (folder, whole) = packed("halt", "");
    let path = folder.path().join("report.json");
    let damaged = folder.path().join("damaged.img");
    let whole = fs::read(whole).unwrap();
    fs::write(&damaged, &whole[..whole.len() / 2]).unwrap();
    for (image, status, kind) in [(damaged, 65, "image_rejected"), (folder.path().join("none.img"), 66, "no_input")] {
        let result = run_guest(&image, &["--report", path.to_str().unwrap()]);
        assert_eq!((result.status, &*result.stdout), (Some(status), ""));
        let report = report(&path);
        assert_eq!((&report["status"], &report["outcome"]["kind"]), (&status.into(), &kind.into()));
        assert_eq!((&report["backend"], &report["image"]["id"]), (&Value::Null, &Value::Null));
        assert_eq!(report["image"]["path"], image.to_str().unwrap());
        assert!(result.stderr.contains(report["outcome"]["sentence"].as_str().unwrap()));
    }
}

#[test]
fn a_report_that_can_not_be_written_is_known_before_the_guest_runs() {
    let (folder, image) = packed("exit_status", "");
    for path in [folder.path().join("no/such/folder.json"), folder.path().to_owned()] {
        let result = run_guest(&image, &["--report", path.to_str().unwrap()]);
        assert_eq!((result.status, &*result.stdout), (Some(74), ""), "{}", path.display());
        assert_eq!(result.stderr.lines().count(), 1, "{}", result.stderr);
        assert!(
            result.stderr.contains(&format!("writing the report `{}` failed: ", path.display())),
            "{}",
            result.stderr
        );
    }
}

#[test]
fn a_file_that_is_needed_is_not_written_over() {
    let (folder, image) = packed("exit_status", "");
    let before = fs::read(&image).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&image, &link).unwrap();
    let other = folder.path().join("other");
    let (other, serial) = (other.to_str().unwrap(), format!("--serial=file:{}", other.display()));
    for options in [
        &["--report", image.to_str().unwrap()][..],
        &["--report", link.to_str().unwrap()],
        &["--screen-png", image.to_str().unwrap()],
        &["--report", other, "--screen-png", other],
        &["--report", other, &serial],
    ] {
        let result = run_guest(&image, options);
        assert_eq!((result.status, &*result.stdout), (Some(74), ""), "{options:?}");
        assert!(result.stderr.contains("; name another file"), "{}", result.stderr);
    }
    assert!(fs::read(&image).unwrap() == before && !Path::new(other).exists());
}

#[test]
fn a_report_that_could_not_be_written_is_no_success_and_hides_no_failure() {
    let (_folder, image) = packed("exit_status", "");
    let result = run_guest(&image, &["--report", "/dev/full"]);
    assert_eq!((result.status, &*result.stdout), (Some(74), "exit_status: 0 in 8 bits\n"));
    assert!(result.stderr.contains("writing the report `/dev/full` failed: "), "{}", result.stderr);
    let (_folder, image) = packed("halt", "");
    let result = run_guest(&image, &["--report", "/dev/full"]);
    assert_eq!(result.status, Some(104));
    assert!(
        result.stderr.contains("halted for good") && result.stderr.contains("writing the report"),
        "{}",
        result.stderr
    );
}

#[test]
fn the_guests_own_statuses_can_be_those_of_qemu() {
    for (lines, plain, of_qemu) in [
        ("cmdline: exit.status=0\n", 0, 1),
        ("cmdline: exit.status=16\n", 16, 33),
        ("cmdline: exit.status=255\n", 63, 255),
        ("cmdline: exit.status=0\nrun: {expect: [exit_status]}\n", 0, 1),
        ("run: {expect: [never]}\n", 105, 105),
    ] {
        let (folder, image) = packed("exit_status", lines);
        let path = folder.path().join("report.json");
        assert_eq!(run_guest(&image, &[]).status, Some(plain), "{lines}");
        let result = run_guest(&image, &["--qemu-exit-codes", "--report", path.to_str().unwrap()]);
        assert_eq!(result.status, Some(of_qemu), "{lines}");
        assert_eq!(report(&path)["status"], of_qemu);
    }
}

#[test]
fn the_steps_of_a_run_are_timed_when_that_is_asked_for() {
    let (folder, image) = packed("exit_status", "");
    let path = folder.path().join("report.json");
    let run = |options: &[&str]| {
        let result = run_guest(&image, &[options, &["-qq", "--report", path.to_str().unwrap()]].concat());
        (result.stderr, report(&path)["time"]["steps"].take())
    };
    assert_eq!(run(&[]), (String::new(), Value::Null));
    let (stderr, steps) = run(&["--timings"]);
    let steps = steps.as_array().unwrap();
    let names: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    let (first, rest) = names.split_at(5);
    assert_eq!(first, ["begun", "arguments", "opened", "chosen", "loaded"]);
    assert_eq!(rest.last(), Some(&"concluded"), "{rest:?}");
    let times: Vec<f64> = steps.iter().map(|step| step["at_ms"].as_f64().unwrap()).collect();
    assert!(times.is_sorted() && times[0] > 0.0, "{times:?}");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), steps.len(), "{stderr}");
    assert!(lines[0].starts_with("stos-run: ") && lines[0].ends_with("  the program is loaded and linked"), "{stderr}");
}
