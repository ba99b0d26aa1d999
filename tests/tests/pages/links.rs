//! Where links of the documentation lead.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use regex_automata::meta::Regex;
use stos_tests::files::with_extension;
use stos_tests::tools::root;

use crate::page::sentences;

/// The folders with pages, below the top.
const FOLDERS: [&str; 4] = ["", "docs", "docs/guide", "examples"];

/// Paths below the top folder.
fn pages() -> Vec<PathBuf> {
    let pages = FOLDERS.iter().flat_map(|folder| with_extension(&root().join(folder), "md"));
    pages.map(|page| page.strip_prefix(root()).unwrap().to_owned()).collect()
}

/// What a page says outside of its code.
fn text(page: &Path) -> String {
    sentences(page.to_str().unwrap()).into_iter().map(|(line, _)| line + "\n").collect()
}

/// What GitHub and mdBook call the heading `title`: small letters, digits, `_` and `-`, which is there for each space, too.
fn anchor(title: &str) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || ['-', '_', ' '].contains(c);
    title.trim().chars().filter(is_kept).map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let titles = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#'));
    let mut anchors = BTreeSet::new();
    for anchor in titles.map(anchor) {
        // The second of two headings has a number.
        let mut numbered = (1..).map(|number| format!("{anchor}-{number}"));
        let free = Some(anchor.clone()).filter(|anchor| !anchors.contains(anchor));
        anchors.insert(free.unwrap_or_else(|| numbered.find(|name| !anchors.contains(name)).unwrap()));
    }
    anchors
}

/// `path` without `.` and `a/..`.
fn tidy(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut tidy, part| {
        match part {
            Component::ParentDir if tidy.pop() => {}
            Component::CurDir => {}
            part => tidy.push(part),
        }
        tidy
    })
}

#[test]
fn each_link_leads_to_a_file_and_a_heading_that_are_there() {
    let links = Regex::new(r"\]\(([^()\s]+)\)").unwrap();
    let texts: BTreeMap<PathBuf, String> = pages().into_iter().map(|page| (page.clone(), text(&page))).collect();
    let mut mistakes = Vec::new();
    let mut count = 0;
    for (page, text) in &texts {
        for found in links.captures_iter(text) {
            let link = &text[found.get_group(1).unwrap().range()];
            if link.starts_with("https://") {
                continue;
            }
            count += 1;
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { tidy(&page.parent().unwrap().join(path)) };
            if !root().join(&target).exists() {
                mistakes.push(format!("{}: `{link}`: there is no such file", page.display()));
            } else if !heading.is_empty() && !texts.get(&target).is_some_and(|text| anchors(text).contains(heading)) {
                mistakes.push(format!("{}: `{link}`: there is no such heading", page.display()));
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert!(count > 100, "{count}");
}

/// Each page of the documentation is in the book, so that a link between two of them is one in the book, too.
#[test]
fn the_book_has_every_page() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    for page in pages() {
        let Ok(name) = page.strip_prefix("docs") else { continue };
        let name = name.to_str().unwrap();
        if name != "SUMMARY.md" {
            assert_eq!(summary.matches(&format!("]({name})")).count(), 1, "{name}");
        }
    }
}
