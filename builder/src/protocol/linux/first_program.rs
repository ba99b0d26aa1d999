//! The first program of Linux, `/init` in the initramfs: whether Linux can start it. (Linux, `init/main.c`, `fs/binfmt_script.c` and
//! `fs/binfmt_elf.c`.)

use std::path::Path;

use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{LittleEndian, elf};

use crate::diagnostics::{Code, Diagnostic, printable_path};
use crate::input::Loaded;
use crate::input::initramfs::{Contents, Member};

/// What Linux starts first, unless `rdinit=` on its command line says something else.
const FIRST: &str = "/init";
/// Bytes of a file that Linux looks at to tell what it is (`BINPRM_BUF_SIZE`).
const START: usize = 256;
/// Scripts that are interpreted by scripts, at most.
const SCRIPTS_LIMIT: usize = 5;

/// Why a program can't be started: in words, what to do, and the number of the error that Linux prints.
struct Refusal {
    reason: String,
    help: String,
    error: u8,
}

/// A warning when the first program can't be started, or is not there and Linux has nothing else to go on with.
pub fn check(initramfs: &Loaded, cmdline: &str) -> Option<Diagnostic> {
    let words = || cmdline.split_ascii_whitespace();
    let path = words().filter_map(|word| word.strip_prefix("rdinit=")).next_back().unwrap_or(FIRST);
    let contents = Contents::read(&initramfs.file);
    let found = contents.find(path);
    let path = &*shown(path);
    let refusal = match found {
        Ok(member) => refusal(&contents, path, member, 0)?,
        // A file system on a disk, or what is still packed, may have it.
        Err(_) if !contents.is_whole || words().any(|word| word.starts_with("root=")) => return None,
        Err(missing) => {
            let place = missing_at(path, &missing);
            let message = format!("`{}` has no `{path}`, the first program of Linux{place}", initramfs.file.path);
            let diagnostic = initramfs.file.complain(Code::FirstProgram, message);
            return Some(diagnostic.note("Linux then looks for a root file system on a disk, and panics: `VFS: Unable to mount root fs`").help(
                "put a program or a script of that name into the initramfs, at its top; or name another with `rdinit=/path` in `cmdline`",
            ));
        }
    };
    let Refusal { reason, help, error } = refusal;
    let message = format!("`{}`: Linux can't start `{path}`, its first program: {reason}", initramfs.file.path);
    let note = format!(
        "it will say `Failed to execute {path} (error -{error})`, and try /sbin/init, /etc/init, /bin/init and /bin/sh"
    );
    Some(initramfs.file.complain(Code::FirstProgram, message).note(note).help(help))
}

/// A path that comes from a file, as messages have it.
fn shown(path: &str) -> String {
    printable_path(Path::new(path))
}

/// Where the way to `path` ends, when that is not the path itself.
fn missing_at(path: &str, missing: &str) -> String {
    if path.trim_start_matches('/') == missing { String::new() } else { format!(": there is no `/{}`", shown(missing)) }
}

/// Why Linux can't start the file `member`, if it surely can't. `depth` scripts have led to it.
fn refusal(contents: &Contents<'_>, path: &str, member: &Member, depth: usize) -> Option<Refusal> {
    let refuse = |error, reason: String, help: &str| Some(Refusal { reason, help: help.to_owned(), error });
    if member.is_directory() {
        return refuse(13, format!("`{path}` is a directory"), "put a program or a script there");
    }
    if !member.is_executable() {
        let reason = format!("`{path}` is not executable, its mode is {:04o}", member.mode & 0o7777);
        return refuse(13, reason, "make it executable, `chmod +x`, and pack again");
    }
    let bytes = &*contents.bytes(member);
    if bytes.starts_with(b"#!") {
        return script(contents, path, bytes, depth);
    }
    if bytes.starts_with(&elf::ELFMAG) {
        return program(contents, path, bytes);
    }
    if bytes.is_empty() {
        return refuse(8, format!("`{path}` is empty"), "put a program or a script there");
    }
    let is_text = bytes.iter().take(START).all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    if is_text || bytes.starts_with(b"\xef\xbb\xbf") {
        let reason = format!("`{path}` is a text that does not begin with `#!`");
        return refuse(
            8,
            reason,
            "let it begin with `#!` and the path of its shell, such as `#!/bin/sh`, without anything before",
        );
    }
    None
}

fn script(contents: &Contents<'_>, path: &str, bytes: &[u8], depth: usize) -> Option<Refusal> {
    let line = bytes.get(2..START.min(bytes.len()))?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let interpreter = line.trim_start_matches([' ', '\t']).split([' ', '\t', '\0']).next().unwrap_or_default();
    let refuse = |error, reason: String, help: String| Some(Refusal { reason, help, error });
    let name = shown(interpreter.trim_end_matches('\r'));
    if interpreter.ends_with('\r') {
        let reason = format!("`{path}` has lines that end with CR LF, so that its interpreter is called `{name}\\r`");
        return refuse(2, reason, r"take the carriage returns out, `sed -i 's/\r$//'`".to_owned());
    }
    if interpreter.is_empty() {
        let reason = format!("`{path}` names no interpreter behind `#!`");
        return refuse(8, reason, "write the path of its shell there, such as `#!/bin/sh`".to_owned());
    }
    match contents.find(interpreter) {
        Ok(member) if depth < SCRIPTS_LIMIT => refusal(contents, &name, member, depth + 1),
        Ok(_) => None,
        Err(_) if !contents.is_whole => None,
        Err(missing) => {
            let place = missing_at(interpreter, &missing);
            let reason = format!("`{path}` is a script for `{name}`, which is not in the initramfs{place}");
            refuse(
                2,
                reason,
                format!(
                    "put `{name}` into the initramfs, such as a static busybox, or name one that is there behind `#!`"
                ),
            )
        }
    }
}

fn program(contents: &Contents<'_>, path: &str, bytes: &[u8]) -> Option<Refusal> {
    let refuse = |error, reason: String, help: &str| Some(Refusal { reason, help: help.to_owned(), error });
    let static_32 = "build it for 32 bits and static: `gcc -m32 -static`";
    if bytes.get(4) == Some(&elf::ELFCLASS64.0) {
        return refuse(8, format!("`{path}` is a program for 64 bits, and the kernel has 32"), static_32);
    }
    let header = elf::FileHeader32::<LittleEndian>::parse(bytes).ok()?;
    let machine = header.e_machine(LittleEndian);
    if machine != elf::EM_386 {
        return refuse(
            8,
            format!("`{path}` is a program for another machine: e_machine is {}, i386 is 3", machine.0),
            static_32,
        );
    }
    let headers = header.program_headers(LittleEndian, bytes).ok()?;
    let linker = headers.iter().find_map(|header| header.interpreter(LittleEndian, bytes).ok().flatten())?;
    let linker = String::from_utf8_lossy(linker);
    match contents.find(&linker) {
        Err(missing) if contents.is_whole => {
            let place = missing_at(&linker, &missing);
            let name = shown(&linker);
            let reason = format!("`{path}` needs the dynamic linker `{name}`, which is not in the initramfs{place}");
            refuse(2, reason, "link it with `-static`, or put the dynamic linker and all libraries into the initramfs")
        }
        _ => None,
    }
}
