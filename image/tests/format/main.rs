//! The format as its users see it: through the reader and the writer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod careless;
mod damage;
mod encoding;
mod guest;
