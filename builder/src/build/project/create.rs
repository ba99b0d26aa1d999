//! Writes a project into a folder, and says what was done.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::files::{files, text};
use super::language::Language;
use super::name::{LIMIT, is_name, of_folder, similar};
use super::values::{Commands, filled, needs, what};
use crate::build::init::SCHEMA;
use crate::diagnostics::{describe, for_shell, printable, printable_path};
use crate::manifest::{Protocol, schema};
use crate::output::{FolderError, Interrupt, Interruptible, fill_folder};

/// What a folder may have in it already: that of git, as a repository has it that was just made or cloned.
const IGNORED: &[&str] = &[".git"];
/// Most names that are listed of what is in a folder.
const NAMES_SHOWN: usize = 3;

/// A project that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Project<'a> {
    /// Its folder, which is made, or has nothing in it.
    pub folder: &'a Path,
    /// Its name, if not the folder's.
    pub name: Option<&'a str>,
    /// The boot protocol.
    pub protocol: Protocol,
    /// The language.
    pub language: Language,
}

/// A project that was begun. Its text form tells a person what was done, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    folder: PathBuf,
    protocol: Protocol,
    language: Language,
    files: usize,
}

/// Why a project can't be begun.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// It can't be called so.
    #[error(
        "a project can't be called `{}`: a name is a letter and then letters, digits, `-` and `_`, {LIMIT} at most; give it one with `--name {}`",
        printable_path(Path::new(name)),
        similar(name).as_deref().unwrap_or("my-kernel")
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The folder has something in it.
    #[error(
        "the folder `{}` is not empty: it has {}; name one that is, or that does not exist yet",
        printable_path(folder),
        list(names)
    )]
    Occupied {
        /// The folder.
        folder: PathBuf,
        /// What is in it.
        names: Vec<OsString>,
    },
    /// Something that is no folder is in the way.
    #[error("`{}` is there already, and is no folder; name another one", printable_path(path))]
    NoFolder {
        /// What is in the way.
        path: PathBuf,
    },
    /// Writing failed.
    #[error("can't write to `{}`: {}{}", printable_path(path), describe(source), advice(source))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// What to do about a failure to write.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; make the folder that it is to lie in with `mkdir -p`",
        io::ErrorKind::StorageFull => "; free some space, or name a folder on another disk",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "; name one that you may write to",
        _ => "",
    }
}

/// The first of `names`, and how many more there are.
fn list(names: &[OsString]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).map(|name| format!("`{}`", printable(&name.to_string_lossy())));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl Project<'_> {
    /// Writes it: all of it, or nothing.
    ///
    /// # Errors
    /// Says what keeps it from being written; the folder is as it was, then.
    pub fn create(&self) -> Result<Created, ProjectError> {
        let Self { folder, protocol, language, .. } = *self;
        let name = self.name.map_or_else(|| of_folder(folder), str::to_owned);
        if !is_name(&name) {
            return Err(ProjectError::Name { name });
        }
        let mut found = files(protocol, language);
        let schema = schema();
        found.push(text(SCHEMA, &schema));
        let write = |staging: &Path, interrupt: &Interrupt| {
            found.iter().try_for_each(|file| {
                let text = filled(file.text, &name, protocol, language);
                let failed = |source| ProjectError::Write { path: folder.join(file.path), source };
                write_file(&staging.join(file.path), file.is_program, &text, interrupt).map_err(failed)
            })
        };
        let interrupt = Interrupt::hold();
        let result = fill_folder(folder, IGNORED, &interrupt, |staging| write(staging, &interrupt));
        interrupt.settle(result).map_err(|error| explained(folder, error))?;
        Ok(Created { folder: folder.to_path_buf(), protocol, language, files: found.len() })
    }
}

fn write_file(path: &Path, is_program: bool, text: &str, interrupt: &Interrupt) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mode = if is_program { 0o777 } else { 0o666 };
    let file = fs::File::options().write(true).create_new(true).mode(mode).open(path)?;
    Interruptible { inner: file, interrupt }.write_all(text.as_bytes())
}

/// What `error` means for `folder`.
fn explained(folder: &Path, error: FolderError<ProjectError>) -> ProjectError {
    match error {
        FolderError::Fill(error) => error,
        FolderError::Occupied(names) => ProjectError::Occupied { folder: folder.to_path_buf(), names },
        FolderError::System(source) => {
            // The nearest that is there decides: a file, or a link that leads nowhere.
            let nearest = folder.ancestors().find(|path| path.symlink_metadata().is_ok());
            match nearest {
                Some(path) if !path.is_dir() => ProjectError::NoFolder { path: path.to_path_buf() },
                _ => ProjectError::Write { path: folder.to_path_buf(), source },
            }
        }
    }
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, protocol, language, files } = self;
        let Commands { run, test, fault, .. } = Commands::of(*language);
        writeln!(f, "{}: {}, {files} files", printable_path(folder), what(*protocol, *language))?;
        writeln!(f, "needs: {}", needs(*language))?;
        let target = if *language == Language::Rust { "rustup target add i686-unknown-linux-gnu && " } else { "" };
        let enter = if folder == Path::new(".") { String::new() } else { format!("cd {} && ", for_shell(folder)) };
        let fetch = if *protocol == Protocol::Linux { "./fetch-kernel.sh && " } else { "" };
        writeln!(f, "next: {target}{enter}{fetch}{run}")?;
        writeln!(f, "then: {test} checks what it prints, and {fault} shows what a bug looks like")
    }
}
