//! What a command line changes of a manifest, for one image.

use std::path::Path;

use crate::diagnostics::Source;
use crate::manifest::quoted;

/// What messages call the text that the changes become. It has no folder: paths begin where the program runs.
const PLACE: &str = "the command line";

/// What is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The profile, if not the manifest's own choice.
    pub profile: Option<String>,
    /// The kernel's file.
    pub kernel: Option<String>,
    /// Guest memory, as manifests write it.
    pub memory: Option<String>,
    /// Words behind those for the kernel.
    pub words: Option<String>,
    /// Modules behind those that there are.
    pub modules: Vec<String>,
    /// The initramfs: a directory, or a finished archive.
    pub initramfs: Option<String>,
}

impl Changes {
    /// True when nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All but the profile, as a manifest that is laid over another one.
    pub fn source(&self) -> Option<Source> {
        let Self { profile: _, kernel, memory, words, modules, initramfs } = self;
        let line = |text: String| text + "\n";
        let kernel = kernel.iter().map(|kernel| format!("kernel: {{path: {}}}", quoted(kernel)));
        let memory = memory.iter().map(|memory| format!("memory: {}", as_typed(memory)));
        let words = words.iter().map(|words| format!("cmdline+: {}", quoted(words)));
        let first = modules.first().map(|_| "modules+:".to_owned());
        let modules = modules.iter().map(|module| format!("  - path: {}", quoted(module)));
        let initramfs = initramfs.iter().map(|initramfs| {
            let key = if is_directory(initramfs) { "directory" } else { "path" };
            format!("initramfs: {{{key}: {}}}", quoted(initramfs))
        });
        let lines = kernel.chain(memory).chain(words).chain(first).chain(modules).chain(initramfs);
        let text: String = lines.map(line).collect();
        (!text.is_empty()).then(|| Source { path: PLACE.into(), text })
    }
}

/// A number and its unit as a manifest would have them, without quotes that nobody has typed.
pub fn as_typed(text: &str) -> String {
    let is_plain = !text.is_empty() && text.chars().all(|character| character.is_ascii_alphanumeric());
    if is_plain { text.to_owned() } else { quoted(text).into_owned() }
}

/// Whether an initramfs is made of what is at `path`, and is not there yet.
pub fn is_directory(path: &str) -> bool {
    Path::new(path).is_dir()
}
