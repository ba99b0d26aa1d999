//! How a run ended, as SARIF 2.1.0 for code scanning and editors (OASIS standard, 27 March 2020): as little of it as the
//! standard asks for, and the place. What is wrong with a manifest is there as well, each mistake with its code and its place.

use serde::Serialize;
use std::fmt::Write as _;

use stos_pack::diagnostics::{Message, Place, Severity};

use super::report::OutcomeKind;
use super::run::kind;
use super::{Headline, Outcome};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json";

/// A log file (section 3.13).
#[derive(Clone, Debug, Serialize)]
pub struct Log {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: Vec<Run>,
}

/// What one run of this program has found (3.14).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    tool: Tool,
    invocations: Vec<Invocation>,
    /// In what columns are counted.
    column_kind: &'static str,
    results: Vec<Finding>,
}

#[derive(Clone, Debug, Serialize)]
struct Tool {
    driver: Driver,
}

/// 3.19.
#[derive(Clone, Debug, Serialize)]
struct Driver {
    name: &'static str,
    version: &'static str,
    rules: Vec<Rule>,
}

/// What a finding is an instance of (3.49).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Rule {
    id: RuleId,
}

/// Its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum RuleId {
    /// A way for a run to end.
    End(OutcomeKind),
    /// A code of stos-pack.
    Code(&'static str),
}

/// 3.20.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    /// The guest has run; whether it did well is a result.
    execution_successful: bool,
    exit_code: u8,
}

/// 3.27.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    rule_id: RuleId,
    rule_index: usize,
    level: Severity,
    message: Text,
    locations: Vec<Location>,
}

/// 3.11.
#[derive(Clone, Debug, Serialize)]
struct Text {
    text: String,
}

/// 3.28 and 3.29.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    physical_location: PhysicalLocation,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

/// 3.4.
#[derive(Clone, Debug, Serialize)]
struct ArtifactLocation {
    uri: String,
}

/// 3.30.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Region {
    /// A line of a guest's source: images have no columns.
    Line { start_line: u32 },
    /// A part of a manifest. The last column is behind it.
    Part { start_line: usize, start_column: usize, end_line: usize, end_column: usize },
}

impl Location {
    fn new(file: &str, region: Region) -> Self {
        let artifact_location = ArtifactLocation { uri: uri(file) };
        Self { physical_location: PhysicalLocation { artifact_location, region } }
    }
}

impl Finding {
    /// What is to be said of a run that ended with `outcome`, which is no success.
    fn of_run(outcome: &Outcome, headline: Option<&Headline>) -> Self {
        let text = format!("{outcome}\n{}", outcome.details().unwrap_or_default());
        let place = |place: &Headline| Location::new(&place.file, Region::Line { start_line: place.line });
        Self {
            rule_id: RuleId::End(kind(outcome)),
            rule_index: 0,
            level: Severity::Error,
            message: Text { text: text.trim_end().to_owned() },
            locations: headline.map(place).into_iter().collect(),
        }
    }

    /// A mistake in a manifest, or what is probably one.
    fn of_manifest(told: &Message) -> Self {
        let Message { severity, code, message, spans, notes, help, .. } = told;
        let notes = notes.iter().map(|note| format!("\nnote: {note}"));
        let more: String = notes.chain(help.iter().map(|help| format!("\nhelp: {help}"))).collect();
        let place = spans.first().map(|&Place { ref file, line, column, end_line, end_column, .. }| {
            Location::new(file, Region::Part { start_line: line, start_column: column, end_line, end_column })
        });
        Self {
            rule_id: code.map_or(RuleId::End(OutcomeKind::NotPacked), RuleId::Code),
            rule_index: 0,
            level: *severity,
            message: Text { text: message.clone() + &more },
            locations: place.into_iter().collect(),
        }
    }
}

impl Log {
    /// That of a run that ended with `outcome` and gives `status`, of a manifest about which there were `warnings`.
    pub fn new(outcome: &Outcome, headline: Option<&Headline>, status: u8, warnings: &[Message]) -> Self {
        let warned = warnings.iter().map(Finding::of_manifest);
        let mut results: Vec<Finding> = match outcome {
            Outcome::NotPacked { failure, .. } => {
                let told = failure.diagnostics.list.iter().map(|one| Message::new(one, &failure.sources));
                told.map(|told| Finding::of_manifest(&told)).collect()
            }
            _ if outcome.is_success() => warned.collect(),
            _ => warned.chain([Finding::of_run(outcome, headline)]).collect(),
        };
        let mut rules: Vec<Rule> = Vec::new();
        for finding in &mut results {
            let rule = Rule { id: finding.rule_id };
            finding.rule_index = rules.iter().position(|known| *known == rule).unwrap_or(rules.len());
            if finding.rule_index == rules.len() {
                rules.push(rule);
            }
        }
        let driver = Driver { name: "stos-run", version: env!("CARGO_PKG_VERSION"), rules };
        let execution_successful = outcome.is_success() || outcome.is_guests_failure();
        let invocations = vec![Invocation { execution_successful, exit_code: status }];
        let run = Run { tool: Tool { driver }, invocations, column_kind: "unicodeCodePoints", results };
        Self { schema: SCHEMA, version: "2.1.0", runs: vec![run] }
    }
}

/// `file` as a URI (RFC 3986): a relative one where the name is.
fn uri(file: &str) -> String {
    let scheme = if file.starts_with('/') { "file://" } else { "" };
    let mut uri = scheme.to_owned();
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_uris() {
        assert_eq!(uri("src/a b,ä:#.c"), "src/a%20b%2C%C3%A4%3A%23.c");
        assert_eq!(uri("/home/me/a.c"), "file:///home/me/a.c");
    }

    #[test]
    fn a_success_is_no_finding_and_a_run_that_could_not_begin_is_no_success() {
        let log = |outcome: &Outcome| serde_json::to_value(Log::new(outcome, None, outcome.status(), &[])).unwrap();
        let success = log(&Outcome::Expected);
        assert_eq!(success["runs"][0]["results"], serde_json::json!([]));
        assert_eq!(success["runs"][0]["invocations"][0]["executionSuccessful"], true);
        let usage = log(&Outcome::Usage("it".to_owned()));
        assert_eq!(usage["runs"][0]["invocations"][0]["executionSuccessful"], false);
        assert_eq!(usage["runs"][0]["results"][0]["ruleId"], "usage");
        assert_eq!(usage["runs"][0]["invocations"][0]["exitCode"], 64);
    }
}
