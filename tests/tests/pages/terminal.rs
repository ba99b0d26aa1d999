//! The session at a terminal that README shows is one that can be had.

use std::collections::BTreeMap;
use std::fs;

use stos_tests::recording::{compiler, draw, picture_path, play};

use crate::page::without_places;

/// The rows of a picture, and what it says of the compiler.
fn rows(picture: &str) -> (Vec<String>, String) {
    let document = roxmltree::Document::parse(picture).unwrap();
    let mut rows = BTreeMap::<u32, String>::new();
    for text in document.descendants().filter(|node| node.has_tag_name("text")) {
        let row = text.attribute("y").unwrap().parse().unwrap();
        *rows.entry(row).or_default() += &text.text().unwrap().trim_matches('\n').replace('\u{a0}', " ");
    }
    let description = document.descendants().find(|node| node.has_tag_name("desc")).unwrap();
    (rows.into_values().collect(), description.text().unwrap().trim().to_owned())
}

/// What no compiler decides on.
fn of_any_compiler(rows: &[String]) -> Vec<String> {
    let mut is_code = false;
    let mut kept = Vec::new();
    for row in rows {
        let title = row.trim();
        if title.ends_with(':') && !title.contains(' ') {
            is_code = ["instruction:", "registers:"].contains(&title);
        } else if !row.starts_with(' ') {
            is_code = false;
        }
        if !is_code {
            kept.push(without_places(row));
        }
    }
    kept
}

#[test]
fn the_picture_of_a_terminal_is_what_a_terminal_shows() {
    let shown = fs::read_to_string(picture_path()).unwrap();
    let (shown_rows, made_with) = rows(&shown);
    let compiler = compiler();
    let played = draw(play().screen(), &compiler);
    let (played_rows, _) = rows(&played);
    assert_eq!(
        of_any_compiler(&shown_rows),
        of_any_compiler(&played_rows),
        "`cargo run -p stos-tests --bin record-terminal` mends it"
    );
    assert!(of_any_compiler(&played_rows).len() > 15, "{played_rows:?}");
    assert!(shown.len() < 100_000, "README is read where this has to be fetched");
    if made_with == compiler {
        assert_eq!(shown, played, "`cargo run -p stos-tests --bin record-terminal` mends it");
    } else {
        eprintln!("code and registers are not compared: the picture was made with {made_with}, and here is {compiler}");
    }
}
