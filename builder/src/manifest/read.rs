//! Turns the YAML tree into a [`Manifest`], and finds everything that is wrong with it on the way.

use std::path::Path;

use stos_image::GuestRange;

use super::document::{Initramfs, Kernel, Manifest, Module};
use super::fence::Fence;
use super::fields::{Field, Fields, ROOT};
use super::keys::{MANIFEST, MODULE_NAME_LIMIT, SEGMENT_KINDS};
use super::merge::{merge, settle};
use super::protocol::Protocol;
use super::yaml::{self, Node};
use super::{consistency, entry, profile, run, tree};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Failure, Located, Source, Sources, Span};

/// The manifest version that this program reads.
const EXPECTED_VERSION: u64 = 1;

impl Manifest {
    /// Reads the manifest at `path` and those that it extends, with the profile `profile` applied, or the default one.
    ///
    /// # Errors
    /// All independent mistakes, together with the texts that they point into.
    pub fn load(path: &Path, profile: Option<&str>) -> Result<Self, Failure> {
        Self::load_inside(path, profile, &Fence::default())
    }

    /// As [`Manifest::load`], and nothing is read that lies outside `fence`, neither here nor later.
    ///
    /// # Errors
    /// As for [`Manifest::load`].
    pub fn load_inside(path: &Path, profile: Option<&str>, fence: &Fence) -> Result<Self, Failure> {
        Ok(Variants::read(&source_of(path, fence)?, profile, None, fence)?.chosen)
    }

    /// As [`Manifest::load`], and `over`, if there is one, is laid over what comes of it. Paths in that are seen from its own folder.
    ///
    /// # Errors
    /// As for [`Manifest::load`].
    pub fn load_below(path: &Path, profile: Option<&str>, over: Option<&Source>) -> Result<Self, Failure> {
        let fence = Fence::default();
        Ok(Variants::read(&source_of(path, &fence)?, profile, over, &fence)?.chosen)
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
    /// Every variant of the manifest at `path`; the default one is chosen. Nothing is read that lies outside `fence`.
    ///
    /// # Errors
    /// As for [`Manifest::load`].
    pub fn load_inside(path: &Path, fence: &Fence) -> Result<Self, Failure> {
        Self::read(&source_of(path, fence)?, None, None, fence)
    }

    /// Every variant of the manifest that `source` is, with the profile `profile` chosen, or the default one.
    ///
    /// # Errors
    /// As for [`Manifest::load`].
    pub fn from_source(source: &Source, profile: Option<&str>) -> Result<Self, Failure> {
        Self::read(source, profile, None, &Fence::default())
    }

    fn read(source: &Source, profile: Option<&str>, over: Option<&Source>, fence: &Fence) -> Result<Self, Failure> {
        let mut sources = Sources::default();
        let mut found = Diagnostics::default();
        let variants = read_with_profiles(source, (profile, over), fence, &mut sources, &mut found);
        match found.finish(variants) {
            Ok(Some(mut variants)) => {
                for manifest in variants.others.iter_mut().chain([&mut variants.chosen]) {
                    manifest.sources = sources.clone();
                    manifest.fence = fence.clone();
                }
                Ok(variants)
            }
            Ok(None) => Err(Failure { sources, diagnostics: Diagnostics::default() }),
            Err(diagnostics) => Err(Failure { sources, diagnostics }),
        }
    }
}

fn source_of(path: &Path, fence: &Fence) -> Result<Source, Failure> {
    tree::read_file(path, fence)
        .map_err(|diagnostic| Failure { sources: Sources::default(), diagnostics: diagnostic.into() })
}

fn read_with_profiles(
    source: &Source,
    (profile, over): (Option<&str>, Option<&Source>),
    fence: &Fence,
    sources: &mut Sources,
    found: &mut Diagnostics,
) -> Option<Variants> {
    let tree = tree::load(source, fence, sources, found);
    let tree = found.take(tree)?;
    let mut choice = profile::choose(tree, profile, found);
    if let Some(over) = over {
        let added = yaml::parse(sources.add(over.clone()), &over.text, found);
        let place = choice.tree.span;
        let merged = merge(choice.tree, found.take(added)?, found);
        // Missing keys are missing from the manifest.
        choice.tree = settle(Located::new(merged.value, place), found);
    }
    let manifest = read_tree(choice.tree, found);
    let mut others = Vec::new();
    for other in choice.others {
        let mut found_there = Diagnostics::default();
        others.extend(read_tree(other, &mut found_there));
        found.extend_new(found_there);
    }
    Some(Variants { chosen: Manifest { profile: choice.profile, ..manifest? }, others })
}

/// Reads everything but profiles.
fn read_tree(tree: Located<Node>, found: &mut Diagnostics) -> Option<Manifest> {
    let example = "version: 1` and the other keys below it, such as `name: my-kernel";
    let fields = Fields::new(ROOT, &tree, &MANIFEST, example, found)?;
    let version = fields.required("version", found);
    found.take(version.as_ref().map_or(Ok(()), check_version));
    let name = fields.required("name", found).and_then(|name| name.text(found));
    let memory = fields.required("memory", found).and_then(|memory| memory.number(found));
    let kernel = fields.required("kernel", found).and_then(|kernel| read_kernel(&kernel, found));
    if let (Some(memory), Some(kernel)) = (&memory, &kernel) {
        found.take(consistency::check_memory(memory, kernel.protocol.value));
    }
    let modules = fields.list("modules", ("modules", "- path: module.ko"), read_module, found);
    let initramfs = fields.optional("initramfs").and_then(|initramfs| read_initramfs(&initramfs, found));
    let cmdline = fields.optional("cmdline").and_then(|cmdline| read_cmdline(&cmdline, found));
    let entry = fields.optional("entry").and_then(|entry| entry::read(&entry, found));
    let segment = ("segments", "{start: 0x3000000, size: 1MiB, kind: reserved}");
    let segments = fields.list("segments", segment, read_segment, found);
    let run = run::read(fields.optional("run").as_ref(), found);
    let warnings = Code::warnings();
    let allowed = |code: &Field, found: &mut Diagnostics| Some(code.word(&warnings, found)?.value);
    let allow = fields.list("allow", ("codes of warnings", "W0001"), allowed, found);
    fields.finish(found);
    let nowhere = Span { end: tree.span.start, ..tree.span };
    let cmdline = cmdline.unwrap_or_else(|| Located::new(String::new(), nowhere));
    let (name, memory, kernel) = (name?, memory?, kernel?);
    let (sources, profile, fence) = (Sources::default(), None, Fence::default());
    let manifest = Manifest {
        sources,
        fence,
        profile,
        name,
        memory,
        kernel,
        modules,
        initramfs,
        cmdline,
        entry,
        segments,
        run,
        allow,
        tree,
    };
    consistency::check_keys(&manifest, found);
    Some(manifest)
}

fn check_version(version: &Field) -> Result<(), Diagnostic> {
    const WANTED: &str = "the number 1";
    let text = version.digits(WANTED)?;
    let number: Option<u64> = text.parse().ok();
    let number = number.ok_or_else(|| version.bad_number(&format!("`{text}` is not a whole number"), WANTED))?;
    if number == EXPECTED_VERSION {
        return Ok(());
    }
    let help = if number > EXPECTED_VERSION { "install a newer stos-pack, or write" } else { "write" };
    Err(Diagnostic::new(Code::OutOfRange, format!("manifest version {number} is not supported"))
        .at(version.node.span, "")
        .help(format!("{help} `version: {EXPECTED_VERSION}`")))
}

fn read_kernel(kernel: &Field, found: &mut Diagnostics) -> Option<Kernel> {
    let fields = kernel.mapping(found)?;
    let path = fields.required("path", found).and_then(|path| path.text(found));
    let protocol = fields.required("protocol", found).and_then(|protocol| protocol.word(Protocol::ALL, found));
    fields.finish(found);
    Some(Kernel { path: path?, protocol: protocol? })
}

fn read_module(module: &Field, found: &mut Diagnostics) -> Option<Module> {
    let fields = module.mapping(found)?;
    let path = fields.required("path", found).and_then(|path| path.text(found));
    let name = match fields.optional("name") {
        Some(name) => Some(name.text(found)?.value),
        None => None,
    };
    let cmdline = fields.optional("cmdline").and_then(|cmdline| read_cmdline(&cmdline, found));
    fields.finish(found);
    let path = path?;
    let file_name = Path::new(&path.value).file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.or(file_name).unwrap_or_else(|| path.value.clone());
    if name.len() > MODULE_NAME_LIMIT {
        let (what, length) = (&module.what, name.len());
        let message = format!("{what} has a name of {length} bytes, at most {MODULE_NAME_LIMIT} are allowed");
        let error = Diagnostic::new(Code::BadText, message).at(path.span, "");
        found.push(error.help("give it a shorter one with `name:`"));
        return None;
    }
    Some(Module { path, name, cmdline })
}

fn read_initramfs(initramfs: &Field, found: &mut Diagnostics) -> Option<Initramfs> {
    let fields = initramfs.mapping(found)?;
    let (archive, directory) = (fields.optional("path"), fields.optional("directory"));
    fields.finish(found);
    match (archive, directory) {
        (Some(archive), None) => archive.text(found).map(Initramfs::Archive),
        (None, Some(directory)) => directory.text(found).map(Initramfs::Directory),
        (archive, _) => {
            let message = match archive {
                Some(_) => "initramfs has both a `path` and a `directory`",
                None => "initramfs has neither a `path` nor a `directory`",
            };
            let help =
                "write `path: initramfs.cpio` for a finished archive, or `directory: initramfs` to have one made";
            let error = Diagnostic::new(Code::MissingKey, message).at(initramfs.node.span, "needs one of the two");
            found.push(error.help(help));
            None
        }
    }
}

/// A text that a kernel gets with a NUL character behind it.
fn read_cmdline(cmdline: &Field, found: &mut Diagnostics) -> Option<Located<String>> {
    if matches!(&cmdline.node.value, Node::Text(text) if text.contains('\0')) {
        let message = format!("{} contains a NUL character, which would end it early", cmdline.what);
        let error = Diagnostic::new(Code::BadText, message).at(cmdline.node.span, "");
        found.push(error.help("take the `\\0` out"));
        return None;
    }
    cmdline.text(found)
}

fn read_segment(segment: &Field, found: &mut Diagnostics) -> Option<Located<GuestRange>> {
    let fields = segment.mapping(found)?;
    let start = fields.required("start", found).and_then(|start| start.number(found));
    let size = fields.required("size", found).and_then(|size| size.number(found));
    let kind = fields.required("kind", found).and_then(|kind| kind.word(SEGMENT_KINDS, found));
    fields.finish(found);
    let (start, size, _) = (start?, size?, kind?);
    if size.value == 0 {
        let error = Diagnostic::new(Code::OutOfRange, format!("{}.size is 0", segment.what)).at(size.span, "");
        found.push(error.help("a segment has one byte or more"));
        return None;
    }
    Some(Located::new(GuestRange::new(start.value, size.value), segment.node.span))
}
