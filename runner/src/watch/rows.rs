//! The screen's text as lines for whoever watches the output: each row once, when it is complete.

use crate::screen::ROWS;

/// A row and whether it was handed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Row {
    text: String,
    is_told: bool,
}

/// The rows as they were seen last.
#[derive(Clone, Debug)]
pub struct Rows(Vec<Row>);

impl Default for Rows {
    fn default() -> Self {
        Self(vec![Row::default(); ROWS])
    }
}

impl Rows {
    /// Takes the `text` of the screen as it is now; returns the rows that were the same at the last look, wherever on the screen,
    /// and were not returned before. A row that the guest is still writing is not the same.
    pub fn look(&mut self, text: &str) -> Vec<String> {
        let now: Vec<&str> = text.lines().chain(std::iter::repeat("")).take(ROWS).collect();
        let scrolled = self.scrolled_by(&now);
        let mut complete = Vec::new();
        let next = now.iter().enumerate().map(|(place, row)| {
            let before = self.0.get(place + scrolled).filter(|before| before.text == *row);
            let is_told = before.is_some_and(|before| before.is_told);
            if before.is_some() && !is_told && !row.is_empty() {
                complete.push((*row).to_owned());
            }
            Row { text: (*row).to_owned(), is_told: before.is_some() }
        });
        self.0 = next.collect();
        complete
    }

    /// As [`Self::look`], when nothing will change any more: all rows that were not returned before.
    pub fn finish(&mut self, text: &str) -> Vec<String> {
        let mut complete = self.look(text);
        let left = self.0.iter().filter(|row| !row.is_told && !row.text.is_empty());
        complete.extend(left.map(|row| row.text.clone()));
        complete
    }

    /// How many rows the screen has scrolled up since the last look: what explains most of `now`, the least of those.
    fn scrolled_by(&self, now: &[&str]) -> usize {
        let kept = |by: &usize| {
            let pairs = self.0.iter().skip(*by).zip(now);
            pairs.filter(|(before, row)| before.text == **row && !row.is_empty()).count()
        };
        (0..ROWS).rev().max_by_key(kept).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_told_once_when_it_has_not_changed_between_two_looks() {
        let mut rows = Rows::default();
        assert!(rows.look("boo").is_empty());
        assert!(rows.look("booting").is_empty());
        assert_eq!(rows.look("booting\n\nlog"), ["booting"]);
        assert_eq!(rows.look("booting\n\nlogin:"), [""; 0]);
        assert_eq!(rows.look("booting\n\nlogin:"), ["login:"]);
        assert!(rows.look("booting\n\nlogin:").is_empty());
    }

    #[test]
    fn rows_that_scroll_are_the_same_rows() {
        let screen = |from: usize| {
            let lines: Vec<String> = (from..from + ROWS).map(|number| format!("line {number}")).collect();
            lines.join("\n")
        };
        let mut rows = Rows::default();
        rows.look(&screen(0));
        assert_eq!(rows.look(&screen(0)).len(), ROWS);
        assert!(rows.look(&screen(10)).is_empty());
        let new = rows.look(&screen(12));
        assert_eq!((new.len(), &*new[0]), (10, "line 25"));
        assert_eq!(rows.finish(&screen(12)), ["line 35", "line 36"]);
    }

    #[test]
    fn the_last_look_tells_what_is_left() {
        let mut rows = Rows::default();
        rows.look("one");
        assert_eq!(rows.finish("one\ntwo"), ["one", "two"]);
        assert!(Rows::default().finish("").is_empty());
    }

    #[test]
    fn a_row_that_comes_again_is_told_again() {
        let mut rows = Rows::default();
        rows.look("ok");
        assert_eq!(rows.look("ok"), ["ok"]);
        rows.look("ok\nok");
        assert_eq!(rows.look("ok\nok"), ["ok"]);
    }
}
