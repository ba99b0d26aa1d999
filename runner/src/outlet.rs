//! Where somebody reads what a run tells: standard error, pipes that reports go to. One who does not read can't keep a run with a
//! time limit from ending.
//!
//! Until the limit, and a moment longer, what is told waits for its reader. Then it is lost, and so is what comes after it.

use std::fs::File;
use std::io::{self, IsTerminal, Write, stderr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, write};

use crate::sandbox::{self, Role};

/// How long is waited once the time limit is over.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// So much is written at once: a pipe that takes anything takes that much (`PIPE_BUF`, pipe(7)).
const CHUNK: usize = 4096;

/// When the time limit is over.
static LIMIT: Mutex<Option<Instant>> = Mutex::new(None);
/// Nobody has read from standard error for so long that it is not waited for any more.
static IS_GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// From now on, readers are waited for until `limit`, or as long as they like.
pub fn wait_until(limit: Option<Instant>) {
    *LIMIT.lock().unwrap_or_else(PoisonError::into_inner) = limit;
}

/// How long to wait for a reader, from now on.
fn patience() -> Option<Duration> {
    let limit = *LIMIT.lock().unwrap_or_else(PoisonError::into_inner);
    limit.map(|limit| limit.saturating_duration_since(Instant::now()) + LAST_WORDS)
}

/// Writes `text` to standard error, past the lock of [`stderr`]: the thread that writes the guest's output may hold that, and wait.
/// When it is full or closed, the exit status still tells.
pub fn tell(text: &str) {
    let patience = if IS_GIVEN_UP.load(Ordering::Acquire) { Some(Duration::ZERO) } else { patience() };
    let told = match patience {
        Some(patience) if stderr().is_terminal() => write_aside(text, patience),
        patience => write_in_time(stderr(), text.as_bytes(), patience),
    };
    if told.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
        IS_GIVEN_UP.store(true, Ordering::Release);
    }
}

/// Writes to a terminal, which may take a part of what it is sent and then nothing: that can't be known before.
fn write_aside(text: &str, patience: Duration) -> io::Result<()> {
    let (sender, done) = channel();
    let bytes = text.as_bytes().to_vec();
    let body = move || {
        // Nobody waits any more when it took too long.
        let _ = sender.send(write_in_time(stderr(), &bytes, None));
    };
    sandbox::spawn(Role::Output, "words", body)?;
    done.recv_timeout(patience).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Writes all of `bytes`, a piece each time that `file` takes one, for as long as `patience` lasts.
fn write_in_time(file: impl AsFd, bytes: &[u8], patience: Option<Duration>) -> io::Result<()> {
    let end = patience.map(|patience| Instant::now() + patience);
    let mut left = bytes;
    while !left.is_empty() {
        let time = end.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()));
        if end.is_some() {
            wait_for(&file, time)?;
        }
        match write(&file, &left[..left.len().min(CHUNK)]) {
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            // Somebody else may have made it non-blocking.
            Err(Errno::INTR | Errno::AGAIN) => wait_for(&file, time)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits until `file` takes something.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] when it does not in time.
fn wait_for(file: &impl AsFd, time: Duration) -> io::Result<()> {
    // What is too long for the system is for ever.
    let time = Timespec::try_from(time).ok();
    loop {
        match poll(&mut [PollFd::new(file, PollFlags::OUT)], time.as_ref()) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            // An error is there, too: writing tells it.
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A pipe or a device whose reader is not waited for past the time limit. It is opened so that writing never waits.
#[derive(Debug)]
pub struct Outlet(pub File);

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = write_in_time(&self.0, bytes, patience());
        written.map(|()| bytes.len()).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => io::Error::other("nobody has read it until the time limit"),
            _ => error,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
