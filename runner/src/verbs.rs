//! What is answered instead of running an image: one function, which gives the answer and the exit status.

use std::io;
use std::path::Path;

use stos_pack::diagnostics::Diagnostics;
use stos_pack::manual::{self, PagesError};

use crate::cli::{Verb, description};
use crate::doctor::Diagnosis;
use crate::explain::explain;
use crate::outcome::{NO_BACKEND, Outcome, report};

/// The program, as its manual pages name it.
const PROGRAM: &str = concat!("stos-run ", env!("CARGO_PKG_VERSION"));

/// What is printed on standard output, and the exit status that it goes with.
pub type Answer = (String, u8);

/// Does what `verb` asks for.
///
/// # Errors
/// Why that can't be done.
pub fn answer(verb: Verb) -> Result<Answer, Outcome> {
    let done = |text: String| Ok((text, 0));
    match verb {
        Verb::Schema => done(report::schema()),
        Verb::Completions { shell } => done(manual::completions(description(), shell)),
        Verb::Explain { what } => explain(&what).map_err(Outcome::Usage).map(|page| (page, 0)),
        Verb::Man { folder: None } => {
            manual::page(description(), PROGRAM).map(|page| (page, 0)).map_err(Outcome::io("making the manual"))
        }
        Verb::Man { folder: Some(folder) } => done(pages(&folder)?),
        Verb::Doctor => {
            let found = Diagnosis::make();
            Ok((found.text(), if found.is_well() { 0 } else { NO_BACKEND }))
        }
    }
}

/// Writes all pages into `folder`.
fn pages(folder: &Path) -> Result<String, Outcome> {
    let failed = |reason: String| Outcome::Io {
        action: format!("writing manual pages into `{}`", folder.display()),
        source: io::Error::other(reason),
    };
    match manual::write_pages(description(), PROGRAM, folder) {
        Ok(count) => Ok(format!("{}: {count} pages\n", folder.display())),
        Err(PagesError::Folder(reason)) => Err(failed(reason)),
        Err(PagesError::Page(diagnostic)) => {
            let Diagnostics { list } = diagnostic.into();
            Err(failed(list.into_iter().map(|one| one.message).collect::<Vec<_>>().join("; ")))
        }
    }
}
