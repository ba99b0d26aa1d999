//! Guesses which word was meant.

/// The word of `words` that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let length = word.chars().count();
    words
        .iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= 1 + candidate.len() / 4)
        .map(|&candidate| (strsim::damerau_levenshtein(&word.to_lowercase(), candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}
