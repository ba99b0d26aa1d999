//! The text of a manifest that is begun: what was found, and comments for what else there is.

use super::choice::{Choice, Initramfs, NO_KERNEL, SCHEMA};
use crate::manifest::{Protocol, quoted};

/// Most other finds of one sort that a comment lists.
const OTHERS_SHOWN: usize = 20;
/// Guest memory that most kernels have enough of.
pub const MEMORY: &str = "64MiB";

/// The manifest that `choice` becomes. Each comment says what is true of it.
pub fn manifest(choice: &Choice) -> String {
    let parts = [head(choice), kernel(choice), modules(choice), initramfs(choice), cmdline(choice), RUN.to_owned()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

const RUN: &str = "\
# Defaults for stos-run: a time limit, and what the serial output must show for the run to be a success.
# run:
#   timeout: 30s
#   expect: [\"Loading complete\"]
";

fn head(choice: &Choice) -> String {
    let name = quoted(&choice.name);
    let least = choice.protocol.least_memory_mib();
    let memory = choice.memory.as_deref().unwrap_or(MEMORY);
    format!(
        "# yaml-language-server: $schema=./{SCHEMA}
# What goes into the boot image, and how to run it. Paths are relative to this file's folder.
version: 1
name: {name}
memory: {memory:23}# {least}MiB to 3GiB
"
    )
}

fn kernel(choice: &Choice) -> String {
    let state = match choice.kernel {
        None => format!(
            "# No kernel (an ELF32 executable for i386, or a file with a Multiboot header) was found. {NO_KERNEL} stands for yours.\n"
        ),
        Some(_) if !choice.packs => "# No image can be built of this file yet: `stos-pack` says why.\n".to_owned(),
        Some(_) => String::new(),
    };
    let others = comment("Other files that could be the kernel", &choice.other_kernels);
    let path = quoted(choice.kernel.as_deref().unwrap_or(NO_KERNEL));
    format!("{state}{others}kernel:\n  path: {path}\n  protocol: {}\n", choice.protocol.name())
}

fn modules(choice: &Choice) -> String {
    let others = "Found, and left out because no image could be built with them, or as copies";
    let others = comment(others, &choice.other_modules);
    // One that was asked for is there, so that the mistake can be told.
    if !choice.protocol.takes_modules() && choice.modules.is_empty() {
        return others;
    }
    let with_text = choice.protocol.takes_module_cmdline();
    if choice.modules.is_empty() {
        let order = "# Modules, in the order in which the kernel gets them:\n";
        let example = if with_text {
            "#   - path: file.txt\n#     cmdline: text for the kernel\n"
        } else {
            "#   - path: module.ko\n"
        };
        return format!("{others}{order}# modules:\n{example}");
    }
    let order = if with_text {
        "# Files for the kernel, in the order in which it gets them, each with its text.\n"
    } else {
        "# In the order in which the kernel gets them. How they depend on each other is not known here: check it.\n"
    };
    let module = |path: &String| {
        let name = path.rsplit('/').next().unwrap_or(path);
        let text = if with_text { format!("    cmdline: {}\n", quoted(name)) } else { String::new() };
        format!("  - path: {}\n{text}", quoted(path))
    };
    let list: Vec<String> = choice.modules.iter().map(module).collect();
    format!("{others}{order}modules:\n{}", list.concat())
}

fn cmdline(choice: &Choice) -> String {
    let what = match choice.protocol {
        Protocol::Stos => "Handed to the kernel as it is: a stos kernel expects words like module.param=value.",
        Protocol::Multiboot => "Handed to the kernel as it is, without the kernel's path in front.",
        Protocol::Linux => "Handed to the kernel as it is; its messages come to the serial port with console=ttyS0.",
        Protocol::Elf => "No kernel of this protocol gets a command line.",
    };
    let usual = if choice.protocol == Protocol::Linux { "console=ttyS0" } else { "" };
    let words = match &choice.words {
        None if choice.protocol == Protocol::Elf => return String::new(),
        None if usual.is_empty() => "\"\"".into(),
        None => usual.into(),
        Some(words) => quoted(format!("{usual} {words}").trim_start()).into_owned(),
    };
    format!("# {what}\ncmdline: {words}\n")
}

fn initramfs(choice: &Choice) -> String {
    let others = comment("Found, and not used as initramfs", &choice.other_initramfs);
    if !choice.protocol.takes_initramfs() && choice.initramfs.is_none() {
        return others;
    }
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
    let list: Vec<String> = paths.iter().take(OTHERS_SHOWN).map(|path| format!("#   {}\n", quoted(path))).collect();
    let rest = match paths.len().checked_sub(OTHERS_SHOWN) {
        Some(hidden @ 1..) => format!("#   and {hidden} more\n"),
        _ => String::new(),
    };
    format!("# {what}:\n{}{rest}", list.concat())
}
