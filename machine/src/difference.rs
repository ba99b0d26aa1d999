//! What two states differ in.

use std::fmt::{self, Debug, Display};

/// One thing that they differ in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is: a register, a chip, a page of memory.
    pub what: String,
    /// How it is in the one.
    pub left: String,
    /// How it is in the other.
    pub right: String,
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} and {}", self.what, self.left, self.right)
    }
}

/// A state that can tell what is different in another.
pub trait Differ {
    /// Adds what differs to what was found.
    fn differ(&self, other: &Self, found: &mut Vec<Difference>);
}

/// Adds that something differs, if it does.
pub(crate) fn compare<T: PartialEq + Debug + ?Sized>(found: &mut Vec<Difference>, what: &str, left: &T, right: &T) {
    if left != right {
        found.push(Difference { what: what.to_owned(), left: format!("{left:x?}"), right: format!("{right:x?}") });
    }
}
