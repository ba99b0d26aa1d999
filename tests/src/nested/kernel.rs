//! The VM's kernel and its modules, as the fetching script leaves them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::NestedError;

/// A kernel that has `kvm-amd`.
pub(super) struct Kernel {
    /// The bootable kernel.
    pub(super) vmlinuz: PathBuf,
    /// `kvm-amd` and what it depends on, in the order in which they must be loaded.
    pub(super) modules: Vec<PathBuf>,
}

/// Gets the kernel; downloads it when it is not in `target/nested/` yet.
pub(super) fn fetch(checkout: &Path) -> Result<Kernel, NestedError> {
    let script = checkout.join("scripts/fetch-nested-kernel.sh");
    let output = Command::new(&script)
        .stdin(Stdio::null())
        .output()
        .map_err(NestedError::io(format!("run {}", script.display())))?;
    if !output.status.success() {
        return Err(NestedError::Kernel(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    parse(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| NestedError::Kernel(format!("{} printed no kernel", script.display())))
}

/// Reads the script's `vmlinuz=` and `module=` lines.
fn parse(answer: &str) -> Option<Kernel> {
    let values = |key: &'static str| {
        answer
            .lines()
            .filter_map(|line| line.split_once('='))
            .filter(move |(name, _)| *name == key)
            .map(|(_, path)| PathBuf::from(path))
    };
    Some(Kernel { vmlinuz: values("vmlinuz").next()?, modules: values("module").collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_keep_their_order() {
        let kernel = parse("vmlinuz=/a/vmlinuz\nmodule=/a/kvm.ko\nmodule=/a/b=c.ko\n").unwrap();
        assert_eq!(kernel.vmlinuz, Path::new("/a/vmlinuz"));
        assert_eq!(kernel.modules, [Path::new("/a/kvm.ko"), Path::new("/a/b=c.ko")]);
    }

    #[test]
    fn an_answer_without_a_kernel_is_none() {
        assert!(parse("module=/a/kvm.ko\n").is_none());
    }
}
