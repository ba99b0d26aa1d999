//! What a project has for VS Code: settings, and in them expressions that find the places of mistakes.

use std::fs;
use std::path::Path;

use regex_automata::meta::Regex;
use serde_json::Value;

/// One of VS Code's problem matchers: an expression, or several for lines in a row.
pub struct Matcher {
    lines: Vec<Regex>,
    file: usize,
    line: usize,
}

impl Matcher {
    pub fn new(matcher: &Value) -> Self {
        assert_eq!(matcher["fileLocation"][0], "autoDetect");
        let pattern = &matcher["pattern"];
        let patterns = pattern.as_array().cloned().unwrap_or_else(|| vec![pattern.clone()]);
        let last = patterns.last().unwrap();
        let group = |key: &str| usize::try_from(last[key].as_u64().unwrap()).unwrap();
        let (file, line) = (group("file"), group("line"));
        let compiled = patterns.iter().map(|pattern| Regex::new(pattern["regexp"].as_str().unwrap()).unwrap());
        Self { lines: compiled.collect(), file, line }
    }

    /// The places in `printed` that it finds.
    pub fn places(&self, printed: &str) -> Vec<(String, usize)> {
        let lines: Vec<&str> = printed.lines().map(|line| line.trim_end_matches('\r')).collect();
        let place = |window: &[&str]| {
            let all = self.lines.iter().zip(window).all(|(expression, line)| expression.is_match(*line));
            let last = window.last().filter(|_| all)?;
            let mut groups = self.lines.last()?.create_captures();
            self.lines.last()?.captures(*last, &mut groups);
            let text = |group: usize| groups.get_group(group).map(|span| &last[span.start..span.end]);
            Some((text(self.file)?.to_owned(), text(self.line)?.parse().ok()?))
        };
        lines.windows(self.lines.len()).filter_map(place).collect()
    }
}

/// What is in a file of JSON.
pub fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
