//! What is made from a command line's description: scripts that complete it, and manual pages.

use std::io;
use std::path::Path;

use clap::Command;
pub use clap_complete::Shell;
use clap_mangen::Man;

use crate::diagnostics::{Diagnostic, describe};
use crate::output::{Output, nobody};

/// The script that completes lines of `command` in `shell`. A verb stands in the place of the command's first argument.
pub fn completions(mut command: Command, shell: Shell) -> String {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, &name, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        // clap_complete 4.6.11 writes the hyphen of the program's name in one way where the script notes the verb, and in
        // another where it looks for it, so that nothing after a verb would be completed.
        Shell::Bash => script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__")),
        // clap_complete 4.6.11 takes the verb for the word after that argument.
        Shell::Zsh => {
            let is_first = |line: &&str| line.starts_with("'::") && line.ends_with(":_files' \\");
            let first = script.lines().find(is_first).map(|line| format!("{line}\n")).unwrap_or_default();
            script
                .replacen(&first, "", 1)
                .replace(&format!("\":: :_{name}_commands\""), &format!("\": :{{_{name}_commands; _files}}\""))
                .replace("$line[2]", "$line[1]")
        }
        _ => script,
    }
}

/// The manual page of `command`, in roff. `version` is the program's.
///
/// # Errors
/// None that a page in memory could give.
pub fn page(mut command: Command, version: &str) -> io::Result<String> {
    if command.get_overridden_usage().is_none() {
        // Without it, the page would leave out what the options want.
        let usage = command.render_usage().to_string();
        command = command.override_usage(usage.trim_start_matches("Usage: ").to_owned());
    }
    let mut page = Vec::new();
    Man::new(command).source(version).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The manual pages of `command` and of each of its verbs, each with its file's name.
///
/// # Errors
/// None that a page in memory could give.
pub fn pages(command: Command, version: &str) -> io::Result<Vec<(String, String)>> {
    let mut program = command.disable_help_subcommand(true);
    program.build();
    let verbs: Vec<Command> = program.get_subcommands().cloned().collect();
    let mut pages = Vec::new();
    for command in [program].into_iter().chain(verbs) {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
        pages.push((format!("{name}.1"), page(command, version)?));
    }
    Ok(pages)
}

/// Why pages can't be written.
#[derive(Debug)]
pub enum PagesError {
    /// They can't be made, or there is no folder for them; the text says which.
    Folder(String),
    /// One of them.
    Page(Diagnostic),
}

/// Writes the pages of `command` into `folder`, which is made if it is not there. Returns how many there are.
///
/// # Errors
/// What can't be written. Nothing half-written stays.
pub fn write_pages(command: Command, version: &str, folder: &Path) -> Result<usize, PagesError> {
    let pages = pages(command, version)
        .map_err(|error| PagesError::Folder(format!("can't make the manual: {}", describe(&error))))?;
    std::fs::create_dir_all(folder).map_err(|error| {
        let folder = folder.display();
        PagesError::Folder(format!("can't make the folder `{folder}` for manual pages: {}", describe(&error)))
    })?;
    for (name, page) in &pages {
        Output::File(folder.join(name)).write_text("manual page", page, &nobody).map_err(PagesError::Page)?;
    }
    Ok(pages.len())
}
