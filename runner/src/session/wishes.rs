//! What of a run the image may decide: its `run` section holds where the command line says nothing.

use std::time::Duration;

use stos_image::RunDefaults;

use crate::options::{Options, TimeLimit};
use crate::outcome::Outcome;
use crate::watch::Expectations;

/// What is wanted of a run.
#[derive(Debug)]
pub struct Wishes {
    /// The expressions that are expected, in their order.
    pub expected: Vec<String>,
    /// These and the others that the output is watched for.
    pub expectations: Expectations,
    /// The longest that it may take.
    pub limit: Option<Duration>,
}

impl Wishes {
    /// What `options` want, and the image with its `defaults` where they leave it to it.
    ///
    /// # Errors
    /// An expression is invalid.
    pub fn new(options: &Options, defaults: &RunDefaults) -> Result<Self, Outcome> {
        let Options { expect, reject, until, time_limit, ignore_image_run, .. } = options;
        // Who says what success is gets no other.
        let is_images = expect.is_none() && until.is_none() && !ignore_image_run;
        let expected = if is_images { defaults.expect.clone() } else { expect.clone().unwrap_or_default() };
        let compiled = Expectations::compile(&expected).map_err(|reason| {
            if is_images {
                Outcome::BadExpectation { path: options.image.clone(), reason }
            } else {
                Outcome::Usage(reason)
            }
        });
        let expectations = compiled?.with(reject, until.as_deref()).map_err(Outcome::Usage)?;
        let limit = match time_limit {
            Some(TimeLimit::None) => None,
            Some(TimeLimit::After(limit)) => Some(*limit),
            None => defaults.timeout_ms.filter(|_| !ignore_image_run).map(Duration::from_millis),
        };
        Ok(Self { expected, expectations, limit })
    }
}

/// What is said when an image's `defaults` are ignored.
pub fn ignored(defaults: &RunDefaults) -> String {
    let RunDefaults { timeout_ms, expect, exit_port } = defaults;
    let limit = timeout_ms.map(|limit| format!("its time limit of {:?}", Duration::from_millis(limit)));
    let expect = match expect.len() {
        0 => None,
        1 => Some("1 expected line".to_owned()),
        count => Some(format!("{count} expected lines")),
    };
    let all: Vec<String> = limit.into_iter().chain(expect).collect();
    let what = if all.is_empty() { "it has no time limit and expects nothing".to_owned() } else { all.join(" and ") };
    format!("ignoring the image's `run`: {what}; its exit port stays {exit_port:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};

    /// What is expected and the limit in milliseconds, of an image that wants something else.
    fn wishes(arguments: &[&str]) -> (Vec<String>, Option<u128>) {
        let line = ["test", "image"].iter().chain(arguments);
        let matches = Options::augment_args(clap::Command::new("test")).get_matches_from(line);
        let options = Options::from_arg_matches(&matches).unwrap();
        let defaults =
            RunDefaults { timeout_ms: Some(5000), expect: vec!["image".to_owned()], ..RunDefaults::default() };
        let wishes = Wishes::new(&options, &defaults).unwrap();
        (wishes.expected, wishes.limit.map(|limit| limit.as_millis()))
    }

    #[test]
    fn every_key_of_an_image_gives_way_to_the_command_line() {
        let (image, mine, none) = (vec!["image".to_owned()], vec!["mine".to_owned()], Vec::new());
        for (arguments, expected) in [
            (&[][..], (image.clone(), Some(5000))),
            (&["--timeout", "7s"], (image.clone(), Some(7000))),
            (&["--timeout", "none"], (image.clone(), None)),
            (&["--expect", "mine"], (mine.clone(), Some(5000))),
            (&["--until", "mine"], (none.clone(), Some(5000))),
            (&["--until", "x", "--expect", "mine"], (mine.clone(), Some(5000))),
            (&["--reject", "mine"], (image, Some(5000))),
            (&["--ignore-image-run"], (none.clone(), None)),
            (&["--ignore-image-run", "--reject", "mine"], (none.clone(), None)),
            (&["--ignore-image-run", "--timeout", "7s", "--expect", "mine"], (mine, Some(7000))),
        ] {
            assert_eq!(wishes(arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn what_is_ignored_is_told() {
        let told = |timeout_ms, expect: &[&str]| {
            let expect = expect.iter().map(ToString::to_string).collect();
            ignored(&RunDefaults { timeout_ms, expect, exit_port: 0x501 })
        };
        assert_eq!(
            told(Some(1500), &["a", "b"]),
            "ignoring the image's `run`: its time limit of 1.5s and 2 expected lines; its exit port stays 0x501"
        );
        assert_eq!(told(None, &["a"]), "ignoring the image's `run`: 1 expected line; its exit port stays 0x501");
        assert!(told(None, &[]).contains("it has no time limit and expects nothing"));
    }
}
