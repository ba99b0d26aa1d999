//! What a guest's port accesses tell about it: its last POST code, and accesses to ports behind which there is nothing,
//! where it looks for hardware in vain.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Kinds of access that are told apart; of those that come later only the number is kept.
const KINDS: usize = 4096;

/// One kind of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortAccess {
    /// The first port.
    pub port: u16,
    /// Bytes: 1, 2 or 4.
    pub width: usize,
    /// Written, not read.
    pub is_write: bool,
}

/// The log. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct PortLog(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    by_kind: BTreeMap<PortAccess, u64>,
    others: u64,
    post_code: Option<u8>,
}

impl PortLog {
    /// Entries `access`.
    pub(super) fn count(&self, access: PortAccess) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.by_kind.len() < KINDS || entries.by_kind.contains_key(&access);
        if known {
            *entries.by_kind.entry(access).or_default() += 1;
        } else {
            entries.others += 1;
        }
    }

    /// Each kind with its number, by port; and how many accesses were of other kinds.
    pub fn unknown(&self) -> (Vec<(PortAccess, u64)>, u64) {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (entries.by_kind.iter().map(|(access, number)| (*access, *number)).collect(), entries.others)
    }

    /// Remembers that `code` was written to the POST port.
    pub(super) fn post(&self, code: u8) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).post_code = Some(code);
    }

    /// What was last written to the POST port.
    pub fn post_code(&self) -> Option<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).post_code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_tries_every_port_takes_little_memory() {
        let ports = PortLog::default();
        for port in 0..=u16::MAX {
            ports.count(PortAccess { port, width: 1, is_write: false });
        }
        let (kinds, others) = ports.unknown();
        assert_eq!((kinds.len(), others), (KINDS, 0x1_0000 - KINDS as u64));
    }
}
