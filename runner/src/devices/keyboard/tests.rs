//! What drivers do to the keyboard controller.

use super::*;
use crate::terminal::strokes;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the rising edges, which is what an edge-triggered interrupt controller acts on.
#[derive(Clone, Default)]
struct Edges(Arc<AtomicU32>);

impl InterruptLine for Edges {
    fn set(&self, high: bool) {
        self.0.fetch_add(u32::from(high), Ordering::Relaxed);
    }
}

fn controller() -> (Keyboard<Edges>, Edges) {
    let edges = Edges::default();
    (Keyboard::new(edges.clone()), edges)
}

/// Everything that can be read.
fn drain(controller: &mut Keyboard<Edges>) -> Vec<u8> {
    std::iter::from_fn(|| (controller.status() & OUTPUT_FULL != 0).then(|| controller.read())).collect()
}

#[test]
fn keys_interrupt_one_by_one() {
    let (mut controller, edges) = controller();
    controller.press(&strokes(b"a"));
    assert_eq!((controller.status(), edges.0.load(Ordering::Relaxed)), (0x1d, 1));
    assert_eq!(controller.read(), 0x1e);
    assert_eq!((controller.status(), edges.0.load(Ordering::Relaxed)), (0x1d, 2));
    assert_eq!(controller.read(), 0x9e);
    assert_eq!((controller.status(), edges.0.load(Ordering::Relaxed)), (0x1c, 2));
    // Nothing new: the same byte again, and no interrupt.
    assert_eq!((controller.read(), edges.0.load(Ordering::Relaxed)), (0x9e, 2));
}

#[test]
fn a_usual_initialisation_goes_through() {
    let (mut controller, edges) = controller();
    controller.command(0xad);
    controller.command(0xa7);
    controller.command(0x20);
    let mode = controller.read();
    assert_eq!(mode, 0x75);
    controller.command(0x60);
    controller.write(mode & !MODE_INTERRUPT);
    let quiet = edges.0.load(Ordering::Relaxed);
    controller.command(0xaa);
    assert_eq!(drain(&mut controller), [0x55]);
    controller.command(0xab);
    assert_eq!(drain(&mut controller), [0x00]);
    controller.command(0xae);
    controller.write(0xff);
    assert_eq!(drain(&mut controller), [0xfa, 0xaa]);
    assert_eq!(edges.0.load(Ordering::Relaxed), quiet);
    controller.command(0x60);
    controller.write(0x65);
    controller.write(0xf4);
    assert_eq!(drain(&mut controller), [0xfa]);
    assert_eq!(edges.0.load(Ordering::Relaxed), quiet + 1);
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
        let (mut controller, _) = controller();
        assert!(!sent.iter().any(|&byte| controller.write(byte)));
        assert_eq!(drain(&mut controller), answers, "{sent:x?}");
    }
}

#[test]
fn keys_wait_while_the_keyboard_is_off() {
    let (mut controller, _) = controller();
    controller.command(0xad);
    controller.press(&strokes(b"b"));
    assert!(drain(&mut controller).is_empty());
    controller.command(0xae);
    assert_eq!(drain(&mut controller), [0x30, 0xb0]);
    controller.write(0xf5);
    assert_eq!(drain(&mut controller), [0xfa]);
    controller.press(&strokes(b"b"));
    assert!(drain(&mut controller).is_empty());
    controller.write(0xf4);
    assert_eq!(drain(&mut controller), [0xfa, 0x30, 0xb0]);
}

#[test]
fn the_mouse_answers_and_is_told_apart() {
    let (mut controller, edges) = controller();
    controller.command(0xd4);
    controller.write(0xff);
    assert_eq!(controller.status(), 0x3d);
    assert_eq!(drain(&mut controller), [0xfa, 0xaa, 0x00]);
    assert_eq!(edges.0.load(Ordering::Relaxed), 0);
}

#[test]
fn the_reset_line_is_pulsed_by_bit_0() {
    let (mut controller, _) = controller();
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
        let (mut controller, _) = controller();
        for (what, value) in accesses {
            match what {
                0 => _ = controller.command(value),
                1 => _ = controller.write(value),
                2 => controller.press(&strokes(&[value])),
                _ => _ = controller.read(),
            }
            prop_assert!(controller.answers.len() <= ANSWERS);
        }
    }
}
