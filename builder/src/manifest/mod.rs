//! The manifest: what a person declares. Every value keeps its place in the text, so that later steps can point at it.

mod canonical;
mod carried;
mod consistency;
pub(crate) mod description;
mod document;
mod entry;
mod expression;
mod fence;
pub(crate) mod fields;
#[cfg_attr(not(target_os = "linux"), path = "held_elsewhere.rs")]
mod held;
mod keys;
mod merge;
mod profile;
mod protocol;
pub(crate) mod quantity;
mod quote;
mod read;
mod recorded;
mod run;
mod schema;
pub(crate) mod tree;
pub(crate) mod yaml;

pub(crate) use carried::check_carried;
pub use document::{
    Eip, Entry, Initramfs, Kernel, MEMORY_LIMIT, Manifest, MapEntry, Module, NamedInput, Paging, SegmentMapping,
};
pub use expression::{EXPRESSIONS_LIMIT, ExpressionError, compile_expression};
pub use fence::{Fence, Refusal};
pub use held::Held;
pub(crate) use protocol::INPUT_LIMIT;
pub use protocol::Protocol;
pub(crate) use quote::quoted;
pub(crate) use read::Variants;
pub(crate) use recorded::{MANIFEST_NAME, RecordedPaths};
pub use schema::schema;
