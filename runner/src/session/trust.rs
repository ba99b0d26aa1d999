//! Whether an image is one that the person wants: asked once its id is known, and before anything that it says is used.

use stos_image::Digest;

use crate::options::Options;
use crate::outcome::Outcome;

/// Refuses an image with this `id` if `options` want another. The id covers every byte that is loaded: what is checked here is what
/// runs.
///
/// # Errors
/// [`Outcome::NotTrusted`] says what to do.
pub fn check_id(options: &Options, id: Digest) -> Result<(), Outcome> {
    match options.digest {
        Some(wanted) if wanted != id => Err(Outcome::NotTrusted {
            path: options.image.clone(),
            reason: format!(
                "it is {id}, and `--digest` wants {wanted}; get the image that this digest was given for, or give the \
                 digest of this one if you trust it"
            ),
        }),
        _ => Ok(()),
    }
}
