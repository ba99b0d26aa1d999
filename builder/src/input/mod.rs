//! The files that a manifest names: their bytes, the archives that are made of directories, and what a lock file says of them.

mod file;
pub mod initramfs;
mod inputs;
mod lock;
mod overwrite;
mod recipe;

pub use file::InputFile;
pub use inputs::{Inputs, Loaded};
pub use lock::{Lock, Locked, lock};
pub use overwrite::check_output;
pub use recipe::{Load, recipes};
