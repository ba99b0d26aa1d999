//! The VM: one run of QEMU, without any hardware virtualisation.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::{NestedError, find_program};

/// What booting, and what goes on between two cases, may take. A boot takes 2 to 3 s here; a busy machine is slower.
const ALLOWANCE: Duration = Duration::from_secs(60);

/// How often QEMU is asked whether it has ended.
const POLL: Duration = Duration::from_millis(10);

/// How many of the console's last lines an error shows. A kernel panic with its call trace takes about 50.
const CONSOLE_LINES: usize = 60;

/// What came out of a VM.
pub(super) struct Boot {
    /// How it ended.
    pub(super) end: End,
    /// What it sent over its second serial port.
    pub(super) report: Vec<u8>,
    /// The last lines of its console.
    pub(super) console: String,
}

/// How a VM ended.
pub(super) enum End {
    /// QEMU ended.
    Itself {
        /// Its exit status and what it said.
        description: String,
    },
    /// It was killed because its report did not grow.
    Killed {
        /// For so long.
        seconds: u64,
    },
}

/// Boots `kernel` with the archive and waits for the VM to end. `folder` is for the files that it takes.
///
/// `longest` is what any one of the cases may take, in seconds. Their clock is the VM's, which is that of the host.
pub(super) fn boot(kernel: &Path, initramfs: &[u8], folder: &Path, longest: u64) -> Result<Boot, NestedError> {
    let [archive, console, report, complaints] =
        ["initramfs", "console", "report", "qemu-stderr"].map(|name| folder.join(name));
    fs::write(&archive, initramfs).map_err(NestedError::io(format!("write {}", archive.display())))?;
    let stderr = fs::File::create(&complaints).map_err(NestedError::io(format!("create {}", complaints.display())))?;

    let qemu = find_program("qemu-system-x86_64")?;
    // The kernel kills QEMU when the thread that has started it ends, however it does. That is this thread.
    let child = Command::new(find_program("setpriv")?)
        .args(["--pdeathsig", "KILL", "--"])
        .arg(qemu)
        .args(["-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1024"])
        // No network card and no graphics card, whose ROMs need not be installed and take time.
        .args(["-nodefaults", "-display", "none", "-no-reboot"])
        .arg("-serial")
        .arg(serial_file(&console))
        .arg("-serial")
        .arg(serial_file(&report))
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(&archive)
        // A panic becomes a reset at once, and with -no-reboot that is the end. The kernel's tests of its own ciphers
        // would take 0.3 s of the boot's 2.3 s; other options of kernel and QEMU that promise speed gain nothing.
        // Without a periodic tick the emulated machine now and then loses the one timer interrupt that it waits for, after
        // a guest has run, and never wakes again.
        .args(["-append", "console=ttyS0 quiet panic=-1 cryptomgr.notests nohz=off highres=off"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .map_err(NestedError::io("start qemu-system-x86_64"))?;

    let limit = ALLOWANCE + Duration::from_secs(longest);
    let end = match wait(Guard(child), &report, limit).map_err(NestedError::io("wait for qemu-system-x86_64"))? {
        Some(status) => End::Itself { description: describe(status, &complaints) },
        None => End::Killed { seconds: limit.as_secs() },
    };
    // QEMU makes the files when it starts. When it could not start, its own words tell why.
    let content = |file: &Path| fs::read(file).unwrap_or_default();
    Ok(Boot { end, report: content(&report), console: last_lines(&content(&console)) })
}

/// The value of QEMU's `-serial` for a file.
fn serial_file(file: &Path) -> std::ffi::OsString {
    let mut value = std::ffi::OsString::from("file:");
    // A comma would begin an option; two stand for one.
    value.push(file.to_string_lossy().replace(',', ",,"));
    value
}

/// Kills the VM when it goes out of scope.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for the VM's end; none when it had to be killed because `report` did not grow for as long as `limit`.
fn wait(mut vm: Guard, report: &Path, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    let mut progress = (Instant::now(), 0);
    while progress.0.elapsed() < limit {
        if let Some(status) = vm.0.try_wait()? {
            return Ok(Some(status));
        }
        let size = fs::metadata(report).map_or(0, |metadata| metadata.len());
        if size != progress.1 {
            progress = (Instant::now(), size);
        }
        thread::sleep(POLL);
    }
    Ok(None)
}

/// QEMU's exit status and what it said.
fn describe(status: ExitStatus, complaints: &Path) -> String {
    let said = fs::read(complaints).unwrap_or_default();
    match String::from_utf8_lossy(&said).trim() {
        "" => status.to_string(),
        said => format!("{status}: {said}"),
    }
}

/// The last lines of a console, as text.
fn last_lines(console: &[u8]) -> String {
    let text = String::from_utf8_lossy(console).replace('\r', "");
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(CONSOLE_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_cut_to_its_last_lines() {
        let console = format!("{}second last\r\nlast\r\n", "early\r\n".repeat(100));
        let kept = last_lines(console.as_bytes());
        assert_eq!(kept.lines().count(), CONSOLE_LINES);
        assert!(kept.ends_with("early\nsecond last\nlast"), "{kept}");
    }

    #[test]
    fn a_vm_that_stands_still_is_killed() {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = format!("/proc/{}", child.id());
        assert!(wait(Guard(child), Path::new("/nonexistent"), Duration::from_millis(50)).unwrap().is_none());
        assert!(!Path::new(&process).exists());
    }
}
