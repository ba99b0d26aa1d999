//! What a guest's port accesses tell about it: its last POST code, and accesses to ports behind which there is nothing,
//! where it looks for hardware in vain.

use std::collections::BTreeMap;

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

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortLog {
    by_kind: BTreeMap<PortAccess, u64>,
    others: u64,
    post_code: Option<u8>,
}

impl PortLog {
    /// Enters `access`.
    pub fn count(&mut self, access: PortAccess) {
        let is_known = self.by_kind.len() < KINDS || self.by_kind.contains_key(&access);
        if is_known {
            *self.by_kind.entry(access).or_default() += 1;
        } else {
            self.others += 1;
        }
    }

    /// Each kind with its number, by port; and how many accesses were of other kinds.
    pub fn unknown(&self) -> (Vec<(PortAccess, u64)>, u64) {
        (self.by_kind.iter().map(|(access, number)| (*access, *number)).collect(), self.others)
    }

    /// Remembers that `code` was written to the POST port.
    pub(super) fn post(&mut self, code: u8) {
        self.post_code = Some(code);
    }

    /// What was last written to the POST port.
    pub const fn post_code(&self) -> Option<u8> {
        self.post_code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_tries_every_port_takes_little_memory() {
        let mut ports = PortLog::default();
        for port in 0..=u16::MAX {
            ports.count(PortAccess { port, width: 1, is_write: false });
        }
        let (kinds, others) = ports.unknown();
        assert_eq!((kinds.len(), others), (KINDS, 0x1_0000 - KINDS as u64));
    }
}
