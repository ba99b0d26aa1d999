//! Code page 437: the characters that a PC's display adapter has.

/// Characters 0x00 to 0x1F, which a display adapter draws instead of obeying.
const LOW: &str = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
/// Characters 0x80 to 0xFF.
const HIGH: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»\
    ░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
    αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The character that `byte` shows.
pub fn character(byte: u8) -> char {
    match byte {
        0x00..=0x1f => LOW.chars().nth(byte.into()).unwrap_or(' '),
        0x20..=0x7e => char::from(byte),
        0x7f => '⌂',
        // A space that does not break is a space on a screen.
        0xff => ' ',
        _ => HIGH.chars().nth(usize::from(byte) - 0x80).unwrap_or(' '),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_character() {
        assert_eq!((LOW.chars().count(), HIGH.chars().count()), (32, 128));
        let expected = [(0x00, ' '), (0x01, '☺'), (0x41, 'A'), (0x7f, '⌂'), (0x80, 'Ç'), (0xb0, '░'), (0xc4, '─')];
        for (byte, shown) in expected.into_iter().chain([(0xdb, '█'), (0xe1, 'ß'), (0xfe, '■'), (0xff, ' ')]) {
            assert_eq!(character(byte), shown, "{byte:#x}");
        }
        let different: std::collections::BTreeSet<char> = (0..=u8::MAX).map(character).collect();
        // Three of them look like a space.
        assert_eq!(different.len(), 254);
    }
}
