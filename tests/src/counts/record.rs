//! Recorded counts, and what is said of new ones beside them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Instructions by what executes them.
pub type Counts = BTreeMap<String, u64>;

/// How much more than recorded is too much, in thousandths.
const MARGIN: u64 = 50;

/// What to do about a count that is too high.
const ADVICE: &str = "\
where they are executed:  callgrind_annotate target/counts/NAME.callgrind
if they are worth it:     make record-counts, and commit tests/fixtures/instructions.json with the reason";

/// Counts by the toolchain with which they were recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(BTreeMap<String, Counts>);

impl Records {
    /// Reads what [`Self::to_text`] has written.
    ///
    /// # Errors
    /// Says where the text is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map(Self).map_err(|error| error.to_string())
    }

    /// A file of them, sorted, so that a new record changes few lines.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(&self.0).unwrap() + "\n"
    }

    /// Replaces what is recorded for a toolchain. What can't be counted here keeps its record.
    pub fn replace(&mut self, toolchain: &str, counts: Counts, uncounted: &[String]) {
        let old = self.0.insert(toolchain.to_owned(), counts).unwrap_or_default();
        let kept = old.into_iter().filter(|(name, _)| is_one_of(name, uncounted));
        self.0.entry(toolchain.to_owned()).or_default().extend(kept);
    }

    /// Compares counts with those that are recorded for their toolchain. Of some of what is recorded it is known that it can't be
    /// counted here.
    pub fn compare(&self, toolchain: &str, counts: &Counts, uncounted: &[String]) -> Comparison {
        let mut text = String::new();
        let Some(recorded) = self.0.get(toolchain) else {
            for (name, count) in counts {
                let _ = writeln!(text, "{name}: {} instructions", grouped(*count));
            }
            let _ = writeln!(
                text,
                "nothing is recorded for {toolchain}, so nothing is compared; `make record-counts` records these"
            );
            return Comparison { text, is_too_much: false };
        };
        let (mut is_too_much, mut is_old) = (false, false);
        for (name, &count) in counts {
            let _ = write!(text, "{name}: {} instructions", grouped(count));
            let Some(&record) = recorded.get(name) else {
                text.push_str(", of which nothing is recorded\n");
                is_old = true;
                continue;
            };
            let direction = if count < record { "fewer" } else { "more" };
            let tenths = (count.abs_diff(record) * 1000).checked_div(record).unwrap_or(u64::MAX);
            let _ = write!(text, ", {}.{} % {direction} than recorded", tenths / 10, tenths % 10);
            if exceeds(count, record) {
                let _ = write!(text, " ({}): at most {} % more are allowed", grouped(record), MARGIN / 10);
                is_too_much = true;
            } else if exceeds(record, count) {
                is_old = true;
            }
            text.push('\n');
        }
        for name in recorded.keys().filter(|name| !counts.contains_key(*name) && !is_one_of(name, uncounted)) {
            let _ = writeln!(text, "{name}: recorded, but not counted any more");
            is_old = true;
        }
        if is_too_much {
            let _ = writeln!(text, "{ADVICE}");
        } else if is_old {
            text.push_str("the record is old: `make record-counts` renews it, so that what was gained is kept\n");
        }
        Comparison { text, is_too_much }
    }
}

/// What is said of counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// A line for each, and what to do.
    pub text: String,
    /// One is higher than allowed.
    pub is_too_much: bool,
}

/// Whether `count` is more than `record` by more than the margin.
fn exceeds(count: u64, record: u64) -> bool {
    count * 1000 > record * (1000 + MARGIN)
}

/// Whether `name` is one of the `cases`, or a part of one, which has words behind a comma.
fn is_one_of(name: &str, cases: &[String]) -> bool {
    cases.iter().any(|case| name.strip_prefix(&**case).is_some_and(|rest| rest.is_empty() || rest.starts_with(',')))
}

/// With a comma before each three digits.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOLCHAIN: &str = "rustc 1.0.0, glibc 2.0";

    fn counts(cases: &[(&str, u64)]) -> Counts {
        cases.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
    }

    fn compared(cases: &[(&str, u64)]) -> Comparison {
        let mut records = Records::default();
        records.replace(TOOLCHAIN, counts(&[("pack ministos", 33_000_000), ("run on KVM", 2_000_000)]), &[]);
        let kvm = ["run on KVM".to_owned()];
        Records::parse(&records.to_text()).unwrap().compare(TOOLCHAIN, &counts(cases), &kvm)
    }

    #[test]
    fn six_per_cent_more_are_too_much_and_it_is_said_what_to_do() {
        let found = compared(&[("pack ministos", 34_980_000), ("run on KVM", 2_000_000)]);
        assert!(found.is_too_much);
        assert_eq!(
            found.text,
            format!(
                "pack ministos: 34,980,000 instructions, 6.0 % more than recorded (33,000,000): at most 5 % more are allowed\n\
                 run on KVM: 2,000,000 instructions, 0.0 % more than recorded\n{ADVICE}\n"
            )
        );
    }

    #[test]
    fn four_per_cent_more_and_five_exactly_are_not() {
        for count in [34_320_000, 34_650_000] {
            let found = compared(&[("pack ministos", count)]);
            assert!(!found.is_too_much && found.text.lines().count() == 1, "{found:?}");
        }
        assert!(compared(&[("pack ministos", 34_650_001)]).is_too_much);
    }

    #[test]
    fn what_was_gained_is_to_be_recorded() {
        let found = compared(&[("pack ministos", 30_000_000)]);
        assert!(!found.is_too_much);
        assert!(
            found
                .text
                .starts_with("pack ministos: 30,000,000 instructions, 9.0 % fewer than recorded\nthe record is old: ")
        );
    }

    #[test]
    fn what_is_not_counted_any_more_or_not_yet_recorded_is_said() {
        let found = compared(&[("pack 200 modules", 1)]);
        assert!(!found.is_too_much);
        assert!(found.text.starts_with(
            "pack 200 modules: 1 instructions, of which nothing is recorded\npack ministos: recorded, but"
        ));
    }

    #[test]
    fn another_toolchain_compares_nothing_and_says_how_to_record() {
        let found = Records::default().compare(TOOLCHAIN, &counts(&[("pack ministos", 1234)]), &[]);
        assert!(!found.is_too_much);
        assert_eq!(
            found.text,
            format!(
                "pack ministos: 1,234 instructions\nnothing is recorded for {TOOLCHAIN}, so nothing is compared; \
                 `make record-counts` records these\n"
            )
        );
    }

    #[test]
    fn a_new_record_leaves_other_toolchains_and_what_cant_be_counted_here() {
        let mut records = Records::default();
        records.replace("other", counts(&[("pack", 1)]), &[]);
        records.replace(TOOLCHAIN, counts(&[("pack", 1), ("gone", 3), ("run", 4), ("run, without hashing", 2)]), &[]);
        records.replace(TOOLCHAIN, counts(&[("pack", 2)]), &["run".to_owned()]);
        assert_eq!(records.0["other"], counts(&[("pack", 1)]));
        assert_eq!(records.0[TOOLCHAIN], counts(&[("pack", 2), ("run", 4), ("run, without hashing", 2)]));
    }

    #[test]
    fn a_broken_record_is_told_with_its_place() {
        assert!(Records::parse("{\"a\": {\"b\": -1}}").unwrap_err().contains("at line 1 column"));
    }
}
