//! What can be wrong with keys and signatures.

use std::io;
use std::path::PathBuf;

use stos_image::Digest;

use crate::diagnostics::{STATUS_DATA, STATUS_IO, STATUS_NO_INPUT, describe};

/// Why an image is not signed, or its signature is not good.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// A file can't be read.
    #[error("can't read the {what} `{}`: {}", path.display(), describe(source))]
    Unreadable {
        /// What it should be.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is no signature.
    #[error("it is not signed: there is no file `{}`; whoever has the key makes it with `stos-pack sign`", .0.display())]
    NotSigned(PathBuf),
    /// A file without a public key in it.
    #[error("`{}` holds no public key of minisign; it is the file that ends with .pub, and has a comment and a line that \
             begins with RW", .0.display())]
    NoPublicKey(PathBuf),
    /// A file that is no signature.
    #[error("`{}` is no signature of minisign", .0.display())]
    NoSignature(PathBuf),
    /// None of the keys has signed.
    #[error("`{}` was signed with another key than those that are trusted", .0.display())]
    OtherKey(PathBuf),
    /// The key is right, and the rest is not.
    #[error("`{}` is not the signature of {id}: the image, the signature or its comment is not what was signed", path.display())]
    Wrong {
        /// The signature.
        path: PathBuf,
        /// The image's id.
        id: Digest,
    },
    /// A file that is no secret key.
    #[error("`{}` holds no secret key of minisign, or is damaged", .0.display())]
    NoSecretKey(PathBuf),
    /// A secret key, and no password or a wrong one.
    #[error("the password is not that of the key `{}`", .0.display())]
    WrongPassword(PathBuf),
    /// A key can't be written.
    #[error("can't write the key `{}`: {}", path.display(), describe(source))]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A key or a signature can't be made.
    #[error("can't make it: {0}")]
    NotGenerated(String),
}

impl SignatureError {
    /// The exit status that it leads to.
    pub fn status(&self) -> u8 {
        match self {
            Self::Unreadable { .. } | Self::NotSigned(_) => STATUS_NO_INPUT,
            Self::NotWritten { .. } => STATUS_IO,
            _ => STATUS_DATA,
        }
    }
}
