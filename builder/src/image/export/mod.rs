//! Makes of an image what other programs start or look at: a Multiboot kernel, or guest memory as a flat file.

mod elf;
mod error;
mod fill;
mod form;
mod multiboot;
mod space;
mod start;

pub use error::ExportError;
pub use form::{Exported, Form, export};
