//! What is made from the command line's description: scripts that complete it, and manual pages.

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Arguments;

/// The script that completes command lines in `shell`.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "stos-pack", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        // clap_complete 4.6.11 writes the hyphen of the program's name in one way where the script notes the verb, and in
        // another where it looks for it, so that nothing after a verb would be completed.
        Shell::Bash => script.replace("stos__subcmd__pack", "stos__pack"),
        _ => script,
    }
}

/// The manual page of the program, in roff.
///
/// # Errors
/// None that a page in memory could give.
pub fn page() -> io::Result<String> {
    let mut page = Vec::new();
    Man::new(Arguments::command()).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// Writes the manual pages of the program and of each verb into `folder`; returns how many.
///
/// # Errors
/// What the system says against it.
pub fn write_pages(folder: &Path) -> io::Result<usize> {
    std::fs::create_dir_all(folder)?;
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    clap_mangen::generate_to(program.clone(), folder)?;
    Ok(1 + program.get_subcommands().filter(|verb: &&Command| !verb.is_hide_set()).count())
}
