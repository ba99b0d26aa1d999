//! A manifest whose every value was checked on its own, as plain types.

use std::path::PathBuf;

use stos_image::{GuestRange, RunDefaults};
use stos_x86::paging::PageSize;
use stos_x86::registers::GeneralRegisters;

use super::fence::Fence;
use super::protocol::Protocol;
use super::yaml::Node;
use crate::diagnostics::{Code, Located, Sources, Span};

/// Largest guest memory in bytes that a manifest may declare.
pub const MEMORY_LIMIT: u64 = 3 << 30;

/// A manifest whose every value was checked on its own.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The texts that it was read from.
    pub sources: Sources,
    /// What its inputs must lie inside of.
    pub fence: Fence,
    /// The profile that was applied.
    pub profile: Option<String>,
    /// Name of the image.
    pub name: Located<String>,
    /// Guest memory in bytes.
    pub memory: Located<u64>,
    /// The kernel.
    pub kernel: Kernel,
    /// Modules in the order in which the kernel gets them.
    pub modules: Vec<Module>,
    /// The initramfs, if any.
    pub initramfs: Option<Initramfs>,
    /// The command line; empty when the manifest gives none.
    pub cmdline: Located<String>,
    /// The CPU at the first instruction, where no protocol says it.
    pub entry: Option<Located<Entry>>,
    /// Further ranges that the kernel must leave alone, each of one byte or more.
    pub segments: Vec<Located<GuestRange>>,
    /// Defaults for the runner.
    pub run: RunDefaults,
    /// Warnings that are not to be printed.
    pub allow: Vec<Code>,
    /// All of this as it was read, with bases and profile laid over each other, and without the keys that name them.
    pub(crate) tree: Located<Node>,
}

/// The kernel file and how it is started.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Path as written.
    pub path: Located<String>,
    /// Boot protocol.
    pub protocol: Located<Protocol>,
}

/// A module file.
#[derive(Clone, Debug)]
pub struct Module {
    /// Path as written.
    pub path: Located<String>,
    /// Name for people: as given, else the file's name.
    pub name: String,
    /// The text that the kernel gets with it, if not the name.
    pub cmdline: Option<Located<String>>,
}

/// Where the initramfs comes from.
#[derive(Clone, Debug)]
pub enum Initramfs {
    /// A finished cpio archive in newc format.
    Archive(Located<String>),
    /// A directory that is to be archived.
    Directory(Located<String>),
}

/// The CPU at the first instruction.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The general registers; ESP is apart.
    pub registers: GeneralRegisters,
    /// ESP, unless it is a stack of ours.
    pub esp: Option<Located<u32>>,
    /// The first instruction, unless it is the ELF file's entry point.
    pub eip: Option<Located<Eip>>,
    /// What is mapped, when paging is on.
    pub paging: Option<Paging>,
}

/// The first instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eip {
    /// By its address: physical with paging off, else virtual.
    Address(u32),
    /// By a symbol of the kernel.
    Symbol(String),
}

/// What the page tables map.
#[derive(Clone, Debug)]
pub struct Paging {
    /// Where `paging` stands.
    pub span: Span,
    /// Size of all pages.
    pub page_size: PageSize,
    /// Where the segments of the kernel are mapped.
    pub segments: SegmentMapping,
    /// Further mappings.
    pub map: Vec<Located<MapEntry>>,
}

/// Where the segments of the kernel are mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentMapping {
    /// At `p_vaddr`.
    Virtual,
    /// At `p_paddr`.
    Identity,
    /// Not at all, unless further mappings do.
    Unmapped,
}

impl SegmentMapping {
    /// Each with its name in the manifest.
    pub const ALL: &[(&str, Self)] =
        &[("virtual", Self::Virtual), ("identity", Self::Identity), ("none", Self::Unmapped)];
}

/// Sizes of pages with their names in the manifest.
pub const PAGE_SIZES: &[(&str, PageSize)] = &[("4KiB", PageSize::Small), ("4MiB", PageSize::Big)];

/// A mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapEntry {
    /// First virtual address.
    pub start: u32,
    /// Where it leads.
    pub physical: u32,
    /// Bytes.
    pub size: u64,
    /// Whether it may be written to.
    pub write: bool,
    /// Whether privilege level 3 may use it.
    pub user: bool,
}

/// A file or a directory that a manifest names.
#[derive(Clone, Debug)]
pub struct NamedInput<'a> {
    /// The key in the manifest, such as `modules[1]`.
    pub key: String,
    /// The path as written.
    pub path: &'a Located<String>,
    /// Whether it is a directory that is to be archived.
    pub is_directory: bool,
}

impl Manifest {
    /// The file that a path means: relative to the folder of the manifest that it is written in.
    pub fn resolve(&self, path: &Located<String>) -> PathBuf {
        self.sources.resolve(path)
    }

    /// The files and directories that it names, in the order of [`crate::input::Inputs::all`].
    pub fn named(&self) -> Vec<NamedInput<'_>> {
        let file = |key: String, path| NamedInput { key, path, is_directory: false };
        let modules = self.modules.iter().enumerate();
        let mut named = vec![file("kernel".to_owned(), &self.kernel.path)];
        named.extend(modules.map(|(index, module)| file(format!("modules[{index}]"), &module.path)));
        named.extend(self.initramfs.iter().map(|initramfs| match initramfs {
            Initramfs::Archive(path) => file("initramfs".to_owned(), path),
            Initramfs::Directory(path) => NamedInput { key: "initramfs".to_owned(), path, is_directory: true },
        }));
        named
    }
}
