//! What becomes a file, what messages call it, and what they say when it does not.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use super::atomic::{Existing, folder_of, is_special, write_atomically};
use super::interrupt::{Interrupt, Interruptible};
use super::observer::{Observer, Watched};
use super::sparse::Sparse;
use crate::diagnostics::{Code, Diagnostic, describe};

/// Writes all of something to a sink.
pub type WriteTo<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

/// A file that is written in whatever order.
pub trait Places: Write + Seek {}

impl<T: Write + Seek> Places for T {}

/// Writes all of something to a new file, not from its first byte to its last.
pub type WriteInPlaces<'a> = &'a dyn Fn(&mut dyn Places) -> io::Result<()>;

/// What becomes a file.
pub struct Content<'a> {
    /// What messages call it.
    pub name: &'static str,
    /// The option that names the file, if there is one.
    pub option: Option<&'static str>,
    /// What becomes of a file that is there.
    pub existing: Existing,
    /// Whether pages of zeros become holes.
    pub holes: bool,
    /// Writes all of it.
    pub write_to: WriteTo<'a>,
    /// A faster way to write all of it to a file.
    pub in_places: Option<WriteInPlaces<'a>>,
}

impl<'a> Content<'a> {
    /// What becomes a file without holes, in the place of one that is there.
    pub fn new(name: &'static str, option: Option<&'static str>, write_to: WriteTo<'a>) -> Self {
        Self { name, option, existing: Existing::Replace, holes: false, write_to, in_places: None }
    }

    /// Writes the file at `path`. It appears under its name when all of it is on disk, or what was there stays.
    ///
    /// # Errors
    /// [`Code::OutputFailed`] names the file and the reason; nothing is left behind.
    pub fn write_file(&self, path: &Path, observer: Observer<'_>) -> Result<(), Diagnostic> {
        let result = match self.existing {
            Existing::Replace if is_special(path) => write_special(self, path, observer),
            _ => write_held(self, path, observer),
        };
        result.map_err(|error| match (error.kind(), folder_of(path)) {
            (io::ErrorKind::NotFound, folder) if !folder.is_dir() => self.no_folder(path, folder),
            _ => {
                let diagnostic = self.failed(&format!("`{}`", path.display()), &error);
                match self.option.filter(|_| path.is_dir()) {
                    Some(option) => diagnostic.help(format!("name a file in it with `{option}`")),
                    None => diagnostic,
                }
            }
        })
    }

    fn no_folder(&self, path: &Path, folder: &Path) -> Diagnostic {
        let (path, folder) = (path.display(), folder.display());
        let message = format!("can't write the {} to `{path}`: there is no folder `{folder}`", self.name);
        let other = self.option.map_or(String::new(), |option| format!(", or name another with `{option}`"));
        Diagnostic::new(Code::OutputFailed, message).help(format!("make it with `mkdir -p {folder}`{other}"))
    }

    /// A diagnostic for a failure to write to `file`.
    pub fn failed(&self, file: &str, error: &io::Error) -> Diagnostic {
        let Self { name, option, .. } = self;
        let message = format!("can't write the {name} to {file}: {}", describe(error));
        let diagnostic = Diagnostic::new(Code::OutputFailed, message);
        let elsewhere = |text: &str| option.map_or(String::new(), |option| format!("{text} with `{option}`"));
        match error.kind() {
            io::ErrorKind::StorageFull => {
                diagnostic.help(format!("free some space{}", elsewhere(", or name a file on another disk")))
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => diagnostic.help(match option {
                Some(_) => elsewhere("name a file in a folder that you may write to"),
                None => "check the permissions of its folder with `ls -ld`".to_owned(),
            }),
            _ => diagnostic,
        }
    }
}

/// Writes `content` to `sink`.
///
/// # Errors
/// Those of writing.
pub fn write_through(content: &Content, sink: impl Write) -> io::Result<()> {
    let mut sink = BufWriter::new(sink);
    (content.write_to)(&mut sink)?;
    sink.flush()
}

/// A device or a pipe that somebody put in the file's place is written to as it is.
fn write_special(content: &Content, path: &Path, observer: Observer<'_>) -> io::Result<()> {
    write_through(content, Watched::new(File::options().write(true).open(path)?, observer))
}

/// Writes a file. A signal must not leave it behind half-written: it takes effect once that is gone, or all is done.
fn write_held(content: &Content, path: &Path, observer: Observer<'_>) -> io::Result<()> {
    let interrupt = Interrupt::hold();
    let result = write_atomically(path, content.existing, |file| {
        if content.holes {
            let mut sparse = Sparse::new(&*file);
            let inner = Watched::new(&mut sparse, observer);
            write_through(content, Interruptible { inner, interrupt: &interrupt })?;
            file.set_len(sparse.size())?;
        } else if let Some(write) = content.in_places {
            let inner = Watched::new(&*file, observer);
            let mut sink = BufWriter::new(Interruptible { inner, interrupt: &interrupt });
            write(&mut sink)?;
            sink.flush()?;
        } else {
            let inner = Watched::new(&*file, observer);
            write_through(content, Interruptible { inner, interrupt: &interrupt })?;
        }
        // This may take long: a signal that comes meanwhile still counts.
        file.sync_all()?;
        interrupt.check()
    });
    interrupt.settle(result)
}
