//! README and guide are true: what they tell to type is typed, what they show is what is printed, and what they link to is there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod links;
mod page;
mod reference;
mod session;
mod terminal;

use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;

use stos_tests::files::with_extension;
use stos_tests::tools::{root, run, tool};

use page::{Block, Page, is_shown};

/// The folder of the guide.
const GUIDE: &str = "docs/guide";

/// Its pages.
fn guide() -> impl Iterator<Item = String> {
    let pages = with_extension(&root().join(GUIDE), "md");
    assert!(!pages.is_empty());
    pages.into_iter().map(|page| page.strip_prefix(root()).unwrap().to_str().unwrap().to_owned())
}

fn follow(path: &str) {
    let mistakes = session::follow(&Page::read(path));
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn the_readme_is_followed() {
    follow("README.md");
}

#[test]
fn the_page_on_setting_up_is_followed() {
    follow("docs/guide/install.md");
}

#[test]
fn the_first_kernel_is_followed() {
    follow("docs/guide/first-kernel.md");
}

#[test]
fn the_page_on_manifests_is_followed() {
    follow("docs/guide/manifests.md");
}

#[test]
fn the_page_on_diagnoses_is_followed() {
    follow("docs/guide/diagnoses.md");
}

#[test]
fn the_page_on_sharing_is_followed() {
    follow("docs/guide/sharing.md");
}

#[test]
fn the_page_for_teachers_is_followed() {
    follow("docs/guide/teachers.md");
}

#[test]
fn the_page_on_ci_is_followed() {
    follow("docs/guide/ci.md");
}

#[test]
fn the_answers_to_questions_are_followed() {
    follow("docs/guide/questions.md");
}

#[test]
fn every_page_of_the_guide_is_followed() {
    let source = fs::read_to_string(root().join("tests/tests/pages/main.rs")).unwrap();
    for page in guide() {
        assert!(source.contains(&format!("follow(\"{page}\")")), "{page}");
    }
}

#[test]
fn what_is_typed_stands_in_blocks_that_are_read() {
    for path in guide().chain(["README.md".to_owned()]) {
        for language in page::languages(&path) {
            let known = ["sh", "console", "yaml", "c", "text"];
            assert!(known.contains(&&*language), "{path}: what is a block of `{language}`?");
        }
        for (line, number) in page::sentences(&path) {
            let is_hidden = line.starts_with("    ") && line.trim_start().starts_with(['$', '#']);
            assert!(!is_hidden, "{path}:{number}: a block without a fence is not read");
        }
    }
}

/// Options of other programs.
const OF_OTHERS: [&str; 4] = ["--device", "--name-match", "--reload-rules", "--shutdown"];

/// Panics when there is an option among `words` that neither command has; returns how many options there are.
fn options_are_known<'a>(words: impl Iterator<Item = &'a str>, place: &str) -> usize {
    static KNOWN: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let help = |words: &[&str]| ["stos-pack", "stos-run"].map(|name| run(tool(name).args(words)).stdout).concat();
        let verbs = ["new", "inspect", "export", "extract", "diff", "keygen", "sign", "verify", "lock", "init"];
        let text = help(&["--help"]) + &verbs.map(|verb| help(&[verb, "--help"])).concat();
        text.split(|c: char| !c.is_ascii_lowercase() && c != '-').map(str::to_owned).collect()
    });
    let options = words.filter(|word| word.starts_with("--"));
    let check = |option: &str| {
        assert!(KNOWN.contains(option) || OF_OTHERS.contains(&option), "{place}: nothing has the option {option}");
    };
    options.inspect(|option| check(option)).count()
}

#[test]
fn options_that_a_sentence_names_are_there() {
    let mut count = 0;
    for path in guide().chain(["README.md".to_owned()]) {
        for (line, number) in page::sentences(&path) {
            // Every second part is between backquotes.
            let words = line.split('`').skip(1).step_by(2).flat_map(|code| code.split([' ', '=']));
            count += options_are_known(words, &format!("{path}:{number}"));
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn what_is_left_out_may_be_anything_and_nothing_else_may() {
    let shows = |shown: &str, printed: &str| {
        let shown: Vec<String> = shown.lines().map(str::to_owned).collect();
        is_shown(&shown, &printed.lines().collect::<Vec<_>>())
    };
    assert!(shows("a\n…\nd", "a\nb\nc\nd") && shows("a\n…", "a") && shows("a … c … e", "a b c d e"));
    assert!(!shows("a", "a\nb") && !shows("a\n…\nd", "a\nb") && !shows("a … c", "a b c d") && !shows("", "a"));
    let page = Page { path: String::new(), blocks: vec![Block::File { name: String::new(), text: String::new() }] };
    assert_eq!(page.commands().count(), 0);
}
