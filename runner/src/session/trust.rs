//! Whether an image is one that the person wants: asked once its id is known, and before anything that it says is used.

use stos_image::Digest;

use stos_pack::image::{PublicKeys, signature_path};

use crate::options::Options;
use crate::outcome::Outcome;

/// Refuses an image with this `id` if `options` want another, or one that somebody else has signed. The id covers every byte that
/// is loaded: what is checked here is what runs.
///
/// # Errors
/// [`Outcome::NotTrusted`] says what to do; [`Outcome::Usage`] names a file that holds no key.
pub fn check_id(options: &Options, id: Digest) -> Result<(), Outcome> {
    let path = &options.image;
    let refused = |reason: String| Outcome::NotTrusted { path: path.clone(), reason };
    if let Some(wanted) = options.digest.filter(|wanted| *wanted != id) {
        return Err(refused(format!(
            "it is {id}, and `--digest` wants {wanted}; get the image that this digest was given for, or give the digest of \
             this one if you trust it"
        )));
    }
    if options.trust.is_empty() {
        return Ok(());
    }
    let keys = PublicKeys::read(&options.trust).map_err(|error| Outcome::Usage(format!("`--trust`: {error}")))?;
    let signature = options.signature.clone().unwrap_or_else(|| signature_path(path));
    keys.check(id, &signature).map(drop).map_err(|error| refused(error.to_string()))
}
