//! Chooses among what was found: everything that is taken is tried.

use std::collections::HashSet;
use std::path::Path;

use stos_image::{NAME_LIMIT, is_plain};

use super::choice::{Choice, Initramfs, NO_KERNEL};
use super::survey::Survey;
use super::text;
use crate::diagnostics::Source;
use crate::input::Inputs;
use crate::kernel::recognise::{self, Recognition};
use crate::manifest::Manifest;
use crate::output::nobody;
use crate::protocol::plan;

/// Most files that are tried as the kernel.
const TRIES: usize = 20;

impl Choice {
    /// What is taken of what was `found` in `folder`, for the manifest at `manifest`.
    pub fn new(folder: &Path, manifest: &Path, found: Survey) -> Self {
        let Survey { mut kernels, modules, archives, folders, cut_short } = found;
        // Stable: of those that are equally likely, the nearest stays first.
        kernels.sort_by_key(|path| std::cmp::Reverse(likeliness(path)));
        let empty = Self { name: name_of(folder), cut_short, ..Self::default() };
        let with_kernel = |kernel: &String| {
            let recognition = recognise::load(&folder.join(kernel)).map(|loaded| Recognition::new(&loaded));
            let protocol = recognition.map(|recognition| recognition.protocol).unwrap_or_default();
            Self { kernel: Some(kernel.clone()), protocol, ..empty.clone() }
        };
        // Everything that is taken is tried: what is written must pack.
        let tried = kernels.iter().take(TRIES).map(with_kernel).find(|choice| choice.can_be_built(manifest));
        let mut choice = match (tried, kernels.first()) {
            (Some(tried), _) => Self { packs: true, ..tried },
            (None, Some(first)) => with_kernel(first),
            (None, None) => empty.clone(),
        };
        kernels.retain(|kernel| Some(kernel) != choice.kernel.as_ref());
        choice.other_kernels = kernels;
        // A kernel that gets no initramfs gets an archive as a module.
        let (archives, more_modules) =
            if choice.protocol.takes_initramfs() { (archives, Vec::new()) } else { (Vec::new(), archives) };
        let archives = archives.into_iter().map(Initramfs::Archive);
        let mut roots: Vec<Initramfs> = folders.into_iter().map(Initramfs::Directory).chain(archives).collect();
        let (mut modules, mut other_modules) = without_copies(modules.into_iter().chain(more_modules).collect());
        if !choice.protocol.takes_modules() {
            other_modules.append(&mut modules);
        }
        let all = Self { modules, ..choice.clone() };
        let modules = if !choice.packs || all.can_be_built(manifest) {
            choice = all;
            Vec::new()
        } else {
            all.modules
        };
        for module in modules {
            let more = choice.modules.iter().chain([&module]).cloned().collect();
            if (Self { modules: more, ..choice.clone() }).can_be_built(manifest) {
                choice.modules.push(module);
            } else {
                other_modules.push(module);
            }
        }
        choice.other_modules = other_modules;
        let fits = |root: &Initramfs| {
            choice.protocol.takes_initramfs()
                && (!choice.packs || (Self { initramfs: Some(root.clone()), ..choice.clone() }).can_be_built(manifest))
        };
        if let Some(index) = roots.iter().position(fits) {
            choice.initramfs = Some(roots.remove(index));
        }
        choice.other_initramfs = roots.iter().map(|root| root.path().to_owned()).collect();
        choice
    }

    /// Whether an image can be built of the manifest that this becomes.
    fn can_be_built(&self, manifest: &Path) -> bool {
        let source = Source { path: manifest.to_path_buf(), text: text::manifest(self) };
        Manifest::from_source(&source, None).is_ok_and(|manifest| {
            Inputs::load(&manifest, &nobody)
                .and_then(|inputs| plan(&manifest, &inputs))
                .is_ok_and(|plan| plan.render().is_ok())
        })
    }
}

/// How much the file at `path` is called like a kernel.
fn likeliness(path: &str) -> u8 {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    match &*name {
        NO_KERNEL => 3,
        "kernel" | "kernel.bin" | "stos" | "stos.elf" => 2,
        _ => u8::from(name.contains("kernel") || name.contains("stos")),
    }
}

/// The first of all that have the same file name, and the others.
fn without_copies(paths: Vec<String>) -> (Vec<String>, Vec<String>) {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut seen = HashSet::new();
    paths.into_iter().partition(|path| seen.insert(name(path)))
}

/// The image's name: that of the folder, as far as a name can be like that.
fn name_of(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    as_name(folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
}

/// `name`, if an image can be called so.
pub fn as_name(name: String) -> String {
    if name.is_empty() || name.len() > NAME_LIMIT || !name.chars().all(is_plain) {
        return "kernel".to_owned();
    }
    name
}
