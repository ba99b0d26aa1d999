//! Turns the YAML tree into a [`Manifest`], and finds everything that is wrong with it on the way.

use std::path::Path;

use stos_image::{NAME_LIMIT, TEXT_LIMIT};

use super::fields::{self, Fields, ROOT};
use super::quantity::parse_size;
use super::yaml::Node;
use super::{
    Initramfs, Kernel, MEMORY_LIMIT, Manifest, Module, Protocol, Segment, entry, profile, protocol, run, tree,
};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Failure, Located, Source, Sources, Span, nearest};

/// The manifest version that this program reads.
const EXPECTED_VERSION: u64 = 1;

const KERNEL_EXAMPLE: &str = "kernel: {path: kernel.elf, protocol: stos}";
/// Most reserved segments.
const SEGMENTS_LIMIT: usize = 256;
/// Most modules.
const MODULES_LIMIT: usize = 256;
/// Longest name of a module in bytes; region names are made from it.
const MODULE_NAME_LIMIT: usize = NAME_LIMIT / 2;
/// Longest command line in bytes.
const CMDLINE_LIMIT: usize = 65536;

impl Manifest {
    /// Reads the manifest at `path` and those that it extends, with the profile `profile` applied, or the default one.
    ///
    /// # Errors
    /// All independent mistakes, together with the texts that they point into.
    pub fn load(path: &Path, profile: Option<&str>) -> Result<Self, Failure> {
        Self::from_source(&source_of(path)?, profile)
    }

    /// As [`Manifest::load`], with the text of the manifest at hand.
    ///
    /// # Errors
    /// As for [`Manifest::load`].
    pub fn from_source(source: &Source, profile: Option<&str>) -> Result<Self, Failure> {
        Ok(Variants::from_source(source, profile)?.chosen)
    }
}

/// A manifest with one profile applied, or none, and with each of the others.
pub struct Variants {
    /// With the profile that was asked for, or the default one.
    pub chosen: Manifest,
    /// With each of the other profiles.
    pub others: Vec<Manifest>,
}

impl Variants {
    /// Every variant of the manifest at `path`; the default one is chosen.
    ///
    /// # Errors
    /// As for [`Manifest::load`].
    pub fn load(path: &Path) -> Result<Self, Failure> {
        Self::from_source(&source_of(path)?, None)
    }

    fn from_source(source: &Source, profile: Option<&str>) -> Result<Self, Failure> {
        let mut sources = Sources::default();
        let mut found = Diagnostics::default();
        let variants = read_with_profiles(source, profile, &mut sources, &mut found);
        match found.finish(variants) {
            Ok(Some(mut variants)) => {
                for manifest in variants.others.iter_mut().chain([&mut variants.chosen]) {
                    manifest.sources = sources.clone();
                }
                Ok(variants)
            }
            Ok(None) => Err(Failure { sources, diagnostics: Diagnostics::default() }),
            Err(diagnostics) => Err(Failure { sources, diagnostics }),
        }
    }
}

fn source_of(path: &Path) -> Result<Source, Failure> {
    tree::read_file(path).map_err(|diagnostic| Failure { sources: Sources::default(), diagnostics: diagnostic.into() })
}

fn read_with_profiles(
    source: &Source,
    profile: Option<&str>,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Option<Variants> {
    let tree = tree::load(source, sources, found);
    let tree = found.take(tree)?;
    let choice = profile::choose(tree, profile, found);
    let manifest = read_tree(&choice.tree, found);
    let mut others = Vec::new();
    for other in &choice.others {
        let mut found_there = Diagnostics::default();
        others.extend(read_tree(other, &mut found_there));
        found.extend_new(found_there);
    }
    Some(Variants { chosen: Manifest { profile: choice.profile, ..manifest? }, others })
}

/// Reads everything but profiles.
fn read_tree(root: &Located<Node>, found: &mut Diagnostics) -> Option<Manifest> {
    let example = "version: 1` and the other keys below it, such as `name: my-kernel";
    let mut fields = Fields::new(ROOT, root, example, found)?;
    let version = fields.required("version", "version: 1", found);
    if let Some(error) = version.and_then(|node| check_version(node).err()) {
        found.push(error);
    }
    // These have been dealt with, and are known in lists of keys.
    for key in ["extends", "profile", "profiles"] {
        fields.optional(key);
    }
    let name = fields.required("name", "name: my-kernel", found);
    let name = name.and_then(|node| found.take(fields::clean_text("name", node, NAME_LIMIT)));
    let memory = fields.required("memory", "memory: 64MiB", found);
    let memory = memory.and_then(|node| found.take(size("memory", node)));
    let kernel = fields.required("kernel", KERNEL_EXAMPLE, found);
    let kernel = kernel.and_then(|node| read_kernel(node, found));
    if let (Some(memory), Some(kernel)) = (&memory, &kernel) {
        found.take(check_memory(memory, kernel.protocol.value));
    }
    let modules = fields.optional("modules").map_or_else(Vec::new, |node| read_modules(node, found));
    let initramfs = fields.optional("initramfs").and_then(|node| read_initramfs(node, found));
    let cmdline = fields.optional("cmdline").and_then(|node| found.take(read_cmdline("cmdline", node)));
    let entry_node = fields.optional("entry");
    let entry = entry_node.and_then(|node| Some(Located::new(entry::read(node, found)?, node.span)));
    let segments = fields.optional("segments").map_or_else(Vec::new, |node| read_segments(node, found));
    let run = run::read(fields.optional("run"), found);
    fields.finish(found);
    let nowhere = Span { end: root.span.start, ..root.span };
    let cmdline = cmdline.unwrap_or_else(|| Located::new(String::new(), nowhere));
    let (name, memory, kernel) = (name?, memory?, kernel?);
    let (sources, profile) = (Sources::default(), None);
    let manifest =
        Manifest { sources, profile, name, memory, kernel, modules, initramfs, cmdline, entry, segments, run };
    protocol::check_keys(&manifest, found);
    Some(manifest)
}

fn check_version(node: &Located<Node>) -> Result<(), Diagnostic> {
    let version = fields::quantity("version", node, "the number 1", parse_plain)?;
    if version.value == EXPECTED_VERSION {
        return Ok(());
    }
    let message = format!("manifest version {} is not supported", version.value);
    let help = if version.value > EXPECTED_VERSION { "install a newer stos-pack, or write" } else { "write" };
    Err(Diagnostic::new(Code::OutOfRange, message)
        .at(version.span, "")
        .help(format!("{help} `version: {EXPECTED_VERSION}`")))
}

fn parse_plain(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a whole number"))
}

pub(super) fn size(what: &str, node: &Located<Node>) -> Result<Located<u64>, Diagnostic> {
    fields::with_unit_help(
        fields::quantity(what, node, "a size such as 64MiB or 0x10000", parse_size),
        node,
        parse_size,
    )
}

/// Checks that `memory` is whole pages, and neither too small nor too large for `protocol`.
fn check_memory(memory: &Located<u64>, protocol: Protocol) -> Result<(), Diagnostic> {
    let (name, least) = (protocol.name(), protocol.least_memory_mib());
    if memory.value < least << 20 {
        let diagnostic = wrong_memory(memory, &format!("which is too small: {name} needs {least}MiB to 3GiB"));
        return Err(diagnostic.note(protocol.memory_note()).help(format!("write `memory: {least}MiB` or more")));
    }
    if memory.value > MEMORY_LIMIT {
        let diagnostic = wrong_memory(memory, &format!("which is too large: {name} takes {least}MiB to 3GiB"));
        return Err(diagnostic.help("write `memory: 3GiB` or less"));
    }
    if !memory.value.is_multiple_of(stos_image::PAGE_SIZE) {
        let rounded = memory.value.next_multiple_of(stos_image::PAGE_SIZE) >> 10;
        let diagnostic = wrong_memory(memory, "which is not a whole number of 4 KiB pages");
        return Err(diagnostic.help(format!("write `memory: {rounded}KiB`")));
    }
    Ok(())
}

fn wrong_memory(memory: &Located<u64>, problem: &str) -> Diagnostic {
    let size = memory.value;
    Diagnostic::new(Code::OutOfRange, format!("memory is {size} bytes ({size:#x}), {problem}")).at(memory.span, "")
}

/// A value that must be one of a few words.
pub(super) fn word<T: Copy>(
    what: &str,
    node: &Located<Node>,
    words: &[(&'static str, T)],
) -> Result<Located<T>, Diagnostic> {
    let text = fields::text(what, node)?;
    if let Some((_, value)) = words.iter().find(|(name, _)| *name == text.value) {
        return Ok(Located::new(*value, text.span));
    }
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let message = format!("{what} can't be `{}`", text.value.escape_debug());
    let help = match nearest(&text.value, &names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("it can be {}", fields::list(&names)),
    };
    Err(Diagnostic::new(Code::UnknownWord, message).at(text.span, "").help(help))
}

fn path(what: &str, node: &Located<Node>) -> Result<Located<String>, Diagnostic> {
    fields::clean_text(what, node, TEXT_LIMIT)
}

fn read_kernel(node: &Located<Node>, found: &mut Diagnostics) -> Option<Kernel> {
    let mut fields = Fields::new("kernel", node, KERNEL_EXAMPLE, found)?;
    let path_node = fields.required("path", "path: kernel.elf", found);
    let path = path_node.and_then(|node| found.take(path("kernel.path", node)));
    let protocol = fields.required("protocol", "protocol: stos", found);
    let protocol = protocol.and_then(|node| found.take(word("kernel.protocol", node, Protocol::ALL)));
    fields.finish(found);
    Some(Kernel { path: path?, protocol: protocol? })
}

fn read_modules(node: &Located<Node>, found: &mut Diagnostics) -> Vec<Module> {
    let items = found.take(fields::sequence("modules", node, "modules: [{path: module.ko}]")).unwrap_or_default();
    if items.len() > MODULES_LIMIT {
        let message = format!("{} modules are too many, at most {MODULES_LIMIT} are allowed", items.len());
        found.push(Diagnostic::new(Code::OutOfRange, message).at(node.span, ""));
    }
    let read = |(index, item)| read_module(index, item, found);
    items.iter().enumerate().filter_map(read).collect()
}

fn read_module(index: usize, node: &Located<Node>, found: &mut Diagnostics) -> Option<Module> {
    let what = format!("modules[{index}]");
    let mut fields = Fields::new(&what, node, "- path: module.ko", found)?;
    let path_node = fields.required("path", "path: module.ko", found);
    let path = path_node.and_then(|node| found.take(path(&fields.path("path"), node)));
    let name = fields.optional("name").map(|node| fields::clean_text(&fields.path("name"), node, MODULE_NAME_LIMIT));
    let name = match name {
        Some(name) => Some(found.take(name)?.value),
        None => None,
    };
    let cmdline = fields.optional("cmdline");
    let cmdline = cmdline.and_then(|node| found.take(read_cmdline(&fields.path("cmdline"), node)));
    fields.finish(found);
    let path = path?;
    let file_name = Path::new(&path.value).file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.or(file_name).unwrap_or_else(|| path.value.clone());
    if name.len() > MODULE_NAME_LIMIT {
        let message = format!("{what} has a name of {} bytes, at most {MODULE_NAME_LIMIT} are allowed", name.len());
        found
            .push(Diagnostic::new(Code::BadText, message).at(path.span, "").help("give it a shorter one with `name:`"));
        return None;
    }
    Some(Module { path, name, cmdline })
}

fn read_initramfs(node: &Located<Node>, found: &mut Diagnostics) -> Option<Initramfs> {
    let mut fields = Fields::new("initramfs", node, "initramfs: {path: initramfs.cpio}", found)?;
    let archive = fields.optional("path").map(|node| path("initramfs.path", node));
    let directory = fields.optional("directory").map(|node| path("initramfs.directory", node));
    fields.finish(found);
    match (archive, directory) {
        (Some(archive), None) => found.take(archive).map(Initramfs::Archive),
        (None, Some(directory)) => found.take(directory).map(Initramfs::Directory),
        (archive, _) => {
            let message = match archive {
                Some(_) => "initramfs has both a `path` and a `directory`",
                None => "initramfs has neither a `path` nor a `directory`",
            };
            let help =
                "write `path: initramfs.cpio` for a finished archive, or `directory: initramfs` to have one made";
            found.push(Diagnostic::new(Code::MissingKey, message).at(node.span, "needs one of the two").help(help));
            None
        }
    }
}

/// A text that a kernel gets with a NUL character behind it; `what` is its key.
fn read_cmdline(what: &str, node: &Located<Node>) -> Result<Located<String>, Diagnostic> {
    let cmdline = fields::text(what, node)?;
    if cmdline.value.contains('\0') {
        let message = format!("{what} contains a NUL character, which would end it early");
        return Err(Diagnostic::new(Code::BadText, message).at(cmdline.span, "").help("take the `\\0` out"));
    }
    if !cmdline.value.is_empty() {
        fields::check_clean(what, &cmdline, CMDLINE_LIMIT)?;
    }
    Ok(cmdline)
}

fn read_segments(node: &Located<Node>, found: &mut Diagnostics) -> Vec<Located<Segment>> {
    let items = found
        .take(fields::sequence("segments", node, "segments: [{start: 0x3000000, size: 1MiB, kind: reserved}]"))
        .unwrap_or_default();
    if items.len() > SEGMENTS_LIMIT {
        let message = format!("{} segments are too many, at most {SEGMENTS_LIMIT} are allowed", items.len());
        found.push(Diagnostic::new(Code::OutOfRange, message).at(node.span, ""));
    }
    let read = |(index, item)| read_segment(index, item, found);
    items.iter().enumerate().filter_map(read).collect()
}

fn read_segment(index: usize, node: &Located<Node>, found: &mut Diagnostics) -> Option<Located<Segment>> {
    let mut fields =
        Fields::new(format!("segments[{index}]"), node, "{start: 0x3000000, size: 1MiB, kind: reserved}", found)?;
    let mut number = |key, example, found: &mut Diagnostics| {
        let node = fields.required(key, example, found)?;
        found.take(size(&fields.path(key), node))
    };
    let start = number("start", "start: 0x3000000", found);
    let length = number("size", "size: 1MiB", found);
    let kind = fields.required("kind", "kind: reserved", found);
    let kind = kind.and_then(|node| found.take(word(&fields.path("kind"), node, &[("reserved", ())])));
    fields.finish(found);
    let (start, length, _) = (start?, length?, kind?);
    if length.value == 0 {
        let message = format!("segments[{index}].size is 0");
        found.push(
            Diagnostic::new(Code::OutOfRange, message).at(length.span, "").help("a segment has one byte or more"),
        );
        return None;
    }
    Some(Located::new(Segment { start: start.value, size: length.value }, node.span))
}
