//! The texts of manifests, and places in them that diagnostics point at.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// A manifest's text.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file: as given on the command line, or as another manifest names it, seen from where the program runs.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// The file's name in messages.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The file that `path` means when it is written in this one.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// Which of [`Sources`] a span lies in. The default is the manifest that was named on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(usize);

impl FileId {
    /// Where the file stands in [`Sources::all`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// The manifest and the files that it extends, in the order in which they were read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    list: Vec<Source>,
    bases: Vec<Located<String>>,
}

impl Sources {
    /// Adds a file.
    pub fn add(&mut self, source: Source) -> FileId {
        self.list.push(source);
        FileId(self.list.len() - 1)
    }

    /// Notes that the file that is added next is a manifest that the last one extends, under the name `path`.
    pub fn extend(&mut self, path: Located<String>) {
        self.bases.push(path);
    }

    /// The paths by which manifests name the one that they extend: that of file 1 in file 0, that of file 2 in file 1, ...
    pub fn bases(&self) -> &[Located<String>] {
        &self.bases
    }

    /// The file that a path means: relative to the folder of the manifest that it is written in.
    pub fn resolve(&self, path: &Located<String>) -> PathBuf {
        match self.get(path.span.file) {
            Some(source) => source.resolve(&path.value),
            None => PathBuf::from(&path.value),
        }
    }

    /// The file that `id` stands for; `None` for an id of other sources.
    pub fn get(&self, id: FileId) -> Option<&Source> {
        self.list.get(id.0)
    }

    /// Every file: the manifest first.
    pub fn all(&self) -> &[Source] {
        &self.list
    }
}

/// Bytes of one file's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// The span as a range within `text`, on character boundaries whatever the parser said.
    pub fn within(self, text: &str) -> Range<usize> {
        let start = floor_boundary(text, self.start);
        start..floor_boundary(text, self.end).max(start)
    }
}

fn floor_boundary(text: &str, index: usize) -> usize {
    let index = index.min(text.len());
    (0..=index).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// A value and where the manifest gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Located<T> {
    /// `value`, which stands at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}
