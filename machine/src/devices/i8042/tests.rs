//! The promises of the keyboard controller.

use proptest::prelude::*;

use super::ScanCode;
use super::controller::{ANSWERS, I8042, MODE_INTERRUPT, MODE_MOUSE_INTERRUPT, MODE_START, OUTPUT_FULL};

/// What the key with this code of set 1 does when it is typed.
fn typed(code: u8) -> [ScanCode; 2] {
    [true, false].map(|pressed| ScanCode { code, extended: false, pressed })
}

/// Everything that can be read.
fn drain(controller: &mut I8042) -> Vec<u8> {
    std::iter::from_fn(|| (controller.status() & OUTPUT_FULL != 0).then(|| controller.read())).collect()
}

#[test]
fn firmware_has_read_the_keyboards_last_answer() {
    let mut controller = I8042::default();
    assert_eq!([0; 3].map(|_| (controller.status(), controller.read())), [(0x1c, 0xfa); 3]);
    assert_eq!(controller.keyboard.take_rises(), 0);
}

#[test]
fn keys_interrupt_one_by_one() {
    let mut controller = I8042::default();
    controller.press(&typed(0x1e));
    assert_eq!((controller.status(), controller.keyboard.take_rises()), (0x1d, 1));
    assert_eq!(controller.read(), 0x1e);
    assert_eq!((controller.status(), controller.keyboard.take_rises()), (0x1d, 1));
    assert_eq!(controller.read(), 0x9e);
    assert_eq!((controller.status(), controller.keyboard.take_rises()), (0x1c, 0));
    // Nothing new: the same byte again, and no interrupt.
    assert_eq!((controller.read(), controller.keyboard.take_rises()), (0x9e, 0));
}

#[test]
fn a_usual_initialisation_goes_through() {
    let mut controller = I8042::default();
    controller.command(0xad);
    controller.command(0xa7);
    controller.command(0x20);
    let mode = controller.read();
    assert_eq!(mode, 0x75);
    controller.command(0x60);
    controller.write(mode & !MODE_INTERRUPT);
    controller.keyboard.take_rises();
    controller.command(0xaa);
    assert_eq!(drain(&mut controller), [0x55]);
    controller.command(0xab);
    assert_eq!(drain(&mut controller), [0x00]);
    controller.command(0xae);
    controller.write(0xff);
    assert_eq!(drain(&mut controller), [0xfa, 0xaa]);
    assert_eq!(controller.keyboard.take_rises(), 0);
    controller.command(0x60);
    controller.write(0x65);
    controller.write(0xf4);
    assert_eq!(drain(&mut controller), [0xfa]);
    assert_eq!(controller.keyboard.take_rises(), 1);
}

#[test]
fn the_keyboard_answers_its_commands() {
    for (sent, answers) in [
        (&[0xed, 0x07][..], &[0xfa, 0xfa][..]),
        (&[0xee], &[0xee]),
        (&[0xf0, 0x00], &[0xfa, 0xfa, 0x41]),
        (&[0xf0, 0x01], &[0xfa, 0xfa]),
        (&[0xf2], &[0xfa, 0xab, 0x41]),
        (&[0xf3, 0x20], &[0xfa, 0xfa]),
        (&[0xf6], &[0xfa]),
        (&[0x12], &[0xfe]),
    ] {
        let mut controller = I8042::default();
        assert!(!sent.iter().any(|&byte| controller.write(byte)));
        assert_eq!(drain(&mut controller), answers, "{sent:x?}");
    }
}

#[test]
fn keys_wait_while_the_keyboard_is_off() {
    let mut controller = I8042::default();
    controller.command(0xad);
    controller.press(&typed(0x30));
    assert!(drain(&mut controller).is_empty());
    controller.command(0xae);
    assert_eq!(drain(&mut controller), [0x30, 0xb0]);
    controller.write(0xf5);
    assert_eq!(drain(&mut controller), [0xfa]);
    controller.press(&typed(0x30));
    assert!(drain(&mut controller).is_empty());
    controller.write(0xf4);
    assert_eq!(drain(&mut controller), [0xfa, 0x30, 0xb0]);
}

#[test]
fn bytes_of_the_mouse_interrupt_on_a_line_of_their_own() {
    let mut controller = I8042::default();
    let mut ask = |mode| {
        controller.command(0x60);
        controller.write(mode);
        controller.command(0xd4);
        controller.write(0xf2);
        (drain(&mut controller), controller.mouse.take_rises())
    };
    assert_eq!(ask(MODE_START), (vec![0xfa, 0x00], 0));
    assert_eq!(ask(MODE_START | MODE_MOUSE_INTERRUPT), (vec![0xfa, 0x00], 2));
    assert_eq!(controller.keyboard.take_rises(), 0);
}

#[test]
fn the_mouse_answers_and_is_told_apart() {
    let mut controller = I8042::default();
    controller.command(0xd4);
    controller.write(0xff);
    assert_eq!(controller.status(), 0x3d);
    assert_eq!(drain(&mut controller), [0xfa, 0xaa, 0x00]);
    assert_eq!(controller.keyboard.take_rises(), 0);
}

#[test]
fn the_reset_line_is_pulsed_by_bit_0() {
    let mut controller = I8042::default();
    assert!(controller.command(0xfe) && controller.command(0xf0));
    assert!(!controller.command(0xff) && !controller.command(0xfd));
    controller.command(0xd1);
    assert!(!controller.write(0xdf));
    controller.command(0xd1);
    assert!(controller.write(0xfe));
}

proptest! {
    #[test]
    fn nothing_that_a_guest_writes_does_harm(
        accesses in prop::collection::vec((0..4_u8, any::<u8>()), 0..500)
    ) {
        let mut controller = I8042::default();
        for (what, value) in accesses {
            match what {
                0 => _ = controller.command(value),
                1 => _ = controller.write(value),
                2 => controller.press(&typed(value & 0x7f)),
                _ => _ = controller.read(),
            }
            prop_assert!(controller.answers.len() <= ANSWERS);
        }
    }
}
