//! Which debug registers watch what.

/// Of each kind, which of the four registers watch it, as the low bits of DR6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Instructions.
    pub code: u32,
    /// Data.
    pub data: u32,
    /// Ports.
    pub ports: u32,
}

impl Watched {
    /// True when there is anything to look for after each instruction.
    pub const fn is_any(self) -> bool {
        self.code | self.data | self.ports != 0
    }
}
