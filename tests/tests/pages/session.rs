//! A shell in which a page is followed from its beginning to its end.

use std::fs;
use std::path::Path;
use std::process::Command;

use stos_tests::files::copy_tree;
use stos_tests::tools::{root, run, shell, tool_path};

use crate::page::{Block, Page, is_shown};

/// Stands around the status of a command in what the shell prints.
const MARK: char = '\x1e';

/// Before the first command: all is printed at one place, and nothing is read from anywhere.
///
/// `make demo` takes its tools as they are: to set up and to build is what whoever runs the tests has done. What cargo installs goes below the
/// reader's home, from what is compiled by now.
const BEGIN: &str = r#"exec 2>&1 </dev/null
make() { if [ "$1" = demo ]; then command make --no-print-directory -o setup-demo -o build -o examples demo; else command make "$@"; fi; }
cargo() { (cd "$CHECKOUT" && command cargo "$@" --quiet --debug --offline --root "$HOME/.cargo" --target-dir "$TOOLS/.."); }
"#;

/// After each command. The next one may ask for its status.
const AFTER: &str = "status=$?; printf '\x1e%d\x1e' $status; (exit $status)\n";

/// A folder with what a reader has who has built the project: the tools in PATH, the examples and the manifests.
fn checkout(folder: &Path) {
    for name in ["examples", "manifests"] {
        fs::create_dir(folder.join(name)).unwrap();
        copy_tree(&root().join(name), &folder.join(name));
    }
    fs::copy(root().join("Makefile"), folder.join("Makefile")).unwrap();
    fs::create_dir_all(folder.join("target/release")).unwrap();
    for name in ["stos-pack", "stos-run"] {
        std::os::unix::fs::symlink(tool_path(name), folder.join("target/release").join(name)).unwrap();
    }
}

/// Types everything that `page` has. Returns what is not as it says.
pub fn follow(page: &Page) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("stos-pack");
    fs::create_dir(&folder).unwrap();
    checkout(&folder);

    let mut script = BEGIN.to_owned();
    for block in &page.blocks {
        match block {
            Block::File { name, text } => {
                script += &["cat >", name, " <<'END OF FILE'\n", text, "END OF FILE\n"].concat();
            }
            Block::Commands(steps) => {
                for step in steps {
                    script += &[&step.command, "\n", AFTER].concat();
                }
            }
            Block::NotRun { reason, line } => eprintln!("{}:{line} is not run: {reason}", page.path),
        }
    }
    let mut command: Command = shell("bash", &script, &folder);
    command.env("HOME", home.path()).env("CHECKOUT", root()).env("TOOLS", tool_path("stos-run").parent().unwrap());
    // They are found in PATH.
    command.env_remove("STOS_PACK").env_remove("STOS_RUN");
    // The reader's home is another, and what has been compiled is not there.
    for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        if let (None, Some(home)) = (std::env::var_os(name), std::env::home_dir()) {
            command.env(name, home.join(folder));
        }
    }
    // What cargo installs has been compiled with these.
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PROFILE_")));
    let ran = run(&mut command);
    let mut printed = ran.stdout.split(MARK);

    let mut mistakes = Vec::new();
    let steps: Vec<_> = page.commands().collect();
    for (number, step) in steps.iter().enumerate() {
        let (Some(text), Some(status)) = (printed.next(), printed.next()) else {
            mistakes.push(format!("{}:{}: `{}` was not reached: {ran:?}", page.path, step.line, step.command));
            break;
        };
        let lines: Vec<&str> = text.lines().collect();
        let place = format!("{}:{}: `{}`", page.path, step.line, step.command);
        let is_asked_for = steps.get(number + 1).is_some_and(|next| next.command == "echo $?");
        let is_told = step.printed.iter().flatten().any(|line| line.contains("rror"));
        if status != "0" && !is_asked_for && !is_told {
            mistakes.push(format!("{place} has ended with {status}, and nobody says so:\n{text}"));
        }
        if step.printed.as_ref().is_some_and(|shown| !is_shown(shown, &lines)) {
            mistakes.push(format!("{place} has printed\n{text}"));
        }
    }
    mistakes
}
