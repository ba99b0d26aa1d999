//! What can't become a project is told, and nothing is left of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use stos_tests::files::names_in;
use stos_tests::tools::{pack_in, run, tool_path};

/// Asserts that `new` with these options fails with `status` and says `expected`, and that nothing in `folder` has changed.
fn refused(folder: &Path, options: &[&str], status: i32, expected: &str) {
    let before = names_in(folder);
    let result = pack_in(folder, &[&["new"], options].concat());
    assert_eq!((result.status, &*result.stdout, &*result.stderr), (Some(status), "", &*format!("error: {expected}\n")));
    assert_eq!(names_in(folder), before, "{options:?}");
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("lab");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("b"), "mine").unwrap();
    let end = "name one that is, or that does not exist yet";
    refused(top.path(), &["lab"], 74, &format!("the folder `lab` is not empty: it has `b`; {end}"));
    for name in [".hidden", "a", "c\n", "d"] {
        fs::write(folder.join(name), "").unwrap();
    }
    let names = "`.hidden`, `a`, `b` and 2 more";
    refused(&folder, &[".", "--name", "x"], 74, &format!("the folder `.` is not empty: it has {names}; {end}"));
    assert_eq!(fs::read_to_string(folder.join("b")).unwrap(), "mine");
}

#[test]
fn what_can_not_become_a_folder_is_told() {
    let top = tempfile::tempdir().unwrap();
    fs::write(top.path().join("file"), "").unwrap();
    std::os::unix::fs::symlink("nowhere", top.path().join("link")).unwrap();
    refused(top.path(), &["file"], 74, "`file` is there already, and is no folder; name another one");
    refused(top.path(), &["file/lab"], 74, "`file` is there already, and is no folder; name another one");
    refused(top.path(), &["link"], 74, "`link` is there already, and is no folder; name another one");
    let missing = "can't write to `a/lab`: there is no such file; make the folder that it is to lie in with `mkdir -p`";
    refused(top.path(), &["a/lab"], 74, missing);
    // No right to write; root has it nearly everywhere.
    let result = pack_in(top.path(), &["new", "/sys/lab"]);
    assert_eq!(
        (result.status, result.stderr.starts_with("error: can't write to `/sys/lab`: ")),
        (Some(74), true),
        "{result:?}"
    );
}

#[test]
fn names_that_are_none_are_told_with_one_that_is() {
    let top = tempfile::tempdir().unwrap();
    let rule = "a name is a letter and then letters, digits, `-` and `_`, 64 at most; give it one with `--name";
    for (options, name, other) in [
        (&["2024 lab"][..], "2024 lab", "lab"),
        (&["my kernel", "--language", "rust"], "my kernel", "my-kernel"),
        (&["/"], "", "my-kernel"),
        (&["lab", "--name", "$(x)\n"], "$(x)\\n", "x"),
        (
            &["."],
            &top.path().file_name().unwrap().to_string_lossy(),
            &top.path().file_name().unwrap().to_string_lossy()[1..],
        ),
    ] {
        refused(top.path(), options, 64, &format!("a project can't be called `{name}`: {rule} {other}`"));
    }
    for (option, value) in [("--protocol", "grub"), ("--language", "cobol")] {
        let result = pack_in(top.path(), &["new", "lab", option, value]);
        assert_eq!(result.status, Some(64));
        let values = if option == "--protocol" { "stos, multiboot, linux, elf" } else { "c, rust, asm" };
        assert!(result.stderr.contains(&format!("invalid value '{value}' for '{option} <")), "{}", result.stderr);
        assert!(result.stderr.contains(&format!("[possible values: {values}]")), "{}", result.stderr);
    }
    assert_eq!(names_in(top.path()), Vec::<String>::new());
}

#[test]
fn a_project_that_can_not_be_written_whole_is_not_there() {
    let top = tempfile::tempdir().unwrap();
    let here = top.path().join("here");
    fs::create_dir(&here).unwrap();
    // Some files are small enough, and one is not.
    for (folder, left) in [("lab", ["here"].as_slice()), ("here", &["here"])] {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -f 8; exec \"$0\" \"$@\""]).arg(tool_path("stos-pack")).args(["new", folder]);
        let result = run(shell.current_dir(top.path()));
        assert_eq!(result.status, Some(74), "{result:?}");
        let start = format!("error: can't write to `{folder}/");
        assert!(
            result.stderr.starts_with(&start) && result.stderr.contains("`ulimit -f` shows the limit"),
            "{result:?}"
        );
        assert_eq!(names_in(top.path()), left);
        assert_eq!(names_in(&here), Vec::<String>::new());
    }
}
