//! What two runs have printed, compared line by line.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use similar::{ChangeTag, TextDiff};
use stos_pack::diagnostics::printable_lines;

use crate::file::unnamed;

/// Most bytes of what a run prints that are compared: a run copies no more.
const LIMIT: usize = 1 << 20;
/// Most lines that are shown.
const SHOWN: usize = 200;
/// How long is looked for the smallest difference.
const PATIENCE: Duration = Duration::from_millis(200);

/// Takes a copy of what a run prints.
pub struct Copy(File);

impl Copy {
    /// An empty one, which processes inherit.
    ///
    /// # Errors
    /// When the system grants none.
    pub fn new() -> io::Result<Self> {
        let file = unnamed("stos-output")?;
        fcntl_setfd(&file, FdFlags::empty())?;
        Ok(Self(file))
    }

    /// Where a process that has inherited it finds it.
    pub fn path(&self) -> String {
        format!("/dev/fd/{}", self.0.as_raw_fd())
    }

    /// What is in it.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; LIMIT];
        let mut size = 0;
        while let Ok(read @ 1..) = self.0.read_at(&mut bytes[size..], size as u64) {
            size += read;
        }
        bytes.truncate(size);
        bytes
    }
}

/// What is told of two runs, of which this is the number and what they have printed.
pub fn difference((last, before): (u32, &[u8]), (number, now): (u32, &[u8])) -> String {
    if before == now {
        return format!("--- run {number} has printed the same as run {last}\n");
    }
    let (before, now) = (text(before), text(now));
    let compared = TextDiff::configure().timeout(PATIENCE).diff_lines(&before, &now);
    let changes = || compared.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal);
    let line =
        |tag, text: &str| format!("{tag}{}\n", printable_lines(text.trim_end_matches('\n')).replace('\n', "\\n"));
    let first = format!("--- printed by run {last} (-) and run {number} (+):\n");
    let more = changes().count().saturating_sub(SHOWN);
    let last = (more > 0).then(|| format!("--- and {more} lines more\n"));
    let lines = changes().take(SHOWN).map(|change| line(change.tag(), change.value()));
    std::iter::once(first).chain(lines).chain(last).collect()
}

/// Output as lines.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_went_and_came_are_told_and_no_others() {
        let told = difference((1, b"a\r\nb\r\nc\r\n"), (3, b"a\nB\x1b[31m\nc\nd"));
        assert_eq!(told, "--- printed by run 1 (-) and run 3 (+):\n-b\n+B\\u{1b}[31m\n+d\n");
        assert_eq!(difference((1, b"a\n"), (2, b"a\n")), "--- run 2 has printed the same as run 1\n");
    }

    #[test]
    fn long_differences_are_cut() {
        let lines = (0..1000).map(|number| number.to_string()).collect::<Vec<_>>().join("\n") + "\n";
        let told = difference((1, b""), (2, lines.as_bytes()));
        assert_eq!(told.lines().count(), SHOWN + 2);
        assert!(told.ends_with("+199\n--- and 800 lines more\n"), "{told}");
    }
}
