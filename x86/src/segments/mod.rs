//! Segmentation (Intel SDM volume 3A, chapter 3): selectors, descriptors, and segment registers.

mod check;
mod descriptor;
mod register;
mod selector;

pub use check::{Load, Refusal};
pub use descriptor::{Descriptor, DescriptorKind, SystemType};
pub use register::{Segment, Segments};
pub use selector::{Selector, Table};
