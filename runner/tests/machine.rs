//! The machine that a guest sees is the same on every backend: what ports answer, what the screen and the keyboard do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;

use stos_tests::backends::unpaged;
use stos_tests::bare::code::{COM1, HALT, exit, in8, out_al, out8, say};
use stos_tests::bare::{BareGuest, ImageFile, command, run, start};
use stos_x86::ports::FAULT_CATCHER;

/// A step of a guest that talks to ports.
enum Step {
    /// Write this byte to this port.
    Out(u16, u8),
    /// Read this port and send the byte on COM1.
    In(u16),
    /// Wait until this port has this bit, and then go on.
    Until(u16, u8),
    /// Read this port and end with status 9 unless it gives this byte.
    Expect(u16, u8),
}
use Step::{Expect, In, Out, Until};

const DATA: u16 = 0x60;
const STATUS: u16 = 0x64;

fn code(steps: &[Step]) -> Vec<u8> {
    let step = |step: &Step| match *step {
        Out(port, byte) => out8(port, byte),
        In(port) => [in8(port), out_al(COM1)].concat(),
        // TEST AL, bit; JZ to the IN.
        Until(port, bit) => [&in8(port)[..], &[0xa8, bit, 0x74, 0xfb]].concat(),
        Expect(port, byte) => {
            let otherwise = exit(9);
            let length = u8::try_from(otherwise.len()).unwrap();
            // CMP AL, byte; JE past the exit.
            [&in8(port)[..], &[0x3c, byte, 0x74, length], &otherwise].concat()
        }
    };
    [steps.iter().flat_map(step).collect(), exit(0)].concat()
}

/// The bytes that a guest reads in `steps` are `expected` on every backend.
fn assert_read(steps: &[Step], expected: &[u8]) {
    let file = ImageFile::new(&BareGuest::new(&code(steps)).image());
    for backend in unpaged() {
        let output = command(&["--backend", backend, "--timeout", "60s"], &file.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{backend}: {output:?}");
        assert_eq!(output.stdout, expected, "{backend}: {:x?} instead of {expected:x?}", output.stdout);
    }
}

#[test]
fn the_keyboard_controller_is_set_up_and_answers_alike() {
    let steps = [
        In(STATUS),
        Out(STATUS, 0x20),
        In(STATUS),
        In(DATA),
        Out(STATUS, 0xaa),
        In(DATA),
        Out(STATUS, 0xab),
        In(DATA),
        // Reset, identify, scan code set, lights, echo, and nonsense.
        Out(DATA, 0xff),
        In(DATA),
        In(DATA),
        Out(DATA, 0xf2),
        In(DATA),
        In(DATA),
        In(DATA),
        Out(DATA, 0xf0),
        In(DATA),
        Out(DATA, 0x00),
        In(DATA),
        In(DATA),
        Out(DATA, 0xed),
        In(DATA),
        Out(DATA, 0x07),
        In(DATA),
        Out(DATA, 0xee),
        In(DATA),
        Out(DATA, 0x12),
        In(DATA),
        // Off, and the mode says so.
        Out(STATUS, 0xad),
        Out(STATUS, 0x20),
        In(DATA),
        Out(STATUS, 0xd0),
        In(DATA),
        // The mouse.
        Out(STATUS, 0xd4),
        Out(DATA, 0xf4),
        In(STATUS),
        In(DATA),
        In(STATUS),
    ];
    let expected = [
        0x1c, 0x1d, 0x65, 0x55, 0x00, 0xfa, 0xaa, 0xfa, 0xab, 0x41, 0xfa, 0xfa, 0x41, 0xfa, 0xfa, 0xee, 0xfe, 0x75,
        0xcf, 0x3d, 0xfa, 0x1c,
    ];
    assert_read(&steps, &expected);
}

#[test]
fn cmos_memory_and_simple_ports_answer_alike() {
    let cmos = [0x06, 0x07, 0x08, 0x09, 0x0b, 0x0d, 0x0f, 0x14, 0x15, 0x16, 0x17, 0x18, 0x30, 0x31, 0x32, 0x34, 0x35];
    let mut steps: Vec<Step> = cmos.into_iter().flat_map(|index| [Out(0x70, index), In(0x71)]).collect();
    let mut expected =
        vec![0x07, 0x01, 0x01, 0x00, 0x02, 0x80, 0x00, 0x06, 0x80, 0x02, 0x00, 0x0c, 0x00, 0x0c, 0x20, 0x00, 0x00];
    for (port, value) in [
        (0xf4, 0),
        (0xf7, 0),
        (COM1 + 4, 0x08),
        (0x70, 0xff),
        (0x80, 0xff),
        (0x92, 0x02),
        (0x1f0, 0),
        (0x1f7, 0),
        (0x3f6, 0),
        (0x177, 0),
    ] {
        steps.push(In(port));
        expected.push(value);
    }
    // No PCI, no COM2, no printer, no sound card.
    for port in [0xcf8, 0xcfc, 0x2f8, 0x378, 0x220] {
        steps.extend([Out(port, 0x5a), In(port)]);
        expected.push(0xff);
    }
    assert_read(&steps, &expected);
}

#[test]
fn without_a_fault_catcher_its_port_is_none() {
    assert_read(&[Out(FAULT_CATCHER, 5), In(FAULT_CATCHER)], &[0xff]);
}

#[test]
fn a_date_is_set_register_by_register() {
    let set = |index, value| [Out(0x70, index), Out(0x71, value)];
    let get = |index| [Out(0x70, index), In(0x71)];
    // The 31st of January, and from there the 10th of February: the month comes first.
    let day_of_january = [set(0x0b, 0x82), set(0x07, 0x31), set(0x0b, 0x02)];
    let steps = day_of_january
        .into_iter()
        .chain([get(0x07), set(0x0b, 0x82), set(0x08, 0x02), get(0x07), set(0x07, 0x10), set(0x0b, 0x02)])
        .chain([get(0x08), get(0x07)])
        .flatten();
    assert_read(&steps.collect::<Vec<Step>>(), &[0x31, 0x31, 0x02, 0x10]);
}

#[test]
fn the_usual_self_test_of_a_uart_passes_while_input_waits() {
    const MODEM_CONTROL: u16 = COM1 + 4;
    const LINE_STATUS: u16 = COM1 + 5;
    let steps = [
        Until(LINE_STATUS, 1),
        Out(MODEM_CONTROL, 0x1e),
        Out(COM1, 0xae),
        Expect(COM1, 0xae),
        Out(MODEM_CONTROL, 0x0f),
        Until(LINE_STATUS, 1),
        In(COM1),
    ];
    let image = ImageFile::new(&BareGuest::new(&code(&steps)).image());
    for backend in unpaged() {
        let mut child = start(backend, &["--timeout", "60s"], &image);
        child.stdin.take().unwrap().write_all(&[b'i'; 40]).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"i"[..]), "{backend}: {output:?}");
    }
}

const FIRST: u16 = 0x20;
const SECOND: u16 = 0xa0;

/// Sets up the interrupt controllers, with nothing masked.
fn set_up_controllers() -> impl Iterator<Item = Step> {
    let initialize = |port, words: [u8; 3]| [Out(port, 0x11)].into_iter().chain(words.map(|word| Out(port + 1, word)));
    initialize(FIRST, [0x20, 0x04, 0x01]).chain(initialize(SECOND, [0x28, 0x02, 0x01]))
}

/// Waits for a request on this line of the second controller, takes it by polling, and ends it.
fn take(line: u8) -> impl Iterator<Item = Step> {
    let bit = 1 << line;
    [Out(SECOND, 0x0a), Until(SECOND, bit), Out(SECOND, 0x0c), Expect(SECOND, 0x80 | line), Out(SECOND, 0x20)]
        .into_iter()
}

#[test]
fn the_clock_interrupts_when_it_is_told_to() {
    // The next one comes only when the clock has been answered.
    let answered = || take(0).chain([Out(0x70, 0x0c), In(0x71)]);
    let steps = set_up_controllers().chain([Out(0x70, 0x0b), Out(0x71, 0x42)]).chain(answered()).chain(answered());
    assert_read(&steps.collect::<Vec<Step>>(), &[0xc0, 0xc0]);
}

#[test]
fn the_mouse_interrupts_when_it_is_told_to() {
    // Mode 0x47: keyboard, mouse and translation on. To the mouse: who are you?
    let ask = [Out(STATUS, 0x60), Out(DATA, 0x47), Out(STATUS, 0xd4), Out(DATA, 0xf2)];
    let answered = || take(4).chain([In(DATA)]);
    let steps = set_up_controllers().chain(ask).chain(answered()).chain(answered());
    assert_read(&steps.collect::<Vec<Step>>(), &[0xfa, 0x00]);
}

/// The scan codes of set 1 of a letter or a space typed on a PC's keyboard, with the shift key around a large letter.
fn scan_codes(letter: u8) -> Vec<u8> {
    const LEFT_SHIFT: u8 = 0x2a;
    const RELEASED: u8 = 0x80;
    let rows: [(u8, &[u8]); 4] = [(0x10, b"qwertyuiop"), (0x1e, b"asdfghjkl"), (0x2c, b"zxcvbnm"), (0x39, b" ")];
    let key = rows.iter().find_map(|(first, row)| {
        let column = row.iter().position(|key| key.eq_ignore_ascii_case(&letter))?;
        Some(first + u8::try_from(column).unwrap())
    });
    let key = key.unwrap();
    if letter.is_ascii_uppercase() {
        vec![LEFT_SHIFT, key, key | RELEASED, LEFT_SHIFT | RELEASED]
    } else {
        vec![key, key | RELEASED]
    }
}

#[test]
fn keys_arrive_as_scan_codes_however_many_they_are() {
    // More than the controller's buffer holds: nothing is lost while the guest is slow.
    let text = "The quick brown fox".repeat(5);
    let expected: Vec<u8> = text.bytes().flat_map(scan_codes).collect();
    let steps: Vec<Step> = expected.iter().flat_map(|_| [Until(STATUS, 1), In(DATA)]).collect();
    let image = ImageFile::new(&BareGuest::new(&code(&steps)).image());
    for backend in unpaged() {
        let mut child = start(backend, &["--keyboard", "ps2", "--timeout", "60s"], &image);
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{backend}: {output:?}");
        assert_eq!(output.stdout, expected, "{backend}: {:x?} instead of {expected:x?}", output.stdout);
    }
}

/// Stores a character and its attribute into a cell of the text memory: `mov word [address], value`.
fn put(cell: u32, character: u8, attribute: u8) -> Vec<u8> {
    [&[0x66, 0xc7, 0x05][..], &(0xb_8000 + 2 * cell).to_le_bytes(), &[character, attribute]].concat()
}

const SHOWN: &str = "--- the guest's screen ---\nhi\n--- end of the screen ---\n";

#[test]
fn the_screen_is_shown_as_asked() {
    let only_screen = BareGuest::new(&[put(0, b'h', 7), put(1, b'i', 7), exit(0)].concat()).image();
    let both = BareGuest::new(&[put(0, b'h', 7), put(1, b'i', 7), say("hello\n"), exit(0)].concat()).image();
    let neither = BareGuest::new(&exit(0)).image();
    let cleared = BareGuest::new(&[put(0, b' ', 7), exit(0)].concat()).image();
    for backend in unpaged() {
        let shows = |image: &[u8], options: &[&str]| run(backend, options, image).stderr.contains(SHOWN);
        assert!(shows(&only_screen, &[]), "{backend}");
        assert!(shows(&only_screen, &["--quiet", "--screen", "final"]), "{backend}");
        // Without a terminal, at the end.
        assert!(shows(&both, &["--screen", "live"]), "{backend}");
        assert!(shows(&both, &["--screen", "final"]), "{backend}");
        assert!(!shows(&both, &[]), "{backend}");
        assert!(!shows(&only_screen, &["--screen", "off"]), "{backend}");
        for blank in [&neither, &cleared] {
            let ended = run(backend, &["--screen", "final"], blank);
            assert!(!ended.stderr.contains("screen"), "{backend}: {}", ended.stderr);
        }
    }
}

#[test]
fn the_screen_of_a_guest_that_fails_is_shown_or_mentioned() {
    let crash = [put(0, b'h', 7), put(1, b'i', 7), HALT.to_vec()].concat();
    let silent = BareGuest::new(&crash).image();
    let talking = BareGuest::new(&[say("hello\n"), crash].concat()).image();
    for backend in unpaged() {
        let ended = run(backend, &[], &silent);
        assert_eq!(ended.status, Some(104), "{backend}: {ended:?}");
        assert!(ended.stderr.contains(SHOWN), "{backend}: {}", ended.stderr);
        let ended = run(backend, &[], &talking);
        assert!(ended.stderr.contains("--screen final shows that"), "{backend}: {}", ended.stderr);
    }
}

#[test]
fn a_picture_of_the_screen_is_written() {
    let image = BareGuest::new(&[put(0, b'h', 7), say("hello\n"), exit(0)].concat()).image();
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("screen.png");
    let mut pictures = Vec::new();
    for backend in unpaged() {
        let ended = run(backend, &["--screen-png", picture.to_str().unwrap()], &image);
        assert_eq!(ended.status, Some(0), "{backend}: {ended:?}");
        pictures.push(std::fs::read(&picture).unwrap());
        let nowhere = folder.path().join("missing/screen.png");
        let ended = run(backend, &["--screen-png", nowhere.to_str().unwrap()], &image);
        assert_eq!(ended.status, Some(74), "{backend}: {ended:?}");
        assert!(ended.stderr.contains("writing the picture of the screen"), "{backend}: {}", ended.stderr);
    }
    assert!(pictures.iter().all(|bytes| bytes.starts_with(b"\x89PNG") && *bytes == pictures[0]));
}

#[test]
fn the_clock_can_be_the_hosts() {
    // The century, in BCD: this host's clock says 20, as does the fixed one, but only the host's year is after 2024.
    let steps = [Out(0x70, 0x0b), Out(0x71, 0x06), Out(0x70, 0x09), In(0x71)];
    let image = BareGuest::new(&code(&steps)).image();
    for backend in unpaged() {
        assert_eq!(run(backend, &[], &image).stdout, "\0", "{backend}");
        let year = run(backend, &["--rtc", "host"], &image).stdout;
        assert!(year.as_bytes()[0] > 24, "{backend}: {year:?}");
    }
}

/// A cheap source of numbers that look random (Marsaglia's xorshift).
fn next(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

#[test]
fn no_sequence_of_port_accesses_breaks_the_runner() {
    let mut state = 0x2545_f491;
    for round in 0..20 {
        let mut code = Vec::new();
        for _ in 0..400 {
            let number = next(&mut state);
            let port = match number % 4 {
                0 => 0x60 + (number >> 8) % 0x33,
                1 => 0x3b0 + (number >> 8) % 0x50,
                _ => (number >> 8) & 0xffff,
            };
            // What ends a guest comes by other tests.
            let port = u16::try_from(port).unwrap();
            if (0xf1..=0xf7).contains(&port) || matches!(port, 0x8f..=0x92 | 0x502..=0x505 | 0x61..=0x64) {
                continue;
            }
            // IN or OUT of 1, 2 or 4 bytes.
            let (access, width): (&[u8], u16) = match number >> 24 & 7 {
                0 | 1 => (&[0xec], 1),
                2 => (&[0x66, 0xed], 2),
                3 => (&[0xed], 4),
                4 | 5 => (&[0xee], 1),
                6 => (&[0x66, 0xef], 2),
                _ => (&[0xef], 4),
            };
            // QEMU dies of an access that goes beyond the last register of its serial port.
            if (COM1..COM1 + 8).contains(&port) && port + width > COM1 + 8 {
                continue;
            }
            // MOV EAX, number; MOV DX, port.
            code.push(0xb8);
            code.extend(next(&mut state).to_le_bytes());
            code.extend([0x66, 0xba]);
            code.extend(port.to_le_bytes());
            code.extend(access);
        }
        code.extend(exit(5));
        let image = BareGuest::new(&code).image();
        for backend in unpaged() {
            let ended = run(backend, &[], &image);
            assert_eq!(ended.status, Some(5), "{backend}, round {round}: {ended:?}");
        }
    }
}
