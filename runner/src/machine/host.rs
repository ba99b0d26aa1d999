//! How much memory this machine has for a guest, where the system tells (`proc_meminfo(5)`, and cgroup-v1/memory.rst and cgroup-v2.rst
//! of the kernel's documentation).

use std::fs;
use std::path::{Path, PathBuf};

/// `PAGE_COUNTER_MAX` in bytes is just below 2^63; no machine has as much as this.
const NO_LIMIT: u64 = 1 << 62;

/// Memory that can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Free {
    /// In bytes.
    pub size: u64,
    /// It is not the machine that has no more, but the container or service that this process is in.
    pub is_limited: bool,
}

/// What can be had without taking it from others, if that is known.
pub fn free_memory() -> Option<Free> {
    free_memory_in(Path::new("/"))
}

fn free_memory_in(root: &Path) -> Option<Free> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let kilobytes = |name: &str| value(&text, name).unwrap_or(0);
    let size = kilobytes("MemAvailable:").checked_add(kilobytes("SwapFree:"))?.checked_mul(1024)?;
    let machine = Free { size, is_limited: false };
    let group = group_memory(root).map(|size| Free { size, is_limited: true });
    group.into_iter().chain([machine]).min_by_key(|free| free.size)
}

/// The number behind `name` in lines of names and numbers.
fn value(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_ascii_whitespace);
    lines.find_map(|mut words| (words.next()? == name).then(|| words.next()?.parse().ok()).flatten())
}

/// What the control groups leave to this process: the least of those that it is in.
fn group_memory(root: &Path) -> Option<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounted = root.join("sys/fs/cgroup");
    let places = groups.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let is_memory = controllers.split(',').any(|name| name == "memory");
        let files = match (controllers, is_memory) {
            ("", _) => (mounted.clone(), ["memory.max", "memory.current"]),
            (_, true) => (mounted.join("memory"), ["memory.limit_in_bytes", "memory.usage_in_bytes"]),
            _ => return None,
        };
        Some((files, PathBuf::from(path.trim_start_matches('/'))))
    });
    let number = |path: &Path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    // Without one, the older kind has a number that no machine reaches.
    let limit_in = |path: &Path| number(path).filter(|limit| *limit < NO_LIMIT);
    let left = |((mount, [limit, used]), path): ((PathBuf, [&str; 2]), PathBuf)| {
        // A limit holds for all that is below it. In a container, the path may be that of outside.
        let folders = path.ancestors().map(|path| mount.join(path));
        folders
            .filter_map(|folder| Some(limit_in(&folder.join(limit))?.saturating_sub(number(&folder.join(used))?)))
            .min()
    };
    places.filter_map(left).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(files: &[(&str, &str)]) -> Option<Free> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        free_memory_in(root.path())
    }

    const MEMINFO: (&str, &str) = ("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    4000 kB\nSwapFree:   96 kB\n");

    #[test]
    fn the_machines_memory_is_what_is_free_and_what_can_be_swapped() {
        assert_eq!(free(&[MEMINFO]), Some(Free { size: 4096 << 10, is_limited: false }));
        assert_eq!(free(&[]), None);
    }

    #[test]
    fn the_tightest_group_counts() {
        let second = [
            MEMINFO,
            ("proc/self/cgroup", "0::/user/shell\n"),
            ("sys/fs/cgroup/user/memory.max", "2000000\n"),
            ("sys/fs/cgroup/user/memory.current", "500000\n"),
            ("sys/fs/cgroup/user/shell/memory.max", "max\n"),
            ("sys/fs/cgroup/user/shell/memory.current", "1\n"),
        ];
        assert_eq!(free(&second), Some(Free { size: 1_500_000, is_limited: true }));
        let first = [
            MEMINFO,
            ("proc/self/cgroup", "5:devices:/x\n4:memory:/box\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "999999\n"),
        ];
        assert_eq!(free(&first), Some(Free { size: 1, is_limited: true }));
        let none = [
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "9223372036854771711\n"),
        ];
        assert_eq!(free(&none), Some(Free { size: 4096 << 10, is_limited: false }));
        let wide = [MEMINFO, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "max\n")];
        assert_eq!(free(&wide), Some(Free { size: 4096 << 10, is_limited: false }));
    }
}
