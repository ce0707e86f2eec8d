//! Near misses. Knows nothing of what the words name.

/// More than this many equally near words are no suggestion.
const MOST: usize = 4;

/// The candidate that a writer of `word` most likely meant, if one is near enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    equally_near(word, candidates).into_iter().next()
}

/// As a hint says it: "did you mean `title`?", with every candidate that is as near as the nearest.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    one_of(&equally_near(word, candidates))
}

/// "did you mean `a` or `b`?"; nothing for no words.
pub fn one_of(words: &[&str]) -> Option<String> {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let list = match quoted.as_slice() {
        [] => return None,
        [only] => only.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    };
    Some(format!("did you mean {list}?"))
}

/// The candidates that one and the same small number of slips turns into `word`, in their order.
pub fn equally_near<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let folded = fold(word);
    let length = word.chars().count();
    let mut best = usize::MAX;
    let mut near: Vec<&str> = Vec::new();
    for candidate in candidates {
        // One slip in a short word, about one in three characters of a long one.
        let allowed = (candidate.chars().count().max(length) / 3).max(1);
        // Nothing is nearer than the difference in length, which costs nothing to know.
        if candidate == word || candidate.chars().count().abs_diff(length) > allowed.min(best) {
            continue;
        }
        let distance = strsim::osa_distance(&folded, &fold(candidate));
        // A word that shares no letter is no slip, however short both are.
        if distance > allowed || distance > best || distance >= candidate.chars().count().max(length) {
            continue;
        }
        if distance < best {
            near.clear();
            best = distance;
        }
        if !near.contains(&candidate) {
            near.push(candidate);
        }
    }
    // Far from a word there are many others, and none of them was meant.
    if near.len() > MOST && best > 1 {
        return Vec::new();
    }
    near.truncate(MOST);
    near
}

/// Whether one word is so near to another that it can hardly mean anything else.
pub fn is_slip(word: &str, of: &str) -> bool {
    strsim::osa_distance(&fold(word), &fold(of)) <= 1 + word.chars().count() / 7
}

fn fold(word: &str) -> String {
    word.to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses() {
        assert_eq!(nearest("tilte", ["title", "text", "id"]), Some("title"));
        assert_eq!(nearest("Shell", ["shell", "http"]), Some("shell"));
        assert_eq!(nearest("on-failure", ["on_failure", "retry"]), Some("on_failure"));
        assert_eq!(nearest("frobnicate", ["title", "text"]), None);
    }

    #[test]
    fn what_is_equally_near_is_said_together() {
        assert_eq!(did_you_mean("mix", ["min", "max", "items"]).unwrap(), "did you mean `min` or `max`?");
        assert_eq!(did_you_mean("tilte", ["title", "text", "title"]).unwrap(), "did you mean `title`?");
        assert_eq!(did_you_mean("max", ["max"]), None);
    }
}
