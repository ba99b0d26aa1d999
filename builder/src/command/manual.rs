//! What is made from the command line's description: scripts that complete it, and manual pages.

use std::io;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use super::arguments::description;

/// The script that completes command lines in `shell`.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut description(), "stos-pack", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        // clap_complete 4.6.11 writes the hyphen of the program's name in one way where the script notes the verb, and in
        // another where it looks for it, so that nothing after a verb would be completed.
        Shell::Bash => script.replace("stos__subcmd__pack", "stos__pack"),
        // clap_complete 4.6.11 takes the verb for the word after the manifest, but it stands in the manifest's place.
        Shell::Zsh => script
            .replace("'::manifest -- The manifest:_files' \\\n", "")
            .replace("\":: :_stos-pack_commands\"", "\": :{_stos-pack_commands; _files}\"")
            .replace("$line[2]", "$line[1]"),
        _ => script,
    }
}

/// The manual page of the program, in roff.
///
/// # Errors
/// None that a page in memory could give.
pub fn page() -> io::Result<String> {
    render(description())
}

/// The manual pages of the program and of each verb, each with its file's name.
///
/// # Errors
/// None that a page in memory could give.
pub fn pages() -> io::Result<Vec<(String, String)>> {
    let mut program = description().disable_help_subcommand(true);
    program.build();
    let verbs: Vec<Command> = program.get_subcommands().cloned().collect();
    let mut pages = Vec::new();
    for mut command in [program].into_iter().chain(verbs) {
        if command.get_overridden_usage().is_none() {
            // Without it, the page would leave out what the options want.
            let usage = command.render_usage().to_string();
            command = command.override_usage(usage.trim_start_matches("Usage: ").to_owned());
        }
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        pages.push((format!("{name}.1"), render(command)?));
    }
    Ok(pages)
}

fn render(command: Command) -> io::Result<String> {
    let mut page = Vec::new();
    Man::new(command).source(concat!("stos-pack ", env!("CARGO_PKG_VERSION"))).render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
