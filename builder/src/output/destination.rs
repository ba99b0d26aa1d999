//! Where the image, or what is made of it, goes: standard output or a file.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl, fstat, makedev};
use stos_image::{Digest, Outline};

use super::atomic::{followed, is_special};
use super::content::{Content, Places, WriteTo, write_through};
use super::observer::{Event, Observer, Step, Watched, nobody};
use crate::diagnostics::{Code, Diagnostic};

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

    /// Writes `image`; returns its id. A file appears under its name when all of it is on disk, or stays as it was.
    ///
    /// # Errors
    /// [`Code::OutputFailed`] names the file and the reason; nothing is left behind.
    pub fn write(&self, image: &Outline<'_>, observer: Observer<'_>) -> Result<Digest, Diagnostic> {
        observer(&Event::Step(Step::Write));
        observer(&Event::Expect(image.file_size()));
        self.refuse_terminal("an image", "img.bin")?;
        let id = Cell::new(None);
        let known = |written: Digest| id.set(Some(written));
        let write_to = |sink: &mut dyn Write| image.write_to(sink).map(known);
        let in_places = |sink: &mut dyn Places| image.write_payload_first(sink).map(known);
        let content = Content { in_places: Some(&in_places), ..Content::new("image", Some("-o"), &write_to) };
        self.write_content(&content, observer)?;
        let nothing = || io::Error::other("nothing was written");
        id.get().ok_or_else(|| content.failed("its file", &nothing()))
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
    pub fn write_text(&self, name: &'static str, text: &str, observer: Observer<'_>) -> Result<(), Diagnostic> {
        let write_to = |sink: &mut dyn Write| sink.write_all(text.as_bytes());
        self.write_content(&Content::new(name, None, &write_to), observer)
    }

    fn write_content(&self, content: &Content, observer: Observer<'_>) -> Result<(), Diagnostic> {
        match self {
            Self::Stdout if is_closed(&io::stdout()) => {
                let message = format!("can't write the {} to standard output: it is closed", content.name);
                Err(Diagnostic::new(Code::OutputFailed, message)
                    .note("for a program that starts without one, it is /dev/null, open for reading and writing")
                    .help("redirect it to a file or a pipe, or name a file instead of `-`"))
            }
            Self::Stdout => write_through(content, Watched::new(io::stdout().lock(), observer))
                .map_err(|error| content.failed("standard output", &error)),
            Self::File(path) => content.write_file(path, observer),
        }
    }
}

/// Whether `output` was closed when the program began. The standard library has then opened /dev/null in its place, for reading and
/// writing; who does not want the bytes opens it for writing.
fn is_closed(output: &io::Stdout) -> bool {
    // The device's numbers are in null(4).
    let is_null = fstat(output).is_ok_and(|status| status.st_rdev == makedev(1, 3));
    is_null && fcntl_getfl(output).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDWR)
}
