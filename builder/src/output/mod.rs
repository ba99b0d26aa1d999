//! Where what is made goes: files that appear whole or not at all, standard output, and those who watch it being written.

mod atomic;
mod content;
mod destination;
mod folder;
mod interrupt;
mod observer;
mod screen;
mod signals;
mod sparse;
mod temporary;

pub(crate) use atomic::write_with_mode;
pub use atomic::{Existing, Staged, folder_of, followed, is_special, write_atomically};
pub(crate) use content::Content;
pub use destination::Output;
pub(crate) use folder::{FolderError, fill_folder};
pub use interrupt::end_cleanly;
pub(crate) use interrupt::{Interrupt, Interruptible};
pub(crate) use observer::Watched;
pub use observer::{Event, Observer, Step, nobody};
pub use screen::{Colors, can_draw};
pub use signals::{Caught, Ender};
pub use temporary::Leftover;
pub(crate) use temporary::is_temporary;
