//! The pages beside the guide: the commands that stand in them are typed, each in a folder that has what they name.

use std::fs;
use std::path::Path;

use stos_tests::files::with_extension;
use stos_tests::tools::{root, run, shell};

use crate::options_are_known;

/// Stands before a line of code, and before one that a shell's prompt precedes.
const INDENT: &str = "    ";
const PROMPT: &str = "$ ";

/// Commands that are not typed, by how they begin, and why not.
const NOT_TYPED: [(&str, &str); 2] = [
    ("stos-pack keygen", "it asks for a password; the test `passwords` types one"),
    ("stos-run --watch", "it does not end; the test `watch` sees what it does"),
];

/// Commands that are right to fail, by how they begin, with their statuses: the guest here prints something else.
const FAILING: [(&str, i32); 1] = [("stos-run --ignore-image-run", 105)];

/// The pages, but for decisions, which tell of what was.
fn pages() -> Vec<String> {
    let pages = with_extension(&root().join("docs"), "md");
    let names = pages.into_iter().map(|page| page.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
    names.filter(|name| name != "docs/decisions.md").collect()
}

/// The commands in the page at `path`, with their lines' numbers: those of indented lines, each without what is said of it.
fn commands(path: &str) -> Vec<(String, usize)> {
    let text = fs::read_to_string(root().join(path)).unwrap();
    let lines = text.lines().zip(1..).filter_map(|(line, number)| {
        let line = line.strip_prefix(INDENT)?;
        let line = line.strip_prefix(PROMPT).unwrap_or(line);
        let said = [" # ", INDENT].iter().filter_map(|mark| line.find(mark)).min().unwrap_or(line.len());
        let is_one = line.starts_with("stos-pack ") || line.starts_with("stos-run ");
        is_one.then(|| (line[..said].trim_end().to_owned(), number))
    });
    lines.collect()
}

/// Whether `command` has words for the reader to fill in, or to choose among.
fn is_form(command: &str) -> bool {
    let is_blank = |word: &str| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase());
    command.contains(['[', '…']) || command.split([' ', '|', '.', '=']).any(is_blank)
}

/// Puts what the commands name into `folder`.
fn furnish(folder: &Path) {
    let kernel = root().join("examples/elf/hello.elf");
    let manifest = "version: 1\nname: hello\nmemory: 2MiB\nkernel: {path: kernel.elf, protocol: elf}\n";
    for place in ["images", ".local/share/bash-completion/completions"] {
        fs::create_dir_all(folder.join(place)).unwrap();
    }
    for place in ["", "submission", "build"] {
        fs::create_dir_all(folder.join(place)).unwrap();
        fs::copy(&kernel, folder.join(place).join("kernel.elf")).unwrap();
        fs::write(folder.join(place).join("kernel.yaml"), manifest).unwrap();
    }
    fs::write(folder.join("images.txt"), "kernel.img\n").unwrap();
    let made = "for name in kernel image lab images/kernel; do stos-pack kernel.yaml -o $name.img; done
                stos-pack keygen --no-password course.key && stos-pack sign lab.img --key course.key";
    let made = run(&mut shell("bash", made, folder));
    assert_eq!(made.status, Some(0), "{made:?}");
}

/// Types `command` where all that commands name is there. Says what is not as it should be.
fn type_it(command: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    // Who has no reader of manual pages drops them.
    let man = "type man >/dev/null 2>&1 || man() { cat >/dev/null; }";
    let script = format!("set -o pipefail; exec </dev/null\n{man}\n{command}\n");
    let ran = run(shell("bash", &script, folder.path()).env("HOME", folder.path()));
    let wanted = FAILING.iter().find(|(begin, _)| command.starts_with(begin)).map_or(0, |(_, status)| *status);
    (ran.status != Some(wanted))
        .then(|| format!("`{command}` ends with {:?}: {}{}", ran.status, ran.stdout, ran.stderr))
}

#[test]
fn commands_of_the_reference_are_typed() {
    let mut count = 0;
    let mut mistakes = Vec::new();
    for path in pages() {
        for (command, line) in commands(&path) {
            if let Some((_, reason)) = NOT_TYPED.iter().find(|(begin, _)| command.starts_with(begin)) {
                eprintln!("{path}:{line}: `{command}` is not typed: {reason}");
            } else if !is_form(&command) {
                mistakes.extend(type_it(&command).map(|mistake| format!("{path}:{line}: {mistake}")));
                count += 1;
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert!(count > 15, "{count}");
}

#[test]
fn loops_of_the_reference_are_typed() {
    let mut count = 0;
    for path in pages() {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        for block in text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()) {
            if block.contains("stos-run -q ") {
                assert_eq!(type_it(block), None, "{path}");
                count += 1;
            }
        }
    }
    assert!(count > 0);
}

#[test]
fn options_that_the_reference_names_are_there() {
    let mut count = 0;
    for path in pages() {
        for (command, line) in commands(&path) {
            count += options_are_known(command.split([' ', '=', '[', ']', '|']), &format!("{path}:{line}"));
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn targets_of_make_that_pages_name_are_there() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let mut count = 0;
    for path in pages() {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        for target in text.split("`make ").skip(1).map(|rest| rest.split(['`', ' ']).next().unwrap()) {
            let is_there = makefile.lines().any(|line| line.split(':').next() == Some(target));
            // Of a project that `new` has made; and options and variables.
            let is_of_projects = ["run", "fault", "gdb"].contains(&target);
            let is_option = target.starts_with('-') || target.contains('=');
            assert!(is_there || is_of_projects || is_option, "{path}: no `make {target}`");
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn a_command_that_fails_is_a_mistake() {
    assert!(type_it("stos-run gone.img").unwrap().contains("66"));
    assert!(
        is_form("stos-pack export IMAGE --to raw") && !is_form("stos-run -q --report run.json kernel.img >serial.txt")
    );
}
