//! Lines of text, broken between words for a terminal of some width.

use unicode_width::UnicodeWidthChar;

/// Columns below which nothing is broken: no line of it could be read.
const NARROWEST: usize = 20;
/// What the second and further parts of a line are moved to the right by, beyond the line's own blanks.
const HANGING: usize = 2;

/// `text` with each of its lines in parts of at most `width` columns. A word that is longer stays whole.
pub fn wrap(text: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| *width >= NARROWEST) else { return text.to_owned() };
    let mut wrapped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        wrap_line(line, width, &mut wrapped);
    }
    wrapped
}

fn wrap_line(line: &str, width: usize, wrapped: &mut String) {
    let blanks = line.len() - line.trim_start_matches(' ').len();
    // On a narrow terminal, there is still room for words.
    let hanging = (blanks + HANGING).min(width / 2);
    let (mut column, mut gap) = (0, 0);
    for part in line.split_inclusive(' ') {
        let word = part.trim_end_matches(' ');
        let columns = columns(word);
        if !word.is_empty() {
            let is_first = column == 0;
            if !is_first && column + gap + columns > width {
                wrapped.push('\n');
                wrapped.push_str(&" ".repeat(hanging));
                column = hanging;
            } else {
                wrapped.push_str(&" ".repeat(gap));
                column += gap;
            }
            wrapped.push_str(word);
            (column, gap) = (column + columns, 0);
        }
        gap += part.len() - word.len();
    }
}

/// How many columns `word` takes.
fn columns(word: &str) -> usize {
    word.chars().filter_map(UnicodeWidthChar::width).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_the_rest_is_indented() {
        let text = "  eax 00000001  ebx 00000002  ecx 00000003\nshort\n";
        assert_eq!(wrap(text, Some(30)), "  eax 00000001  ebx 00000002\n    ecx 00000003\nshort\n");
        assert_eq!(wrap(text, None), text);
        assert_eq!(wrap(text, Some(200)), text);
        assert_eq!(wrap("漢漢漢漢漢 漢漢漢漢漢 a", Some(20)), "漢漢漢漢漢\n  漢漢漢漢漢 a");
    }

    #[test]
    fn a_narrow_terminal_gets_whole_words_and_a_narrower_one_what_there_is() {
        let wrapped = wrap("stos-run: the guest_has_a_very_long_symbol_name reported\n", Some(20));
        assert_eq!(wrapped, "stos-run: the\n  guest_has_a_very_long_symbol_name\n  reported\n");
        assert_eq!(wrap("one two three", Some(5)), "one two three");
        let deep = format!("{}word and more words\n", " ".repeat(40));
        assert!(wrap(&deep, Some(20)).lines().skip(1).all(|line| line.starts_with(&" ".repeat(10))), "{deep}");
    }
}
