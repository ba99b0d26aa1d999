//! Builds boot images for 32-bit teaching kernels.
//!
//! The way of the data: a manifest's text becomes a [`Manifest`], its files become [`Inputs`], both become a [`Plan`], and
//! the plan becomes an [`stos_image::Image`]. Each step finds all the mistakes that it can, as [`Diagnostics`].

#![forbid(unsafe_code)]

mod build;
mod diagnostics;
mod image;
mod input;
mod kernel;
mod manifest;
mod output;
mod plan;
mod protocol;

pub use build::{Begun, Order, Packed, init, pack};
pub use diagnostics::{
    Code, Diagnostic, Diagnostics, Failure, FileId, Label, Located, MESSAGE_VERSION, Message, STATUS_DATA, STATUS_IO,
    STATUS_NO_INPUT, Severity, Source, Sources, Span, describe, for_shell, nearest, printable_lines,
};
pub use image::{
    BootStructures, Difference, ExportError, Exported, ExtractError, Form, ImageFileError, LinuxStructures,
    LoadedImage, Mapping, MultibootStructures, PageTable, Report, StosStructures, export, extract, verify,
};
pub use input::{Inputs, Loaded, Locked, lock};
pub use kernel::multiboot::MultibootFacts;
pub use kernel::recognise::{ElfFacts, Facts, KernelReport, LinuxFacts, ProtocolReport, StosFacts, examine};
pub use manifest::{Initramfs, Manifest, Protocol, schema};
pub use output::{ENDING_SIGNALS, Event, Observer, Output, Step, nobody};
pub use plan::{OwnedPiece, Plan};
pub use protocol::plan;
pub use protocol::stos::structures;
