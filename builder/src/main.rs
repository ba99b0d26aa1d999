//! The `stos-pack` command: arguments in, answers or diagnostics out, one exit status.

#![forbid(unsafe_code)]

mod cli;
mod manual;
mod progress;
mod talk;
mod verbs;

use std::process::ExitCode;

use clap::Parser;
use cli::{Arguments, Verb};
use stos_pack::{Order, Output};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse().and_then(Arguments::check) {
        Ok(arguments) => arguments,
        Err(error) => {
            let status = if error.use_stderr() { verbs::STATUS_USAGE } else { 0 };
            // Nothing is left to be done when not even this can be printed.
            let _ = error.print();
            return ExitCode::from(status);
        }
    };
    let Arguments { manifest, output, profile, locked, manner, verb } = arguments;
    ExitCode::from(match (verb, manifest) {
        (Some(Verb::Verify { image }), _) => verbs::verify(manner, &image),
        (Some(Verb::Inspect { image, svg: Some(picture), .. }), _) => verbs::draw(manner, &image, &picture),
        (Some(Verb::Inspect { image, json, svg: None }), _) => verbs::inspect(manner, &image, json),
        (Some(Verb::Diff { first, second }), _) => verbs::diff(manner, &first, &second),
        (Some(Verb::Extract { image, folder }), _) => verbs::extract(manner, &image, &folder),
        (Some(Verb::Lock { manifest }), _) => verbs::lock(manner, &manifest),
        (Some(Verb::Init { folder }), _) => verbs::init(manner, &folder),
        (Some(Verb::Schema), _) => verbs::schema(manner),
        (Some(Verb::Completions { shell }), _) => verbs::completions(manner, shell),
        (Some(Verb::Man { folder }), _) => verbs::man(manner, folder.as_deref()),
        (Some(Verb::Explain { code }), _) => verbs::explain(manner, &code),
        (None, Some(manifest)) => {
            let output = Output::choose(output.as_deref(), &manifest);
            let order = Order { manifest: &manifest, profile: profile.as_deref(), locked, output: &output };
            verbs::build(manner, &order)
        }
        (None, None) => talk::complain(manner, "which manifest?", verbs::STATUS_USAGE),
    })
}
