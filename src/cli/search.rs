//! `search`: runbooks by words, best first. Knows nothing of what a runbook does.

use serde_json::{Value, json};

use super::{
    CliError, Context,
    args::Search,
    error::code,
    list::{row, text},
    print,
};
use crate::{model::Runbook, text::nearest};

/// How much a word counts in each field.
const WEIGHTS: [(&str, u32); 6] = [("name", 20), ("title", 12), ("tag", 10), ("owner", 6), ("summary", 4), ("step", 3)];

pub fn search(context: &Context, flags: &Search) -> Result<u8, CliError> {
    let words: Vec<String> =
        flags.words.iter().flat_map(|word| word.split_whitespace()).map(str::to_lowercase).collect();
    if words.is_empty() {
        return Err(CliError::usage("there is no word to look for"));
    }
    let library = context.library();
    let mut known: Vec<String> = Vec::new();
    let mut found: Vec<(u32, Value)> = Vec::new();
    for name in library.names() {
        let (mut row, runbook) = row(&library, &name);
        let texts = texts(&name, runbook.as_ref());
        if let Some((score, why)) = weigh(&words, &texts) {
            row["score"] = score.into();
            row["why"] = why.into_iter().map(|(field, text)| json!({"field": field, "text": text})).collect();
            found.push((score, row));
        }
        known.extend(texts.iter().flat_map(|(_, text)| parts(text)));
    }
    // Of equals, the order of names stays.
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let rows: Vec<Value> = found.into_iter().map(|(_, row)| row).collect();
    if flags.json {
        print(context, &format!("{}\n", Value::from(rows.clone())))?;
    } else {
        print(context, &text(&rows))?;
    }
    if !rows.is_empty() {
        return Ok(0);
    }
    let missing = words.iter().filter(|word| !known.iter().any(|known| known.contains(word.as_str())));
    let near: Vec<&str> = missing.filter_map(|word| nearest(word, known.iter().map(String::as_str))).collect();
    let error = CliError::new(code::FAILED, format!("no runbook speaks of {}", all(&words)));
    Err(match near.as_slice() {
        [] if words.len() > 1 => error.hint("each word must be found; look for fewer"),
        [] => error.hint("`runsheet list` shows every runbook"),
        near => error.hint(format!("did you mean {}?", all(near))),
    })
}

fn all(words: &[impl AsRef<str>]) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(" and ")
}

/// What can be searched of a runbook; one that is not well made has its name.
fn texts(name: &str, runbook: Option<&Runbook>) -> Vec<(&'static str, String)> {
    let mut texts = vec![("name", name.to_owned())];
    let Some(runbook) = runbook else { return texts };
    texts.push(("title", runbook.title.value.clone()));
    texts.extend(runbook.tags.iter().map(|tag| ("tag", tag.clone())));
    texts.extend(runbook.owner.iter().map(|owner| ("owner", owner.clone())));
    texts.extend(runbook.summary.iter().map(|summary| ("summary", summary.clone())));
    for step in runbook.all_steps() {
        let title = step.title.as_ref().map_or(step.id.value.as_str(), |title| title.source());
        texts.push(("step", title.to_owned()));
    }
    texts
}

/// Every word must be found. A word as it stands counts more than the beginning of one, and that more than a piece.
fn weigh(words: &[String], texts: &[(&'static str, String)]) -> Option<(u32, Vec<(&'static str, String)>)> {
    let mut score = 0;
    let mut why: Vec<(&'static str, String)> = Vec::new();
    for word in words {
        let mut best = 0;
        for (field, text) in texts {
            let lower = text.to_lowercase();
            let factor = if lower == *word || parts(&lower).iter().any(|part| part == word) {
                4
            } else if parts(&lower).iter().any(|part| part.starts_with(word.as_str())) {
                2
            } else if lower.contains(word.as_str()) {
                1
            } else {
                continue;
            };
            let weight = WEIGHTS.iter().find(|(known, _)| known == field).map_or(1, |(_, weight)| *weight);
            best += weight * factor;
            let line = text.lines().find(|line| line.to_lowercase().contains(word)).unwrap_or(text).trim();
            if !why.iter().any(|(known, said)| known == field && said == line) {
                why.push((field, line.to_owned()));
            }
        }
        if best == 0 {
            return None;
        }
        score += best;
    }
    Some((score, why))
}

/// The words of a text.
fn parts(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    words.map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::weigh;

    fn score(words: &[&str], texts: &[(&'static str, &str)]) -> Option<u32> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let texts: Vec<(&str, String)> = texts.iter().map(|(field, text)| (*field, (*text).to_owned())).collect();
        weigh(&words, &texts).map(|(score, _)| score)
    }

    #[test]
    fn whole_words_and_strong_fields_come_first() {
        let whole = score(&["deploy"], &[("name", "tour/deploy")]);
        let beginning = score(&["dep"], &[("name", "tour/deploy")]);
        let piece = score(&["ploy"], &[("name", "tour/deploy")]);
        let weak = score(&["deploy"], &[("step", "Deploy it")]);
        assert!(whole > beginning && beginning > piece && piece > None, "{whole:?} {beginning:?} {piece:?}");
        assert!(whole > weak && weak > None);
        assert_eq!(score(&["deploy", "moon"], &[("name", "tour/deploy")]), None);
        assert!(score(&["tour/deploy"], &[("name", "tour/deploy")]) == whole);
    }
}
