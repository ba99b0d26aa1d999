//! The other end of COM1, opened: where output is written, and what is left of it at the end.

use std::fs::{File, Metadata, OpenOptions, metadata};
use std::io::{self, IsTerminal};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_setfl};

use stos_pack::output::Leftover;

use super::clients::Clients;
use super::output::SerialOutput;
use super::pty::Pty;
use super::socket::Socket;
use super::target::SerialTarget;
use crate::channel::InputSink;
use crate::terminal::{Escapes, HeldWriter, Hold};

/// The other end of COM1. Dropping it leaves no socket behind.
pub struct Com1 {
    output: Option<Box<dyn SerialOutput>>,
    clients: Option<Clients>,
    announcement: Option<String>,
    _socket_file: Option<Leftover>,
}

impl Com1 {
    /// Opens `target`. Output to a terminal waits while it is held by `hold`. The file of the image is not overwritten.
    ///
    /// # Errors
    /// When `target` can't be opened.
    pub fn open(target: &SerialTarget, image: &Path, hold: Hold) -> io::Result<Self> {
        let with = |output| Self { output: Some(output), clients: None, announcement: None, _socket_file: None };
        Ok(match target {
            SerialTarget::Stdio => {
                let is_terminal = io::stdout().is_terminal();
                let held = HeldWriter::new(io::stdout(), hold);
                with(if is_terminal { Box::new(Escapes::new(held)) } else { Box::new(held) })
            }
            SerialTarget::Off => with(Box::new(io::sink())),
            SerialTarget::File(path) => with(Box::new(open_file(path, image)?)),
            SerialTarget::Unix(path) => {
                let (socket, file) = Socket::open(path)?;
                let clients = Clients::new(socket);
                Self { clients: Some(clients.clone()), _socket_file: Some(file), ..with(Box::new(clients)) }
            }
            SerialTarget::Pty => {
                let pty = Pty::open()?;
                let announcement = Some(format!("COM1 is {}", pty.path().display()));
                let clients = Clients::new(pty);
                Self { clients: Some(clients.clone()), announcement, ..with(Box::new(clients)) }
            }
        })
    }

    /// What a person has to know to get at the target.
    pub fn announcement(&self) -> Option<&str> {
        self.announcement.as_deref()
    }

    /// Where output is to be written. There is one such place.
    pub fn take_output(&mut self) -> Box<dyn SerialOutput> {
        self.output.take().unwrap_or_else(|| Box::new(io::sink()))
    }

    /// From now on, what comes from a socket or a pseudo-terminal goes to `sink`.
    ///
    /// # Errors
    /// Those of starting threads.
    pub fn connect(&self, sink: Arc<dyn InputSink>) -> io::Result<()> {
        self.clients.as_ref().map_or(Ok(()), |clients| clients.serve(sink))
    }

    /// Bytes of output that nobody has come for.
    pub fn unread(&self) -> u64 {
        self.clients.as_ref().map_or(0, Clients::unread)
    }
}

/// Creates or empties the file at `path`.
fn open_file(path: &Path, image: &Path) -> io::Result<File> {
    // Not blocking, because a FIFO would else wait for a reader; emptied only when it is known what it is.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let opened = OpenOptions::new().write(true).create(true).truncate(false).custom_flags(flags).open(path);
    let file = opened.map_err(|error| {
        // ENXIO: there is nobody at the other end (fifo(7)).
        let is_fifo = metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
        if is_fifo && error.raw_os_error() == Some(libc::ENXIO) {
            return io::Error::other("it is a FIFO that nobody reads; start the reader first");
        }
        error
    })?;
    let found = file.metadata()?;
    let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    if metadata(image).is_ok_and(|image| identity(&image) == identity(&found)) {
        return Err(io::Error::other("it is the image"));
    }
    if found.is_file() {
        file.set_len(0)?;
    }
    fcntl_setfl(&file, OFlags::empty())?;
    Ok(file)
}
