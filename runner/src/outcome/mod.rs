//! What a run comes to: what its ending means, its exit status, its one sentence, and its report.

mod absent;
mod ending;
pub mod report;
mod run;
mod sentence;
mod start;
mod status;
mod verdict;

pub use absent::{sought, unseen};
pub use ending::{conclude, with_overwritten};
pub use run::Run;
pub use start::{
    HOW_TO_INSTALL_EMULATOR, memory_remark, reason, reason_to_fall_back, remark, short_reason, unconfined,
    without_advice,
};
pub use status::{Before, Outcome, USAGE};
pub use verdict::judge;
