//! A page of documentation as its reader meets it: files to write, commands to type, and what these print.

use std::fs;

use stos_tests::tools::root;

/// What stands in a page for anything that is left out: part of a line, or with nothing beside it, any number of lines.
pub const LEFT_OUT: &str = "…";

/// Stands before and after code.
const FENCE: &str = "```";

/// A page below the top folder.
pub struct Page {
    pub path: String,
    pub blocks: Vec<Block>,
}

/// One of its code blocks that says what to do. All others are excerpts.
pub enum Block {
    /// The comment `<!-- file: NAME -->` stands before it.
    File { name: String, text: String },
    /// Its language is `console`, or `sh`, where nothing is shown of what is printed.
    Commands(Vec<Step>),
    /// Commands below the comment `<!-- not run: REASON -->`.
    NotRun { reason: String, line: usize },
}

/// A command and what it prints.
pub struct Step {
    /// Where it is.
    pub line: usize,
    pub command: String,
    /// `None` where the page does not say.
    pub printed: Option<Vec<String>>,
}

/// The lines of a page that are no code, with their numbers.
pub fn sentences(path: &str) -> Vec<(String, usize)> {
    let mut is_code = false;
    let mut kept = Vec::new();
    for (line, number) in text_of(path).lines().zip(1..) {
        let is_fence = line.trim_start().starts_with(FENCE);
        is_code ^= is_fence;
        if !is_code && !is_fence {
            kept.push((line.to_owned(), number));
        }
    }
    kept
}

/// Those of a page's blocks of code.
pub fn languages(path: &str) -> Vec<String> {
    let text = text_of(path);
    text.lines().filter_map(|line| line.trim_start().strip_prefix(FENCE)).step_by(2).map(str::to_owned).collect()
}

fn text_of(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

impl Page {
    pub fn read(path: &str) -> Self {
        let text = text_of(path);
        let mut blocks = Vec::new();
        let mut note = "";
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            if let Some(language) = line.trim_start().strip_prefix(FENCE) {
                let indent = line.len() - line.trim_start().len();
                let body: Vec<(&str, usize)> = lines.by_ref().take_while(|(line, _)| line.trim() != FENCE).collect();
                let body = body.into_iter().map(|(line, number)| (line.get(indent..).unwrap_or_default(), number));
                blocks.extend(block(language, note, body, number));
                note = "";
            } else if !line.is_empty() {
                note = line.trim().strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")).unwrap_or_default();
            }
        }
        Self { path: path.to_owned(), blocks }
    }

    /// The commands of all blocks.
    pub fn commands(&self) -> impl Iterator<Item = &Step> {
        self.blocks
            .iter()
            .filter_map(|block| if let Block::Commands(steps) = block { Some(steps) } else { None })
            .flatten()
    }
}

fn block<'a>(language: &str, note: &str, body: impl Iterator<Item = (&'a str, usize)>, number: usize) -> Option<Block> {
    let is_typed = ["console", "sh"].contains(&language);
    if let Some(reason) = note.strip_prefix("not run: ") {
        return is_typed.then(|| Block::NotRun { reason: reason.to_owned(), line: number });
    }
    if let Some(name) = note.strip_prefix("file: ") {
        let text = body.flat_map(|(line, _)| [line, "\n"]).collect();
        return Some(Block::File { name: name.to_owned(), text });
    }
    if !is_typed {
        return None;
    }
    let mut steps: Vec<Step> = Vec::new();
    for (line, number) in body {
        let typed = if language == "sh" { Some(line) } else { line.strip_prefix("$ ") };
        match (typed, steps.last_mut()) {
            // A line of a shell that goes on.
            (_, Some(last)) if last.command.ends_with('\\') => last.command = [&last.command, "\n", line].concat(),
            (Some(typed), _) if typed.is_empty() || typed.starts_with('#') => {}
            (Some(typed), _) => {
                let printed = (language == "console").then(Vec::new);
                steps.push(Step { line: number, command: typed.to_owned(), printed });
            }
            (None, Some(Step { printed: Some(printed), .. })) => printed.push(line.to_owned()),
            (None, _) => panic!("line {number}: {line:?} is printed before anything is typed"),
        }
    }
    Some(Block::Commands(steps))
}

/// Begins each address of the code of examples, and of their tables, behind which come five digits.
const CODE: &str = "0xc01";
/// Stands before the distance from a symbol.
const BEHIND: &str = "+0x";

/// `line` with one address for all of the examples' code, and one distance from a function's start: the compiler decides on these.
pub fn without_places(line: &str) -> String {
    let mut rest = line;
    let mut kept = String::new();
    while let Some((at, begin)) = [CODE, BEHIND].iter().filter_map(|begin| Some((rest.find(begin)?, *begin))).min() {
        let (before, behind) = rest.split_at(at + begin.len());
        kept += before;
        rest = behind.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    kept + rest
}

/// Whether a page may show `printed` as `shown`.
pub fn is_shown(shown: &[String], printed: &[&str]) -> bool {
    match (shown, printed) {
        ([first, shown @ ..], _) if first.trim() == LEFT_OUT => {
            (0..=printed.len()).any(|lines| is_shown(shown, &printed[lines..]))
        }
        ([first, shown @ ..], [line, printed @ ..]) => {
            is_line(&without_places(first), &without_places(line)) && is_shown(shown, printed)
        }
        ([], []) => true,
        _ => false,
    }
}

/// Whether a page may show `line` as `shown`.
fn is_line(shown: &str, line: &str) -> bool {
    let line = line.trim_end();
    let Some((begin, rest)) = shown.split_once(LEFT_OUT) else { return shown == line };
    let Some(line) = line.strip_prefix(begin) else { return false };
    line.char_indices().map(|(at, _)| at).chain([line.len()]).any(|at| is_line(rest, &line[at..]))
}
