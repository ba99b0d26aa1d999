//! The manifest in its written form: the keys of `docs/manifest.md` as plain types.

use std::collections::BTreeMap;

use serde::Serialize;

/// A manifest: a guest's kernel, modules, initramfs, command line and memory, and how to run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Document {
    /// Version of the manifest's form. The only one is 1.
    pub version: u64,
    /// Path of another manifest to start from: what this one says is laid over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// Name of the image, for people; the kernel does not see it.
    pub name: String,
    /// Guest memory in bytes, such as `64MiB`. It begins at guest-physical address 0.
    pub memory: Quantity,
    /// The profile that is used when the command line names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The kernel and how it is started.
    pub kernel: KernelDocument,
    /// Modules, in the order in which the kernel gets them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modules: Option<Vec<ModuleDocument>>,
    /// Modules behind those of the manifest that this one extends.
    #[serde(rename = "modules+", skip_serializing_if = "Option::is_none")]
    pub modules_added: Option<Vec<ModuleDocument>>,
    /// The initramfs: exactly one of `path` and `directory`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initramfs: Option<InitramfsDocument>,
    /// The command line: words such as `timer.hz=100` with spaces between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// Words behind the command line of the manifest that this one extends.
    #[serde(rename = "cmdline+", skip_serializing_if = "Option::is_none")]
    pub cmdline_added: Option<String>,
    /// Further physical memory that the kernel must leave alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<SegmentDocument>>,
    /// Segments behind those of the manifest that this one extends.
    #[serde(rename = "segments+", skip_serializing_if = "Option::is_none")]
    pub segments_added: Option<Vec<SegmentDocument>>,
    /// How to run the image when the command line of `stos-run` does not say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunDocument>,
    /// Named variants of the manifest, one of which can be laid over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profiles: Option<BTreeMap<String, ProfileDocument>>,
}

/// What a profile changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProfileDocument {
    /// Another name of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Another size of guest memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// Another kernel, or another boot protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<KernelDocument>,
    /// Modules instead of those of the manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modules: Option<Vec<ModuleDocument>>,
    /// Modules behind those of the manifest.
    #[serde(rename = "modules+", skip_serializing_if = "Option::is_none")]
    pub modules_added: Option<Vec<ModuleDocument>>,
    /// Another initramfs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initramfs: Option<InitramfsDocument>,
    /// Another command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// Words behind the command line of the manifest.
    #[serde(rename = "cmdline+", skip_serializing_if = "Option::is_none")]
    pub cmdline_added: Option<String>,
    /// Reserved segments instead of those of the manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<SegmentDocument>>,
    /// Reserved segments behind those of the manifest.
    #[serde(rename = "segments+", skip_serializing_if = "Option::is_none")]
    pub segments_added: Option<Vec<SegmentDocument>>,
    /// Other defaults for the runner; what is not said here stays as the manifest has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunDocument>,
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
    /// The kernel's ELF file. A relative path starts at the folder of the manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The boot protocol that the kernel expects, such as `stos`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

/// A module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModuleDocument {
    /// The module's ELF file.
    pub path: String,
    /// What the module is called in messages. Without it, the last part of `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The initramfs: exactly one of the two keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InitramfsDocument {
    /// A finished cpio archive in newc format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A directory that is made into such an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// A range of physical memory that the kernel must leave alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SegmentDocument {
    /// Physical address of the first byte, such as `0x3000000` or `48MiB`.
    pub start: Quantity,
    /// Size in bytes, such as `1MiB`.
    pub size: Quantity,
    /// What the range is. The only word is `reserved`.
    pub kind: String,
}

/// Defaults for the runner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunDocument {
    /// Wall time after which the run is ended, such as `30s`. Without it, there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Quantity>,
    /// Regular expressions that must match lines of the serial output, in this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Vec<String>>,
    /// Expressions behind those of the manifest.
    #[serde(rename = "expect+", skip_serializing_if = "Option::is_none")]
    pub expect_added: Option<Vec<String>>,
    /// The I/O port to which the guest writes its exit status. Without it, 0xF4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_port: Option<Quantity>,
}
