//! The emulator: where it is, and whether it starts.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use stos_pack::diagnostics::describe;

use super::finding::{Finding, NAME_ANOTHER, State};
use super::system::System;
use crate::backend::NoEmulator;
use crate::outcome::ONLY_ON_LINUX;

const PART: &str = "emulator";
/// How long one may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of what it tells that are read.
const ANSWER_LIMIT: u64 = 4096;

/// An emulator, and the first line of what it says of its version, or why it says none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emulator {
    program: PathBuf,
    version: Result<String, String>,
}

impl Emulator {
    /// Asks `program`.
    pub fn ask(program: PathBuf) -> Self {
        let version = version_of(&program);
        Self { program, version }
    }
}

fn version_of(program: &Path) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("it can't be started: {}", describe(&error)))?;
    let answer = child.stdout.take();
    let (sender, told) = channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let read = answer.map(|answer| answer.take(ANSWER_LIMIT).read_to_end(&mut text));
        // Nobody listens when it took too long.
        let _ = sender.send(read.is_some_and(|read| read.is_ok()).then_some(text));
    });
    let answer = told.recv_timeout(PATIENCE);
    // Its answer has ended, or nobody waits for it any more.
    let ended = if answer.is_ok() { child.wait().ok() } else { child.kill().ok().and(None) };
    let _ = child.wait();
    let text = answer.ok().flatten().ok_or_else(|| format!("it has told no version within {PATIENCE:?}"))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    match (ended.is_some_and(|status| status.success()), text.lines().next().map(str::trim)) {
        (true, Some(line)) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err("it does not tell its version: `--version` failed".to_owned()),
    }
}

/// What is told of the emulator, if there is one. Guests run on it where it is named only.
pub fn finding(found: &Result<Emulator, NoEmulator>, system: &System, is_named: bool) -> Finding {
    let state = if is_named { State::Bad } else { State::Fair };
    let install = || vec![system.install_emulator()];
    match found {
        Ok(Emulator { program, version: Ok(version) }) => {
            Finding::good(PART, format!("{version}, {}", program.display()))
        }
        Ok(Emulator { program, version: Err(why) }) => {
            Finding::other(PART, state, format!("{} is of no use: {why}", program.display()), install())
        }
        Err(NoEmulator::OtherSystem) => {
            let advice = is_named.then(|| NAME_ANOTHER.to_owned());
            Finding::other(PART, state, format!("none: {ONLY_ON_LINUX}"), Vec::from_iter(advice))
        }
        Err(NoEmulator::Missing) => {
            let told = "none: neither qemu-system-i386 nor qemu-system-x86_64 is in PATH".to_owned();
            Finding::other(PART, state, told, install())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::root;
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn ask(script: &str) -> Emulator {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("qemu-system-i386");
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Emulator::ask(program)
    }

    #[test]
    fn an_emulator_is_asked_for_its_version() {
        let works = ask("#!/bin/sh\necho 'QEMU emulator version 8.2.2'\necho 'more'\n");
        assert_eq!(works.version.as_deref(), Ok("QEMU emulator version 8.2.2"));
        for script in ["#!/bin/sh\necho it\nexit 1\n", "#!/bin/sh\n", "#!/nowhere/at/all\n"] {
            let broken = ask(script);
            assert!(broken.version.is_err(), "{script}: {broken:?}");
        }
    }

    #[test]
    fn a_missing_one_is_installed_as_the_system_does_it() {
        let system = System::read(root(&[("etc/os-release", "ID=fedora\n")]).path());
        let missing = finding(&Err(NoEmulator::Missing), &system, true);
        assert_eq!(
            (missing.state, &*missing.advice),
            (State::Bad, &["sudo dnf install qemu-system-x86-core".to_owned()][..])
        );
        let spare = finding(&Err(NoEmulator::Missing), &system, false);
        assert_eq!(spare.state, State::Fair, "{spare:?}");
        let broken = ask("#!/bin/sh\nexit 1\n");
        assert!(finding(&Ok(broken), &system, false).told.contains("is of no use"));
        let elsewhere = |is_named| finding(&Err(NoEmulator::OtherSystem), &system, is_named);
        assert_eq!((elsewhere(false).state, elsewhere(false).advice.len()), (State::Fair, 0));
        assert_eq!((elsewhere(true).state, &*elsewhere(true).advice[0]), (State::Bad, NAME_ANOTHER));
    }
}
