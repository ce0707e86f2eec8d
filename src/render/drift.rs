//! Whether a committed document is what would be made today, and if not, where it first differs. Reads no file.

use crate::text::one_line;

/// Lines shown of either side.
const MOST: usize = 6;
const CONTEXT: usize = 2;
/// Characters shown of a line.
const WIDTH: usize = 160;

/// What is wrong with a committed document; nothing if it is as expected.
pub fn drift(expected: &str, committed: Option<&str>) -> Option<String> {
    let Some(committed) = committed else { return Some("it is missing\n".into()) };
    if expected == committed {
        return None;
    }
    let new: Vec<&str> = expected.split('\n').collect();
    let old: Vec<&str> = committed.split('\n').collect();
    let same = new.iter().zip(&old).take_while(|(new, old)| new == old).count();
    // A line is not counted from both ends.
    let rest = new.len().min(old.len()) - same;
    let tail = new.iter().rev().zip(old.iter().rev()).take(rest).take_while(|(new, old)| new == old).count();
    let (gone, come) = (&old[same..old.len() - tail], &new[same..new.len() - tail]);
    let mut said = format!("it differs from line {}: {} out, {} in\n", same + 1, lines(gone.len()), lines(come.len()));
    for line in &new[same.saturating_sub(CONTEXT)..same] {
        show(' ', line, &mut said);
    }
    for (mark, part) in [('-', gone), ('+', come)] {
        for line in part.iter().take(MOST) {
            show(mark, line, &mut said);
        }
        if part.len() > MOST {
            said.push_str(&format!("{mark}… {} more\n", lines(part.len() - MOST)));
        }
    }
    if committed.ends_with('\n') != expected.ends_with('\n') {
        said.push_str("(the line feed at the end differs)\n");
    }
    Some(said)
}

fn lines(count: usize) -> String {
    if count == 1 { "1 line".into() } else { format!("{count} lines") }
}

fn show(mark: char, line: &str, said: &mut String) {
    let line = one_line(line);
    said.push(mark);
    said.extend(line.chars().take(WIDTH));
    if line.chars().count() > WIDTH {
        said.push('…');
    }
    said.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown() {
        assert_eq!(drift("a\n", Some("a\n")), None);
        assert_eq!(drift("a\n", None).unwrap(), "it is missing\n");
        assert_eq!(
            drift("a\nb\nc\nnew\nd\n", Some("a\nb\nc\nold\nolder\nd\n")).unwrap(),
            "it differs from line 4: 2 lines out, 1 line in\n b\n c\n-old\n-older\n+new\n"
        );
        assert_eq!(
            drift("a\na\n", Some("a\na\na\n")).unwrap(),
            "it differs from line 3: 1 line out, 0 lines in\n a\n a\n-a\n"
        );
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert!(drift("a\n", Some("a\r\n")).unwrap().contains("-a\\r\n"));
        assert!(drift("a\n", Some("a")).unwrap().contains("the line feed at the end differs"));
        let long = "x".repeat(500);
        assert!(drift(&long, Some("y")).unwrap().contains('…'));
    }
}
