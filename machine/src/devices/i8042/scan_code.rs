//! Scan codes of set 1.

/// Byte before the code of a key that the first PC did not have.
const EXTENDED: u8 = 0xe0;
/// Bit of a code that says that the key was released.
const RELEASED: u8 = 0x80;

/// A key goes down or up: its scan code of set 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanCode {
    /// The code without what says that the key was released.
    pub code: u8,
    /// A key that the first PC did not have.
    pub extended: bool,
    /// The key goes down.
    pub pressed: bool,
}

impl ScanCode {
    /// The bytes that the keyboard sends.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        let code = if self.pressed { self.code } else { self.code | RELEASED };
        self.extended.then_some(EXTENDED).into_iter().chain([code])
    }

    /// QEMU's number of the key (its documentation of `KeyValue`).
    pub fn number(self) -> u8 {
        if self.extended { self.code | RELEASED } else { self.code }
    }
}
