//! What `extends` and `--profile` make of several manifests and variants, seen in the image; and diagnostics as JSON.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use serde_json::Value;
use stos_tests::elf::Elf;
use stos_tests::tools::{run, tool};

const COURSE: &str = "\
version: 1
name: course
memory: 32MiB
kernel: {protocol: stos}
modules: [{path: given.ko}]
cmdline: init.mode=all
run: {timeout: 30s, expect: [first]}
profiles:
  debug: {cmdline+: debug=1, run: {expect+: [traced]}}
";
const STUDENT: &str = "\
extends: ../course.yaml
name: student
kernel: {path: kernel.elf}
modules+: [{path: own.ko}]
run: {expect+: [second]}
profiles:
  debug: {modules+: [{path: trace.ko}]}
  grading: {cmdline: init.mode=tests, initramfs: ~, modules: ~, run: {timeout: 5s}}
";

/// A course's folder with its manifest, and a student's folder in it.
fn course() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let student = folder.path().join("student");
    fs::create_dir(&student).unwrap();
    fs::write(folder.path().join("course.yaml"), COURSE).unwrap();
    fs::write(folder.path().join("given.ko"), Elf::module("given").to_bytes()).unwrap();
    fs::write(student.join("manifest.yaml"), STUDENT).unwrap();
    fs::write(student.join("kernel.elf"), Elf::kernel().to_bytes()).unwrap();
    for name in ["own", "trace"] {
        fs::write(student.join(name).with_extension("ko"), Elf::module(name).to_bytes()).unwrap();
    }
    folder
}

/// Packs the student's manifest and reports what the image holds.
fn packed(folder: &Path, arguments: &[&str]) -> Value {
    let image = folder.join("image.img");
    let result =
        run(tool("stos-pack").current_dir(folder).arg("student/manifest.yaml").arg("-o").arg(&image).args(arguments));
    assert_eq!(result.status, Some(0), "{}", result.stderr);
    let report = run(tool("stos-pack").args(["inspect", "--json"]).arg(&image));
    assert_eq!(report.status, Some(0), "{}", report.stderr);
    serde_json::from_str(&report.stdout).unwrap()
}

fn modules(report: &Value) -> Vec<&str> {
    let regions = report["description"]["regions"].as_array().unwrap();
    let names = regions.iter().filter(|region| region["kind"] == "module");
    names.map(|region| region["name"].as_str().unwrap()).collect()
}

#[test]
fn a_students_manifest_stands_on_the_courses() {
    let folder = course();
    let report = packed(folder.path(), &[]);
    let description = &report["description"];
    assert_eq!(description["name"], "student");
    assert_eq!(description["memory_size"], 32 << 20);
    assert_eq!(modules(&report), ["module given.ko", "module own.ko"]);
    assert_eq!(report["boot"]["commandline"], "init.mode=all");
    assert_eq!(description["run"]["timeout_ms"], 30_000);
    assert_eq!(description["run"]["expect"], serde_json::json!(["first", "second"]));
}

#[test]
fn a_profile_is_laid_over_course_and_student() {
    let folder = course();
    let debug = packed(folder.path(), &["--profile", "debug"]);
    assert_eq!(modules(&debug), ["module given.ko", "module own.ko", "module trace.ko"]);
    assert_eq!(debug["boot"]["commandline"], "init.mode=all debug=1");
    assert_eq!(debug["description"]["run"]["expect"], serde_json::json!(["first", "second", "traced"]));

    let grading = packed(folder.path(), &["--profile", "grading"]);
    assert_eq!(modules(&grading), [""; 0]);
    assert_eq!(grading["boot"]["commandline"], "init.mode=tests");
    assert_eq!(grading["description"]["run"]["timeout_ms"], 5000);
}

#[test]
fn a_manifest_can_name_the_profile_to_take() {
    let folder = course();
    let student = folder.path().join("student/manifest.yaml");
    fs::write(&student, format!("{STUDENT}profile: debug\n")).unwrap();
    assert_eq!(packed(folder.path(), &[])["boot"]["commandline"], "init.mode=all debug=1");
    assert_eq!(packed(folder.path(), &["-p", "grading"])["boot"]["commandline"], "init.mode=tests");
}

#[test]
fn an_image_never_replaces_a_base_manifest() {
    let folder = course();
    let result = run(tool("stos-pack").current_dir(folder.path()).args(["student/manifest.yaml", "-o", "course.yaml"]));
    assert_eq!(result.status, Some(65));
    assert!(result.stderr.contains("the image would replace its own input"), "{}", result.stderr);
    assert_eq!(fs::read_to_string(folder.path().join("course.yaml")).unwrap(), COURSE);
}

#[test]
fn diagnostics_for_programs_are_one_json_object_per_line() {
    let folder = course();
    let course = COURSE.replace("memory: 32MiB", "memory: 32MB");
    fs::write(folder.path().join("course.yaml"), course).unwrap();
    let student = folder.path().join("student/manifest.yaml");
    fs::write(&student, format!("{STUDENT}memry: 1\n")).unwrap();
    let result =
        run(tool("stos-pack").current_dir(folder.path()).args(["student/manifest.yaml", "--message-format", "json"]));
    assert_eq!((result.status, &*result.stdout), (Some(65), ""));
    let lines: Vec<Value> = result.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{}", result.stderr);
    let [memory, unknown] = [&lines[0], &lines[1]];
    assert_eq!(
        (&memory["message_version"], &memory["severity"], &memory["code"]),
        (&1.into(), &"error".into(), &"E0007".into())
    );
    assert_eq!(memory["help"], "did you mean `32MiB`?");
    let place = &memory["spans"][0];
    assert_eq!(place["file"], "student/../course.yaml");
    assert_eq!((&place["line"], &place["column"], &place["end_column"]), (&3.into(), &9.into(), &13.into()));
    assert_eq!(place["primary"], true);
    assert!(memory["rendered"].as_str().unwrap().contains("3 | memory: 32MB"), "{memory}");
    assert_eq!((&unknown["code"], &unknown["spans"][0]["file"]), (&"E0004".into(), &"student/manifest.yaml".into()));
}

#[test]
fn errors_without_a_code_are_json_objects_too() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--message-format", "json", "verify", "missing.img"];
    let result = run(tool("stos-pack").current_dir(folder.path()).args(arguments));
    assert_eq!((result.status, &*result.stdout), (Some(66), ""));
    let message: Value = serde_json::from_str(result.stderr.trim_end()).unwrap();
    assert_eq!((&message["code"], &message["spans"]), (&Value::Null, &serde_json::json!([])));
    assert_eq!(message["message"], "can't read the image `missing.img`: there is no such file");
}
