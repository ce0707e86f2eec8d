//! Two texts beside each other, line by line, with the words that are not alike marked. Knows nothing of what they say.

use crate::plan::edits::{Edit, edits};

/// A line of either text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkedLine {
    pub edit: Edit,
    /// Put together, the line; those that are marked are not in the other text.
    pub pieces: Vec<(bool, String)>,
}

/// Lines that stayed are shown around changes, no more of them than this on each side.
const AROUND: usize = 2;

/// More lines than this in a row are another text.
const PAIRED: usize = 100;

/// Where less than this share of the words of two lines is alike, they are two lines, and nothing in them is marked.
const ALIKE: f64 = 0.3;

/// What went and what came, each line with what changed in it.
pub fn marked(old: Option<&str>, new: Option<&str>) -> Vec<MarkedLine> {
    let old: Vec<&str> = old.unwrap_or_default().lines().collect();
    let new: Vec<&str> = new.unwrap_or_default().lines().collect();
    let all = edits(&old, &new);
    let mut lines = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let run = |edit: Edit, from: usize| all[from..].iter().take_while(|(of, _)| *of == edit).count();
        let kept = run(Edit::Kept, at);
        if kept > 0 {
            let before = if at == 0 { 0 } else { AROUND };
            let after = if at + kept == all.len() { 0 } else { AROUND };
            let shown = |index: usize| index < before || index + after >= kept;
            let mut left_out = false;
            for (index, (_, line)) in all[at..at + kept].iter().enumerate() {
                if shown(index) {
                    lines.push(plain(Edit::Kept, line));
                } else if !left_out {
                    left_out = true;
                    if at > 0 && at + kept < all.len() {
                        lines.push(plain(Edit::Kept, "…"));
                    }
                }
            }
            at += kept;
            continue;
        }
        let removed = run(Edit::Removed, at);
        let added = run(Edit::Added, at + removed);
        let (gone, came) = (&all[at..at + removed], &all[at + removed..at + removed + added]);
        if removed == added && removed <= PAIRED {
            let pairs: Vec<_> = gone.iter().zip(came).map(|((_, a), (_, b))| pair(a, b)).collect();
            lines.extend(pairs.iter().map(|(a, _)| a.clone()));
            lines.extend(pairs.into_iter().map(|(_, b)| b));
        } else {
            lines.extend(gone.iter().map(|(_, line)| plain(Edit::Removed, line)));
            lines.extend(came.iter().map(|(_, line)| plain(Edit::Added, line)));
        }
        at += removed + added;
    }
    lines
}

fn plain(edit: Edit, line: &str) -> MarkedLine {
    MarkedLine { edit, pieces: vec![(false, line.to_owned())] }
}

/// A line that took the place of another.
fn pair(old: &str, new: &str) -> (MarkedLine, MarkedLine) {
    let (a, b) = (words(old), words(new));
    let all = edits(&a, &b);
    let solid = |(edit, word): &&(Edit, &&str)| *edit == Edit::Kept && !word.trim().is_empty();
    let kept = all.iter().filter(solid).count();
    let most = |words: &[&str]| words.iter().filter(|word| !word.trim().is_empty()).count();
    #[expect(clippy::cast_precision_loss, reason = "words of one line")]
    let share = kept as f64 / most(&a).max(most(&b)).max(1) as f64;
    if share < ALIKE {
        return (plain(Edit::Removed, old), plain(Edit::Added, new));
    }
    let side = |own: Edit| {
        let mut pieces: Vec<(bool, String)> = Vec::new();
        for (edit, word) in all.iter().filter(|(edit, _)| *edit == own || *edit == Edit::Kept) {
            let marked = *edit == own;
            match pieces.last_mut() {
                Some((last, text)) if *last == marked => text.push_str(word),
                _ => pieces.push((marked, (**word).to_owned())),
            }
        }
        MarkedLine { edit: own, pieces }
    };
    (side(Edit::Removed), side(Edit::Added))
}

/// Words, the space between them, and every other character by itself.
fn words(line: &str) -> Vec<&str> {
    let class = |c: char| match c {
        c if c.is_alphanumeric() || matches!(c, '_' | '-') => 0,
        c if c.is_whitespace() => 1,
        _ => 2,
    };
    let mut words = Vec::new();
    let mut from = 0;
    let mut last = None;
    for (at, c) in line.char_indices() {
        if last.is_some_and(|last| last != class(c) || last == 2) {
            words.push(&line[from..at]);
            from = at;
        }
        last = Some(class(c));
    }
    if from < line.len() {
        words.push(&line[from..]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(old: &str, new: &str) -> Vec<String> {
        let lines = marked(Some(old), Some(new)).into_iter();
        lines
            .map(|line| {
                let (sign, open, close) = match line.edit {
                    Edit::Kept => (' ', "", ""),
                    Edit::Removed => ('-', "[-", "-]"),
                    Edit::Added => ('+', "{+", "+}"),
                };
                let pieces = line
                    .pieces
                    .iter()
                    .map(|(marked, text)| if *marked { format!("{open}{text}{close}") } else { text.clone() });
                format!("{sign} {}", pieces.collect::<String>())
            })
            .collect()
    }

    #[test]
    fn words_are_marked_where_lines_are_alike() {
        for (old, new, expected) in [
            ("git push origin", "git push backup", vec!["- git push [-origin-]", "+ git push {+backup+}"]),
            ("^v\\d+$", "^v\\d*$", vec!["- ^v\\d[-+-]$", "+ ^v\\d{+*+}$"]),
            ("one two", "three four", vec!["- one two", "+ three four"]),
            ("a\nb\nc\nd\ne\nf", "a\nb\nc\nd\ne\ng", vec!["  d", "  e", "- f", "+ g"]),
            ("x", "x y", vec!["- x", "+ x{+ y+}"]),
        ] {
            assert_eq!(drawn(old, new), expected, "{old} / {new}");
        }
    }

    #[test]
    fn long_texts_end() {
        let many = |from: usize| (from..from + 3000).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
        assert_eq!(marked(Some(&many(0)), Some(&many(5000))).len(), 6000);
        let line = |from: usize| (from..from + 3000).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(marked(Some(&line(0)), Some(&line(5000))).len(), 2);
    }
}
