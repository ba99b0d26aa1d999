//! The JSON Schema of manifests: that the committed copy is the one that `stos-pack schema` prints, and that it agrees with
//! what `stos-pack` says about good and bad manifests.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use jsonschema::Validator;
use serde_json::Value;
use stos_tests::files::with_extension;
use stos_tests::fixtures;
use stos_tests::tools::{root, run, tool};

fn schema() -> String {
    let result = run(tool("stos-pack").arg("schema"));
    assert_eq!((result.status, &*result.stderr), (Some(0), ""));
    result.stdout
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema().parse().unwrap()).unwrap()
}

/// The manifest at `path` as an editor sees it; `None` when it is no YAML.
fn read(path: &Path) -> Option<Value> {
    serde_saphyr::from_str(&String::from_utf8(fs::read(path).unwrap()).ok()?).ok()
}

#[test]
fn the_copy_in_docs_is_the_schema_and_a_valid_one() {
    let schema = schema();
    let copy = fs::read_to_string(root().join("docs/manifest.schema.json")).unwrap();
    assert!(copy == schema, "it differs: `cargo run -q -p stos-pack schema > docs/manifest.schema.json` renews it");
    let schema: Value = schema.parse().unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(jsonschema::meta::is_valid(&schema), "it is no JSON Schema");
}

#[test]
fn every_manifest_of_the_project_is_valid() {
    let validator = validator();
    let mut all = with_extension(&root().join("manifests"), "yaml");
    all.extend(with_extension(&root().join("tests/fixtures/golden"), "yaml"));
    all.push(fixtures::folder().join("manifests/bases/course.yaml"));
    assert!(all.len() >= 3, "{all:?}");
    for path in all {
        let manifest = read(&path).unwrap();
        let errors: Vec<String> = validator.iter_errors(&manifest).map(|error| error.to_string()).collect();
        // A base may be incomplete, which only who extends it can know.
        if path.ends_with("course.yaml") {
            assert_eq!(errors, ["\"path\" is a required property"], "{}", path.display());
        } else {
            assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
        }
    }
}

#[test]
fn what_manifests_may_be_is_valid() {
    let validator = validator();
    let complete = "version: 1\nname: x\nmemory: 64MiB\nkernel: {path: k, protocol: stos}\n";
    for rest in [
        "",
        "memory: 0x4000000",
        "memory: ' 64 MiB '",
        "modules:\ninitramfs: ~\nrun:\nprofiles:",
        "initramfs: {directory: d, path: ~}",
        "run: {timeout: 30, exit_port: 0x501, expect: [a], expect+: [b]}",
        "run: {timeout: 500ms, exit_port: '0xF4'}",
        "modules+: [{path: m, name: other}]\ncmdline+: debug\nsegments+: [{start: 0, size: 1, kind: reserved}]",
        "profiles: {debug: ~, x.y-z_1: {kernel: {path: other}, memory: 32MiB, modules+: [{path: m}]}}\nprofile: debug",
        "cmdline: ''",
    ] {
        let mut manifest: Value = serde_saphyr::from_str(complete).unwrap();
        let more: Value = serde_saphyr::from_str(rest).unwrap_or_default();
        for (key, value) in more.as_object().into_iter().flatten() {
            manifest[key] = value.clone();
        }
        let errors: Vec<String> = validator.iter_errors(&manifest).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{rest}");
    }
    for partial in
        ["extends: base.yaml", "extends: base.yaml\nkernel: {path: k}", "profile: a\nprofiles: {a: {name: x}}"]
    {
        assert!(validator.is_valid(&serde_saphyr::from_str::<Value>(partial).unwrap()), "{partial}");
    }
}

/// Bad manifests whose mistake a schema can't see: files, texts and limits that only `stos-pack` can judge.
const BEYOND_A_SCHEMA: &[&str] = &[
    "all_memory_reserved",
    "bad_regex",
    "bad_regex_look_around",
    "bad_regex_too_large",
    "entry_with_stos",
    "entry_with_too_much",
    "extends_error_in_base",
    "extends_itself",
    "extends_loop",
    "extends_missing",
    "extends_missing_module_of_base",
    "extends_syntax_in_base",
    "extends_without_kernel",
    "home_folder",
    "initramfs_directory_is_a_file",
    "initramfs_empty",
    "initramfs_not_newc",
    "input_outside",
    "kernel_is_a_directory",
    "lock_conflict",
    "lock_missing",
    "lock_of_the_future",
    "lock_other_inputs",
    "lock_with_mistakes",
    "memory_overflow",
    "memory_too_large",
    "memory_too_small",
    "missing_files",
    "module_is_a_kernel",
    "module_name_too_long",
    "no_memory_for_frame_array",
    "no_profiles",
    "port_in_use",
    "port_of_the_display",
    "segment_on_frame_array",
    "segment_on_pc_hole",
    "segment_outside_memory",
    "segments_on_everything",
    "unknown_default_profile",
    "unknown_profile",
];

#[test]
fn bad_manifests_are_invalid_where_a_schema_can_tell() {
    let validator = validator();
    let all = with_extension(&root().join("tests/fixtures/manifests"), "yaml");
    let seen: Vec<(String, bool)> = all
        .iter()
        .filter_map(|path| {
            let name = path.file_stem()?.to_string_lossy().into_owned();
            Some((name, validator.is_valid(&read(path)?)))
        })
        .collect();
    let valid: Vec<&str> = seen.iter().filter(|(_, valid)| *valid).map(|(name, _)| &**name).collect();
    assert_eq!(valid, BEYOND_A_SCHEMA, "does the schema miss something, or is a new one beyond it?");
    assert!(seen.len() - valid.len() >= 20, "only {} of {} are invalid", seen.len() - valid.len(), seen.len());
}
