//! Writes the image, and other files: whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use stos_image::Image;

use super::interrupt::{Interrupt, Interruptible};
use super::observer::{Event, Observer, Step, Watched, nobody};
use super::sparse::Sparse;
use crate::diagnostics::{Code, Diagnostic, describe};
use crate::manifest::{Initramfs, Manifest};

/// Writes all of something to a sink.
pub type WriteTo<'a> = &'a dyn Fn(&mut dyn Write) -> io::Result<()>;

/// Where the image or the picture goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Output {
    /// The output that `-o` names; without it, the manifest's name with `.img`.
    pub fn choose(option: Option<&Path>, manifest: &Path) -> Self {
        option.map_or_else(|| Self::File(manifest.with_extension("img")), Self::named)
    }

    /// The output `path`; `-` is standard output. A symbolic link stands for what it leads to.
    pub fn named(path: &Path) -> Self {
        if path.as_os_str() == "-" {
            return Self::Stdout;
        }
        Self::File(followed(path))
    }

    /// Refuses to write over the manifest or over a file that it names, and into a directory that is archived.
    ///
    /// # Errors
    /// [`Code::OutputIsInput`] names both.
    pub fn check_against(&self, manifest: &Manifest) -> Result<(), Diagnostic> {
        match self {
            Self::File(path) => check_output("image", "name another file with `-o`", path, manifest),
            Self::Stdout => Ok(()),
        }
    }

    /// Writes `image`. A file appears under its name when all of it is on disk, or stays as it was.
    ///
    /// # Errors
    /// [`Code::OutputFailed`] names the file and the reason; nothing is left behind.
    pub fn write(&self, image: &Image, observer: Observer<'_>) -> Result<(), Diagnostic> {
        observer(&Event::Step(Step::Write));
        observer(&Event::Expect(image.file_size()));
        self.refuse_terminal("an image", "img.bin")?;
        let write_to = |sink: &mut dyn Write| image.write_to(sink);
        self.write_content(&Content::new("image", Some("-o"), &write_to), observer)
    }

    /// Writes `svg`, a picture of the image in the file `image`, as [`Output::write`] writes an image.
    ///
    /// # Errors
    /// As [`Output::write`]; [`Code::OutputIsInput`] when the picture would replace the image.
    pub fn write_picture(&self, svg: &str, image: &Path) -> Result<(), Diagnostic> {
        self.refuse_to_replace(image, "picture", "shows", "--svg")?;
        let write_to = |sink: &mut dyn Write| sink.write_all(svg.as_bytes());
        self.write_content(&Content::new("picture", Some("--svg"), &write_to), &nobody)
    }

    /// Writes a Multiboot kernel that was made of the image in the file `image`, as [`Output::write`] writes an image.
    ///
    /// # Errors
    /// As [`Output::write`]; [`Code::OutputIsInput`] when the kernel would replace the image.
    pub fn write_kernel(&self, write_to: WriteTo<'_>, image: &Path) -> Result<(), Diagnostic> {
        self.refuse_to_replace(image, "kernel", "is made of", "-o")?;
        self.refuse_terminal("a kernel", "k.elf")?;
        self.write_content(&Content::new("kernel", Some("-o"), write_to), &nobody)
    }

    /// Writes the memory that the image in the file `image` describes, with holes for pages of zeros.
    ///
    /// # Errors
    /// As [`Output::write_kernel`]; [`Code::OutputFailed`] for whatever can't have holes.
    pub fn write_memory(&self, write_to: WriteTo<'_>, image: &Path) -> Result<(), Diagnostic> {
        self.refuse_to_replace(image, "memory", "is made of", "-o")?;
        let place = match self {
            Self::Stdout => Some("standard output".to_owned()),
            Self::File(path) if is_special(path) => Some(format!("`{}`, which is no regular file", path.display())),
            Self::File(_) => None,
        };
        if let Some(place) = place {
            let message = format!("guest memory is written as a file with holes, and can't be written to {place}");
            return Err(Diagnostic::new(Code::OutputFailed, message).help("name a file with `-o memory.bin`"));
        }
        let content = Content { holes: true, ..Content::new("memory", Some("-o"), write_to) };
        self.write_content(&content, &nobody)
    }

    /// Refuses to print `what` on a terminal.
    fn refuse_terminal(&self, what: &str, example: &str) -> Result<(), Diagnostic> {
        if *self == Self::Stdout && io::stdout().is_terminal() {
            let message = format!("{what} is no text: standard output is a terminal");
            let help = format!("name a file with `-o {example}`, or redirect the output");
            return Err(Diagnostic::new(Code::OutputFailed, message).help(help));
        }
        Ok(())
    }

    /// Refuses to write `what` over the file `image`, to which it has this relation.
    fn refuse_to_replace(&self, image: &Path, what: &str, relation: &str, option: &str) -> Result<(), Diagnostic> {
        if let Self::File(path) = self
            && let (Ok(output), Ok(image)) = (path.canonicalize(), image.canonicalize())
            && output == image
        {
            let message = format!("the {what} would replace the image `{}` that it {relation}", path.display());
            let help = format!("name another file with `{option}`");
            return Err(Diagnostic::new(Code::OutputIsInput, message).help(help));
        }
        Ok(())
    }

    /// Writes `text`, which messages call `name`, as [`Output::write`] writes an image.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn write_text(&self, name: &'static str, text: &str) -> Result<(), Diagnostic> {
        let write_to = |sink: &mut dyn Write| sink.write_all(text.as_bytes());
        self.write_content(&Content::new(name, None, &write_to), &nobody)
    }

    fn write_content(&self, content: &Content, observer: Observer<'_>) -> Result<(), Diagnostic> {
        match self {
            Self::Stdout => write_through(content, Watched::new(io::stdout().lock(), observer))
                .map_err(|error| content.failed("standard output", &error)),
            Self::File(path) => content.write_file(path, observer),
        }
    }
}

/// Refuses to write the file at `path`, which messages call `name`, over an input of `manifest` or into a directory that is
/// archived. `how` says what a person can do about it.
///
/// # Errors
/// [`Code::OutputIsInput`] names both.
pub fn check_output(name: &str, how: &str, path: &Path, manifest: &Manifest) -> Result<(), Diagnostic> {
    if let Some(Initramfs::Directory(directory)) = &manifest.initramfs {
        let archived = manifest.resolve(directory).canonicalize();
        let folder = folder_of(path).canonicalize();
        if let (Ok(archived), Ok(folder)) = (archived, folder)
            && folder.starts_with(&archived)
        {
            let (path, directory_name) = (path.display(), &directory.value);
            let message = format!("the {name} `{path}` would lie in `{directory_name}`, which becomes its initramfs");
            let error =
                Diagnostic::new(Code::OutputIsInput, message).at(directory.span, "archived with all that is in it");
            return Err(error.help(format!("{how}: the next image would have it in its initramfs")));
        }
    }
    let Ok(output) = path.canonicalize() else { return Ok(()) };
    let named = manifest.named();
    let inputs = named
        .iter()
        .map(|named| manifest.resolve(named.path))
        .chain(manifest.sources.all().iter().map(|source| source.path.clone()));
    match inputs.into_iter().find(|input| input.canonicalize().is_ok_and(|input| input == output)) {
        None => Ok(()),
        Some(input) => {
            let message = format!("the {name} would replace its own input `{}`", input.display());
            Err(Diagnostic::new(Code::OutputIsInput, message).help(how))
        }
    }
}

/// The file that `path` leads to when it is a symbolic link, or `path` itself.
pub fn followed(path: &Path) -> PathBuf {
    let followed = if path.is_symlink() { path.canonicalize().ok() } else { None };
    followed.unwrap_or_else(|| path.to_path_buf())
}

/// What becomes of a file that is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// The new one takes its place.
    Replace,
    /// It stays; that nothing was written is an error.
    Keep,
}

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
}

impl<'a> Content<'a> {
    /// What becomes a file without holes, in the place of one that is there.
    pub fn new(name: &'static str, option: Option<&'static str>, write_to: WriteTo<'a>) -> Self {
        Self { name, option, existing: Existing::Replace, holes: false, write_to }
    }

    /// Writes the file at `path`. It appears under its name when all of it is on disk, or what was there stays.
    ///
    /// # Errors
    /// [`Code::OutputFailed`] names the file and the reason; nothing is left behind.
    pub fn write_file(&self, path: &Path, observer: Observer<'_>) -> Result<(), Diagnostic> {
        let result = match self.existing {
            Existing::Replace if is_special(path) => write_special(self, path, observer),
            _ => write_atomically(self, path, observer),
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

    fn failed(&self, file: &str, error: &io::Error) -> Diagnostic {
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

fn write_through(content: &Content, sink: impl Write) -> io::Result<()> {
    let mut sink = BufWriter::new(sink);
    (content.write_to)(&mut sink)?;
    sink.flush()
}

/// Whether there is something at `path` that is neither a file nor a folder, such as a device or a pipe.
fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// A device or a pipe that somebody put in the file's place is written to as it is.
fn write_special(content: &Content, path: &Path, observer: Observer<'_>) -> io::Result<()> {
    write_through(content, Watched::new(File::options().write(true).open(path)?, observer))
}

/// The folder that `path` lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_atomically(content: &Content, path: &Path, observer: Observer<'_>) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    // A signal must not leave the temporary file behind: it takes effect once that is gone.
    let interrupt = Interrupt::watch()?;
    observer(&Event::SignalsHeld);
    let result = write_and_rename(content, path, &interrupt, observer);
    if result.is_err() && interrupt.check().is_err() {
        observer(&Event::Interrupted);
    }
    interrupt.settle(result)
}

fn write_and_rename(content: &Content, path: &Path, interrupt: &Interrupt, observer: Observer<'_>) -> io::Result<()> {
    let folder = folder_of(path);
    // Mode 0666 less the umask, as any program's output has it.
    let mut file = tempfile::Builder::new()
        .prefix(".stos-pack-")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    if content.holes {
        let mut sparse = Sparse::new(file.as_file());
        let inner = Watched::new(&mut sparse, observer);
        write_through(content, Interruptible { inner, interrupt })?;
        file.as_file().set_len(sparse.size())?;
    } else {
        let inner = Watched::new(&mut file, observer);
        write_through(content, Interruptible { inner, interrupt })?;
    }
    file.as_file().sync_all()?;
    interrupt.check()?;
    let persisted = match content.existing {
        Existing::Replace => file.persist(path),
        Existing::Keep => file.persist_noclobber(path),
    };
    persisted.map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}
