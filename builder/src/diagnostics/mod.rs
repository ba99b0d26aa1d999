//! What is wrong with what a person gave us, and how it is said: to people, to programs, and at length.

mod code;
mod diagnostic;
mod explain;
mod failure;
mod io_error;
mod listing;
mod message;
mod nearest;
mod printable;
mod size;
mod source;

pub(crate) use code::STATUS_NO_INPUT;
pub use code::{Code, STATUS_DATA, STATUS_IO, Severity};
pub use diagnostic::{Diagnostic, Diagnostics, Label};
pub use failure::Failure;
pub use io_error::describe;
pub(crate) use io_error::{read_failure, with_home_help};
pub use listing::{is_styled, listing};
pub use message::{MESSAGE_VERSION, Message};
pub use nearest::nearest;
pub(crate) use printable::printable;
pub use printable::printable_path;
pub use printable::{for_shell, printable_lines};
pub(crate) use size::{exact_size, rounded_size};
pub use source::{FileId, Located, Source, Sources, Span};
