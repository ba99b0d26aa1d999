//! The program that executes cases on the processor.

use std::io::{self, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use super::case::{Found, Given};

/// Its process.
pub struct Oracle {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
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
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = BufReader::new(output.ok_or(io::ErrorKind::BrokenPipe)?);
        Ok(Self { child, input, output })
    }

    /// Executes cases, in order.
    ///
    /// # Errors
    /// When it has died.
    pub fn execute(&mut self, cases: &[Given]) -> io::Result<Vec<Found>> {
        let mut bytes = Vec::new();
        for case in cases {
            case.encode(&mut bytes);
        }
        Given::encode_end(&mut bytes);
        let mut input = self.input.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let writer = thread::spawn(move || input.write_all(&bytes).map(|()| input));
        let found = cases.iter().map(|case| Found::read(&mut self.output, case.floats.is_some())).collect();
        self.input = Some(writer.join().map_err(|_| io::ErrorKind::BrokenPipe)??);
        found
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
