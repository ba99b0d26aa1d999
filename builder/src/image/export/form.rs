//! What an image can become, and the way there.

use std::io::Write;
use std::path::Path;

use stos_image::Digest;

use super::error::ExportError;
use super::multiboot::Kernel;
use super::space::from_to;
use crate::image::file::LoadedImage;
use crate::output::Output;

/// What an image can become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// An ELF file that Multiboot loaders start: QEMU's `-kernel`, GRUB, v86
    Multiboot,
    /// Guest memory from address 0 to its end, with holes where it is zero
    Raw,
}

/// Something that was made of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Its size in bytes.
    pub size: u64,
    /// The image.
    pub id: Digest,
}

/// Checks every byte of the image at `path` and writes it in another form to `output`.
///
/// # Errors
/// What is wrong with the image, keeps it from having that form, or from being written.
pub fn export(path: &Path, form: Form, output: &Output) -> Result<Exported, ExportError> {
    let image = LoadedImage::load(path)?;
    let id = image.image.id();
    let size = match form {
        Form::Multiboot => {
            let kernel = Kernel::new(&image)?;
            output.write_kernel(&|sink| kernel.write_to(sink), path).map_err(ExportError::Output)?;
            kernel.file_size()
        }
        Form::Raw => {
            let size = image.image.description().memory_size;
            let write_to = |sink: &mut dyn Write| image.copy(from_to(0, size), sink);
            output.write_memory(&write_to, path).map_err(ExportError::Output)?;
            size
        }
    };
    Ok(Exported { size, id })
}
