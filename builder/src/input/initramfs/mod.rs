//! Initial RAM file systems: cpio archives in newc format, made from a directory or checked as they come.

mod archive;
mod contents;
mod newc;
mod tree;

pub use archive::archive;
pub use contents::{Contents, Member};
pub use newc::{advice, check_newc, decompressor, linux_unpacks};
