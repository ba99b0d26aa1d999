//! What a guest must print.

/// What the flood guest prints when it is to print `bytes` bytes.
pub fn flood(bytes: usize) -> String {
    let mut state = 1_u32;
    let letter = |column: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Six bits, from the space on.
        if column.is_multiple_of(64) { '\n' } else { char::from(b' ' + state.to_be_bytes()[0] / 4) }
    };
    (1..=bytes).map(letter).collect()
}

/// What a text must be.
#[derive(Clone, Debug)]
pub enum Text {
    /// Exactly this.
    Exactly(String),
    /// As many bytes of [`flood`].
    Flood(usize),
    /// Each of the first in this order, and none of the second anywhere.
    With(&'static [&'static str], &'static [&'static str]),
}

impl Text {
    /// What is wrong with `found`.
    pub fn mistakes(&self, found: &str) -> Vec<String> {
        let mut mistakes = Vec::new();
        match self {
            Self::Exactly(expected) if found != expected => mistakes.push(format!("expected exactly {expected:?}")),
            Self::Flood(bytes) if found != flood(*bytes) => {
                mistakes.push(format!("{} bytes that are not the {bytes} printed", found.len()));
            }
            Self::Exactly(_) | Self::Flood(_) => {}
            Self::With(expected, forbidden) => {
                let mut rest = found;
                for text in *expected {
                    match rest.split_once(text) {
                        Some((_, after)) => rest = after,
                        None => mistakes.push(format!("{text:?} is missing, or out of order")),
                    }
                }
                let seen = forbidden.iter().filter(|text| found.contains(**text));
                mistakes.extend(seen.map(|text| format!("{text:?} must not appear")));
            }
        }
        mistakes
    }
}
