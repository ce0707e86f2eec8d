//! Near misses. Knows nothing of what the words name.

/// The candidate that a writer of `word` most likely meant, if one is near enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = word.to_lowercase().replace('_', "-");
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| (strsim::osa_distance(&folded, &candidate.to_lowercase().replace('_', "-")), candidate))
        // One slip in a short word, about one in three characters of a long one.
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(word.chars().count()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn near_misses() {
        assert_eq!(nearest("tilte", ["title", "text", "id"]), Some("title"));
        assert_eq!(nearest("Shell", ["shell", "http"]), Some("shell"));
        assert_eq!(nearest("on-failure", ["on_failure", "retry"]), Some("on_failure"));
        assert_eq!(nearest("frobnicate", ["title", "text"]), None);
    }
}
