//! Signatures of images, in files beside them: of minisign's form, over a line with the image's id.
//!
//! What is signed is the id as text, `sha256:` and 64 digits, with a line feed behind it. The id covers every byte of the image, so
//! whoever has verified an image has read all that its signature is about.

mod check;
mod error;
mod key;
mod sign;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use stos_image::Digest;

pub use check::PublicKeys;
pub use error::SignatureError;
pub use key::{KeyPair, SigningKey, generate_key};
pub use sign::sign;

/// Largest file with a key or a signature in bytes: both have few lines.
const FILE_LIMIT: u64 = 64 << 10;

/// Where the signature of the image at `path` is, unless somebody says otherwise.
pub fn signature_path(path: &Path) -> PathBuf {
    with_suffix(path, ".minisig")
}

/// Where the public key is that goes with the secret key at `path`.
pub fn public_key_path(path: &Path) -> PathBuf {
    with_suffix(path, ".pub")
}

/// `path` with `suffix` behind it.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// What is signed of the image with this `id`.
fn signed_text(id: Digest) -> String {
    format!("{id}\n")
}

/// The text of a small file.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_LIMIT + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(io::Error::other(format!("it has more than {FILE_LIMIT} bytes")));
    }
    Ok(text)
}
