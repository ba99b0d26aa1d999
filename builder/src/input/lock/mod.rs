//! Lock files: the size and digest of every input that a manifest names, so that nothing else can slip into an image.

mod check;
mod entry;
mod read;
mod record;

pub use check::Lock;
pub use record::{Locked, lock};
