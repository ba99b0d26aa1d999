//! What the kernel has for the sandbox.

use std::fs;
use std::path::Path;

use super::finding::{Finding, State};
use super::system::System;

const PART: &str = "sandbox";

/// What is there of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confinement {
    has_filter: bool,
    has_listeners: bool,
    has_landlock: bool,
}

impl Confinement {
    /// What the system has whose files are below `root` (seccomp(2), `actions_avail`). Landlock has no file: whoever calls has asked.
    pub fn read(root: &Path, has_landlock: bool) -> Self {
        let actions = fs::read_to_string(root.join("proc/sys/kernel/seccomp/actions_avail")).unwrap_or_default();
        let has = |name: &str| actions.split_ascii_whitespace().any(|action| action == name);
        Self { has_filter: has("errno"), has_listeners: has("user_notif"), has_landlock }
    }

    /// What is told of it.
    pub fn finding(self, system: &System) -> Finding {
        let Self { has_filter, has_listeners, has_landlock } = self;
        let mut advice = Vec::new();
        if !has_filter {
            advice.push(
                "use a kernel that was built with CONFIG_SECCOMP_FILTER, as those of all distributions are".to_owned(),
            );
        }
        if !has_landlock {
            advice.push(match &system.container {
                Some(_) => {
                    "start the container with a seccomp profile that allows Landlock, as current ones do".to_owned()
                }
                None => "use Linux 5.13 or later, with `landlock` in `lsm=` on the kernel's command line".to_owned(),
            });
        }
        let part = |is_there: bool, name: &str| format!("{}{name}", if is_there { "" } else { "no " });
        let mut parts =
            vec![part(has_filter, "filter of system calls (seccomp)"), part(has_landlock, "limit on files (Landlock)")];
        if has_filter && !has_listeners {
            parts.push("no listeners: a guest's status above 63 on the emulator looks like a violation".to_owned());
        }
        let state = if advice.is_empty() { State::Good } else { State::Fair };
        Finding::other(PART, state, parts.join(", "), advice)
    }
}

/// What is told where there is neither.
pub fn none() -> Finding {
    let told = "Landlock and seccomp are Linux's; the guest is not confined here beyond safe Rust";
    Finding::other(PART, State::Fair, told, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::super::testing::root;
    use super::*;

    #[test]
    fn each_part_that_is_missing_is_named() {
        let actions = (
            "proc/sys/kernel/seccomp/actions_avail",
            "kill_process kill_thread trap errno user_notif trace log allow\n",
        );
        let of = |files: &[(&str, &str)], has_landlock| {
            let root = root(files);
            Confinement::read(root.path(), has_landlock).finding(&System::read(root.path()))
        };
        let all = of(&[actions], true);
        assert_eq!(
            (all.state, &*all.told),
            (State::Good, "filter of system calls (seccomp), limit on files (Landlock)")
        );
        let none = of(&[], false);
        assert_eq!((none.state, none.advice.len()), (State::Fair, 2), "{none:?}");
        assert!(none.told.starts_with("no filter of system calls (seccomp), no limit on files (Landlock)"), "{none:?}");
        assert!(of(&[actions], false).advice[0].contains("lsm="));
        assert!(of(&[actions, (".dockerenv", "")], false).advice[0].contains("seccomp profile"));
        let old = ("proc/sys/kernel/seccomp/actions_avail", "kill_process errno allow\n");
        assert!(of(&[old], true).told.contains("no listeners"));
    }
}
