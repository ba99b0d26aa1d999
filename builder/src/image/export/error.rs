//! Why an image can't be exported.

use stos_image::GuestRange;
use stos_x86::handover::HandoverError;

use crate::diagnostics::{Diagnostic, STATUS_DATA};
use crate::image::file::ImageFileError;

/// Why an image can't be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The image can't be looked at.
    #[error(transparent)]
    Image(#[from] ImageFileError),
    /// A boot loader can't fill what a PC has no memory for.
    #[error(
        "the image has content at {range} ({owner}), where a PC has its display and ROMs, so no loader can put it there"
    )]
    InDeviceMemory {
        /// What the image has there.
        range: GuestRange,
        /// Who owns it.
        owner: String,
    },
    /// The start-up code finds no place.
    #[error(
        "there is no room for the start-up code: it needs {size:#x} bytes of guest memory {place}; give the guest more memory"
    )]
    NoRoom {
        /// Bytes that it needs.
        size: u64,
        /// Where it looks for them.
        place: &'static str,
    },
    /// The guest can't be entered as the image says.
    #[error("the start-up code can't bring about the image's entry state: {0}")]
    Entry(#[from] HandoverError),
    /// The result can't be written.
    #[error("{}", .0.message)]
    Output(Diagnostic),
}

impl ExportError {
    /// The exit status that it leads to.
    pub fn status(&self) -> u8 {
        match self {
            Self::Image(error) => error.status(),
            Self::InDeviceMemory { .. } | Self::NoRoom { .. } | Self::Entry(_) => STATUS_DATA,
            Self::Output(diagnostic) => diagnostic.code.status(),
        }
    }
}
