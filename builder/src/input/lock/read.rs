//! Reads lock files: YAML that this program wrote, and that somebody may have edited or merged badly.

use std::collections::BTreeMap;
use std::path::Path;

use stos_image::{Digest, TEXT_LIMIT};

use super::entry::{Content, Name, VERSION};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, FileId, Sources, Span};
use crate::manifest::description::{Kind, Mapping, key, mapping, number};
use crate::manifest::fields::{Field, Fields};
use crate::manifest::quantity::NUMBER;
use crate::manifest::{Fence, tree, yaml};

const WHAT: &str = "the lock file";

const WHOLE_NUMBER: Kind = number(&NUMBER, 0, u64::MAX, 1);
const TEXT: Kind = Kind::Text { least: 1, most: TEXT_LIMIT };
const INPUTS: Kind = Kind::List { of: &Kind::Mapping(&INPUT), most: usize::MAX };

const LOCK: Mapping = mapping(
    "Lock",
    "A lock file.",
    &[key("version", "1", WHOLE_NUMBER).required(), key("inputs", "[]", INPUTS).required()],
);

const INPUT: Mapping = mapping(
    "Input",
    "What an input must be.",
    &[
        key("path", "kernel.elf", TEXT).required(),
        key("manifest", "kernel.yaml", TEXT).required(),
        key("digest", "sha256:…", TEXT).required(),
        key("size", "4096", WHOLE_NUMBER).required(),
    ],
);

/// The entries of a lock file, each with the place of its path in it.
pub type Entries = BTreeMap<Name, (Content, Span)>;

/// Reads the lock file at `path`, and adds its text to `sources`. `renew` is the command that writes it anew.
pub fn load(path: &Path, renew: &str, fence: &Fence, sources: &mut Sources) -> Result<Entries, Diagnostics> {
    let bad = |diagnostic: Diagnostic, when: &str| {
        Diagnostic { code: Code::BadLock, ..diagnostic }.help(format!("{when} `{renew}`"))
    };
    let source = tree::read_text(&format!("{WHAT} `{}`", path.display()), path, fence, Fence::open_named).map_err(
        |diagnostic| match path.symlink_metadata() {
            Ok(_) if diagnostic.code == Code::InputOutside => diagnostic,
            Ok(_) => Diagnostic { code: Code::BadLock, ..diagnostic },
            Err(_) => bad(diagnostic, "write it with"),
        },
    )?;
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
    let fields = Fields::new(WHAT, &tree, &LOCK, "version: 1", found)?;
    let version = fields.required("version", found);
    let version = version.map(|version| Field { what: format!("the version of {WHAT}"), ..version });
    let version = version.and_then(|version| version.number(found));
    if let Some(version) = version.filter(|version| version.value != VERSION) {
        let message = format!("version {} of lock files is not known, only {VERSION} is", version.value);
        found.push(Diagnostic::new(Code::BadLock, message).at(version.span, ""));
        return None;
    }
    let inputs = fields.required("inputs", found).map(|inputs| Field { what: "inputs".to_owned(), ..inputs });
    let items = inputs.map(|inputs| inputs.items("inputs", "path: kernel.elf", found));
    fields.finish(found);
    let mut entries = Entries::new();
    for item in items? {
        let Some((name, content, span)) = read_entry(&item, found) else { continue };
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
fn read_entry(entry: &Field, found: &mut Diagnostics) -> Option<(Name, Content, Span)> {
    let fields = entry.mapping(found)?;
    let mut text = |key| fields.required(key, found).and_then(|value| value.text(found));
    let (path, manifest, digest) = (text("path"), text("manifest"), text("digest"));
    let size = fields.required("size", found).and_then(|size| size.number(found));
    fields.finish(found);
    let digest = digest.and_then(|text| {
        let digest = text.value.parse::<Digest>().map_err(|error| {
            Diagnostic::new(Code::BadLock, format!("{}.digest: {error}", entry.what)).at(text.span, "no digest")
        });
        found.take(digest)
    });
    let (path, manifest) = (path?, manifest?);
    let name = Name { manifest: manifest.value, path: path.value };
    Some((name, Content { size: size?.value, digest: digest? }, path.span))
}
