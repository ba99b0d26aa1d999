//! Linux to its prompt, as a guest that computes: `manifests/linux.yaml`, when its kernel has been fetched.

use std::path::{Path, PathBuf};

use crate::tools::{root, run, tool};

/// What the shell prints when it waits for a command. `--until` takes it for a regular expression.
pub const PROMPT: &str = "linux# ";
/// What scripts/fetch-linux.sh fetches.
const FETCHED: [&str; 2] = ["examples/linux/vmlinuz", "examples/linux/initramfs/bin/busybox"];

/// Packs it into `folder`.
///
/// # Errors
/// Says why it can't take part.
pub fn packed(folder: &Path) -> Result<PathBuf, String> {
    if let Some(missing) = FETCHED.iter().find(|file| !root().join(file).is_file()) {
        return Err(format!("no {missing}: scripts/fetch-linux.sh fetches it"));
    }
    let image = folder.join("linux.img");
    let packed = run(tool("stos-pack").arg(root().join("manifests/linux.yaml")).arg("-o").arg(&image));
    if packed.status == Some(0) { Ok(image) } else { Err(packed.stderr) }
}
