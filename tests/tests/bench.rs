//! The comparisons of `make bench` in their quick mode: who takes part, what is told of each, and the files that come out. Never
//! how long anything took.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use serde_json::Value;
use stos_tests::bench::{Comparison, Settings, compute, idle, output, publish, side_by_side, start};
use stos_tests::tools::tool_path;

const ROUNDS: usize = 2;

/// Who must be measured on every machine that has QEMU.
const EVERYWHERE: [&str; 3] = ["stos-run on QEMU", "stos-run on the embedded machine", "QEMU pc on tcg, ROM"];
/// Who is measured where `/dev/kvm` can be opened.
const WITH_KVM: [&str; 3] = ["floor", "floor with clone", "stos-run on KVM"];

/// Publishes what `compare` makes and checks the files.
fn check(compare: impl Fn(&Settings) -> Vec<Comparison>) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::new(ROUNDS, true, folder.path().join("results"), tool_path("stos-run"));
    let [text, json, picture] = publish(&settings, &compare(&settings)).map(|path| fs::read_to_string(path).unwrap());
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["rounds"], &json["quick"]), (&ROUNDS.into(), &true.into()));
    for fact in ["date", "name", "kernel", "kvm", "cpu", "load", "commit"] {
        assert_ne!(json["host"][fact].as_str().unwrap(), "", "{fact}");
    }
    let words: Vec<String> = words_of(&picture);
    for comparison in json["comparisons"].as_array().unwrap() {
        for contestant in comparison["contestants"].as_array().unwrap() {
            let name = contestant["name"].as_str().unwrap();
            assert!(text.contains(name), "{name} is not in\n{text}");
            assert!(words.iter().any(|word| word.contains(name)), "{name} is not in {words:?}");
            check_contestant(name, contestant);
        }
    }
    json
}

fn check_contestant(name: &str, contestant: &Value) {
    let has_kvm = fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
    let must_run = EVERYWHERE.contains(&name) || has_kvm && WITH_KVM.contains(&name);
    match contestant["result"].as_str().unwrap() {
        "measured" => {
            let count = contestant["samples"].as_array().unwrap().len();
            assert!((1..=ROUNDS).contains(&count), "{name}: {count} samples");
            for (measure, numbers) in contestant["measures"].as_object().unwrap() {
                let [min, p50, p95] = ["min", "p50", "p95"].map(|key| numbers[key].as_f64().unwrap());
                assert!(0.0 <= min && min <= p50 && p50 <= p95, "{name}, {measure}: {numbers}");
            }
        }
        other => {
            assert!(!must_run, "{name} is {other}: {}", contestant["why"]);
            assert_ne!(contestant["why"].as_str().unwrap(), "");
        }
    }
}

/// The texts of a picture, which must be well-formed and inside of it.
fn words_of(picture: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(picture).unwrap();
    let size = |name: &str| document.root_element().attribute(name).unwrap().parse::<f64>().unwrap();
    let (width, height) = (size("width"), size("height"));
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    texts
        .map(|node| {
            let [x, y] = ["x", "y"].map(|name| node.attribute(name).unwrap().parse::<f64>().unwrap());
            assert!((0.0..=width).contains(&x) && (0.0..=height).contains(&y), "{node:?}");
            node.text().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn the_start_is_compared() {
    let json = check(|settings| vec![start::compare(settings)]);
    let contestants = json["comparisons"][0]["contestants"].as_array().unwrap();
    let names: Vec<&str> = contestants.iter().map(|contestant| contestant["name"].as_str().unwrap()).collect();
    for name in ["kvmtool", "solo5-hvt", "Firecracker", "Cloud Hypervisor", "QEMU pc on tcg, BIOS, -kernel"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    // A clone takes down what the floor has made, and is gone when the next run begins.
    for contestant in contestants.iter().filter(|contestant| contestant["name"] == "floor with clone") {
        for sample in contestant["samples"].as_array().unwrap() {
            assert_eq!((&sample["left_behind"], &sample["still_there"]), (&1.into(), &0.into()));
        }
    }
    // Nothing of stos-run outlives it.
    for contestant in contestants.iter().filter(|contestant| contestant["name"] == "stos-run on QEMU") {
        for sample in contestant["samples"].as_array().unwrap() {
            assert_eq!(sample["left_behind"], 0);
        }
    }
}

#[test]
fn output_is_compared_and_nothing_of_it_lost() {
    let json = check(output::compare);
    assert_eq!(json["comparisons"].as_array().unwrap().len(), 3);
    for comparison in json["comparisons"].as_array().unwrap() {
        for contestant in comparison["contestants"].as_array().unwrap() {
            for sample in contestant["samples"].as_array().unwrap() {
                assert_eq!(sample["bytes"], 4096, "{}: {}", comparison["title"], contestant["name"]);
            }
        }
    }
}

#[test]
fn idleness_is_compared() {
    check(|settings| vec![idle::compare(settings)]);
}

#[test]
fn runs_side_by_side_are_compared() {
    check(|settings| vec![side_by_side::compare(settings)]);
}

#[test]
fn computing_is_compared_and_all_compute_the_same() {
    let json = check(compute::compare);
    let comparisons = json["comparisons"].as_array().unwrap();
    assert_eq!(comparisons.len(), 8);
    for comparison in comparisons {
        let title = comparison["title"].as_str().unwrap();
        let contestants = comparison["contestants"].as_array().unwrap();
        let samples = || contestants.iter().flat_map(|contestant| contestant["samples"].as_array().unwrap());
        let checksum = &samples().next().unwrap()["checksum"];
        assert_ne!(*checksum, 0, "{title}");
        assert!(samples().all(|sample| sample["checksum"] == *checksum), "{title}");
        let [embedded, qemu] = &contestants[..] else { panic!("{title}: {contestants:?}") };
        assert!(embedded["measures"]["instructions"]["min"].as_f64().unwrap() > 0.0, "{title}");
        assert_eq!(
            (&qemu["name"], &qemu["measures"]["instructions"]),
            (&EVERYWHERE[2].into(), &Value::Null),
            "{title}"
        );
    }
}
