//! What goes into a manifest that is begun.

use crate::manifest::Protocol;

/// The file of the schema beside the manifest.
pub const SCHEMA: &str = "manifest.schema.json";
/// What the kernel is called in the manifest when none was found.
pub const NO_KERNEL: &str = "kernel.elf";

/// An initramfs as the manifest names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Initramfs {
    /// A finished archive.
    Archive(String),
    /// A directory that is to be archived.
    Directory(String),
}

impl Initramfs {
    /// The path of either.
    pub fn path(&self) -> &str {
        match self {
            Self::Archive(path) | Self::Directory(path) => path,
        }
    }
}

/// What goes into the manifest, and what else was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    pub name: String,
    /// Guest memory, if not as much as most kernels need.
    pub memory: Option<String>,
    /// Words for the kernel behind those that it mostly gets.
    pub words: Option<String>,
    /// `None` when none was found.
    pub kernel: Option<String>,
    /// The boot protocol that the kernel speaks, or probably means to.
    pub protocol: Protocol,
    pub other_kernels: Vec<String>,
    pub modules: Vec<String>,
    pub other_modules: Vec<String>,
    pub initramfs: Option<Initramfs>,
    pub other_initramfs: Vec<String>,
    /// Whether an image can be built of it.
    pub packs: bool,
    /// Whether the folder has more than was looked at.
    pub cut_short: bool,
}
