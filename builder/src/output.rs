//! Writes the image, or a picture of one: whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use stos_image::Image;

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::input::describe;
use crate::interrupt::{Interrupt, Interruptible};
use crate::manifest::{Initramfs, Manifest};

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
        let followed = if path.is_symlink() { path.canonicalize().ok() } else { None };
        Self::File(followed.unwrap_or_else(|| path.to_path_buf()))
    }

    /// Refuses to write over the manifest or over a file that it names, and into a directory that is archived.
    ///
    /// # Errors
    /// [`Code::OutputIsInput`] names both.
    pub fn check_against(&self, manifest: &Manifest) -> Result<(), Diagnostic> {
        let Self::File(path) = self else { return Ok(()) };
        if let Some(Initramfs::Directory(directory)) = &manifest.initramfs {
            let archived = manifest.resolve(directory).canonicalize();
            let folder = folder_of(path).canonicalize();
            if let (Ok(archived), Ok(folder)) = (archived, folder)
                && folder.starts_with(&archived)
            {
                let (path, directory_name) = (path.display(), &directory.value);
                let message =
                    format!("the image `{path}` would lie in `{directory_name}`, which becomes its initramfs");
                let error =
                    Diagnostic::new(Code::OutputIsInput, message).at(directory.span, "archived with all that is in it");
                return Err(error.help("name a file elsewhere with `-o`: the next image would have this one in it"));
            }
        }
        let Ok(output) = path.canonicalize() else { return Ok(()) };
        let archive = manifest.initramfs.iter().filter_map(|initramfs| match initramfs {
            Initramfs::Archive(path) => Some(path),
            Initramfs::Directory(_) => None,
        });
        let named = std::iter::once(&manifest.kernel.path)
            .chain(manifest.modules.iter().map(|module| &module.path))
            .chain(archive);
        let inputs = named
            .map(|path| manifest.resolve(path))
            .chain(manifest.sources.all().iter().map(|source| source.path.clone()));
        match inputs.into_iter().find(|input| input.canonicalize().is_ok_and(|input| input == output)) {
            None => Ok(()),
            Some(input) => {
                let message = format!("the image would replace its own input `{}`", input.display());
                Err(Diagnostic::new(Code::OutputIsInput, message).help("name another file with `-o`"))
            }
        }
    }

    /// Writes `image`. A file appears under its name when all of it is on disk, or stays as it was.
    ///
    /// # Errors
    /// [`Code::OutputFailed`] names the file and the reason; nothing is left behind.
    pub fn write(&self, image: &Image) -> Result<(), Diagnostic> {
        if *self == Self::Stdout && io::stdout().is_terminal() {
            let message = "an image is no text: standard output is a terminal";
            return Err(Diagnostic::new(Code::OutputFailed, message)
                .help("name a file with `-o img.bin`, or redirect the output"));
        }
        let write_to = |sink: &mut dyn Write| image.write_to(sink);
        self.write_content(&Content { name: "image", option: "-o", write_to: &write_to })
    }

    /// Writes `svg`, a picture of the image in the file `image`, as [`Output::write`] writes an image.
    ///
    /// # Errors
    /// As [`Output::write`]; [`Code::OutputIsInput`] when the picture would replace the image.
    pub fn write_picture(&self, svg: &str, image: &Path) -> Result<(), Diagnostic> {
        if let Self::File(path) = self
            && let (Ok(picture), Ok(image)) = (path.canonicalize(), image.canonicalize())
            && picture == image
        {
            let message = format!("the picture would replace the image `{}` that it shows", path.display());
            return Err(Diagnostic::new(Code::OutputIsInput, message).help("name another file with `--svg`"));
        }
        let write_to = |sink: &mut dyn Write| sink.write_all(svg.as_bytes());
        self.write_content(&Content { name: "picture", option: "--svg", write_to: &write_to })
    }

    fn write_content(&self, content: &Content) -> Result<(), Diagnostic> {
        match self {
            Self::Stdout => {
                write_through(content, io::stdout().lock()).map_err(|error| content.failed("standard output", &error))
            }
            Self::File(path) => {
                let special = path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
                let result = if special { write_special(content, path) } else { write_atomically(content, path) };
                result.map_err(|error| match (error.kind(), folder_of(path)) {
                    (io::ErrorKind::NotFound, folder) if !folder.is_dir() => content.no_folder(path, folder),
                    _ => {
                        let diagnostic = content.failed(&format!("`{}`", path.display()), &error);
                        if path.is_dir() {
                            diagnostic.help(format!("name a file in it with `{}`", content.option))
                        } else {
                            diagnostic
                        }
                    }
                })
            }
        }
    }
}

/// What becomes a file.
struct Content<'a> {
    /// What messages call it.
    name: &'static str,
    /// The option that names the file.
    option: &'static str,
    /// Writes all of it.
    write_to: &'a dyn Fn(&mut dyn Write) -> io::Result<()>,
}

impl Content<'_> {
    fn no_folder(&self, path: &Path, folder: &Path) -> Diagnostic {
        let (path, folder, option) = (path.display(), folder.display(), self.option);
        let message = format!("can't write the {} to `{path}`: there is no folder `{folder}`", self.name);
        Diagnostic::new(Code::OutputFailed, message)
            .help(format!("make it with `mkdir -p {folder}`, or name another with `{option}`"))
    }

    fn failed(&self, file: &str, error: &io::Error) -> Diagnostic {
        let Self { name, option, .. } = self;
        let message = format!("can't write the {name} to {file}: {}", describe(error));
        let diagnostic = Diagnostic::new(Code::OutputFailed, message);
        match error.kind() {
            io::ErrorKind::StorageFull => {
                diagnostic.help(format!("free some space, or name a file on another disk with `{option}`"))
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                diagnostic.help(format!("name a file in a folder that you may write to with `{option}`"))
            }
            _ => diagnostic,
        }
    }
}

fn write_through(content: &Content, sink: impl Write) -> io::Result<()> {
    let mut sink = BufWriter::new(sink);
    (content.write_to)(&mut sink)?;
    sink.flush()
}

/// A device or a pipe that somebody put in the file's place is written to as it is.
fn write_special(content: &Content, path: &Path) -> io::Result<()> {
    write_through(content, File::options().write(true).open(path)?)
}

/// The folder that `path` lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_atomically(content: &Content, path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    let folder = folder_of(path);
    // A signal must not leave the temporary file behind: it takes effect once that is gone.
    let interrupt = Interrupt::watch()?;
    let result = write_and_rename(content, folder, path, &interrupt);
    interrupt.settle(result)
}

fn write_and_rename(content: &Content, folder: &Path, path: &Path, interrupt: &Interrupt) -> io::Result<()> {
    // Mode 0666 less the umask, as any program's output has it.
    let mut file = tempfile::Builder::new()
        .prefix(".stos-pack-")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    write_through(content, Interruptible { inner: &mut file, interrupt })?;
    file.as_file().sync_all()?;
    interrupt.check()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}
