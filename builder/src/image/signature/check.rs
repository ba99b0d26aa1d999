//! Checks signatures.

use std::io;
use std::path::{Path, PathBuf};

use minisign_verify::{Error, PublicKey, Signature};
use stos_image::Digest;

use super::{SignatureError, read_text, signed_text};

/// Keys that are trusted.
pub struct PublicKeys(Vec<PublicKey>);

impl PublicKeys {
    /// Reads the files at `paths`: each has one key or several, with comments as minisign writes them.
    ///
    /// # Errors
    /// A file can't be read, or holds something else.
    pub fn read(paths: &[PathBuf]) -> Result<Self, SignatureError> {
        let mut keys = Vec::new();
        for path in paths {
            let text = read_text(path).map_err(|source| SignatureError::Unreadable {
                what: "key",
                path: path.clone(),
                source,
            })?;
            let lines = text.lines().map(str::trim);
            let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("untrusted comment:"));
            let before = keys.len();
            for line in lines {
                let key = PublicKey::from_base64(line).map_err(|_| SignatureError::NoPublicKey(path.clone()))?;
                keys.push(key);
            }
            if keys.len() == before {
                return Err(SignatureError::NoPublicKey(path.clone()));
            }
        }
        Ok(Self(keys))
    }

    /// Checks that the file at `path` is a signature of the image with this `id` by one of the keys; returns the comment that was
    /// signed with it.
    ///
    /// # Errors
    /// What it is instead.
    pub fn check(&self, id: Digest, path: &Path) -> Result<String, SignatureError> {
        let file = || path.to_path_buf();
        let text = read_text(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => SignatureError::NotSigned(file()),
            io::ErrorKind::InvalidData => SignatureError::NoSignature(file()),
            _ => SignatureError::Unreadable { what: "signature", path: file(), source },
        })?;
        let signature = Signature::decode(&text).map_err(|_| SignatureError::NoSignature(file()))?;
        let signed = signed_text(id);
        let mut is_by_key = false;
        for key in &self.0 {
            // minisign's older form, which signs the text itself and no hash of it, is not made here.
            match key.verify(signed.as_bytes(), &signature, false) {
                Ok(()) => return Ok(signature.trusted_comment().to_owned()),
                Err(Error::UnexpectedKeyId) => {}
                Err(_) => is_by_key = true,
            }
        }
        Err(if is_by_key { SignatureError::Wrong { path: file(), id } } else { SignatureError::OtherKey(file()) })
    }
}
