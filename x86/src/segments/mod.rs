//! Segmentation and tasks (Intel SDM volume 3A, chapters 3 and 8).

mod descriptor;
mod register;
mod selector;
mod tss;

pub use descriptor::{Descriptor, DescriptorKind, SystemType};
pub use register::{Segment, Segments};
pub use selector::{Selector, Table};
pub use tss::{TSS_SIZE, TaskState, tss_offset};
