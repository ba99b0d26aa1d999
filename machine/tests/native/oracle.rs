//! The program that executes cases on the processor.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::case::{Found, Given};

/// Where results begin in the file of cases, which is twice as long.
const RESULTS: u64 = 0x20_0000;

/// Its process.
pub struct Oracle {
    child: Child,
    /// How many cases there are.
    input: Option<ChildStdin>,
    /// How many are done.
    output: ChildStdout,
    /// Cases, and what has become of them. The process has it mapped.
    file: File,
    bytes: Vec<u8>,
}

impl Oracle {
    /// Compiles it into `folder` and starts it.
    ///
    /// # Errors
    /// What the compiler or the system says.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let program = folder.join("oracle");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/native/oracle.c");
        let arguments =
            ["-O1", "-static", "-no-pie", "-Wall", "-Wextra", "-Werror", "-Wl,-Ttext-segment=0x20000000", "-o"];
        let status = Command::new("gcc").args(arguments).arg(&program).arg(source).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("gcc has ended with {status}")));
        }
        let cases = folder.join("cases");
        let file = File::options().read(true).write(true).create_new(true).open(&cases)?;
        file.set_len(2 * RESULTS)?;
        let mut child = Command::new(program).arg(&cases).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, input, output, file, bytes: Vec::new() })
    }

    /// Executes a batch of cases, in order.
    ///
    /// # Errors
    /// When it has died.
    pub fn execute(&mut self, cases: &[Given]) -> io::Result<impl Iterator<Item = Found>> {
        self.bytes.clear();
        for case in cases {
            case.encode(&mut self.bytes);
        }
        self.file.write_all_at(&self.bytes, 0)?;
        let count = u32::try_from(cases.len()).unwrap_or(u32::MAX).to_ne_bytes();
        self.input.as_ref().ok_or(io::ErrorKind::BrokenPipe)?.write_all(&count)?;
        self.output.read_exact(&mut [0; 4])?;
        // Results are no longer than cases.
        self.file.read_exact_at(&mut self.bytes, RESULTS)?;
        let mut left = self.bytes.as_slice();
        Ok(cases.iter().map(move |case| Found::take(&mut left, case.floats.is_some())))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
