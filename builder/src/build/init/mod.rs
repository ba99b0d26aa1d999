//! Begins a manifest: finds kernel, modules and initramfs in a folder, and writes a manifest of which the image can be built.

mod survey;
mod text;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::diagnostics::{Code, Diagnostic, Source, for_shell};
use crate::input::Inputs;
use crate::kernel::recognise::{self, Recognition};
use crate::manifest::{Manifest, Protocol, schema};
use crate::output::{Content, Existing, nobody};
use survey::{Survey, survey};

const MANIFEST: &str = "manifest.yaml";
const SCHEMA: &str = "manifest.schema.json";
/// What the kernel is called in the manifest when none was found.
const NO_KERNEL: &str = "kernel.elf";
/// Most files that are tried as the kernel.
const TRIES: usize = 20;

/// A manifest that was begun. Its text form tells a person what was done, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    folder: PathBuf,
    choice: Choice,
    /// What was there in the place of the schema.
    schema: SchemaFile,
}

/// What became of the schema file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SchemaFile {
    Written,
    Same,
    Different,
}

/// An initramfs as the manifest names it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Initramfs {
    Archive(String),
    Directory(String),
}

impl Initramfs {
    fn path(&self) -> &str {
        match self {
            Self::Archive(path) | Self::Directory(path) => path,
        }
    }
}

/// What goes into the manifest, and what else was found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    name: String,
    /// `None` when none was found.
    kernel: Option<String>,
    /// The boot protocol that the kernel speaks, or probably means to.
    protocol: Protocol,
    other_kernels: Vec<String>,
    modules: Vec<String>,
    other_modules: Vec<String>,
    initramfs: Option<Initramfs>,
    other_initramfs: Vec<String>,
    /// Whether an image can be built of it.
    packs: bool,
    /// Whether the folder has more than was looked at.
    cut_short: bool,
}

/// Writes `manifest.yaml` into `folder`, for what is in it, and the schema of manifests beside it. Nothing that is there is
/// replaced.
///
/// # Errors
/// When there is a manifest, in which case nothing is written; when the folder can't be read or written to.
pub fn init(folder: &Path) -> Result<Begun, Diagnostic> {
    let manifest = folder.join(MANIFEST);
    let found = survey(folder)?;
    if manifest.symlink_metadata().is_ok() {
        let message = format!("`{}` is there already, and is not replaced", shown(folder, MANIFEST));
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
        Ok(bytes) if bytes == schema.as_bytes() => SchemaFile::Same,
        _ if schema_path.symlink_metadata().is_ok() => SchemaFile::Different,
        _ => {
            write(&schema_path, "schema", &schema)?;
            SchemaFile::Written
        }
    };
    write(&manifest, "manifest", &text::manifest(&choice))?;
    Ok(Begun { folder: folder.to_path_buf(), choice, schema })
}

impl Choice {
    /// Nothing at all.
    fn empty(name: String, cut_short: bool) -> Self {
        Self {
            name,
            kernel: None,
            protocol: Protocol::Stos,
            other_kernels: Vec::new(),
            modules: Vec::new(),
            other_modules: Vec::new(),
            initramfs: None,
            other_initramfs: Vec::new(),
            packs: false,
            cut_short,
        }
    }

    fn new(folder: &Path, manifest: &Path, found: Survey) -> Self {
        let Survey { mut kernels, modules, archives, folders, cut_short } = found;
        // Stable: of those that are equally likely, the nearest stays first.
        kernels.sort_by_key(|path| std::cmp::Reverse(likeliness(path)));
        let empty = Self::empty(name_of(folder), cut_short);
        let with_kernel = |kernel: &String| {
            let recognition = recognise::load(&folder.join(kernel)).map(|loaded| Recognition::new(&loaded));
            let protocol = recognition.map_or(Protocol::Stos, |recognition| recognition.protocol);
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
                .and_then(|inputs| crate::protocol::plan(&manifest, &inputs))
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
    let mut seen = std::collections::HashSet::new();
    paths.into_iter().partition(|path| seen.insert(name(path)))
}

/// The image's name: that of the folder, as far as a name can be like that.
fn name_of(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if name.is_empty() || name.len() > stos_image::NAME_LIMIT || name.chars().any(char::is_control) {
        return "kernel".to_owned();
    }
    name
}

/// The file `name` in `folder`, as people write it.
fn shown(folder: &Path, name: &str) -> String {
    folder.strip_prefix(".").unwrap_or(folder).join(name).display().to_string()
}

impl fmt::Display for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (manifest, schema) = (shown(&self.folder, MANIFEST), shown(&self.folder, SCHEMA));
        writeln!(f, "{manifest}: written")?;
        match self.schema {
            SchemaFile::Written => writeln!(f, "{schema}: written")?,
            SchemaFile::Same => writeln!(f, "{schema}: was there already")?,
            SchemaFile::Different => {
                writeln!(f, "{schema}: was there, is another one, and was left as it is")?;
            }
        }
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
                writeln!(f, "next: build the kernel, name it in the manifest, then type `stos-pack {typed}`")
            }
        }
    }
}
