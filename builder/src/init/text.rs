//! The text of a manifest that is begun: what was found, and comments for what else there is.

use super::{Choice, Initramfs, NO_KERNEL, SCHEMA};
use crate::quote::quoted;

/// Most other finds of one sort that a comment lists.
const OTHERS_SHOWN: usize = 20;

/// The manifest that `choice` becomes. Each comment says what is true of it.
pub fn manifest(choice: &Choice) -> String {
    [head(choice), kernel(choice), modules(choice), initramfs(choice), TAIL.to_owned()].join("\n")
}

const TAIL: &str = "\
# Handed to the kernel as it is: a stos kernel expects words like module.param=value.
cmdline: \"\"

# Defaults for stos-run: a time limit, and what the serial output must show for the run to be a success.
# run:
#   timeout: 30s
#   expect: [\"Loading complete\"]
";

fn head(choice: &Choice) -> String {
    let name = quoted(&choice.name);
    format!(
        "# yaml-language-server: $schema=./{SCHEMA}
# What goes into the boot image, and how to run it. Paths are relative to this file's folder.
version: 1
name: {name}
memory: 64MiB                  # 16MiB to 3GiB
"
    )
}

fn kernel(choice: &Choice) -> String {
    let state = match choice.kernel {
        None => format!("# No kernel (an ELF32 executable for i386) was found. {NO_KERNEL} stands for yours.\n"),
        Some(_) if !choice.packs => "# No image can be built of this file yet: `stos-pack` says why.\n".to_owned(),
        Some(_) => String::new(),
    };
    let others = comment("Other files that could be the kernel", &choice.other_kernels);
    let path = quoted(choice.kernel.as_deref().unwrap_or(NO_KERNEL));
    format!("{state}{others}kernel:\n  path: {path}\n  protocol: stos\n")
}

fn modules(choice: &Choice) -> String {
    let others = "Found, and left out because no image could be built with them, or as copies";
    let others = comment(others, &choice.other_modules);
    if choice.modules.is_empty() {
        let order = "# Modules, in the order in which the kernel gets them:\n";
        return format!("{others}{order}# modules:\n#   - path: module.ko\n");
    }
    let order =
        "# In the order in which the kernel gets them. How they depend on each other is not known here: check it.\n";
    format!("{others}{order}modules:\n{}", lines("  - path: ", &choice.modules))
}

fn initramfs(choice: &Choice) -> String {
    let others = comment("Found, and not used as initramfs", &choice.other_initramfs);
    let (what, mark, key, path) = match &choice.initramfs {
        Some(Initramfs::Directory(path)) => {
            ("The directory is made into an archive whenever the image is built.", "", "directory", &**path)
        }
        Some(Initramfs::Archive(path)) => ("A cpio archive in newc format.", "", "path", &**path),
        None => {
            let what = "A directory that becomes the initramfs; `path:` names a finished cpio archive instead.";
            (what, "# ", "directory", "initramfs")
        }
    };
    format!("{others}# {what}\n{mark}initramfs:\n{mark}  {key}: {}\n", quoted(path))
}

/// `what` with a list of paths below it, as a comment; nothing for no paths.
fn comment(what: &str, paths: &[String]) -> String {
    if paths.is_empty() {
        return String::new();
    }
    let list = lines("#   ", paths.get(..OTHERS_SHOWN).unwrap_or(paths));
    let rest = match paths.len().checked_sub(OTHERS_SHOWN) {
        Some(hidden @ 1..) => format!("#   and {hidden} more\n"),
        _ => String::new(),
    };
    format!("# {what}:\n{list}{rest}")
}

/// A line for each of `paths`, with `before` in front.
fn lines(before: &str, paths: &[String]) -> String {
    let lines: Vec<String> = paths.iter().map(|path| format!("{before}{}\n", quoted(path))).collect();
    lines.concat()
}
