//! Reads lock files: YAML that this program wrote, and that somebody may have edited or merged badly.

use std::collections::BTreeMap;
use std::path::Path;

use stos_image::{Digest, TEXT_LIMIT};

use super::entry::{Content, Name, VERSION};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, FileId, Located, Sources, Span};
use crate::manifest::fields::{self, Fields};
use crate::manifest::quantity::parse_number;
use crate::manifest::tree;
use crate::manifest::yaml::{self, Node};

const WHAT: &str = "the lock file";

/// The entries of a lock file, each with the place of its path in it.
pub type Entries = BTreeMap<Name, (Content, Span)>;

/// Reads the lock file at `path`, and adds its text to `sources`. `renew` is the command that writes it anew.
pub fn load(path: &Path, renew: &str, sources: &mut Sources) -> Result<Entries, Diagnostics> {
    let bad = |diagnostic: Diagnostic, when: &str| {
        Diagnostic { code: Code::BadLock, ..diagnostic }.help(format!("{when} `{renew}`"))
    };
    let source = tree::read_text(&format!("{WHAT} `{}`", path.display()), path).map_err(|diagnostic| {
        match path.symlink_metadata() {
            Ok(_) => Diagnostic { code: Code::BadLock, ..diagnostic },
            Err(_) => bad(diagnostic, "write it with"),
        }
    })?;
    let mut found = Diagnostics::default();
    let text = source.text.clone();
    let entries = read(sources.add(source), &text, &mut found);
    let list: Vec<_> = found.list.into_iter().map(|diagnostic| bad(diagnostic, "write it anew with")).collect();
    match entries {
        Some(entries) if list.is_empty() => Ok(entries),
        _ => Err(Diagnostics { list }),
    }
}

fn read(file: FileId, text: &str, found: &mut Diagnostics) -> Option<Entries> {
    let tree = yaml::parse(file, text, found);
    let tree = found.take(tree)?;
    let mut fields = Fields::new(WHAT, &tree, "version: 1", found)?;
    let version = fields.required("version", "version: 1", found);
    let version = version.and_then(|node| found.take(number(&format!("the version of {WHAT}"), node)));
    if let Some(version) = version.filter(|version| version.value != VERSION) {
        let message = format!("version {} of lock files is not known, only {VERSION} is", version.value);
        found.push(Diagnostic::new(Code::BadLock, message).at(version.span, ""));
        return None;
    }
    let items = fields.required("inputs", "inputs: []", found);
    let items = items.and_then(|node| found.take(fields::sequence("inputs", node, "inputs: []")));
    fields.finish(found);
    let mut entries = Entries::new();
    for (index, item) in items?.iter().enumerate() {
        let Some((name, content, span)) = read_entry(&format!("inputs[{index}]"), item, found) else { continue };
        if let Some((_, first)) = entries.get(&name) {
            let message = format!("{WHAT} has `{}` of `{}` twice", name.path, name.manifest);
            let diagnostic = Diagnostic::new(Code::BadLock, message).at(span, "given again");
            found.push(diagnostic.and_at(*first, "first given here"));
        } else {
            entries.insert(name, (content, span));
        }
    }
    Some(entries)
}

/// An entry, and the place of its path.
fn read_entry(what: &str, node: &Located<Node>, found: &mut Diagnostics) -> Option<(Name, Content, Span)> {
    let mut fields = Fields::new(what, node, "path: kernel.elf", found)?;
    let mut text = |key: &'static str, example: &str, found: &mut Diagnostics| {
        let node = fields.required(key, example, found)?;
        found.take(fields::clean_text(&fields.path(key), node, TEXT_LIMIT))
    };
    let path = text("path", "path: kernel.elf", found);
    let manifest = text("manifest", "manifest: kernel.yaml", found);
    let digest = text("digest", "digest: sha256:…", found);
    let size = fields.required("size", "size: 4096", found);
    let size = size.and_then(|node| found.take(number(&fields.path("size"), node)));
    fields.finish(found);
    let digest = digest.and_then(|text| {
        let digest = text.value.parse::<Digest>().map_err(|error| {
            Diagnostic::new(Code::BadLock, format!("{what}.digest: {error}")).at(text.span, "no digest")
        });
        found.take(digest)
    });
    let (path, manifest) = (path?, manifest?);
    let name = Name { manifest: manifest.value, path: path.value };
    Some((name, Content { size: size?.value, digest: digest? }, path.span))
}

fn number(what: &str, node: &Located<Node>) -> Result<Located<u64>, Diagnostic> {
    fields::quantity(what, node, "a whole number", parse_number)
}
