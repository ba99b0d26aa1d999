//! The whole way: from a manifest to an image, and from a folder to a manifest.

mod examine;
mod init;
mod pack;

pub use examine::examine;
pub use init::{Begun, init};
pub use pack::{Order, Packed, pack};
