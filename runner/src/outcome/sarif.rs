//! How a run ended, as SARIF 2.1.0 for code scanning and editors (OASIS standard, 27 March 2020): as little of it as the
//! standard asks for, and the place.

use serde::Serialize;
use std::fmt::Write as _;

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
struct Run {
    tool: Tool,
    invocations: Vec<Invocation>,
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

/// A way for a run to end (3.49).
#[derive(Clone, Debug, Serialize)]
struct Rule {
    id: OutcomeKind,
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
    rule_id: OutcomeKind,
    rule_index: u32,
    level: &'static str,
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
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

impl Log {
    /// That of a run that ended with `outcome` and gives `status`.
    pub fn new(outcome: &Outcome, headline: Option<&Headline>, status: u8) -> Self {
        let location = |headline: &Headline| Location {
            physical_location: PhysicalLocation {
                artifact_location: ArtifactLocation { uri: uri(&headline.file) },
                region: Region { start_line: headline.line },
            },
        };
        let finding = || Finding {
            rule_id: kind(outcome),
            rule_index: 0,
            level: "error",
            message: Text {
                text: format!("{outcome}\n{}", outcome.details().unwrap_or_default()).trim_end().to_owned(),
            },
            locations: headline.map(location).into_iter().collect(),
        };
        let results: Vec<Finding> = (!outcome.is_success()).then(finding).into_iter().collect();
        let rules = results.iter().map(|finding| Rule { id: finding.rule_id }).collect();
        let driver = Driver { name: "stos-run", version: env!("CARGO_PKG_VERSION"), rules };
        let execution_successful = outcome.is_success() || outcome.is_guests_failure();
        let invocations = vec![Invocation { execution_successful, exit_code: status }];
        Self { schema: SCHEMA, version: "2.1.0", runs: vec![Run { tool: Tool { driver }, invocations, results }] }
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
        let log = |outcome: &Outcome| serde_json::to_value(Log::new(outcome, None, outcome.status())).unwrap();
        let success = log(&Outcome::Expected);
        assert_eq!(success["runs"][0]["results"], serde_json::json!([]));
        assert_eq!(success["runs"][0]["invocations"][0]["executionSuccessful"], true);
        let usage = log(&Outcome::Usage("it".to_owned()));
        assert_eq!(usage["runs"][0]["invocations"][0]["executionSuccessful"], false);
        assert_eq!(usage["runs"][0]["results"][0]["ruleId"], "usage");
        assert_eq!(usage["runs"][0]["invocations"][0]["exitCode"], 64);
    }
}
