//! A pseudo-terminal as the other end of COM1.

use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::{io, thread};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::clients::{Endpoint, PACE, has_hung_up};

/// How often in a row everything must be found read. A reader that has just emptied the terminal's buffer has yet to tell the
/// kernel that there is room for what waits behind it; until then, poll can't know of that.
const LOOKS: u32 = 3;

/// A pseudo-terminal that programs can open.
#[derive(Debug)]
pub struct Pty {
    master: File,
    path: PathBuf,
}

impl Pty {
    /// Makes one in raw mode: no byte is changed or echoed on its way.
    ///
    /// # Errors
    /// When the system has no more of them.
    pub fn open() -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let path = PathBuf::from(std::ffi::OsString::from_vec(name.into_bytes()));
        let this = Self { master: File::from(master), path };
        // Only a terminal that was open once shows that nobody has it open.
        let terminal = this.terminal()?;
        let mut settings = tcgetattr(&terminal)?;
        settings.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &settings)?;
        Ok(this)
    }

    /// What programs are to open.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn terminal(&self) -> io::Result<File> {
        // Not by its path: nothing can be opened by that once the guest runs.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        Ok(File::from(ioctl_tiocgptpeer(&self.master, flags)?))
    }

    /// True when nothing waits to be read.
    fn is_read(&self) -> bool {
        // A terminal that can't be looked at has no reader either. FIONREAD would not count what the kernel has yet to move from
        // one end to the other; poll waits for that.
        let Ok(terminal) = self.terminal() else { return true };
        let mut files = [PollFd::new(&terminal, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut files, Some(&now)).map_or(true, |ready| ready == 0)
    }
}

impl Endpoint for Pty {
    fn accept(&self) -> io::Result<File> {
        while has_hung_up(&self.master) {
            thread::sleep(PACE);
        }
        self.master.try_clone()
    }

    /// What has not been read when the terminal is closed is gone.
    fn wait_until_read(&self, client: &File) {
        let mut looks = 0;
        while !has_hung_up(client) && looks < LOOKS {
            looks = if self.is_read() { looks + 1 } else { 0 };
            thread::sleep(PACE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::time::{Duration, Instant};

    /// Waits until nobody has `pty` open. A process that another test is just starting may have it for a moment.
    fn wait_until_left(pty: &Pty) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !has_hung_up(&pty.master) {
            assert!(Instant::now() < deadline, "somebody has it open");
            thread::sleep(PACE);
        }
    }

    #[test]
    fn bytes_pass_unchanged_and_it_shows_whether_somebody_is_there() {
        let pty = Pty::open().unwrap();
        wait_until_left(&pty);
        let mut terminal = pty.terminal().unwrap();
        let mut client = pty.accept().unwrap();
        let all: Vec<u8> = (0..=255).collect();
        for (from, to) in [(&mut client, &mut terminal), (&mut pty.terminal().unwrap(), &mut pty.accept().unwrap())] {
            from.write_all(&all).unwrap();
            let mut found = vec![0; 256];
            to.read_exact(&mut found).unwrap();
            assert!(found == all);
        }
        drop(terminal);
        wait_until_left(&pty);
    }

    #[test]
    fn what_is_not_read_yet_is_seen() {
        let pty = Pty::open().unwrap();
        let mut terminal = pty.terminal().unwrap();
        let mut client = pty.accept().unwrap();
        client.write_all(b"x").unwrap();
        assert!(!pty.is_read());
        terminal.read_exact(&mut [0]).unwrap();
        assert!(pty.is_read());
        pty.wait_until_read(&client);
    }
}
