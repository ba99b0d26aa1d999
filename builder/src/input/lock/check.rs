//! Compares inputs with a lock file.

use std::path::Path;

use super::entry::{Content, bases, name_of, names_of, path_for, renewal};
use super::read::{self, Entries};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located, Sources};
use crate::input::inputs::Inputs;
use crate::manifest::{Fence, Manifest};

/// What a lock file says.
#[derive(Debug)]
pub struct Lock {
    /// What to type to write it anew.
    renew: String,
    /// Each input with the place of its path in the lock file.
    entries: Entries,
}

impl Lock {
    /// Reads the lock file of the manifest at `manifest`, which lies inside `fence` if that does, and adds its text to `sources`.
    ///
    /// # Errors
    /// [`Code::BadLock`] when it is missing or can't be understood.
    pub fn load(manifest: &Path, fence: &Fence, sources: &mut Sources) -> Result<Self, Diagnostics> {
        let renew = renewal(manifest);
        let entries = read::load(&path_for(manifest), &renew, fence, sources)?;
        Ok(Self { renew, entries })
    }

    /// Compares everything that goes into an image of `manifest` with the lock file.
    ///
    /// # Errors
    /// [`Code::InputDiffersFromLock`] and [`Code::InputNotLocked`] for each input.
    pub fn check(&self, manifest: &Manifest, inputs: &Inputs) -> Result<(), Diagnostics> {
        let names = names_of(&manifest.sources);
        let mut found = Diagnostics::default();
        for (base, content) in bases(&manifest.sources) {
            found.take(self.compare(&names, "extends", base, content));
        }
        for (named, loaded) in manifest.named().iter().zip(inputs.all()) {
            let content = Content { size: loaded.file.size(), digest: loaded.digest };
            found.take(self.compare(&names, &named.key, named.path, content));
        }
        found.finish(())
    }

    fn compare(&self, names: &[String], key: &str, path: &Located<String>, content: Content) -> Result<(), Diagnostic> {
        let what = format!("`{}` (the manifest's key `{key}`)", path.value);
        let renew = |when: &str| format!("{when}, type `{}`", self.renew);
        match self.entries.get(&name_of(names, path)) {
            Some((locked, _)) if *locked == content => Ok(()),
            Some((locked, span)) => {
                let fact = |who: &str, content: Content| format!("{who}: {} bytes, {}", content.size, content.digest);
                let message = format!("{what} is not what the lock file says");
                Err(Diagnostic::new(Code::InputDiffersFromLock, message)
                    .at(path.span, "this changed")
                    .and_at(*span, "locked here")
                    .note(fact("in the lock file", *locked))
                    .note(fact("now", content))
                    .help(renew("if the change is meant")))
            }
            None => {
                let message = format!("{what} is not in the lock file");
                Err(Diagnostic::new(Code::InputNotLocked, message)
                    .at(path.span, "not locked")
                    .help(renew("if it is meant")))
            }
        }
    }
}
