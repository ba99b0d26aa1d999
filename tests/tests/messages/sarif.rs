//! SARIF files: the end of a run, and what is wrong with its manifest.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stos_tests::tools::root;

use crate::{line_with, packed, run_guest};

/// What the schema of SARIF 2.1.0 requires of what is written, and the types of it.
fn sarif_schema() -> Value {
    let object = |required: &[&str], properties: Value| json!({"type": "object", "required": required, "properties": properties});
    let text = json!({"type": "string"});
    let location = object(
        &["physicalLocation"],
        json!({"physicalLocation": object(
            &["artifactLocation", "region"],
            json!({
                "artifactLocation": object(&["uri"], json!({"uri": {"type": "string", "format": "uri-reference"}})),
                "region": object(
                    &["startLine"],
                    json!({
                        "startLine": {"type": "integer", "minimum": 1},
                        "startColumn": {"type": "integer", "minimum": 1},
                        "endLine": {"type": "integer", "minimum": 1},
                        "endColumn": {"type": "integer", "minimum": 1},
                    }),
                ),
            }),
        )}),
    );
    let result = object(
        &["message", "ruleId"],
        json!({
            "message": object(&["text"], json!({"text": text})),
            "ruleId": text,
            "ruleIndex": {"type": "integer", "minimum": -1},
            "level": {"enum": ["none", "note", "warning", "error"]},
            "locations": {"type": "array", "uniqueItems": true, "items": location},
        }),
    );
    let driver = object(
        &["name"],
        json!({
            "name": text,
            "version": text,
            "rules": {"type": "array", "uniqueItems": true, "items": object(&["id"], json!({"id": text}))},
        }),
    );
    let invocation = object(
        &["executionSuccessful"],
        json!({
            "executionSuccessful": {"type": "boolean"},
            "exitCode": {"type": "integer"},
        }),
    );
    let run = object(
        &["tool", "results"],
        json!({
            "tool": object(&["driver"], json!({"driver": driver})),
            "invocations": {"type": "array", "items": invocation},
            "results": {"type": "array", "items": result},
        }),
    );
    object(&["version", "runs"], json!({"version": {"enum": ["2.1.0"]}, "runs": {"type": "array", "items": run}}))
}

/// What is in the SARIF file at `path`, which is as the standard wants it.
fn sarif(path: &Path) -> Value {
    let log: Value = fs::read_to_string(path).unwrap().parse().unwrap();
    let validator = jsonschema::draft7::new(&sarif_schema()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&log).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    log
}

#[test]
fn a_sarif_file_has_what_the_standard_wants_and_the_place() {
    let (folder, image) = packed("early_fault");
    let path = folder.path().join("run.sarif");
    let result = run_guest(&image, &["--sarif", path.to_str().unwrap()]);
    assert_eq!(result.status, Some(102), "{}", result.stderr);
    let run = &sarif(&path)["runs"][0];
    assert_eq!((&run["invocations"][0]["exitCode"], &run["results"][0]["ruleId"]), (&json!(102), &json!("exception")));
    let place = &run["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "guests/early_fault.c");
    assert_eq!(place["region"], json!({"startLine": line_with("guests/early_fault.c", "0xDEAD0000;")}));
}

#[test]
fn a_sarif_file_has_each_mistake_in_a_manifest_with_its_code_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("m.yaml");
    fs::write(&manifest, "version: 1\nname: näme\nmemori: 1MiB\nkernel: {path: gone.elf, protocol: elf}\n").unwrap();
    let path = folder.path().join("run.sarif");
    let result = run_guest(&manifest, &["--sarif", path.to_str().unwrap()]);
    assert_eq!(result.status, Some(65), "{}", result.stderr);
    let run = &sarif(&path)["runs"][0];
    assert_eq!(run["invocations"], json!([{"executionSuccessful": false, "exitCode": 65}]));
    let told: Vec<&str> = result.stderr.lines().filter(|line| line.starts_with("error[")).collect();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), told.len(), "{}", result.stderr);
    for (result, told) in results.iter().zip(told) {
        let first = result["message"]["text"].as_str().unwrap().lines().next().unwrap();
        assert_eq!(told, format!("error[{}]: {first}", result["ruleId"].as_str().unwrap()));
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
    }
    let unknown = results.iter().find(|result| result["ruleId"] == "E0004").unwrap();
    let place = &unknown["locations"][0]["physicalLocation"];
    assert!(place["artifactLocation"]["uri"].as_str().unwrap().ends_with("/m.yaml"), "{place}");
    assert_eq!(place["region"], json!({"startLine": 3, "startColumn": 1, "endLine": 3, "endColumn": 7}));
    assert!(unknown["message"]["text"].as_str().unwrap().contains("\nhelp: "), "{unknown}");
}

#[test]
fn a_sarif_file_has_the_warnings_about_a_manifest_beside_the_end_of_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("m.yaml");
    let kernel = root().join("examples/elf/hello.elf");
    let text = |run: &str| {
        format!("version: 1\nname: hello\nmemory: 2MiB\nkernel: {{path: {}, protocol: elf}}\n{run}\n", kernel.display())
    };
    let path = folder.path().join("run.sarif");
    let ends = |run: &str| {
        fs::write(&manifest, text(run)).unwrap();
        let result = run_guest(&manifest, &["--sarif", path.to_str().unwrap()]);
        let results = sarif(&path)["runs"][0]["results"].clone();
        let rules = results.as_array().unwrap().iter().map(|found| found["ruleId"].as_str().unwrap().to_owned());
        (result.status, rules.collect::<Vec<String>>(), results)
    };
    let (status, rules, _) = ends("");
    assert_eq!((status, rules), (Some(0), Vec::new()));
    let warned = "entry: {registers: {esp: 0xF0000000}}";
    let (status, rules, results) = ends(warned);
    assert_eq!((status, rules), (Some(0), vec!["W0007".to_owned()]));
    assert_eq!((&results[0]["level"], &results[0]["ruleIndex"]), (&json!("warning"), &json!(0)));
    assert_eq!(results[0]["locations"][0]["physicalLocation"]["region"]["startLine"], 5);
    let (status, rules, results) = ends(&format!("{warned}\nrun: {{expect: [never]}}"));
    assert_eq!((status, rules), (Some(105), vec!["W0007".to_owned(), "expected_missing".to_owned()]));
    assert_eq!((&results[1]["level"], &results[1]["ruleIndex"]), (&json!("error"), &json!(1)));
}

#[test]
fn a_sarif_file_that_cannot_be_written_is_told_before_the_guest_runs() {
    let (folder, image) = packed("early_fault");
    let report = folder.path().join("both");
    let both = report.to_str().unwrap();
    let same = run_guest(&image, &["--report", both, "--sarif", both]);
    assert_eq!((same.status, &*same.stdout), (Some(74), ""));
    assert_eq!(
        same.stderr,
        format!("stos-run: writing the SARIF file `{both}` failed: it is the file for the report; name another file\n")
    );
    let gone = run_guest(&image, &["--sarif", "/gone/run.sarif"]);
    assert_eq!((gone.status, &*gone.stdout), (Some(74), ""));
    assert!(gone.stderr.starts_with("stos-run: writing the SARIF file `/gone/run.sarif` failed: "), "{}", gone.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "manifest and image");
}
