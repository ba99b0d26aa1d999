//! Begins a project: a kernel of a few lines that builds, runs, is tested and fails on purpose, for a boot protocol and in a language.

/// The text of a file in the folder of templates.
macro_rules! template {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $path))
    };
}

mod create;
mod files;
mod language;
mod name;
mod values;

pub use create::{Created, Project, ProjectError};
pub use language::Language;
