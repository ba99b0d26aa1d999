//! How a failed run is told to editors, to GitHub and to programs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod sarif;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex_automata::meta::Regex;
use serde_json::{Value, json};
use stos_tests::guests::Guest;
use stos_tests::terminal::Session;
use stos_tests::tools::{Run, pack_manifest, root, run, tool};
use tempfile::TempDir;

/// What VS Code's extension for C takes gcc's messages by, `$gcc`: microsoft/vscode-cpptools, `Extension/package.json`. The groups are
/// file, line, column, severity and message.
const CPPTOOLS_GCC: &str = r"^(.*?):(\d+):(\d*):?\s+(?:fatal\s+)?(warning|error):\s+(.*)$";

fn packed(kernel: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let image = Guest::example(&format!("guests/{kernel}")).pack(folder.path());
    (folder, image)
}

fn command(image: &Path, options: &[&str]) -> Command {
    let mut command = tool("stos-run");
    command.args(["--backend", "emulated", "-q"]).args(options).arg(image);
    command
}

fn run_guest(image: &Path, options: &[&str]) -> Run {
    run(&mut command(image, options))
}

/// File, line and message of each line of `text` that `expression` finds, with the numbers of the groups for these.
fn places(expression: &str, groups: [usize; 3], text: &str) -> Vec<(String, usize, String)> {
    let expression = Regex::new(expression).unwrap();
    let place = |line: &str| {
        let mut found = expression.create_captures();
        expression.captures(line, &mut found);
        let group = |number: usize| found.get_group(number).map(|span| line[span.start..span.end].to_owned());
        Some((group(groups[0])?, group(groups[1])?.parse().unwrap(), group(groups[2])?))
    };
    text.lines().filter_map(place).collect()
}

/// The line of `source`, below the examples, that has `text`.
fn line_with(source: &str, text: &str) -> usize {
    let source = fs::read_to_string(root().join("examples").join(source)).unwrap();
    source.lines().position(|line| line.contains(text)).unwrap() + 1
}

/// Runs the guest `name`, of which both kinds of VS Code's expressions must find one place: that of `text` in its source.
fn is_found_at(name: &str, options: &[&str], status: i32, text: &str, message: &str) {
    let (_folder, image) = packed(name);
    let result = run_guest(&image, options);
    assert_eq!(result.status, Some(status), "{result:?}");
    let file = format!("guests/{name}.c");
    let own: Value =
        format!("[{}]", fs::read_to_string(root().join("builder/templates/shared/gcc.json")).unwrap()).parse().unwrap();
    for (expression, groups) in [(CPPTOOLS_GCC, [1, 2, 5]), (own[0]["pattern"]["regexp"].as_str().unwrap(), [1, 2, 5])]
    {
        let found = places(expression, groups, &result.stderr);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((&*found[0].0, found[0].1), (&*file, line_with(&file, text)), "{}", result.stderr);
        assert!(found[0].2.starts_with(message), "{found:?}");
    }
    let told = result.stderr.lines().position(|line| line.starts_with(&format!("{file}:"))).unwrap();
    assert!(result.stderr.lines().nth(told + 1).unwrap().starts_with("stos-run: "), "{}", result.stderr);
}

#[test]
fn each_failure_at_a_known_line_begins_with_it() {
    is_found_at("early_fault", &[], 102, "0xDEAD0000;", "#PF (page fault): supervisor read of 0xdead0000");
    is_found_at(
        "idt_not_present",
        &[],
        100,
        "0xDEAD0000;",
        "triple fault: #PF (page fault): supervisor read of 0xdead0000",
    );
    is_found_at(
        "missing_eoi",
        &[],
        104,
        "sti; hlt",
        "the guest halted for good: HLT with interrupts enabled, but IRQ 0",
    );
}

#[test]
fn a_call_of_nothing_is_told_with_the_line_of_the_call() {
    is_found_at("null_call", &[], 102, "();", "#PF (page fault): ");
}

#[test]
fn a_guest_that_hangs_is_told_with_where_it_was() {
    let (_folder, image) = packed("spin_lock");
    let result = run_guest(&image, &["--timeout", "2s"]);
    assert_eq!(result.status, Some(124));
    let found = places(CPPTOOLS_GCC, [1, 2, 5], &result.stderr);
    assert_eq!(found.len(), 1, "{}", result.stderr);
    assert_eq!((&*found[0].0, &*found[0].2), ("guests/spin_lock.c", "time limit of 2s reached; the CPU was here"));
}

#[test]
fn a_panic_of_the_guests_own_is_no_error_at_a_line() {
    let (_folder, image) = packed("panic");
    let result = run_guest(&image, &[]);
    assert_eq!(result.status, Some(101), "{result:?}");
    assert_eq!(places(CPPTOOLS_GCC, [1, 2, 5], &result.stderr), []);
    assert!(result.stderr.starts_with("stos-run: the guest panicked "), "{}", result.stderr);
}

#[test]
fn the_short_form_is_the_first_line_alone() {
    let (_folder, image) = packed("early_fault");
    let result = run_guest(&image, &["--message-format", "short"]);
    let line = line_with("guests/early_fault.c", "0xDEAD0000;");
    let expected = format!(
        "guests/early_fault.c:{line}: error: #PF (page fault): supervisor read of 0xdead0000: no page is mapped there\n"
    );
    assert_eq!((result.status, result.stderr), (Some(102), expected));
}

#[test]
fn programs_get_an_object_a_line_and_nothing_else() {
    let (_folder, image) = packed("early_fault");
    let mut command = tool("stos-run");
    command.args(["--backend", "emulated", "--message-format", "json", "--color", "always"]).arg(&image);
    let result = run(command.env("GITHUB_ACTIONS", "true"));
    let lines: Vec<Value> = result.stderr.lines().map(|line| line.parse().unwrap()).collect();
    for line in &lines {
        // The keys of `stos-pack`, and one more.
        let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
        let all = ["code", "help", "message", "message_version", "notes", "rendered", "severity", "spans", "status"];
        assert_eq!(keys, all);
    }
    let (last, before) = lines.split_last().unwrap();
    assert_eq!(before.len(), 1, "{before:?}");
    assert_eq!(
        (&before[0]["severity"], &before[0]["code"], &before[0]["status"]),
        (&json!("note"), &Value::Null, &Value::Null)
    );
    assert_eq!(
        (&last["severity"], &last["code"], &last["status"]),
        (&json!("error"), &json!("exception"), &json!(102))
    );
    let span = &last["spans"][0];
    let line = line_with("guests/early_fault.c", "0xDEAD0000;");
    assert_eq!(
        (&span["file"], &span["line"], &span["column"]),
        (&json!("guests/early_fault.c"), &json!(line), &Value::Null)
    );
    let rendered = run_guest(&image, &[]).stderr;
    assert_eq!(last["rendered"].as_str(), Some(&*rendered), "what people get");
    assert_eq!(last["notes"].as_array().unwrap().len() + 2, rendered.lines().count());
}

#[test]
fn programs_are_told_of_a_run_that_could_not_begin() {
    let result = run(tool("stos-run").args(["--message-format", "json", "/gone.img"]));
    let line: Value = result.stderr.parse().unwrap();
    assert_eq!((result.status, &line["code"], &line["status"]), (Some(66), &json!("no_input"), &json!(66)));
}

#[test]
fn github_is_told_where_only_where_it_runs() {
    let (_folder, image) = packed("early_fault");
    let told = |value: Option<&str>| {
        let mut command = command(&image, &[]);
        value.map(|value| command.env("GITHUB_ACTIONS", value));
        run(&mut command).stderr
    };
    let line = line_with("guests/early_fault.c", "0xDEAD0000;");
    let begin = format!("::error file=guests/early_fault.c,line={line},title=stos-run::#PF (page fault) at 0xc01");
    let there = told(Some("true"));
    assert!(there.lines().nth(1).unwrap().starts_with(&begin), "{there}");
    assert_eq!(there.matches("::error").count(), 1);
    for value in [None, Some("false"), Some("")] {
        assert!(!told(value).contains("::error"), "{value:?}");
    }
}

#[test]
fn a_terminal_of_twenty_columns_gets_its_lines_broken_and_the_first_one_whole() {
    let (_folder, image) = packed("early_fault");
    let told = command(&image, &["--color", "never"]);
    let mut narrow = Command::new("sh");
    narrow.args(["-c", "stty cols 20 && exec \"$0\" \"$@\""]).arg(told.get_program()).args(told.get_args());
    let (status, seen) = Session::start(&narrow).end();
    assert_eq!(status.code(), Some(102), "{seen}");
    let seen = seen.replace("\r\n", "\n");
    let own = seen.split_once("0xDEAD0000\n").unwrap().1;
    let (first, rest) = own.split_once('\n').unwrap();
    assert!(first.starts_with("guests/early_fault.c:") && first.ends_with("no page is mapped there"), "{first}");
    assert!(rest.starts_with("stos-run: #PF (page\n  fault) at\n  0xc01"), "{rest}");
    let is_right = |line: &str| line.chars().count() <= 20 || !line.trim().contains(' ');
    assert!(rest.lines().all(is_right), "{rest}");
}

#[test]
fn colours_are_for_terminals_only() {
    let (_folder, image) = packed("early_fault");
    let on_terminal = |options: &[&str], no_color: bool| {
        let mut command = command(&image, options);
        if no_color {
            command.env("NO_COLOR", "1")
        } else {
            command.env_remove("NO_COLOR")
        };
        Session::start(&command).end().1
    };
    assert!(on_terminal(&[], false).contains("\x1b[1;31merror:\x1b[0m"));
    for plain in [on_terminal(&[], true), on_terminal(&["--color", "never"], false), run_guest(&image, &[]).stderr] {
        assert!(!plain.contains('\x1b') && plain.contains(": error: #PF"), "{plain:?}");
    }
    let force = run(command(&image, &[]).env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1")).stderr;
    assert!(force.contains("\x1b[1;31merror:"), "{force:?}");
}

/// A guest that prints a line like one of an editor's on the debug console and dies in a line of a file with this name.
fn in_a_file_called(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let source = format!(
        "#include \"guest.h\"\nvoid kernel_main(const struct boot_interface *boot)\n{{\n(void)boot;\n\
         for (const char *text = \"a.c:1: error: b\\n::error::c\\n\"; *text; text++) outb(0xe9, *text);\n\
         #line 8 \"{name}\"\n(void)*(const volatile uint32_t *)0xDEAD0000;\nhalt();\n}}\n"
    );
    fs::write(folder.path().join("guest.c"), source).unwrap();
    let examples = root().join("examples").display().to_string();
    let build = format!(
        "gcc -m32 -march=i686 -ffreestanding -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none -mgeneral-regs-only \
         -fno-asynchronous-unwind-tables -O2 -g -I{examples}/include -I{examples}/guests -c guest.c && ld -m elf_i386 -nostdlib \
         -T {examples}/kernel.ld --build-id=none -z noexecstack -o guest.elf guest.o"
    );
    let built = run(Command::new("sh").args(["-c", &build]).current_dir(folder.path()));
    assert_eq!((built.status, &*built.stderr), (Some(0), ""));
    pack_manifest(folder.path(), "memory: 16MiB\nkernel: {path: guest.elf, protocol: stos}");
    let image = folder.path().join("manifest.img");
    (folder, image)
}

#[test]
fn neither_a_guest_nor_a_name_in_its_image_can_forge_a_message() {
    let name = "::error file=x::y:3: error: z";
    let (_folder, image) = in_a_file_called(name);
    let result = run(command(&image, &[]).env("GITHUB_ACTIONS", "true"));
    assert_eq!(result.status, Some(102), "{}", result.stderr);
    let found = places(CPPTOOLS_GCC, [1, 2, 5], &result.stderr);
    assert_eq!(found.len(), 1, "{}", result.stderr);
    assert_eq!((&*found[0].0, found[0].1), (&*format!("./{}", name.replace(':', "\\u{3a}")), 8));
    assert!(result.stderr.starts_with("a.c:1: > error: b\n> ::error::c\n"), "{}", result.stderr);
    let commands: Vec<&str> = result.stderr.lines().filter(|line| line.starts_with("::")).collect();
    assert_eq!(commands.len(), 1, "{}", result.stderr);
    let begin = "::error file=%3A%3Aerror file=x%3A%3Ay%3A3%3A error%3A z,line=8,title=stos-run::#PF ";
    assert!(commands[0].starts_with(begin), "{}", commands[0]);
    // Programs get the name as it is.
    let told = run_guest(&image, &["--message-format", "json"]).stderr;
    let last: Value = told.lines().last().unwrap().parse().unwrap();
    assert_eq!(last["spans"][0]["file"], name);
    assert_eq!(told.lines().filter(|line| line.starts_with("{\"")).count(), 1, "{told}");
}

#[test]
fn a_mistake_in_a_manifest_is_told_in_each_form_as_a_failure_is() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "version: 1\nname: m\nmemory: 64MB\nkernel: {path: k.elf, protocol: stos}\n";
    fs::write(folder.path().join("m.yaml"), manifest).unwrap();
    let said = |options: &[&str], github: &str| {
        let result =
            run(tool("stos-run").current_dir(&folder).env("GITHUB_ACTIONS", github).args(options).arg("m.yaml"));
        assert_eq!((result.status, &*result.stdout), (Some(65), ""), "{}", result.stderr);
        result.stderr
    };
    let human = said(&[], "true");
    assert!(human.starts_with("error[E0007]: memory: `MB` is no unit here"), "{human}");
    assert!(
        human.contains("\n::error file=m.yaml,line=3,endLine=3,col=9,title=E0007::memory: `MB` is no unit"),
        "{human}"
    );
    let short = said(&["--message-format", "short"], "");
    let first = short.lines().next().unwrap();
    assert!(first.starts_with("m.yaml:3:9: error[E0007]: memory: `MB` is no unit here"), "{short}");
    let json = said(&["--message-format", "json"], "true");
    let lines: Vec<Value> = json.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!((&lines[0]["code"], &lines[0]["spans"][0]["line"]), (&json!("E0007"), &json!(3)));
    let last = lines.last().unwrap();
    assert_eq!((&last["code"], &last["status"], &last["notes"]), (&json!("not_packed"), &json!(65), &json!([])));
}
