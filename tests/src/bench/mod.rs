//! The benchmarks that set stos-run beside others on the same guest: who takes part, how each is measured, what is told of it.
//!
//! ```text
//! GuestCode --forms--> Contestants --rounds, stopwatch--> Lanes --statistics--> table, chart, JSON
//! ```
//!
//! [`start`], [`output`], [`idle`], [`side_by_side`] and [`compute`] are the five comparisons; `docs/performance.md` says how to read them.

mod chart;
mod code;
mod comparison;
pub mod compute;
mod contestant;
mod forms;
mod host;
pub mod idle;
mod native;
mod others;
pub mod output;
mod own;
mod qemu;
mod report;
mod rounds;
mod settings;
pub mod side_by_side;
pub mod start;
mod statistics;
mod stopwatch;
mod table;

pub use code::GuestCode;
pub use comparison::Comparison;
pub use forms::Forms;
pub use report::publish;
pub use settings::Settings;
