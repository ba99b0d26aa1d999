//! The first line of what is told of a guest's failure: where in its source that was, and what, as compilers write it.

use std::fmt;
use std::path::{Path, PathBuf};

use stos_pack::diagnostics::{printable, printable_lines};

use super::{Before, Outcome, Run};
use crate::diagnosis::{Place, place_at, place_of};
use crate::machine::Machine;
use crate::terminal::{marked, unlike_places};

/// A failure at a source line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// The source file, seen from where this program runs as far as that is known.
    pub file: String,
    /// The line, counted from 1. Images have no columns.
    pub line: u32,
    /// What has happened there, in one line.
    pub message: String,
}

impl fmt::Display for Headline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, message } = self;
        let mut file = printable(file);
        if marked(&file) != file {
            // What the line begins with is for somebody else, or it has two places.
            file = format!("./{}", file.replace(':', "\\u{3a}"));
        }
        write!(f, "{file}:{line}: error: {}", unlike_places(&in_one_line(message)))
    }
}

/// `text`, of which no part can become a line of its own or command a terminal.
pub fn in_one_line(text: &str) -> String {
    printable_lines(text).replace('\n', "\\n")
}

impl Headline {
    /// That of a `run` of the image at `path` that has ended with `outcome`, if the guest has failed at a line that the image knows.
    /// Names of files are told as they are from `home`.
    pub fn new(run: &Run, outcome: &Outcome, path: &Path, home: Option<&Path>) -> Option<Self> {
        let Place { file, line, .. } = place(run, outcome)?;
        let file = seen_from_here(&file?, path, home);
        Some(Self { file, line: line?, message: message(outcome)? })
    }
}

/// What has happened, without where.
fn message(outcome: &Outcome) -> Option<String> {
    Some(match outcome.bare() {
        Outcome::Exception(diagnosis) => diagnosis.summary().to_owned(),
        Outcome::TripleFault(fault) => format!("triple fault: {}", fault.summary()),
        Outcome::CpuFailed(reason) => format!("the CPU could not go on: {reason}"),
        Outcome::Halted { kernel_returned: false, .. } => {
            "the guest halted for good: HLT with interrupts disabled".to_owned()
        }
        Outcome::WaitsForNothing { obstacle, .. } => {
            format!("the guest halted for good: HLT with interrupts enabled, but {obstacle}")
        }
        Outcome::TimeLimit { limit, hang: Some(_) } => format!("{limit}; the CPU was here"),
        Outcome::ExpectedMissing { pattern, before: Before::TimeLimit { limit, hang: Some(_) } } => {
            format!("{limit}, and no line of output had matched `{pattern}`; the CPU was here")
        }
        _ => return None,
    })
}

/// Where it was.
fn place(run: &Run, outcome: &Outcome) -> Option<Place> {
    let machine: &Machine = run.machine.as_ref()?;
    let findings = run.observed.lock();
    Some(match outcome.bare() {
        Outcome::Exception(diagnosis) => diagnosis.source().clone(),
        Outcome::TripleFault(fault) => fault.source().clone(),
        Outcome::CpuFailed(_) => place_of(machine, findings.cpu.as_ref()?),
        // EIP is behind the instruction, which has one byte.
        Outcome::Halted { .. } | Outcome::WaitsForNothing { .. } => {
            let cpu = findings.cpu.as_ref().or(findings.samples.last())?;
            place_at(machine, cpu, cpu.eip.wrapping_sub(1))
        }
        Outcome::TimeLimit { .. } | Outcome::ExpectedMissing { .. } => place_of(machine, findings.samples.last()?),
        _ => return None,
    })
}

/// `file`, a name from the image at `image`, as it is called from `home`. Compilers are given names that begin at the folder of the
/// compilation, which is often this one, or one that the image lies below.
fn seen_from_here(file: &str, image: &Path, home: Option<&Path>) -> String {
    let path = Path::new(file);
    if path.is_absolute() {
        let below = home.and_then(|home| path.strip_prefix(home).ok()).filter(|below| below.as_os_str() != "");
        return below.map_or(file.to_owned(), |below| below.to_string_lossy().into_owned());
    }
    let folders = image.parent().map(Path::ancestors).into_iter().flatten();
    let candidates = folders.map(|folder| folder.join(path));
    // Nothing is opened, and a name that leads elsewhere is not followed.
    let found = candidates.filter(|_| !path.is_file() && !file.contains("..")).find(|path: &PathBuf| path.is_file());
    found.map_or(file.to_owned(), |path| path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_are_named_from_where_the_program_runs() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        fs::create_dir(top.join("build")).unwrap();
        fs::write(top.join("kernel.c"), "").unwrap();
        let seen = |file: &str| seen_from_here(file, &top.join("build/kernel.img"), Some(Path::new("/home/me")));
        assert_eq!(seen("/home/me/os/kernel.c"), "os/kernel.c");
        assert_eq!(seen("/home/you/os/kernel.c"), "/home/you/os/kernel.c");
        assert_eq!(seen("/home/me"), "/home/me");
        assert_eq!(seen("kernel.c"), top.join("kernel.c").display().to_string());
        assert_eq!(seen("gone.c"), "gone.c");
        assert_eq!(seen("../kernel.c"), "../kernel.c");
    }

    #[test]
    fn a_name_from_an_image_stays_within_its_line() {
        let headline = Headline { file: "a\n::error::\u{1b}[2J".to_owned(), line: 7, message: "b\nc".to_owned() };
        assert_eq!(headline.to_string(), "a\\n::error::\\u{1b}[2J:7: error: b\\nc");
        for (file, shown) in [
            ("::error file=a::b", "./\\u{3a}\\u{3a}error file=a\\u{3a}\\u{3a}b"),
            ("a.c:1: error: b", "./a.c\\u{3a}1\\u{3a} error\\u{3a} b"),
            ("stos-run", "./stos-run"),
            ("{\"a", "./{\"a"),
        ] {
            let headline = Headline { file: file.to_owned(), line: 7, message: "b:1: error: c".to_owned() };
            assert_eq!(headline.to_string(), format!("{shown}:7: error: b:1: > error: c"));
        }
    }
}
