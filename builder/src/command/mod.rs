//! What a person types and sees.

mod arguments;
mod password;
mod progress;
mod signing;
mod talk;
mod verbs;

use std::io::{self, Write};
use std::process::ExitCode;

use arguments::{Arguments, Verb, Work};
use stos_pack::diagnostics::{STATUS_IO, describe};
use stos_pack::output::{Output, end_cleanly};
use stos_pack::{Order, Project};

/// Gives the terminal back.
fn leave() {
    progress::leave();
    password::show_again();
}

/// Does what the command line asks for.
pub fn run() -> ExitCode {
    // Before anything is read: whatever waits can be ended.
    let watched = end_cleanly(leave);
    let line: Vec<_> = std::env::args_os().collect();
    let (manner, work) = match Arguments::read(&line) {
        Ok(read) => read,
        Err(error) => {
            let printed = error.print().and_then(|()| io::stdout().flush());
            return ExitCode::from(if error.use_stderr() { verbs::STATUS_USAGE } else { talk::answered(printed) });
        }
    };
    if let Err(error) = watched {
        let message = format!("can't watch for signals: {}", describe(&error));
        return ExitCode::from(talk::complain(manner, &message, STATUS_IO));
    }
    ExitCode::from(match work {
        Work::Build { manifest, output, profile, locked, inputs_below } => {
            let output = Output::choose(output.as_deref(), &manifest);
            let (profile, inputs_below) = (profile.as_deref(), &*inputs_below);
            let order = Order { manifest: &manifest, profile, locked, inputs_below, output: &output };
            verbs::build(manner, &order)
        }
        Work::Verb(verb) => match verb {
            Verb::Verify { image, key, signature } => signing::verify(manner, &image, &key, signature.as_deref()),
            Verb::Sign { image, key, signature, password_file } => {
                signing::sign(manner, &image, &key, signature.as_deref(), password_file.as_deref())
            }
            Verb::Keygen { key, no_password, password_file } => {
                signing::keygen(manner, &key, no_password, password_file.as_deref())
            }
            Verb::Inspect { image, svg: Some(picture), .. } => verbs::draw(manner, &image, &picture),
            Verb::Inspect { image, json, svg: None } => verbs::inspect(manner, &image, json),
            Verb::Diff { first, second } => verbs::diff(manner, &first, &second),
            Verb::Extract { image, folder } => verbs::extract(manner, &image, &folder),
            Verb::Export { image, to, output } => verbs::export(manner, &image, to, &output),
            Verb::Lock { manifest, inputs_below } => verbs::lock(manner, &manifest, &inputs_below),
            Verb::Init { folder } => verbs::init(manner, &folder),
            Verb::New { folder, protocol, language, name } => {
                verbs::new(manner, &Project { folder: &folder, name: name.as_deref(), protocol, language })
            }
            Verb::Schema => verbs::schema(manner),
            Verb::Completions { shell } => verbs::completions(manner, shell),
            Verb::Man { folder } => verbs::man(manner, folder.as_deref()),
            Verb::Explain { code } => verbs::explain(manner, &code),
        },
    })
}
