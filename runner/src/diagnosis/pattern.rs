//! What bytes look like that were written where they do not belong.

use stos_image::{Permissions, RegionKind};

use super::place::shorten;
use super::scene::Scene;

/// Fewest characters that make a text.
const TEXT: usize = 4;
/// Longest text that is shown.
const TEXT_SHOWN: usize = 40;
/// Bytes that are shown of what looks like nothing.
const SHOWN: usize = 8;
/// Fewest code addresses that look like a stack.
const ADDRESSES: usize = 2;

/// What bytes look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// All of them are this one.
    Same(u8),
    /// Addresses inside functions are among them, as on a stack.
    Stack {
        /// How many.
        addresses: usize,
        /// The function that most of them are in, and how many.
        most: (String, usize),
    },
    /// A text.
    Text(String),
    /// These, and maybe more.
    Bytes(Vec<u8>),
}

impl Pattern {
    /// That of `bytes`, which lie at a multiple of four.
    pub fn of(scene: &Scene<'_>, bytes: &[u8]) -> Self {
        if let Some((&first, rest)) = bytes.split_first()
            && bytes.len() >= SHOWN
            && rest.iter().all(|&byte| byte == first)
        {
            return Self::Same(first);
        }
        stack(scene, bytes)
            .or_else(|| text(bytes))
            .unwrap_or_else(|| Self::Bytes(bytes.iter().copied().take(SHOWN).collect()))
    }

    /// In words, with what was there before.
    pub fn describe(&self, was: &[u8]) -> String {
        match self {
            Self::Same(0) => "it is all zeros now".to_owned(),
            Self::Same(byte) => format!("every byte is {byte:#04x} now"),
            Self::Stack { addresses, most: (name, most) } => {
                format!(
                    "it holds {addresses} addresses inside functions now, {most} of them in {name}, as a stack does"
                )
            }
            Self::Text(text) => format!("it holds the text {text:?} now"),
            Self::Bytes(bytes) => format!("it is {} now, and was {}", hexadecimal(bytes), hexadecimal(was)),
        }
    }
}

/// Bytes as digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<String>>().join(" ")
}

/// Words that are addresses inside functions, as calls leave them on a stack.
fn stack(scene: &Scene<'_>, bytes: &[u8]) -> Option<Pattern> {
    let (words, _) = bytes.as_chunks::<4>();
    let mut functions: Vec<(String, usize)> = Vec::new();
    let mut last: Option<(u32, usize)> = None;
    for word in words.iter().map(|word| u32::from_le_bytes(*word)) {
        let index = match last {
            Some((address, index)) if address == word => index,
            _ => {
                let Some(name) = function(scene, word) else { continue };
                functions.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                    functions.push((name, 0));
                    functions.len() - 1
                })
            }
        };
        last = Some((word, index));
        functions[index].1 += 1;
    }
    let addresses = functions.iter().map(|(_, count)| count).sum();
    let most = functions.into_iter().max_by_key(|(_, count)| *count)?;
    (addresses >= ADDRESSES).then_some(Pattern::Stack { addresses, most })
}

/// The function that `address` lies in, behind its beginning.
fn function(scene: &Scene<'_>, address: u32) -> Option<String> {
    let (symbol, _) = scene.guest.symbols.find(address).filter(|(_, offset)| *offset != 0)?;
    let region = scene.region(address)?;
    let is_code = region.permissions.contains(Permissions::EXECUTE);
    (is_code && matches!(region.kind, RegionKind::Kernel | RegionKind::Module))
        .then(|| format!("`{}`", shorten(&symbol.shown_name())))
}

/// A text that the bytes begin with and that is most of them, zeros at its end aside.
fn text(bytes: &[u8]) -> Option<Pattern> {
    let end = bytes.iter().rposition(|&byte| byte != 0)? + 1;
    let is_text = |&byte: &u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
    let text = &bytes[..end];
    if text.len() < TEXT || !text.iter().all(is_text) {
        return None;
    }
    let shown = String::from_utf8_lossy(&text[..end.min(TEXT_SHOWN)]).into_owned();
    Some(Pattern::Text(if end > TEXT_SHOWN { shown + "..." } else { shown }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;

    fn told(bytes: &[u8]) -> String {
        let case = Case::new(FaultRecord::default())
            .with_symbol(0x1000, 0x100, "depth")
            .with_symbol(0x1100, 0x100, "main")
            .with_symbol(0x2000, 0x100, "table")
            .with_region(0x1000, 0x200, RegionKind::Kernel, 5, "kernel .text")
            .with_region(0x2000, 0x200, RegionKind::Kernel, 4, "kernel .rodata");
        Pattern::of(&case.scene(), bytes).describe(&[0x55, 0x89])
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn bytes_are_told_by_what_they_look_like() {
        assert_eq!(told(&[0; 16]), "it is all zeros now");
        assert_eq!(told(&[0xcc; 16]), "every byte is 0xcc now");
        assert_eq!(told(b"Hello, world\n\0\0\0"), "it holds the text \"Hello, world\\n\" now");
        assert_eq!(told(&[1, 2]), "it is 01 02 now, and was 55 89");
        assert_eq!(told(&[0; 2]), "it is 00 00 now, and was 55 89", "too few to be a pattern");
        assert_eq!(told(b"ab"), "it is 61 62 now, and was 55 89");
    }

    #[test]
    fn addresses_inside_functions_look_like_a_stack() {
        assert_eq!(
            told(&words(&[7, 0x1010, 0, 0x1010, 0x1110, 0x8000])),
            "it holds 3 addresses inside functions now, 2 of them in `depth`, as a stack does"
        );
        for other in [&[0x1010, 7, 9][..], &[0x1000, 0x1100], &[0x2010, 0x2014], &[0x5000, 0x5004]] {
            assert!(told(&words(other)).starts_with("it is "), "{other:x?}");
        }
    }
}
