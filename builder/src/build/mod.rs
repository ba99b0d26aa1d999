//! The whole way: from a manifest to an image, from a folder to a manifest, and from nothing to a project.

mod examine;
mod init;
mod pack;
mod project;

pub use examine::examine;
pub use init::{Begun, init};
pub use pack::{Order, Packed, pack};
pub use project::{Created, Language, Project, ProjectError};
