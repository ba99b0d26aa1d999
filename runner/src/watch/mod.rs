//! What a guest prints, watched: carried to where it leads, searched for what is expected, and summed up.

mod allowance;
mod at_source;
mod lines;
mod matcher;
mod pattern;
mod prompt;
mod pump;
mod rows;
mod summary;
mod watched;

pub use allowance::Allowance;
pub use at_source::AtSource;
pub use matcher::{Expectations, Matcher, Rejected, Seen, Sight};
pub use prompt::Prompt;
pub use pump::{OutputEvent, pump};
pub use rows::Rows;
pub use summary::{Summaries, Summary};
pub use watched::Watched;
