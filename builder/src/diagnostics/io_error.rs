//! What the operating system did not let us do, in words.

use std::io;

use super::code::Code;
use super::diagnostic::Diagnostic;

/// An I/O error as people know it, without the number behind it.
pub fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::StorageFull => "no space is left on the device".to_owned(),
        io::ErrorKind::FileTooLarge => "files may not become that large here (`ulimit -f` shows the limit)".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_owned()
        }
    }
}

/// A diagnostic for a file that the system does not let us read.
pub fn read_failure(what: &str, error: &io::Error) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::Unreadable, format!("can't read {what}: {}", describe(error)));
    match error.kind() {
        io::ErrorKind::NotFound => diagnostic.help("check the spelling; was the file built yet?"),
        io::ErrorKind::PermissionDenied => diagnostic.help("check its permissions with `ls -l`"),
        _ => diagnostic,
    }
}

/// Adds what helps when `path` begins with `~/`, which only a shell understands.
pub fn with_home_help(diagnostic: Diagnostic, path: &str) -> Diagnostic {
    if path.starts_with("~/") && diagnostic.code == Code::Unreadable {
        return diagnostic
            .help("only a shell knows what `~` is: write the path from `/` on, or from the manifest's folder");
    }
    diagnostic
}
