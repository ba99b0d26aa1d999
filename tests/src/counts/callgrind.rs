//! Runs a program under `valgrind --tool=callgrind` and reads what it counted.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::tools::{Run, run};

/// Instructions of one execution, all threads together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// All of them.
    pub all: u64,
    /// Those outside of SHA-256; `None` when the program has no function of that name. Valgrind's processor has no SHA
    /// instructions, so that hashing takes much more of a count than of a run's time.
    pub without_hashing: Option<u64>,
}

/// Runs `program`, in `folder`, with valgrind's result in `profile`. Child processes are not counted.
///
/// # Errors
/// Says what valgrind or the program did not do.
pub fn count(program: &Path, arguments: &[&str], folder: &Path, profile: &Path) -> Result<Counted, String> {
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg("--quiet").arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(program).args(arguments).current_dir(folder);
    // One thread hashes, so that it does not depend on the machine's cores how the work is shared.
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("LC_ALL", "C").env("RAYON_NUM_THREADS", "1");
    let Run { status, stderr, .. } = run(&mut command);
    if status != Some(0) {
        return Err(format!("`{}` ended with {status:?} under valgrind:\n{stderr}", program.display()));
    }
    let text = fs::read_to_string(profile).map_err(|error| format!("{}: {error}", profile.display()))?;
    read(&text).ok_or_else(|| format!("{}: this is no profile of callgrind", profile.display()))
}

/// Reads a profile (Valgrind manual, section "Callgrind Format Specification").
fn read(profile: &str) -> Option<Counted> {
    let mut names = HashMap::new();
    let (mut all, mut hashing) = (0, None);
    let (mut is_hashing, mut is_call) = (false, false);
    for line in profile.lines() {
        if let Some((key, value)) = line.split_once('=') {
            // What follows is what the called function took, which is counted where that function is.
            is_call = key == "calls";
            if matches!(key, "fn" | "cfn") {
                let (id, name) = value.split_once(' ').unwrap_or((value, ""));
                if !name.is_empty() {
                    names.insert(id, name.contains("sha2::"));
                }
                if key == "fn" {
                    is_hashing = names.get(id).is_some_and(|is_hashing| *is_hashing);
                }
            }
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            // A position and the count; without a count it is 0.
            let cost: u64 = line.split(' ').nth(1).map_or(Some(0), |cost| cost.parse().ok())?;
            if !std::mem::take(&mut is_call) {
                all += cost;
                if is_hashing {
                    *hashing.get_or_insert(0) += cost;
                }
            }
        }
    }
    (all > 0).then_some(Counted { all, without_hashing: hashing.map(|hashing| all - hashing) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "version: 1\nevents: Ir\n\nob=(1) stos-pack\nfl=(1) ???\nfn=(1) main\n0 100\ncfn=(2) \
                           sha2::sha256::compress256\ncalls=3 0\n0 6000\n* 5\n\nfn=(2)\n0 5990\n+3 10\n\nfn=(1)\n0 7\n\
                           summary: 6112\ntotals: 6112\n";

    #[test]
    fn what_a_function_calls_is_counted_once_and_hashing_is_told_apart() {
        assert_eq!(read(PROFILE), Some(Counted { all: 6112, without_hashing: Some(112) }));
        let stripped = PROFILE.replace("sha2::sha256::compress256", "0x1234");
        assert_eq!(read(&stripped), Some(Counted { all: 6112, without_hashing: None }));
    }

    #[test]
    fn what_is_no_profile_counts_nothing() {
        assert_eq!(read(""), None);
        assert_eq!(read("fn=(1) main\n0 many\n"), None);
    }
}
