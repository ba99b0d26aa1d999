//! The verbs about keys and signatures; each returns the exit status.

use std::path::{Path, PathBuf};

use stos_image::VerifiedImage;
use stos_pack::diagnostics::{STATUS_IO, Sources, for_shell};
use stos_pack::image::{
    PublicKeys, SignatureError, SigningKey, generate_key, public_key_path, sign as signature_of, signature_path,
};
use stos_pack::output::{Output, nobody};

use super::arguments::Manner;
use super::password;
use super::progress::Progress;
use super::talk::{answer_lines, complain, report, suggest};
use super::verbs::{STATUS_USAGE, reject};

/// Checks every byte of an image, and its signature if there are keys.
pub fn verify(manner: Manner, path: &Path, keys: &[PathBuf], signature: Option<&Path>) -> u8 {
    let refuse = |error: &SignatureError| complain(manner, &format!("`{}`: {error}", path.display()), error.status());
    let keys = match PublicKeys::read(keys) {
        Ok(trusted) => (!keys.is_empty()).then_some(trusted),
        Err(error) => return complain(manner, &error.to_string(), error.status()),
    };
    let image = match checked(manner, path) {
        Ok(image) => image,
        Err(status) => return status,
    };
    let mut said = format!("{}: every byte is right, {}\n", path.display(), image.id());
    if let Some(keys) = keys {
        let signature = signature.map_or_else(|| signature_path(path), Path::to_path_buf);
        match keys.check(image.id(), &signature) {
            Ok(comment) => said.extend([&*signature.display().to_string(), ": signed, ", &comment, "\n"]),
            Err(error) => return refuse(&error),
        }
    }
    if manner.quiet { 0 } else { answer_lines(manner, &said) }
}

/// The image at `path`, every byte of it checked, or the exit status of its error, which was told.
fn checked(manner: Manner, path: &Path) -> Result<VerifiedImage, u8> {
    let progress = Progress::start(manner);
    let result = stos_pack::image::verify(path, &|event| progress.observe(event));
    progress.end(result.is_ok());
    result.map_err(|error| reject(manner, &error))
}

/// Signs an image.
pub fn sign(manner: Manner, path: &Path, key: &Path, signature: Option<&Path>, password_file: Option<&Path>) -> u8 {
    let prompt = format!("Password of {}: ", key.display());
    let key = match SigningKey::read(key, || password::get(password_file, &prompt).map_err(NoKey::Password)) {
        Ok(key) => key,
        Err(NoKey::Password(reason)) => return complain(manner, &reason, STATUS_USAGE),
        Err(NoKey::Key(error)) => return complain(manner, &error.to_string(), error.status()),
    };
    // All of it: a damaged image is not signed.
    let image = match checked(manner, path) {
        Ok(image) => image,
        Err(status) => return status,
    };
    let text = match signature_of(&image, &key) {
        Ok(text) => text,
        Err(error) => return complain(manner, &error.to_string(), error.status()),
    };
    let file = signature.map_or_else(|| signature_path(path), Path::to_path_buf);
    match Output::File(file.clone()).write_text("signature", &text, &nobody) {
        Ok(()) if manner.quiet => 0,
        Ok(()) => answer_lines(manner, &format!("{}: the signature of {}\n", file.display(), image.id())),
        Err(diagnostic) => report(manner, &Sources::default(), &diagnostic.into()),
    }
}

/// Makes a key.
pub fn keygen(manner: Manner, path: &Path, no_password: bool, password_file: Option<&Path>) -> u8 {
    let public = public_key_path(path);
    if let Some(there) = [path, &public].into_iter().find(|path| path.symlink_metadata().is_ok()) {
        let message = format!("`{}` is there already, and a key is never replaced; name another file", there.display());
        return complain(manner, &message, STATUS_IO);
    }
    let password = if no_password { Ok(None) } else { new_password(password_file).map(Some) };
    let password = match password {
        Ok(password) => password,
        Err(reason) => return complain(manner, &reason, STATUS_USAGE),
    };
    let pair = match generate_key(password) {
        Ok(pair) => pair,
        Err(error) => return complain(manner, &error.to_string(), error.status()),
    };
    if let Err(error) = pair.write(path) {
        return complain(manner, &error.to_string(), error.status());
    }
    if manner.quiet {
        return 0;
    }
    let (secret, shown) = (path.display(), public.display());
    let status = answer_lines(
        manner,
        &format!("{secret}: the secret key, to sign with\n{shown}: the public key, to give away\n"),
    );
    suggest(manner, &format!("sign an image: stos-pack sign --key {} IMAGE", for_shell(path)));
    status
}

/// Why there is no key to sign with.
enum NoKey {
    Password(String),
    Key(SignatureError),
}

impl From<SignatureError> for NoKey {
    fn from(error: SignatureError) -> Self {
        Self::Key(error)
    }
}

/// A password for a new key: typed twice, as nobody sees it.
fn new_password(file: Option<&Path>) -> Result<String, String> {
    let password = password::get(file, "Password for the new key: ")?;
    if password.is_empty() {
        return Err("an empty password protects nothing; `--no-password` makes a key without one".to_owned());
    }
    if file.is_none() && password::get(None, "The same again: ")? != password {
        return Err("the two passwords are not the same".to_owned());
    }
    Ok(password)
}
