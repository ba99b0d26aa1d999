//! The recipes of `examples/ci`: what they run is run in a new project. What only their services can do is listed, with the reason.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use stos_tests::files::quoted;
use stos_tests::tools::{Run, pack_in, root, run, shell};
use tempfile::TempDir;

use crate::archive::archive;

/// Steps that are not run here, by what they begin with, and why.
const NOT_RUN: [(&str, &str); 5] = [
    ("uses: actions/checkout@", "GitHub does it"),
    (
        "sudo apt-get update && sudo apt-get install ",
        "it changes this machine; make dist-check does the like in another",
    ),
    ("echo 'KERNEL==\"kvm\"", "it changes who may use KVM here, and wants udev"),
    ("apt-get update", "it changes this machine; make dist-check does it in another"),
    ("apt-get install ", "it changes this machine; make dist-check does it in another"),
];

fn is_run(step: &str) -> bool {
    let reason = NOT_RUN.iter().find(|(begin, _)| step.starts_with(begin));
    if let Some((_, reason)) = reason {
        eprintln!("not run: `{}`: {reason}", step.lines().next().unwrap_or_default());
    }
    reason.is_none()
}

fn recipe(name: &str) -> String {
    fs::read_to_string(root().join("examples/ci").join(name)).unwrap()
}

fn project() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = pack_in(folder.path(), &["-q", "new", "my-kernel"]);
    assert_eq!(made.status, Some(0), "{}", made.stderr);
    folder
}

/// Runs a step as a service would, whose home is `home`.
fn step(line: &str, project: &Path, home: &Path) -> Run {
    let mut command = shell("bash", &format!("set -e\n{line}"), project);
    let address = format!("file://{}", archive().display());
    command.env("HOME", home).env("GITHUB_PATH", home.join("path")).env("STOS_ARCHIVE", address).env("STOS_GIT", "");
    run(&mut command)
}

/// Runs the steps in a new project, with a home of its own; returns what the last one did, and both folders.
fn follow(steps: &[String], backend: &str) -> (Run, TempDir, TempDir) {
    let (project, home) = (project(), tempfile::tempdir().unwrap());
    let mut last = None;
    for line in steps.iter().filter(|line| is_run(line)) {
        let line = format!("export STOS_RUN_BACKEND={backend}\n{line}");
        let done = step(&line, &project.path().join("my-kernel"), home.path());
        assert_eq!(done.status, Some(0), "{line}: {done:?}");
        last = Some(done);
    }
    (last.expect("some steps are run"), project, home)
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&recipe(name)).unwrap()
}

fn lines(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// Checks that the commands of the archive are in the folder `bin`.
fn assert_installed(bin: &Path) {
    let answer = run(Command::new(bin.join("stos-run")).arg("--version"));
    assert_eq!(answer.stdout, format!("stos-run {}\n", env!("CARGO_PKG_VERSION")));
    assert!(bin.join("../share/man/man1/stos-pack-new.1").is_file());
}

#[test]
fn what_github_runs_is_run_and_is_what_new_projects_have() {
    let new = project();
    let written = fs::read_to_string(new.path().join("my-kernel/.github/workflows/ci.yml")).unwrap();
    assert_eq!(recipe("github.yml"), written);
    let workflow = yaml("github.yml");
    let steps = workflow["jobs"]["test"]["steps"].as_array().unwrap();
    let steps: Vec<String> = steps
        .iter()
        .map(|step| match step["run"].as_str() {
            Some(line) => line.to_owned(),
            None => format!("uses: {}", step["uses"].as_str().unwrap()),
        })
        .collect();
    let (tested, _, home) = follow(&steps, "embedded");
    assert!(tested.stdout.contains("Hello from my-kernel!\n"), "{tested:?}");
    assert_installed(&home.path().join(".local/bin"));
    let path = fs::read_to_string(home.path().join("path")).unwrap();
    assert_eq!(path, format!("{}/.local/bin\n", home.path().display()));
    // An address that leads nowhere fails the job.
    let install = steps.iter().find(|step| step.contains("STOS_ARCHIVE")).unwrap();
    let failed = step(&format!("STOS_ARCHIVE=file:///nowhere\n{install}"), new.path(), home.path());
    assert!(failed.status != Some(0) && failed.stderr.contains("curl: "), "{failed:?}");
}

#[test]
fn what_gitlab_runs_is_run() {
    let job = &yaml("gitlab-ci.yml")["test"];
    let backend = job["variables"]["STOS_RUN_BACKEND"].as_str().unwrap();
    let prefix = tempfile::tempdir().unwrap();
    let to = quoted(prefix.path());
    let mut steps: Vec<String> =
        lines(&job["before_script"]).iter().map(|line| line.replace("/usr/local", &to)).collect();
    assert!(steps.iter().any(|line| line.contains(&to)), "nothing is installed");
    steps.extend(lines(&job["script"]));
    let (tested, project, _home) = follow(&steps, backend);
    assert!(tested.stdout.contains("Hello from my-kernel!\n"), "{tested:?}");
    assert_installed(&prefix.path().join("bin"));
    for artifact in lines(&job["artifacts"]["paths"]) {
        let text = fs::read_to_string(project.path().join("my-kernel").join(&artifact)).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["status"], 0, "{artifact}");
    }
    // A kernel that fails fails the job, and has a report, too.
    let folder = project.path().join("my-kernel");
    let source = fs::read_to_string(folder.join("kernel.c")).unwrap();
    fs::write(folder.join("kernel.c"), source.replace("Hello", "Goodbye")).unwrap();
    let script = lines(&job["script"]).join("\n");
    let failed = step(&format!("export STOS_RUN_BACKEND={backend}\n{script}"), &folder, project.path());
    assert_eq!(failed.status, Some(105), "{failed:?}");
    assert!(fs::read_to_string(folder.join("run.json")).unwrap().contains("\"status\": 105"));
}

#[test]
fn the_container_is_made_of_what_is_there() {
    let dockerfile = recipe("Dockerfile");
    let lines: Vec<&str> = dockerfile.lines().filter(|line| !line.starts_with('#')).collect();
    let words: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(words, ["FROM", "RUN", "COPY", "RUN", "WORKDIR", "CMD"], "{lines:?}");
    let rest = |word: &str| lines.iter().rfind(|line| line.starts_with(word)).unwrap().split_once(' ').unwrap().1;
    // What is copied is the archive, by the name that it has.
    let folder = tempfile::tempdir().unwrap();
    fs::copy(archive(), folder.path().join(archive().file_name().unwrap())).unwrap();
    let (pattern, place) = rest("COPY").split_once(' ').unwrap();
    let copied = run(&mut shell("bash", &format!("cp {pattern} stos.tar.gz && mkdir local"), folder.path()));
    assert_eq!((copied.status, place), (Some(0), "/tmp/stos.tar.gz"), "{copied:?}");
    let install = rest("RUN").replace("/tmp/", "").replace("/usr/local", "local");
    let installed = run(&mut shell("bash", &install, folder.path()));
    assert_eq!(installed.status, Some(0), "{installed:?}");
    assert_installed(&folder.path().join("local/bin"));
    let command: Vec<String> = serde_json::from_str(rest("CMD")).unwrap();
    let (tested, ..) = follow(&[command.join(" ")], "embedded");
    assert!(tested.stdout.contains("Hello from my-kernel!\n"), "{tested:?}");

    let container: Value = serde_json::from_str(&recipe("devcontainer.json")).unwrap();
    assert_eq!(container["build"]["dockerfile"], "Dockerfile");
    let commands = ["postCreateCommand", "postStartCommand"].map(|key| container[key].as_str().unwrap().to_owned());
    let (done, project, _) = follow(&commands, "embedded");
    assert!(project.path().join("my-kernel/build/kernel.elf").is_file(), "{done:?}");
}
