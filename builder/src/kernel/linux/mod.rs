//! Linux kernels: the bzImage file, and the fields of `struct boot_params` that its setup header is a part of.

mod bzimage;
pub mod fields;

pub use bzimage::{BzImage, has_linux_header};
