//! Who owns which bytes of guest memory, and what they hold.

mod claims;
mod guest;
pub mod layout;
mod memory;
mod memory_map;
mod placer;

pub use claims::Claim;
#[cfg(test)]
pub use claims::Claims;
pub use guest::{OwnedBytes, OwnedChunk, Plan, limit_reached};
pub use memory::Memory;
pub use memory_map::{declared_map, reserve};
pub use placer::Placer;
