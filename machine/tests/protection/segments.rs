//! What programs hear of segments, and which they keep (Intel SDM volume 3A, sections 5.8 and 5.10).

use crate::guest::{CODE, DONE, Guest, KERNEL_CODE, KERNEL_DATA, SAYS_DONE, STACK, USER_CODE, USER_DATA};

const ZERO: u32 = 1 << 6;

/// EAX, and whether ZF is set, after `code` at this privilege with these in EAX and EBX.
fn asked(level: u16, code: &[u8], eax: u16, ebx: u16) -> (u32, bool) {
    let mut guest = Guest::new(level, &[code, SAYS_DONE].concat());
    (guest.0.core.general[0], guest.0.core.general[3]) = (eax.into(), ebx.into());
    assert_eq!(guest.run(), Some(DONE));
    // The flags are in the frame.
    (guest.0.core.general[0], guest.top::<3>()[2] & ZERO != 0)
}

/// Volume 2A, "LAR" and "LSL".
#[test]
fn a_program_is_not_told_of_the_kernels_segments() {
    const LAR: &[u8] = &[0x0f, 0x02, 0xc3];
    const LSL: &[u8] = &[0x0f, 0x03, 0xc3];
    assert_eq!(asked(3, LAR, 1, KERNEL_DATA), (1, false));
    assert_eq!(asked(3, LAR, 1, USER_DATA), (0x00c0_f300, true));
    assert_eq!(asked(0, LAR, 1, KERNEL_DATA), (0x00c0_9300, true));
    assert_eq!(asked(0, LAR, 1, KERNEL_DATA | 3), (1, false), "RPL counts, too");
    assert_eq!(asked(3, LSL, 1, USER_DATA), (u32::MAX, true));
    assert_eq!(asked(3, LSL, 1, KERNEL_DATA), (1, false));
}

/// Volume 2D, "VERR/VERW".
#[test]
fn code_can_be_read_and_not_written() {
    const VERR: &[u8] = &[0x0f, 0x00, 0xe3];
    const VERW: &[u8] = &[0x0f, 0x00, 0xeb];
    for (selector, readable, writable) in
        [(USER_CODE, true, false), (USER_DATA, true, true), (KERNEL_CODE, false, false)]
    {
        assert_eq!(asked(3, VERR, 0, selector).1, readable, "{selector:#x}");
        assert_eq!(asked(3, VERW, 0, selector).1, writable, "{selector:#x}");
    }
}

/// Volume 2A, "ARPL".
#[test]
fn a_selector_gets_the_callers_privilege() {
    const ARPL: &[u8] = &[0x63, 0xd8];
    assert_eq!(asked(3, ARPL, 0x10, 0x1b), (0x13, true));
    assert_eq!(asked(3, ARPL, 0x13, 0x18), (0x13, false));
}

/// Section 5.8.6.
#[test]
fn a_program_does_not_keep_the_kernels_data_segments() {
    // PUSH USER_DATA; PUSH STACK; PUSH 2; PUSH USER_CODE; PUSH CODE + 0x20; IRET.
    let returns = [0x6a, 0x23, 0x68, 0, 0x60, 0, 0, 0x6a, 2, 0x6a, 0x1b, 0x68, 0x20, 0x10, 0, 0, 0xcf];
    let mut guest = Guest::new(0, &returns);
    guest.put(CODE + 0x20, SAYS_DONE);
    // FS is for everybody.
    guest.0.core.segments[4] = stos_machine::state::segment::Hidden::new(&stos_x86::segments::Segment::flat(
        USER_DATA,
        stos_x86::segments::Segment::DATA_ACCESS | 0x60,
    ));
    assert_eq!(guest.run(), Some(DONE));
    let selectors = [0, 3, 4, 5].map(|register: usize| guest.0.core.segments[register].selector);
    assert_eq!(selectors, [0, 0, USER_DATA, 0]);
    assert_eq!(guest.top::<5>()[3..], [STACK, USER_DATA.into()]);
}

/// Volume 2B, "SYSENTER": selectors are counted on from `IA32_SYSENTER_CS`, in 16 bits.
#[test]
fn the_selectors_of_sysenter_and_sysexit_wrap_around() {
    for (code, cpl, selectors) in [(&[0x0f, 0x34, 0xf4], 0, [0xfff8, 0]), (&[0x0f, 0x35, 0xf4], 3, [0x0b, 0x13])] {
        let mut guest = Guest::new(0, code);
        let core = &mut guest.0.core;
        (core.model.sysenter_cs, core.model.sysenter_esp, core.model.sysenter_eip) = (0xfff8, STACK, CODE + 2);
        (core.general[1], core.general[2]) = (STACK, CODE + 2);
        guest.0.run(1);
        let core = &guest.0.core;
        assert_eq!((core.cpl, [1, 2].map(|register: usize| core.segments[register].selector)), (cpl, selectors));
    }
}
