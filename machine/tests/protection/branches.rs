//! Branches and comparisons, in both of their ways: random operands rarely take the second one.

use crate::guest::{DONE, Guest, SAYS_DONE, STACK};

fn registers(code: &[u8]) -> [u32; 8] {
    let mut guest = Guest::new(0, &[code, SAYS_DONE].concat());
    assert_eq!(guest.run(), Some(DONE));
    *guest.0.core.general.first_chunk().unwrap()
}

/// Volume 2A, "LOOP/LOOPcc".
#[test]
fn loops_end_with_their_count_or_their_condition() {
    // MOV ECX, 5; then INC EAX; CMP EAX, 2, and the loop back to INC.
    let counted = |opcode: u8| registers(&[0xb9, 5, 0, 0, 0, 0x40, 0x83, 0xf8, 2, opcode, 0xfa]);
    assert_eq!(counted(0xe2)[..2], [5, 0], "LOOP");
    assert_eq!(counted(0xe1)[..2], [1, 4], "LOOPE: not equal after the first");
    assert_eq!(counted(0xe0)[..2], [2, 3], "LOOPNE: equal after the second");
}

/// Volume 2A, "JMP": with 16-bit operands, EIP has 16 bits afterwards.
#[test]
fn short_targets_wrap_around() {
    // JMP to 0x8000 and to 0x800 bytes before what follows it.
    for (code, target) in [([0x66, 0xe9, 0, 0x80], 0x9004), ([0x66, 0xe9, 0, 0xf8], 0x804)] {
        let mut guest = Guest::new(0, &code);
        guest.put(target, SAYS_DONE);
        assert_eq!(guest.run(), Some(DONE));
        assert_eq!(guest.top::<1>(), [target + 2]);
    }
}

/// Volume 2B, "RET".
#[test]
fn a_return_takes_parameters_off_the_stack() {
    // PUSH 0x11; CALL to the last one; JMP behind it; RET 4.
    let [.., esp, _, _, _] = registers(&[0x6a, 0x11, 0xe8, 2, 0, 0, 0, 0xeb, 3, 0xc2, 4, 0]);
    assert_eq!(esp, STACK - 12, "below it, the frame of the last interrupt");
}

/// Where a run is looked at makes no difference, not even to an instruction that writes over itself.
#[test]
fn a_repeated_instruction_that_changes_itself_is_read_anew() {
    // REP STOSB of NOPs, from 0x1000 on, where it is.
    let ends = |piece: u64| {
        let mut guest = Guest::new(0, &[&[0xf3, 0xaa, 0x40, 0x40], SAYS_DONE].concat());
        let general = &mut guest.0.core.general;
        (general[0], general[1], general[7]) = (0x90, 4, 0x1000);
        for _ in 0..20 {
            let now = guest.0.core.count;
            guest.0.run(now + piece);
        }
        (guest.0.core.general[..8].to_vec(), guest.0.core.eip)
    };
    assert_eq!(ends(1000), ends(1));
    assert_eq!(ends(1000).0[1], 3, "one element was stored");
}

/// Volume 2A, "CMPXCHG8B/CMPXCHG16B".
#[test]
fn eight_bytes_are_exchanged_if_they_are_equal() {
    for (high, left) in [(2, [4, 3]), (5, [1, 2])] {
        let mut guest = Guest::new(0, &[&[0x0f, 0xc7, 0x0d, 0, 0x50, 0, 0], SAYS_DONE].concat());
        guest.put_words(0x5000, &[1, 2]);
        guest.0.core.general[..4].copy_from_slice(&[1, 3, high, 4]);
        assert_eq!(guest.run(), Some(DONE));
        assert_eq!([guest.word(0x5000), guest.word(0x5004)], left);
        assert_eq!((guest.0.core.general[0], guest.0.core.general[2]), (1, 2), "what was there");
        assert_eq!(guest.top::<3>()[2] & 1 << 6 != 0, high == 2);
    }
}
