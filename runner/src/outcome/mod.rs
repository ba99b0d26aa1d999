//! What a run comes to: what its ending means, its exit status, its one sentence, and its report.

mod absent;
mod ending;
mod github;
mod headline;
mod limit;
mod message;
pub mod report;
mod run;
mod sarif;
mod sentence;
mod start;
mod status;
mod telling;
mod verdict;

pub use absent::{sought, unseen};
pub use ending::{conclude, with_overwritten};
pub use headline::Headline;
pub use limit::Limit;
pub use run::Run;
pub use sarif::Log;
pub use start::{
    ONLY_ON_LINUX, memory_remark, no_kvm, pace_remark, reason, reason_to_fall_back, remark, short_reason, unconfined,
    without_advice,
};
pub use status::{Before, NO_BACKEND, Outcome, USAGE};
pub use telling::{MessageFormat, Telling};
pub use verdict::judge;
