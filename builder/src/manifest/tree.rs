//! Reads a manifest's file and the files that it extends, and makes one tree of them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::fence::{Fence, Refusal};
use super::fields;
use super::held::Held;
use super::merge::merge;
use super::profile::take;
use super::yaml::{self, Node};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located, Source, Sources, Span, read_failure, with_home_help};

/// Largest manifest in bytes.
const SOURCE_LIMIT: u64 = 1 << 20;
/// Most manifests that extend each other.
const CHAIN_LIMIT: usize = 16;

/// Makes the tree of `source` and the files that it extends, which must lie inside `fence`.
///
/// # Errors
/// When a file can't be read or parsed; other mistakes go into `found`.
pub fn load(
    source: &Source,
    fence: &Fence,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Result<Located<Node>, Diagnostic> {
    Chain { fence, sources, found, links: Vec::new() }.read(source)
}

/// The files from the manifest to the one that is being read.
struct Chain<'a> {
    fence: &'a Fence,
    sources: &'a mut Sources,
    found: &'a mut Diagnostics,
    /// Each file, as the system knows it, and where it names the next one.
    links: Vec<(PathBuf, Span)>,
}

impl Chain<'_> {
    fn read(&mut self, source: &Source) -> Result<Located<Node>, Diagnostic> {
        let file = self.sources.add(source.clone());
        let mut tree = yaml::parse(file, &source.text, self.found)?;
        let Some(base) = take(&mut tree, "extends") else { return Ok(tree) };
        let base = match fields::clean_text("extends", &base, stos_image::TEXT_LIMIT) {
            Ok(base) => base,
            Err(diagnostic) => {
                self.found.push(diagnostic.help("write `extends: ../course.yaml`"));
                return Ok(tree);
            }
        };
        self.links.push((source.path.canonicalize().unwrap_or_else(|_| source.path.clone()), base.span));
        let path = source.resolve(&base.value);
        self.check_loop(&path, &base)?;
        // Also one that can't be read: it may be there later.
        self.sources.extend(base.clone());
        let below = read_text(&name_of(&path), &path, self.fence, Fence::open)
            .map_err(|diagnostic| with_home_help(diagnostic.at(base.span, "extended here"), &base.value))?;
        let below = self.read(&below)?;
        Ok(merge(below, tree, self.found))
    }

    /// Complains when `next` is one of the files that lead to it, or when there are too many of them.
    fn check_loop(&self, next: &Path, named: &Located<String>) -> Result<(), Diagnostic> {
        let known = next.canonicalize().ok();
        let again = self.links.iter().position(|(path, _)| Some(path) == known.as_ref());
        let Some(first) = again.or((self.links.len() >= CHAIN_LIMIT).then_some(0)) else { return Ok(()) };
        let message = match again {
            Some(_) => format!("`{}` extends itself", next.display()),
            None => format!("more than {CHAIN_LIMIT} manifests extend each other"),
        };
        let mut diagnostic = Diagnostic::new(Code::ExtendsLoop, message).at(named.span, "extended here");
        for (_, span) in self.links[first..].iter().filter(|(_, span)| *span != named.span).take(3) {
            diagnostic = diagnostic.and_at(*span, "by way of this");
        }
        Err(diagnostic.help("let the base manifest stand alone: take `extends` out of it"))
    }
}

/// Reads the text of the manifest at `path`, which a person has named.
///
/// # Errors
/// When it can't be read, is too long or is no text.
pub fn read_file(path: &Path, fence: &Fence) -> Result<Source, Diagnostic> {
    read_text(&name_of(path), path, fence, Fence::open_named)
}

fn name_of(path: &Path) -> String {
    format!("the manifest `{}`", path.display())
}

/// Reads the text at `path` if `open` lets it through the `fence`; `what` it is, for messages.
///
/// # Errors
/// As for [`read_file`].
pub fn read_text(
    what: &str,
    path: &Path,
    fence: &Fence,
    open: fn(&Fence, &Path) -> Result<Held, Refusal>,
) -> Result<Source, Diagnostic> {
    let held = open(fence, path).map_err(|refusal| fence.refuse(what, &refusal))?;
    let metadata = fs::metadata(held.path()).map_err(|error| read_failure(what, &error))?;
    if metadata.is_dir() {
        let message = format!("can't read {what}: it is a directory");
        return Err(Diagnostic::new(Code::Unreadable, message).help("name the manifest file inside it"));
    }
    // Not only by its metadata: a device has no size.
    let mut bytes = Vec::new();
    fs::File::open(held.path())
        .and_then(|file| file.take(SOURCE_LIMIT + 1).read_to_end(&mut bytes))
        .map_err(|error| read_failure(what, &error))?;
    if bytes.len() as u64 > SOURCE_LIMIT {
        let message = format!("{what} has more than {SOURCE_LIMIT} bytes");
        return Err(Diagnostic::new(Code::BadText, message).help("is this really a manifest?"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("{what} is not UTF-8 text: the byte at offset {at} begins no character");
        let bytes = error.as_bytes();
        Diagnostic::new(Code::Syntax, message).help(if bytes.starts_with(&stos_image::MAGIC) {
            "this is a boot image: look at it with `stos-pack inspect`, run it with `stos-run`"
        } else if bytes.starts_with(b"\x7fELF") {
            "this is an ELF file: name it in a manifest, which `stos-pack init` begins"
        } else {
            "is this really a manifest? if so, save it as UTF-8"
        })
    })?;
    Ok(Source { path: path.to_path_buf(), text })
}
