//! The manifest as images carry it, as plain types: complete in itself, so it needs fewer keys than people do.

use std::collections::BTreeMap;

use serde::Serialize;

/// A manifest that extends no other and has its profile applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Version of the manifest's form.
    pub version: u64,
    /// Name of the image.
    pub name: String,
    /// Guest memory in bytes.
    pub memory: Quantity,
    /// The profile that was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The kernel and how it is started.
    pub kernel: KernelDocument,
    /// Modules, in the order in which the kernel gets them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<ModuleDocument>,
    /// The initramfs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initramfs: Option<InitramfsDocument>,
    /// The command line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cmdline: String,
    /// The CPU at the first instruction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<EntryDocument>,
    /// Further physical memory that the kernel must leave alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentDocument>,
    /// Defaults for the runner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunDocument>,
    /// The profile that was applied, as an empty mapping: its changes have been made.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, BTreeMap<String, String>>,
}

/// A number, plain or in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Quantity {
    /// A plain number.
    Number(u64),
    /// A number with a unit, such as `64MiB` or `30s`, or in hexadecimal, such as `0xF4`.
    Text(String),
}

/// The kernel and how it is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelDocument {
    /// The kernel's file.
    pub path: String,
    /// The boot protocol that the kernel expects.
    pub protocol: &'static str,
}

/// A module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModuleDocument {
    /// The module's file.
    pub path: String,
    /// What the module is called in messages, if not like its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The text that the kernel gets with it, if not the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
}

/// The initramfs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InitramfsDocument {
    /// A cpio archive in newc format.
    pub path: String,
}

/// The CPU at the first instruction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EntryDocument {
    /// General registers that are not zero, and ESP unless it is a stack of ours.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub registers: BTreeMap<&'static str, Quantity>,
    /// Address or symbol of the first instruction, unless it is the ELF file's entry point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eip: Option<Quantity>,
    /// What is mapped, when paging is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paging: Option<PagingDocument>,
}

/// What page tables map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PagingDocument {
    /// Size of all pages.
    pub page_size: &'static str,
    /// Where the segments of the kernel are mapped.
    pub segments: &'static str,
    /// Further mappings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub map: Vec<MapDocument>,
}

/// A mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MapDocument {
    /// First virtual address.
    #[serde(rename = "virtual")]
    pub start: Quantity,
    /// Where it leads.
    pub physical: Quantity,
    /// Bytes.
    pub size: Quantity,
    /// Whether it may be written to.
    #[serde(skip_serializing_if = "is_false")]
    pub write: bool,
    /// Whether privilege level 3 may use it.
    #[serde(skip_serializing_if = "is_false")]
    pub user: bool,
}

/// True for a flag that need not be written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A range of physical memory that the kernel must leave alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentDocument {
    /// Physical address of the first byte.
    pub start: Quantity,
    /// Size in bytes.
    pub size: Quantity,
    /// What the range is.
    pub kind: &'static str,
}

/// Defaults for the runner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunDocument {
    /// Wall time after which the run is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Quantity>,
    /// Regular expressions that must match lines of the serial output, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<String>,
    /// The I/O port to which the guest writes its exit status, if not the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_port: Option<Quantity>,
}
