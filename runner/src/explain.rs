//! Pages about the ways in which a run can end, by exit status or by the names that reports and JSON have for them. The pages are in the
//! folder beside this file.

use stos_pack::diagnostics::{Code, nearest, printable};

macro_rules! pages {
    ($($file:literal: $names:expr;)*) => {
        /// Each page, and the `kind`s of reports that it is about.
        const PAGES: &[(&str, &[&str], &str)] = &[
            $(($file, &$names, include_str!(concat!("explain/", $file, ".md"))),)*
        ];
    };
}

pages! {
    "0": ["expected", "until"];
    "1": ["exited"];
    "64": ["usage"];
    "65": ["image_rejected", "not_packed"];
    "66": ["no_input"];
    "69": ["no_backend"];
    "70": ["bug"];
    "74": ["io"];
    "77": [];
    "100": ["triple_fault"];
    "101": ["panicked"];
    "102": ["exception"];
    "103": ["cpu_failed"];
    "104": ["halted", "waits_for_nothing"];
    "105": ["expected_missing", "rejected"];
    "106": ["reset"];
    "107": ["too_much_output"];
    "108": ["forbidden"];
    "124": ["time_limit"];
    "128": ["signal", "left"];
}

/// The last status of a guest's own.
const LAST_OF_GUESTS: u8 = 63;
/// Statuses of runs that a signal ended: 128, and the signal's number, of those that it is told of.
const SIGNALS: std::ops::RangeInclusive<u8> = 129..=152;

/// The page about `what`: an exit status, a `kind` of report, or a code of `stos-pack`.
///
/// # Errors
/// Says what there is, or what was probably meant.
pub fn explain(what: &str) -> Result<String, String> {
    let what = what.trim();
    if let Ok(status) = what.parse::<u8>() {
        let file = match status {
            1..=LAST_OF_GUESTS => 1,
            _ if SIGNALS.contains(&status) => 128,
            _ => status,
        };
        return page(&file.to_string())
            .ok_or_else(|| format!("no run ends with status {status}; the statuses are {}", statuses()));
    }
    let kind = what.to_ascii_lowercase().replace('-', "_");
    let found = PAGES.iter().find(|(_, kinds, _)| kinds.contains(&&*kind));
    if let Some((_, _, page)) = found {
        return Ok((*page).to_owned());
    }
    // A number is a status here, so a code has its letter.
    if what.starts_with(['E', 'e', 'W', 'w'])
        && what[1..].bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(code) = Code::parse(what)
    {
        return Ok(code.page().to_owned());
    }
    let kinds: Vec<&str> = PAGES.iter().flat_map(|(_, kinds, _)| kinds.iter().copied()).collect();
    let shown = printable(what);
    Err(match nearest(&kind, &kinds) {
        Some(close) => format!("there is nothing about `{shown}`; did you mean {close}?"),
        None => format!(
            "there is nothing about `{shown}`; it can be an exit status ({}), a kind of ending ({}), or a code of stos-pack such as E0026",
            statuses(),
            kinds.join(", ")
        ),
    })
}

fn page(file: &str) -> Option<String> {
    PAGES.iter().find(|(name, ..)| *name == file).map(|(_, _, page)| (*page).to_owned())
}

fn statuses() -> String {
    let own = |file: &&str| !matches!(*file, "1" | "128");
    let list: Vec<&str> = PAGES.iter().map(|(file, ..)| *file).filter(own).collect();
    format!("{}, 1 to {LAST_OF_GUESTS}, and {} to {}", list.join(", "), SIGNALS.start(), SIGNALS.end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::report::schema;
    use serde_json::Value;

    #[test]
    fn every_kind_of_ending_has_one_page() {
        let schema: Value = schema().parse().unwrap();
        let kinds = schema["$defs"]["OutcomeKind"]["oneOf"].as_array().unwrap();
        let mut all: Vec<&str> = kinds.iter().map(|kind| kind["const"].as_str().unwrap()).collect();
        let mut known: Vec<&str> = PAGES.iter().flat_map(|(_, kinds, _)| kinds.iter().copied()).collect();
        all.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, all);
    }

    #[test]
    fn every_page_begins_with_its_status_and_says_what_to_do() {
        for (file, _, page) in PAGES {
            let heading = page.lines().next().unwrap();
            let status = match *file {
                "1" => "1 to 63",
                "128" => "129 to 152",
                other => other,
            };
            assert!(heading.starts_with(&format!("# {status}: ")), "{heading}");
            assert!(page.contains("\n## What to do\n") && page.ends_with('\n'), "{file}");
            assert!(
                page.lines().all(|line| line.chars().count() <= 100),
                "{file} has a line of more than 100 characters"
            );
        }
    }

    #[test]
    fn a_page_is_found_by_status_by_kind_and_by_code() {
        let heading = |what: &str| explain(what).map(|page| page.lines().next().unwrap().to_owned());
        assert!(heading("102").unwrap().starts_with("# 102: "));
        assert_eq!((heading("102"), heading("7")), (heading("exception"), heading("exited")));
        assert_eq!((heading("130"), heading("Triple-Fault")), (heading("signal"), heading("100")));
        assert!(heading("E26").unwrap().starts_with("# E0026: "));
        assert!(heading("26").unwrap().starts_with("# 1 to 63: "), "a number is a status");
        assert!(heading("99").unwrap_err().starts_with("no run ends with status 99; the statuses are 0, 64, "));
        assert_eq!(
            heading("tripel_fault").unwrap_err(),
            "there is nothing about `tripel_fault`; did you mean triple_fault?"
        );
        assert!(heading("E9999").unwrap_err().contains("a code of stos-pack such as E0026"));
        assert!(heading("\u{1b}é").unwrap_err().contains("about `\\u{1b}é`"));
    }
}
