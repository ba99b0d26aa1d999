//! The registers that name the descriptor tables.

use serde::Serialize;
use wincode::{SchemaRead, SchemaWrite};

/// GDTR or IDTR (Intel SDM volume 3A, section 2.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct TableRegister {
    /// Linear address of the table; linear is physical while paging is off.
    pub base: u32,
    /// Size of the table in bytes, less one.
    pub limit: u16,
}

impl TableRegister {
    /// The pseudo-descriptor that LGDT and LIDT read (Intel SDM volume 3A, figure 3-11).
    pub fn pseudo_descriptor(self) -> [u8; 6] {
        let ([l0, l1], [b0, b1, b2, b3]) = (self.limit.to_le_bytes(), self.base.to_le_bytes());
        [l0, l1, b0, b1, b2, b3]
    }

    /// Linear address of a descriptor of 8 bytes, or `None` when the table ends before its last byte.
    pub fn entry(self, index: u32) -> Option<u32> {
        let offset = index.checked_mul(8)?;
        let last = offset.checked_add(7)?;
        (last <= self.limit.into()).then(|| self.base.wrapping_add(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pseudo_descriptor_is_limit_and_base() {
        let register = TableRegister { base: 0xc000_2000, limit: 0x2f };
        assert_eq!(register.pseudo_descriptor(), [0x2f, 0, 0, 0x20, 0, 0xc0]);
    }

    proptest! {
        /// Over all bases and limits: counted in 64 bits, an entry is there when its last byte is within the limit, and its address wraps
        /// with the address space.
        #[test]
        fn entries_are_where_wider_numbers_say(base: u32, limit: u16, near in 0_u32..0x2010, any: u32, is_near: bool) {
            let index = if is_near { near } else { any };
            let last = u64::from(index) * 8 + 7;
            let wanted = (last <= u64::from(limit)).then(|| (u64::from(base) + u64::from(index) * 8) % (1 << 32));
            let found = TableRegister { base, limit }.entry(index);
            prop_assert_eq!(found.map(u64::from), wanted);
        }
    }

    #[test]
    fn an_entry_must_lie_within_the_limit() {
        let register = TableRegister { base: 0xffff_fff0, limit: 0x17 };
        assert_eq!(
            [0, 1, 2, 3].map(|index| register.entry(index)),
            [Some(0xffff_fff0), Some(0xffff_fff8), Some(0), None]
        );
        assert_eq!(TableRegister { base: 0, limit: 6 }.entry(0), None);
        assert_eq!(register.entry(u32::MAX), None);
    }
}
