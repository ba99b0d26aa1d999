//! The report as a picture for a slide: guest-physical memory with its owners, and the virtual addresses that lead there.

mod columns;
mod entry;
mod mapping;
mod palette;
mod pen;
mod physical;
mod picture;
mod scale;
