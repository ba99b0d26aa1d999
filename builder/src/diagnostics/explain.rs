//! Finds the code that a person asks about. The pages are in the folder beside this file.

use super::code::Code;
use super::nearest::nearest;

impl Code {
    /// The code that `text` names, in any case, with or without leading zeros; without a letter, it is an error's.
    ///
    /// # Errors
    /// Says what codes there are, or which one was probably meant.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (letter, digits) = match text.chars().next() {
            Some('W' | 'w') => ('W', &text[1..]),
            Some('E' | 'e') => ('E', &text[1..]),
            _ => ('E', text),
        };
        let wanted = format!("{letter}{digits:0>4}");
        if let Some(code) = Self::ALL.iter().find(|code| code.text() == wanted) {
            return Ok(*code);
        }
        let texts: Vec<&str> = Self::ALL.iter().map(|code| code.text()).collect();
        Err(match nearest(&wanted, &texts) {
            Some(close) => format!("there is no code `{text}`; did you mean {close}?"),
            None => format!("there is no code `{text}`; the codes are {}", texts.join(", ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_about_its_code_and_says_how_to_mend_it() {
        for code in Code::ALL {
            let page = code.page();
            assert!(page.starts_with(&format!("# {code}: ")), "{code} begins with {:?}", page.lines().next());
            for heading in ["## How it comes about", "## How to mend it"] {
                assert!(page.contains(heading), "{code} has no `{heading}`");
            }
            assert!(
                page.lines().all(|line| line.chars().count() <= 100),
                "{code} has a line of more than 100 characters"
            );
        }
    }

    #[test]
    fn a_code_is_found_however_it_is_written() {
        for text in ["E0026", "e0026", "E26", "26"] {
            assert_eq!(Code::parse(text), Ok(Code::SegmentsOverlap), "{text}");
        }
        for text in ["W0003", "w3"] {
            assert_eq!(Code::parse(text), Ok(Code::UndefinedSymbols), "{text}");
        }
        assert_eq!(Code::parse("E0062x").unwrap_err(), "there is no code `E0062x`; did you mean E0062?");
        assert!(Code::parse("kernel").unwrap_err().contains("E0001, E0002"));
    }
}
