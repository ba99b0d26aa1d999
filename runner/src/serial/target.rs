//! Where the guest's serial port leads, as the command line says it.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Bytes of a socket's path, with the zero that ends it (`sun_path`, unix(7)).
const SOCKET_PATH_SIZE: usize = 108;

/// Where COM1 leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SerialTarget {
    /// Standard input and output.
    #[default]
    Stdio,
    /// Output into a file, no input.
    File(PathBuf),
    /// Clients of a socket at this path, one at a time.
    Unix(PathBuf),
    /// Whoever opens a pseudo-terminal.
    Pty,
    /// Nowhere.
    Off,
}

impl SerialTarget {
    /// Reads `stdio`, `file:PATH`, `unix:PATH`, `pty` or `off`.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn parse(text: OsString) -> Result<Self, String> {
        match text.as_bytes() {
            b"stdio" => return Ok(Self::Stdio),
            b"pty" => return Ok(Self::Pty),
            b"off" => return Ok(Self::Off),
            _ => {}
        }
        let bytes = text.into_vec();
        let after = |word: &[u8]| bytes.strip_prefix(word).map(|path| PathBuf::from(OsString::from_vec(path.to_vec())));
        let named = |path: PathBuf| {
            if path.as_os_str().is_empty() { Err("the path after the colon is missing".to_owned()) } else { Ok(path) }
        };
        if let Some(path) = after(b"file:") {
            return named(path).map(Self::File);
        }
        let path = after(b"unix:").ok_or("expected stdio, file:PATH, unix:PATH, pty or off")?;
        let size = path.as_os_str().len();
        if size >= SOCKET_PATH_SIZE {
            return Err(format!(
                "the path has {size} bytes, and a socket's has at most {}; a path relative to the current folder may be \
                 shorter",
                SOCKET_PATH_SIZE - 1
            ));
        }
        named(path).map(Self::Unix)
    }
}

impl fmt::Display for SerialTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio => f.write_str("standard output"),
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Unix(path) => write!(f, "the socket `{}`", path.display()),
            Self::Pty => f.write_str("the pseudo-terminal"),
            Self::Off => f.write_str("nowhere"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SerialTarget, String> {
        SerialTarget::parse(text.into())
    }

    #[test]
    fn targets_are_read_as_they_are_documented() {
        assert_eq!(parse("stdio"), Ok(SerialTarget::Stdio));
        assert_eq!(parse("file:a:b"), Ok(SerialTarget::File("a:b".into())));
        assert_eq!(parse("unix:run/com1"), Ok(SerialTarget::Unix("run/com1".into())));
        assert_eq!(parse("pty"), Ok(SerialTarget::Pty));
        assert_eq!(parse("off"), Ok(SerialTarget::Off));
        let latin_1 = OsString::from_vec(b"file:caf\xe9".to_vec());
        assert_eq!(
            SerialTarget::parse(latin_1),
            Ok(SerialTarget::File(OsString::from_vec(b"caf\xe9".to_vec()).into()))
        );
    }

    #[test]
    fn other_targets_are_refused() {
        for text in ["", "stdout", "file", "pty:", "Stdio", "tcp:1234"] {
            assert!(parse(text).unwrap_err().starts_with("expected stdio, "), "{text}");
        }
        for text in ["file:", "unix:"] {
            assert!(parse(text).unwrap_err().contains("path after the colon"), "{text}");
        }
    }

    #[test]
    fn the_path_of_a_socket_has_a_limit() {
        let path = |size| format!("unix:{}", "x".repeat(size));
        assert!(parse(&path(107)).is_ok());
        assert!(parse(&path(108)).unwrap_err().contains("108 bytes"));
    }
}
