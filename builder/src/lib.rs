//! Builds boot images for 32-bit teaching kernels, and answers questions about them.
//!
//! The way of the data: a manifest's text becomes a [`Manifest`](manifest::Manifest), its files become
//! [`Inputs`](input::Inputs), both become a [`Plan`], and the plan becomes an [`stos_image::Image`]. Each step finds all the
//! mistakes that it can, as [`Diagnostics`](diagnostics::Diagnostics).
//!
//! ```no_run
//! use std::path::Path;
//! use stos_pack::{input::Inputs, manifest::Manifest, output::nobody, plan};
//!
//! let manifest = Manifest::load(Path::new("kernel.yaml"), None).expect("the manifest is right");
//! let inputs = Inputs::load(&manifest, &nobody).expect("every file is there");
//! let plan = plan(&manifest, &inputs).expect("everything has a place");
//! let image = plan.render().expect("it breaks no limit");
//! println!("{}", image.id());
//! ```
//!
//! [`pack`] does all of that, and writes the image to a file. What an image holds, [`image::Report`] tells; what is known of a
//! kernel without a manifest, [`examine`].

#![forbid(unsafe_code)]

mod build;
pub mod diagnostics;
pub mod image;
pub mod input;
pub mod kernel;
pub mod manifest;
pub mod manual;
pub mod output;
mod plan;
pub mod protocol;

pub use build::{
    Begun, Changes, Created, Language, Order, Packed, Project, ProjectError, Spared, Subject, examine, init, pack,
};
pub use input::lock::{Locked, lock};
pub use plan::{OwnedBytes, OwnedChunk, Plan};
pub use protocol::plan;
