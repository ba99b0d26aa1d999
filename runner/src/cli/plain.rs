//! The command lines that most runs have, understood without the parser, which takes longer to be made than such a run to be prepared.
//!
//! What is understood here means what it means to the parser. All else is left to that: other options, those that are given twice, and
//! every mistake.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::ValueEnum;

use super::{Arguments, Given};
use crate::backend::BackendChoice;
use crate::options::{Options, parse_time_limit};
use crate::session::VERBS;

/// What an option does to the others.
enum Effect {
    /// It is there.
    Switch(fn(&mut Options)),
    /// It has a value, which may be none for it.
    Value(fn(&mut Options, &str) -> Option<()>),
}

/// The options that are understood: how they are written, their names in the parser, and what they do.
const KNOWN: [(&str, &str, Effect); 7] = [
    ("-q", "quiet", Effect::Switch(|_| {})),
    ("--quiet", "quiet", Effect::Switch(|_| {})),
    ("--timings", "timings", Effect::Switch(|options| options.timings = true)),
    ("--no-sandbox", "no_sandbox", Effect::Switch(|options| options.no_sandbox = true)),
    ("--ignore-image-run", "ignore_image_run", Effect::Switch(|options| options.ignore_image_run = true)),
    (
        "--backend",
        "backend",
        Effect::Value(|options, word| {
            options.backend = BackendChoice::from_str(word, false).ok()?;
            Some(())
        }),
    ),
    (
        "--timeout",
        "time_limit",
        Effect::Value(|options, word| {
            options.time_limit = Some(parse_time_limit(word).ok()?);
            Some(())
        }),
    ),
];

/// What `line`, whose first word is the program's name, asks for, if all of it is understood.
pub fn read(line: &[OsString]) -> Option<(Arguments, Given)> {
    let mut options = Options::default();
    let mut given = Given(Vec::new());
    let mut words = line.get(1..)?.iter();
    while let Some(word) = words.next() {
        if !word.as_bytes().starts_with(b"-") {
            // One image, and no verb.
            let is_image = given.add("image") && !word.is_empty() && VERBS.iter().all(|verb| word != verb);
            options.image = is_image.then(|| word.into())?;
            continue;
        }
        let word = word.to_str()?;
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let (_, id, effect) = KNOWN.iter().find(|(known, ..)| *known == name)?;
        given.add(id).then_some(())?;
        match (effect, value) {
            (Effect::Switch(set), None) => set(&mut options),
            (Effect::Switch(_), Some(_)) => return None,
            (Effect::Value(set), Some(value)) => set(&mut options, value)?,
            (Effect::Value(set), None) => set(&mut options, words.next()?.to_str()?)?,
        }
    }
    let quiet = u8::from(given.has("quiet"));
    given.has("image").then_some((Arguments { verb: None, options: Some(options), quiet, verbose: false }, given))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::description;
    use clap::FromArgMatches;

    /// Words of which command lines are made.
    const WORDS: [&str; 26] = [
        "image",
        "schema",
        "-",
        "--",
        "",
        "-q",
        "-qq",
        "--quiet",
        "--timings",
        "--timings=",
        "--timing",
        "--no-sandbox",
        "--ignore-image-run",
        "--backend",
        "kvm",
        "qemu",
        "--backend=embedded",
        "--backend=KVM",
        "--backend=",
        "--timeout",
        "10s",
        "--timeout=none",
        "--timeout=-1",
        "-h",
        "--version",
        "--expect=x",
    ];

    #[test]
    fn what_is_understood_means_what_it_means_to_the_parser() {
        let mut understood = 0;
        let lines = (0..WORDS.len().pow(3)).map(|number| {
            let places = (0..3).map(|place| number / WORDS.len().pow(place) % WORDS.len());
            let words = places.map(|place| WORDS[place]);
            ["stos-run"].into_iter().chain(words).map(OsString::from).collect::<Vec<_>>()
        });
        for line in lines {
            let Some((arguments, given)) = read(&line) else { continue };
            understood += 1;
            let mut matches =
                description().try_get_matches_from(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            let of_parser = Given::of(&matches);
            let parsed = Arguments::from_arg_matches_mut(&mut matches).unwrap();
            assert_eq!(format!("{arguments:?}"), format!("{parsed:?}"), "{line:?}");
            for (_, id, _) in KNOWN {
                assert_eq!(given.has(id), of_parser.has(id), "{line:?}: {id}");
            }
        }
        assert!(understood > 200, "{understood}");
    }

    #[test]
    fn common_lines_are_understood() {
        for line in ["image", "-q image", "--backend kvm --timeout 10s image", "image --no-sandbox --timings"] {
            let words = ["stos-run"].into_iter().chain(line.split(' ')).map(OsString::from);
            assert!(read(&words.collect::<Vec<_>>()).is_some(), "{line}");
        }
    }
}
