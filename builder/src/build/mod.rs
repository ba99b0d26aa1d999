//! The whole way: from a manifest to an image, from a folder to a manifest, from nothing to a project, and from a file to
//! the image of one run.

mod changes;
mod examine;
mod init;
mod pack;
mod project;
mod subject;

pub use changes::Changes;
pub use examine::examine;
pub use init::{Begun, init};
pub use pack::{Order, Packed, pack};
pub use project::{Created, Language, Project, ProjectError};
pub use subject::{Spared, Subject};
