//! What a release is made of: the archive, the crates, the files that distributions build from, and recipes for CI. The programs are
//! those that tests run; `make dist-check` tries the packages themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod archive;
mod crates;
mod packaging;
mod recipes;
