//! What is asked of everything that is told of a guest: texts for a terminal, a report by its schema.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;
use stos_run::fuzzing::Told;
use stos_run::report::schema;

use crate::fuzz::plain::assert_plain;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
});

/// Longest sentence that makes sense.
const SENTENCE: usize = 32 << 10;

/// # Panics
/// When something of it is not as it should be.
pub fn check(told: &Told) {
    let Told { sentence, details, lines, status: _, report } = told;
    assert_plain(sentence);
    assert!(!sentence.contains('\n'), "a sentence of several lines: {sentence:?}");
    assert!(sentence.len() < SENTENCE, "a sentence of {} bytes", sentence.len());
    if !details.is_empty() {
        assert_plain(details);
        assert!(details.ends_with('\n'), "a line without an end: {details:?}");
    }
    for line in lines {
        assert_plain(line);
    }
    let report: Value = serde_json::from_str(report).unwrap_or_else(|error| panic!("the report is no JSON: {error}"));
    if let Err(error) = SCHEMA.validate(&report) {
        panic!("the report is not as its schema has it: {error}");
    }
}
