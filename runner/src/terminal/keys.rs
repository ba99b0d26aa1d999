//! From what a terminal sends to what a US keyboard's keys do.

use stos_machine::devices::i8042::ScanCode;

/// Scan codes of set 1.
mod code {
    pub const ESCAPE: u8 = 0x01;
    pub const BACKSPACE: u8 = 0x0e;
    pub const TAB: u8 = 0x0f;
    pub const ENTER: u8 = 0x1c;
    pub const CONTROL: u8 = 0x1d;
    pub const SHIFT: u8 = 0x2a;
    pub const SPACE: u8 = 0x39;
    pub const HOME: u8 = 0x47;
    pub const UP: u8 = 0x48;
    pub const PAGE_UP: u8 = 0x49;
    pub const LEFT: u8 = 0x4b;
    pub const RIGHT: u8 = 0x4d;
    pub const END: u8 = 0x4f;
    pub const DOWN: u8 = 0x50;
    pub const PAGE_DOWN: u8 = 0x51;
    pub const INSERT: u8 = 0x52;
    pub const DELETE: u8 = 0x53;
}

/// The rows of a US keyboard: the code of the leftmost key, what the keys type, and what they type with shift.
const ROWS: [(u8, &[u8], &[u8]); 6] = [
    (0x02, b"1234567890-=", b"!@#$%^&*()_+"),
    (0x10, b"qwertyuiop[]", b"QWERTYUIOP{}"),
    (0x1e, b"asdfghjkl;'`", b"ASDFGHJKL:\"~"),
    (0x2b, b"\\", b"|"),
    (0x2c, b"zxcvbnm,./", b"ZXCVBNM<>?"),
    (code::SPACE, b" ", b""),
];

/// A key and the keys that are held with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    code: u8,
    extended: bool,
    shift: bool,
    control: bool,
}

impl Key {
    const fn plain(code: u8) -> Self {
        Self { code, extended: false, shift: false, control: false }
    }

    const fn extended(code: u8) -> Self {
        Self { extended: true, ..Self::plain(code) }
    }
}

/// What one has to do on a keyboard to type `text`, which may hold the sequences that terminals send for keys without a
/// character. What no key types is left out.
pub fn scan_codes(text: &[u8]) -> Vec<ScanCode> {
    let mut codes = Vec::new();
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let (key, used) = match special_key(rest) {
            Some((key, length)) => (key, length),
            None => (character_key(first), 1),
        };
        rest = rest.get(used..).unwrap_or(after);
        if let Some(key) = key {
            press(key, &mut codes);
        }
    }
    codes
}

fn press(key: Key, codes: &mut Vec<ScanCode>) {
    let held = [(key.control, code::CONTROL), (key.shift, code::SHIFT)];
    let held = || held.into_iter().filter_map(|(is_held, code)| is_held.then_some(code));
    let plain = |code, pressed| ScanCode { code, extended: false, pressed };
    codes.extend(held().map(|code| plain(code, true)));
    codes.extend([true, false].map(|pressed| ScanCode { code: key.code, extended: key.extended, pressed }));
    codes.extend(held().map(|code| plain(code, false)));
}

/// The key that types `byte`.
fn character_key(byte: u8) -> Option<Key> {
    let on_keyboard = |byte: u8| {
        ROWS.iter().find_map(|(leftmost, plain, shifted)| {
            let at = |row: &[u8]| row.iter().position(|&typed| typed == byte);
            let (place, shift) = at(plain).map(|place| (place, false)).or_else(|| Some((at(shifted)?, true)))?;
            Some(Key { shift, ..Key::plain(leftmost + u8::try_from(place).ok()?) })
        })
    };
    match byte {
        b'\r' | b'\n' => Some(Key::plain(code::ENTER)),
        b'\t' => Some(Key::plain(code::TAB)),
        0x1b => Some(Key::plain(code::ESCAPE)),
        0x08 | 0x7f => Some(Key::plain(code::BACKSPACE)),
        0x01..=0x1a => on_keyboard(byte + b'a' - 1).map(|key| Key { control: true, ..key }),
        0x1c..=0x1d => on_keyboard(byte + b'@').map(|key| Key { control: true, ..key }),
        _ => on_keyboard(byte),
    }
}

/// The key whose sequence `text` begins with, and the sequence's length. Sequences of unknown keys have none. ESC alone is
/// the escape key: terminals send a sequence in one piece.
fn special_key(text: &[u8]) -> Option<(Option<Key>, usize)> {
    let [0x1b, b'[' | b'O', parameters @ ..] = text else { return None };
    let length = parameters.iter().position(|byte| (0x40..=0x7e).contains(byte))?;
    let last = *parameters.get(length)?;
    let code = match (last, parameters.get(..length)?) {
        (b'A', _) => Some(code::UP),
        (b'B', _) => Some(code::DOWN),
        (b'C', _) => Some(code::RIGHT),
        (b'D', _) => Some(code::LEFT),
        (b'H', _) | (b'~', b"1" | b"7") => Some(code::HOME),
        (b'F', _) | (b'~', b"4" | b"8") => Some(code::END),
        (b'~', b"2") => Some(code::INSERT),
        (b'~', b"3") => Some(code::DELETE),
        (b'~', b"5") => Some(code::PAGE_UP),
        (b'~', b"6") => Some(code::PAGE_DOWN),
        _ => None,
    };
    Some((code.map(Key::extended), length + 3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(text: &[u8]) -> Vec<u8> {
        scan_codes(text).into_iter().flat_map(ScanCode::bytes).collect()
    }

    #[test]
    fn keys_go_down_and_up() {
        assert_eq!(bytes(b"a1 "), [0x1e, 0x9e, 0x02, 0x82, 0x39, 0xb9]);
        assert_eq!(bytes(b"\r\n\x7f\t"), [0x1c, 0x9c, 0x1c, 0x9c, 0x0e, 0x8e, 0x0f, 0x8f]);
    }

    #[test]
    fn shift_and_control_are_held() {
        assert_eq!(bytes(b"A"), [0x2a, 0x1e, 0x9e, 0xaa]);
        assert_eq!(bytes(b"?"), [0x2a, 0x35, 0xb5, 0xaa]);
        assert_eq!(bytes(b"~"), [0x2a, 0x29, 0xa9, 0xaa]);
        assert_eq!(bytes(b"\x03"), [0x1d, 0x2e, 0xae, 0x9d]);
    }

    #[test]
    fn arrows_are_extended_keys() {
        assert_eq!(bytes(b"\x1b[A\x1bOD"), [0xe0, 0x48, 0xe0, 0xc8, 0xe0, 0x4b, 0xe0, 0xcb]);
        assert_eq!(bytes(b"\x1b[3~x"), [0xe0, 0x53, 0xe0, 0xd3, 0x2d, 0xad]);
        // Escape alone, and a sequence that no key here has.
        assert_eq!(bytes(b"\x1b"), [0x01, 0x81]);
        assert_eq!(bytes(b"\x1b[15~x"), [0x2d, 0xad]);
    }

    #[test]
    fn every_printable_character_has_a_key_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for byte in b' '..=b'~' {
            assert!(seen.insert(bytes(&[byte])), "{:?}", char::from(byte));
        }
        assert!(!seen.contains(&Vec::new()));
    }

    proptest! {
        #[test]
        fn whatever_is_typed_every_key_is_released(text in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut down = std::collections::BTreeSet::new();
            for code in scan_codes(&text) {
                if code.pressed {
                    prop_assert!(down.insert(code.number()));
                } else {
                    prop_assert!(down.remove(&code.number()));
                }
            }
            prop_assert!(down.is_empty());
        }
    }
}
