//! Writes the binary fixtures again from their description.

use std::process::ExitCode;

fn main() -> ExitCode {
    for (name, bytes) in stos_tests::fixtures::binaries() {
        let path = stos_tests::fixtures::folder().join(name);
        if let Err(error) = std::fs::write(&path, bytes) {
            eprintln!("make-fixtures: can't write `{}`: {error}", path.display());
            return ExitCode::FAILURE;
        }
        println!("{}", path.display());
    }
    ExitCode::SUCCESS
}
