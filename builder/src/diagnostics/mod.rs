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
mod wrap;

pub(crate) use code::STATUS_NO_INPUT;
pub use code::{Code, STATUS_DATA, STATUS_IO, Severity};
pub use diagnostic::{Diagnostic, Diagnostics, Label};
pub use failure::Failure;
pub use io_error::describe;
pub(crate) use io_error::{read_failure, with_home_help};
pub use listing::listing;
pub use message::{MESSAGE_VERSION, Message, Place};
pub use nearest::nearest;
pub use printable::{for_shell, printable, printable_lines, printable_path};
pub(crate) use size::exact_size;
pub use size::rounded_size;
pub use source::{FileId, Located, Source, Sources, Span};
pub use wrap::wrap;
