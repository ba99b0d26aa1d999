//! Connects COM1 with clients that come and go: of a socket, or programs that open a terminal.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::backlog::Backlog;
use super::output::SerialOutput;
use crate::channel::{InputSink, feed};
use crate::sandbox::{self, Role};

/// How often an endpoint is looked at for what does not show by itself.
pub const PACE: Duration = Duration::from_millis(20);

/// Where clients come.
pub trait Endpoint: Send + Sync {
    /// Waits for the next client.
    ///
    /// # Errors
    /// When this one could not be received; there may be another.
    fn accept(&self) -> io::Result<File>;

    /// Waits until `client` has read everything that was written, or is gone, where that would be lost otherwise.
    fn wait_until_read(&self, client: &File) {
        let _ = client;
    }
}

/// True once `client` can neither read nor write any more.
pub fn has_hung_up(client: &File) -> bool {
    let mut files = [PollFd::new(client, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut files, Some(&now)).is_ok_and(|ready| ready != 0)
}

/// An endpoint, and the output that waits there. Clones are the same.
#[derive(Clone)]
pub struct Clients {
    endpoint: Arc<dyn Endpoint>,
    backlog: Arc<Backlog>,
}

impl Clients {
    /// Opens `endpoint`; nobody is let in yet.
    pub fn new(endpoint: impl Endpoint + 'static) -> Self {
        Self { endpoint: Arc::new(endpoint), backlog: Arc::default() }
    }

    /// Lets clients in, one at a time. What they send goes to `sink`. The threads that do this end with the process.
    ///
    /// # Errors
    /// Those of starting threads.
    pub fn serve(&self, sink: Arc<dyn InputSink>) -> io::Result<()> {
        let sender = feed(sink)?;
        let backlog = Arc::clone(&self.backlog);
        sandbox::spawn(Role::Clients, "com1-output", move || backlog.send())?;
        let this = self.clone();
        sandbox::spawn(Role::Clients, "com1-input", move || this.receive(&sender)).map(drop)
    }

    /// Bytes of output that nobody has been sent.
    pub fn unread(&self) -> u64 {
        self.backlog.unread()
    }

    fn receive(&self, sender: &SyncSender<Vec<u8>>) {
        loop {
            let Ok(client) = self.endpoint.accept().map(Arc::new) else {
                thread::sleep(PACE);
                continue;
            };
            self.backlog.connect(Arc::clone(&client));
            listen(&client, sender);
            self.backlog.disconnect(&client);
        }
    }
}

/// Passes on what `client` sends, until it leaves.
fn listen(mut client: &File, sender: &SyncSender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    loop {
        match client.read(&mut buffer) {
            // It sends no more, but may still read.
            Ok(0) => {
                while !has_hung_up(client) {
                    thread::sleep(PACE);
                }
                return;
            }
            Ok(count) => {
                let mut chunk = buffer[..count].to_vec();
                // Not by waiting for room alone: a guest that never reads must not keep the next client out.
                while let Err(TrySendError::Full(back)) = sender.try_send(chunk) {
                    if has_hung_up(client) {
                        return;
                    }
                    chunk = back;
                    thread::sleep(PACE);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

impl Write for Clients {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.backlog.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SerialOutput for Clients {
    fn finish(&mut self) -> io::Result<()> {
        if let Some(client) = self.backlog.finish() {
            self.endpoint.wait_until_read(&client);
        }
        Ok(())
    }
}
