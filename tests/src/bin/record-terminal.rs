//! Records the session at a terminal that README shows, and draws it.
//!
//!     record-terminal    writes docs/terminal.svg

use stos_tests::recording::{compiler, draw, picture_path, play};

fn main() -> std::io::Result<()> {
    let picture = draw(play().screen(), &compiler());
    std::fs::write(picture_path(), &picture)?;
    println!("{}: {} bytes", picture_path().display(), picture.len());
    Ok(())
}
