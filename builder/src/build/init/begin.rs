//! Writes a manifest that is begun, and says what was done.

use std::fmt;
use std::path::{Path, PathBuf};

use super::choice::{Choice, Initramfs, NO_KERNEL, SCHEMA};
use super::survey::survey;
use super::text;
use crate::diagnostics::{Code, Diagnostic, for_shell};
use crate::manifest::{MANIFEST_NAME, schema};
use crate::output::{Content, Existing, nobody};

/// A manifest that was begun. Its text form tells a person what was done, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    folder: PathBuf,
    choice: Choice,
    /// What became of the schema file.
    schema: &'static str,
}

/// Writes `manifest.yaml` into `folder`, for what is in it, and the schema of manifests beside it. Nothing that is there is
/// replaced.
///
/// # Errors
/// When there is a manifest, in which case nothing is written; when the folder can't be read or written to.
pub fn init(folder: &Path) -> Result<Begun, Diagnostic> {
    let manifest = folder.join(MANIFEST_NAME);
    let found = survey(folder)?;
    if manifest.symlink_metadata().is_ok() {
        let message = format!("`{}` is there already, and is not replaced", shown(folder, MANIFEST_NAME));
        let help = "move it away, or name another folder: `stos-pack init DIR`";
        return Err(Diagnostic::new(Code::OutputFailed, message).help(help));
    }
    let choice = Choice::new(folder, &manifest, found);
    let write = |path: &Path, name, text: &str| {
        let write_to = |sink: &mut dyn std::io::Write| sink.write_all(text.as_bytes());
        Content { existing: Existing::Keep, ..Content::new(name, None, &write_to) }.write_file(path, &nobody)
    };
    // The manifest comes last: when there is no room for it, `init` can be tried again.
    let (schema, schema_path) = (schema(), folder.join(SCHEMA));
    let schema = match std::fs::read(&schema_path) {
        Ok(bytes) if bytes == schema.as_bytes() => "was there already",
        _ if schema_path.symlink_metadata().is_ok() => "was there, is another one, and was left as it is",
        _ => {
            write(&schema_path, "schema", &schema)?;
            "written"
        }
    };
    write(&manifest, "manifest", &text::manifest(&choice))?;
    Ok(Begun { folder: folder.to_path_buf(), choice, schema })
}

/// The file `name` in `folder`, as people write it.
fn shown(folder: &Path, name: &str) -> String {
    folder.strip_prefix(".").unwrap_or(folder).join(name).display().to_string()
}

impl fmt::Display for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (manifest, schema) = (shown(&self.folder, MANIFEST_NAME), shown(&self.folder, SCHEMA));
        writeln!(f, "{manifest}: written")?;
        writeln!(f, "{schema}: {}", self.schema)?;
        let Choice {
            kernel,
            protocol,
            other_kernels,
            modules,
            other_modules,
            initramfs,
            other_initramfs,
            packs,
            cut_short,
            ..
        } = &self.choice;
        let others = |list: &[String]| match list.len() {
            0 => String::new(),
            count => format!(" ({count} more in the manifest's comments)"),
        };
        match kernel {
            Some(kernel) => writeln!(f, "kernel: {kernel} ({}){}", protocol.name(), others(other_kernels))?,
            None => writeln!(f, "kernel: none found; the manifest names {NO_KERNEL}")?,
        }
        let list = if modules.is_empty() { "none".to_owned() } else { modules.join(" ") };
        writeln!(f, "modules: {list}{}", others(other_modules))?;
        let root = initramfs.as_ref().map_or("none", Initramfs::path);
        writeln!(f, "initramfs: {root}{}", others(other_initramfs))?;
        if *cut_short {
            writeln!(f, "the folder is large: not all of it was looked at")?;
        }
        let typed = for_shell(Path::new(&manifest));
        match (kernel, packs) {
            (Some(_), true) => writeln!(f, "next: check the manifest, then type `stos-pack {typed}`"),
            (Some(_), false) => {
                writeln!(f, "next: type `stos-pack {typed}` to see what keeps the kernel from being packed")
            }
            (None, _) => {
                writeln!(f, "next: build the kernel, name it in the manifest, then type `stos-pack {typed}`")?;
                writeln!(f, "or begin with a kernel that works, in a folder of its own: `stos-pack new DIR`")
            }
        }
    }
}
