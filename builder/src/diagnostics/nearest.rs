//! Guesses which word was meant.

/// The word of `words` that `word` was probably meant to be, whatever the case of their letters.
pub fn nearest<'a>(word: &str, words: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let length = word.chars().count();
    words
        .iter()
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= 1 + candidate.len() / 4)
        .map(|&candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        // Of two that differ in case alone, the one that is written more like it.
        .min_by_key(|(distance, candidate)| (*distance, strsim::damerau_levenshtein(word, candidate), *candidate))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_case_of_letters_is_no_difference_between_words() {
        assert_eq!(nearest("NAMR", &["name", "memory"]), Some("name"));
        assert_eq!(nearest("4mb", &["4KiB", "4MiB"]), Some("4MiB"));
        assert_eq!(nearest("kernel_main", &["KERNEL_MAIN"]), Some("KERNEL_MAIN"));
        assert_eq!(nearest("Starr", &["START", "Start", "start"]), Some("Start"));
        assert_eq!(nearest("cmdline", &["CMDLINE_OF_LINUX", "run"]), None);
    }
}
