//! Keys that sign, as minisign keeps them: in a file of two lines, with a password or without.

use std::fs::remove_file;
use std::io::Write;
use std::path::{Path, PathBuf};

use ct_codecs::{Base64, Decoder};
use minisign::{KeyPair as Pair, SecretKey, SecretKeyBox};

use super::{SignatureError, public_key_path, read_text};
use crate::output::{Existing, Interrupt, write_with_mode};

/// Bytes of a secret key (<https://jedisct1.github.io/minisign/>, "Secret key format").
const SIZE: usize = 158;
/// Where its checksum begins, which is its end.
const CHECKSUM: usize = 126;

/// A key that signs.
pub struct SigningKey(pub(super) SecretKey);

/// The texts of two files.
pub struct KeyPair {
    /// The one to keep secret.
    pub secret: String,
    /// The one to give away.
    pub public: String,
}

/// A new key. `password` is asked for a password, which gives `None` to have none; whoever reads the file can sign then.
///
/// # Errors
/// The system gives no random numbers.
pub fn generate_key(password: Option<String>) -> Result<KeyPair, SignatureError> {
    let failed = |error: minisign::PError| SignatureError::NotGenerated(error.to_string());
    let Pair { pk, sk } = match password {
        Some(password) => Pair::generate_encrypted_keypair(Some(password)),
        None => Pair::generate_unencrypted_keypair(),
    }
    .map_err(failed)?;
    Ok(KeyPair {
        secret: sk.to_box(Some("minisign secret key")).map_err(failed)?.into_string(),
        public: pk.to_box().map_err(failed)?.into_string(),
    })
}

impl KeyPair {
    /// Writes both to new files: the secret one to `path`, the public one beside it. Each is there whole or not at all, and neither is
    /// when the other can't be written. A signal takes effect before or after that.
    ///
    /// # Errors
    /// [`SignatureError::NotWritten`].
    pub fn write(&self, path: &Path) -> Result<(), SignatureError> {
        let interrupt = Interrupt::hold();
        interrupt.settle(self.write_both(path, &public_key_path(path)))
    }

    fn write_both(&self, secret: &Path, public: &Path) -> Result<(), SignatureError> {
        // In this order: whoever is killed in between has a public key that nobody needs, and no secret one without it.
        write_new(public, &self.public, 0o644)?;
        write_new(secret, &self.secret, 0o600).inspect_err(|_| drop(remove_file(public)))
    }
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), SignatureError> {
    write_with_mode(path, Existing::Keep, mode, |file| file.write_all(text.as_bytes()))
        .map_err(|source| SignatureError::NotWritten { path: path.to_owned(), source })
}

impl SigningKey {
    /// Reads the key at `path`; asks `password` for its password if it has one.
    ///
    /// # Errors
    /// It is none, or the password is not the key's. Those of `password`.
    pub fn read<E: From<SignatureError>>(path: &Path, password: impl FnOnce() -> Result<String, E>) -> Result<Self, E> {
        let file = || PathBuf::from(path);
        let text = read_text(path).map_err(|source| SignatureError::Unreadable {
            what: "secret key",
            path: file(),
            source,
        })?;
        let bytes = text.lines().nth(1).and_then(|line| Base64::decode_to_vec(line.trim(), None).ok());
        let bytes = bytes.filter(|bytes| bytes.len() == SIZE && bytes.starts_with(b"Ed")).unwrap_or_default();
        let damaged = || SignatureError::NoSecretKey(file());
        let key = match bytes.get(2..4) {
            // Before that, no person is asked.
            Some(b"Sc") => {
                let key = SecretKeyBox::from(text).into_secret_key(Some(password()?));
                key.map_err(|_| SignatureError::WrongPassword(file()))?
            }
            // minisign itself gives a key without a password no checksum.
            Some([0, 0]) if bytes[CHECKSUM..].iter().all(|byte| *byte == 0) => {
                SecretKey::from_bytes(&bytes).map_err(|_| damaged())?
            }
            Some([0, 0]) => SecretKeyBox::from(text).into_unencrypted_secret_key().map_err(|_| damaged())?,
            _ => return Err(damaged().into()),
        };
        Ok(Self(key))
    }
}
