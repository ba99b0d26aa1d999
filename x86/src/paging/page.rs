//! Pages: how large they are, and who may do what with them.

/// How much one entry maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB, by way of a page table.
    Small,
    /// 4 MiB, by the page directory alone. CR4.PSE must be set.
    Big,
}

impl PageSize {
    /// Bytes of a page.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Small => 4 << 10,
            Self::Big => 4 << 20,
        }
    }
}

/// Who may do what with a page. Whatever may be read may be executed: 32-bit paging has no bit for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Instructions may write to it.
    pub writable: bool,
    /// Code of privilege level 3 may use it.
    pub user: bool,
}

impl Access {
    /// For the kernel alone, to read and to write.
    pub const KERNEL: Self = Self { writable: true, user: false };
    /// For everybody, to read and to write: what paging turned off means.
    pub const ALL: Self = Self { writable: true, user: true };

    /// What the entries of two levels allow together (section 4.6.1).
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { writable: self.writable && other.writable, user: self.user && other.user }
    }
}
