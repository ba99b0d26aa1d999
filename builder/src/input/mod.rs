//! The files that a manifest names: their bytes, the archives that are made of directories, and what a lock file says of them.

mod content;
mod file;
pub(crate) mod initramfs;
mod inputs;
pub(crate) mod lock;
mod overwrite;
mod recipe;
mod stored;

pub use file::InputFile;
pub use inputs::{Inputs, Loaded};
pub(crate) use overwrite::check_output;
pub(crate) use recipe::{Load, recipes};
pub use stored::StoredFile;
