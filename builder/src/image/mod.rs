//! Images that exist: what they hold, in what they differ, what they were built from, and what else can be made of them.

mod diff;
mod export;
mod extract;
mod file;
mod inspect;
mod signature;

pub use diff::Difference;
pub use export::{ExportError, Exported, Form, export};
pub use extract::{ExtractError, extract};
pub use file::{ImageFileError, LoadedImage, verify};
pub use inspect::{BootStructures, LinuxStructures, Mapping, MultibootStructures, PageTable, Report, StosStructures};
pub use signature::{
    KeyPair, PublicKeys, SignatureError, SigningKey, generate_key, public_key_path, sign, signature_path,
};
