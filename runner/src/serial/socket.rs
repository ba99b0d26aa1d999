//! A UNIX socket as the other end of COM1.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use stos_pack::output::Leftover;

use super::clients::Endpoint;

/// A socket that clients can connect to.
#[derive(Debug)]
pub struct Socket(UnixListener);

impl Socket {
    /// Listens at `path`, whose file comes with it, in the place of a socket there that nobody listens at.
    ///
    /// # Errors
    /// When anything else is there, and those of binding.
    pub fn open(path: &Path) -> io::Result<(Self, Leftover)> {
        remove_dead_socket(path)?;
        let listener = UnixListener::bind(path)?;
        Ok((Self(listener), Leftover::new(path)?))
    }
}

impl Endpoint for Socket {
    fn accept(&self) -> io::Result<File> {
        let (client, _) = self.0.accept()?;
        Ok(File::from(OwnedFd::from(client)))
    }
}

fn remove_dead_socket(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket is there already"));
    }
    // As a socket of another type than ours, so that a program that listens there does not take this for a client: it is
    // told apart by the error.
    match UnixDatagram::unbound()?.connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there already")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn the_file_goes_with_its_owner() {
        let folder = folder();
        let path = folder.path().join("com1");
        let opened = Socket::open(&path).unwrap();
        assert!(path.exists());
        drop(opened);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_socket_is_replaced_and_anything_else_is_not() {
        let folder = folder();
        let path = folder.path().join("com1");
        drop(UnixListener::bind(&path).unwrap());
        let (socket, file) = Socket::open(&path).unwrap();
        let error = Socket::open(&path).unwrap_err();
        assert_eq!(error.to_string(), "another program listens there already");
        // The question was no client.
        socket.0.set_nonblocking(true).unwrap();
        assert_eq!(socket.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(file);

        for other in ["file", "link"] {
            let path = folder.path().join(other);
            if other == "file" {
                fs::write(&path, "mine").unwrap();
            } else {
                std::os::unix::fs::symlink("nowhere", &path).unwrap();
            }
            let error = Socket::open(&path).unwrap_err();
            assert_eq!(error.to_string(), "something that is no socket is there already");
            assert!(fs::symlink_metadata(&path).is_ok());
        }
    }

    #[test]
    fn a_file_that_is_anothers_by_now_stays() {
        let folder = folder();
        let path = folder.path().join("com1");
        let (_socket, file) = Socket::open(&path).unwrap();
        // Not removed: its inode could be used again at once.
        fs::rename(&path, folder.path().join("moved")).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn a_client_reads_what_is_written_to_it() {
        let folder = folder();
        let path = folder.path().join("com1");
        let (socket, _file) = Socket::open(&path).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        io::Write::write_all(&mut socket.accept().unwrap(), b"hello").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }
}
