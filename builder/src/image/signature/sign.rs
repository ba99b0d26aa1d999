//! Makes signatures.

use minisign::PublicKey;
use stos_image::VerifiedImage;

use super::{SignatureError, SigningKey, signed_text};

/// The text of a signature of `image`. Its comment, which is signed, too, has the image's name and id.
///
/// # Errors
/// The system gives no random numbers, or the key's halves don't belong together.
pub fn sign(image: &VerifiedImage, key: &SigningKey) -> Result<String, SignatureError> {
    let text = signed_text(image.id());
    let comment = format!("image {}, {}", image.description().name, image.id());
    let failed = |error: minisign::PError| SignatureError::NotGenerated(error.to_string());
    let untrusted = "signature of a boot image by stos-pack";
    // It also checks that both halves of the key belong together: not every key has a checksum.
    let public = PublicKey::from_secret_key(&key.0).map_err(failed)?;
    minisign::sign(Some(&public), &key.0, text.as_bytes(), Some(&comment), Some(untrusted))
        .map(minisign::SignatureBox::into_string)
        .map_err(failed)
}
