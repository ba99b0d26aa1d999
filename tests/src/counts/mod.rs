//! Instructions that programs execute, as valgrind counts them, and what was recorded of them.

mod callgrind;
mod record;
mod toolchain;

pub use callgrind::{Counted, count};
pub use record::{Comparison, Counts, Records};
pub use toolchain::name as toolchain;
