//! The VM's initial file system: busybox, the payload, the kernel modules and the cases, as a cpio archive.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::{fs, iter};

use cpio::newc::{self, ModeFileType};

use super::{Case, NestedError, Payload, find_program};

/// The first program's text.
const INIT: &[u8] = include_bytes!("init.sh");

/// Builds the archive.
pub(super) fn build(payload: &Payload, cases: &[Case], modules: &[PathBuf]) -> Result<Vec<u8>, NestedError> {
    let mut tree = Tree::default();
    tree.insert("init", Node::File { permissions: 0o755, content: INIT.to_vec() })?;
    tree.insert("bin/sh", Node::Link { target: "/nested/busybox".to_owned() })?;
    tree.add_binary(&find_program("busybox")?, "nested/busybox")?;
    for (number, module) in modules.iter().enumerate() {
        tree.add_file(module, &format!("nested/modules/{number}.ko"))?;
    }
    for binary in &payload.binaries {
        let name = binary.file_name().and_then(|name| name.to_str()).ok_or_else(|| NestedError::Unusable {
            what: binary.display().to_string(),
            reason: "it has no name in UTF-8",
        })?;
        tree.add_binary(binary, &format!("bin/{name}"))?;
    }
    for (file, inside) in &payload.files {
        tree.add_file(file, inside)?;
    }
    for (number, case) in cases.iter().enumerate() {
        tree.add_case(&format!("nested/cases/{number}"), case)?;
    }
    tree.archive().map_err(NestedError::io("write the initramfs"))
}

/// A file, folder or symbolic link of the archive.
#[derive(Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File { permissions: u32, content: Vec<u8> },
    Link { target: String },
}

/// The files by their path, which has no leading slash. The order puts every folder before what is in it.
#[derive(Default)]
struct Tree(BTreeMap<String, Node>);

impl Tree {
    /// Puts `node` at `path`, with the folders above it. What was there before is replaced.
    fn insert(&mut self, path: &str, node: Node) -> Result<(), NestedError> {
        let unusable = |reason| NestedError::Unusable { what: format!("path {path:?}"), reason };
        let mut names = Vec::new();
        for component in Path::new(path).components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                // The path is UTF-8, so its parts are.
                Component::Normal(name) => names.push(name.to_string_lossy()),
                Component::ParentDir | Component::Prefix(_) => return Err(unusable("it has a .. in it")),
            }
        }
        if names.is_empty() {
            return Err(unusable("it names no file"));
        }
        if path.contains('\0') {
            return Err(unusable("it has a zero byte in it"));
        }
        for depth in 1..names.len() {
            match self.0.entry(names[..depth].join("/")).or_insert(Node::Folder) {
                Node::Folder => {}
                Node::File { .. } | Node::Link { .. } => return Err(unusable("a part of it is a file already")),
            }
        }
        self.0.insert(names.join("/"), node);
        Ok(())
    }

    /// Copies a file of this machine.
    fn add_file(&mut self, file: &Path, inside: &str) -> Result<(), NestedError> {
        let read = || Ok((fs::metadata(file)?.permissions().mode() & 0o777, fs::read(file)?));
        let (permissions, content) = read().map_err(NestedError::io(format!("read {}", file.display())))?;
        self.insert(inside, Node::File { permissions, content })
    }

    /// Copies a program of this machine, and its shared libraries to the same places as here.
    fn add_binary(&mut self, binary: &Path, inside: &str) -> Result<(), NestedError> {
        self.add_file(binary, inside)?;
        for library in shared_libraries(binary)? {
            self.add_file(Path::new(&library), &library)?;
        }
        Ok(())
    }

    /// Writes what the first program reads of a case.
    fn add_case(&mut self, folder: &str, case: &Case) -> Result<(), NestedError> {
        let script = self.script(&case.argv)?;
        let mut add = |name: &str, content: Vec<u8>| {
            self.insert(&format!("{folder}/{name}"), Node::File { permissions: 0o644, content })
        };
        add("run", script.into_bytes())?;
        add("limit", case.timeout_seconds.max(1).to_string().into_bytes())?;
        add("stdin", case.stdin.clone().unwrap_or_default())?;
        if case.hide_sys {
            add("hide-sys", Vec::new())?;
        }
        Ok(())
    }

    /// A shell script that becomes the program `argv`.
    fn script(&self, argv: &[String]) -> Result<String, NestedError> {
        let unusable = |reason| NestedError::Unusable { what: format!("command {argv:?}"), reason };
        let [program, arguments @ ..] = argv else { return Err(unusable("it is empty")) };
        if argv.iter().any(|word| word.contains('\0')) {
            return Err(unusable("it has a zero byte in it"));
        }
        // busybox's shell takes an applet before it looks into PATH.
        let inside = format!("bin/{program}");
        let program = if self.0.contains_key(&inside) { format!("/{inside}") } else { program.clone() };
        // Within single quotes, only the single quote means something to a shell.
        let quote = |word: &String| format!("'{}'", word.replace('\'', r"'\''"));
        let words: Vec<String> = iter::once(&program).chain(arguments).map(quote).collect();
        Ok(format!("exec {}\n", words.join(" ")))
    }

    /// The archive in cpio's "newc" form, which the kernel unpacks.
    fn archive(&self) -> io::Result<Vec<u8>> {
        let mut archive = Vec::new();
        for (path, node) in &self.0 {
            let (kind, permissions, content) = match node {
                Node::Folder => (ModeFileType::Directory, 0o755, [].as_slice()),
                Node::File { permissions, content } => (ModeFileType::Regular, *permissions, content.as_slice()),
                Node::Link { target } => (ModeFileType::Symlink, 0o777, target.as_bytes()),
            };
            let length = u32::try_from(content.len()).map_err(io::Error::other)?;
            let mut entry = newc::Builder::new(path).mode(permissions).set_mode_file_type(kind).write(archive, length);
            entry.write_all(content)?;
            archive = entry.finish()?;
        }
        newc::trailer(archive)
    }
}

/// The shared libraries of `binary` and its ELF interpreter, by their paths on this machine. None for a static program.
fn shared_libraries(binary: &Path) -> Result<Vec<String>, NestedError> {
    let output = Command::new(find_program("ldd")?)
        .arg(binary)
        .env("LC_ALL", "C")
        .output()
        .map_err(NestedError::io(format!("run ldd {}", binary.display())))?;
    // The status is 1 for a static program too, which has no libraries to list.
    parse_ldd(&String::from_utf8_lossy(&output.stdout))
        .map_err(|library| NestedError::MissingLibrary { binary: binary.to_path_buf(), library })
}

/// Reads the three forms of ldd's lines: `name => path (address)`, `path (address)` and, for what the kernel itself
/// provides, `name (address)`. The error is the name of a library that was not found.
fn parse_ldd(listing: &str) -> Result<Vec<String>, String> {
    let mut paths = Vec::new();
    for line in listing.lines().map(str::trim) {
        let (name, place) = line.split_once(" => ").unwrap_or((line, line));
        if place == "not found" {
            return Err(name.to_owned());
        }
        let path = place.rsplit_once(" (0x").map_or(place, |(path, _)| path);
        if path.starts_with('/') {
            paths.push(path.to_owned());
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_lists_libraries_and_the_interpreter() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                       \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n";
        assert_eq!(parse_ldd(listing).unwrap(), ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(parse_ldd("\tstatically linked\n").unwrap(), [""; 0]);
        assert_eq!(parse_ldd("\tlibodd.so.1 => not found\n").unwrap_err(), "libodd.so.1");
    }

    #[test]
    fn arguments_reach_the_program_as_they_are() {
        let argv = ["printf", "%s", "it's $HOME\n\\"].map(str::to_owned);
        let output = Command::new("sh").arg("-c").arg(Tree::default().script(&argv).unwrap()).output().unwrap();
        assert_eq!(output.stdout, argv[2].as_bytes());
    }

    #[test]
    fn a_binary_comes_before_the_applet_of_its_name() {
        let mut tree = Tree::default();
        tree.insert("bin/cat", Node::Link { target: "x".to_owned() }).unwrap();
        assert_eq!(tree.script(&["cat".to_owned(), "dog".to_owned()]).unwrap(), "exec '/bin/cat' 'dog'\n");
        assert_eq!(tree.script(&["ls".to_owned()]).unwrap(), "exec 'ls'\n");
    }

    #[test]
    fn commands_that_no_shell_can_run_are_refused() {
        let tree = Tree::default();
        assert!(tree.script(&[]).is_err());
        assert!(tree.script(&["a\0b".to_owned()]).is_err());
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        let mut tree = Tree::default();
        tree.insert("/a/b/c", Node::Link { target: "x".to_owned() }).unwrap();
        let paths: Vec<&str> = tree.0.keys().map(String::as_str).collect();
        assert_eq!(paths, ["a", "a/b", "a/b/c"]);
        assert_eq!(tree.0["a/b"], Node::Folder);
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        let mut tree = Tree::default();
        for path in ["", "/", "a/../b", "a\0b"] {
            assert!(tree.insert(path, Node::Folder).is_err(), "{path:?}");
        }
        tree.insert("a", Node::Link { target: "x".to_owned() }).unwrap();
        assert!(tree.insert("a/b", Node::Folder).is_err());
    }
}
