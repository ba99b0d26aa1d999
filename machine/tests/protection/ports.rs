//! Ports that a program may use (Intel SDM volume 1, section 19.5.2).

use crate::guest::{DONE, GDT, Guest, SAYS_DONE, TASK};

/// IN AL, 0x3, and OUT 0x3, AL.
const IN: &[u8] = &[0xe4, 3];
const OUT: &[u8] = &[0xe6, 3];

/// What a program ends with that uses port 3 where the TSS has this limit, and the map these bits for ports 0 to 7.
fn uses(code: &[u8], limit: u8, bits: u8) -> Option<u8> {
    let mut guest = Guest::new(3, &[code, SAYS_DONE].concat());
    guest.put(GDT + 0x28, &[limit]);
    guest.0.core.tr.limit = limit.into();
    guest.put(TASK + 102, &[0x68, 0, bits, 0xff]);
    guest.run()
}

#[test]
fn the_map_says_which_ports_are_a_programs() {
    for code in [IN, OUT] {
        assert_eq!(uses(code, 0x69, 0xf7), Some(DONE));
        assert_eq!(uses(code, 0x69, 0x08), Some(13));
    }
}

#[test]
fn two_bytes_of_the_map_are_looked_at_and_must_be_there() {
    for code in [IN, OUT] {
        assert_eq!(uses(code, 0x68, 0), Some(13));
        assert_eq!(uses(code, 0x67, 0), Some(13));
    }
}
