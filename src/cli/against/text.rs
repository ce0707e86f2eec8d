//! A comparison as people read it in a terminal: the headline, then what matters most. Compares nothing.

use crate::{
    plan::{Change, Compared, Comparison, Edit, MarkedLine, Weight, marked},
    text::{one_line, printable},
};

/// The whole comparison, ending in a line feed.
pub fn text(of: &Comparison, color: bool) -> String {
    let paint = Paint { color };
    let mut text = String::new();
    if of.is_empty() {
        let what = if of.looked_at == 1 { "it does".to_owned() } else { format!("all {} runbooks do", of.looked_at) };
        return format!("{} against {}: no difference; {what} the same\n", shown(&of.after), shown(&of.before));
    }
    for (number, runbook) in of.runbooks.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        one(runbook, paint, &mut text);
    }
    if of.looked_at > 1 {
        let same = of.looked_at.saturating_sub(of.runbooks.len());
        text.push_str(&format!("\n{} of {} runbooks differ, {same} do the same\n", of.runbooks.len(), of.looked_at));
    }
    text
}

fn one(runbook: &Compared, paint: Paint, text: &mut String) {
    let name = one_line(&runbook.name);
    let (before, after) =
        (runbook.before.as_deref().unwrap_or("nothing"), runbook.after.as_deref().unwrap_or("nothing"));
    text.push_str(&format!("{}\n", paint.put("1", &format!("{name}: {}", one_line(&runbook.headline())))));
    text.push_str(&format!("  {} → {}\n", one_line(before), one_line(after)));
    for note in &runbook.notes {
        text.push_str(&format!("  {}\n", one_line(note)));
    }
    if !runbook.called_by.is_empty() {
        text.push_str(&format!("  called by {}\n", one_line(&runbook.called_by.join(", "))));
    }
    for weight in Weight::ALL {
        let changes: Vec<&Change> = runbook.changes.iter().filter(|change| change.weight() == weight).collect();
        if changes.is_empty() {
            continue;
        }
        let code = match weight {
            Weight::Weakens | Weight::Raises => "31",
            Weight::Does | Weight::Limits | Weight::Given => "33",
            Weight::Strengthens => "32",
            Weight::Wording => "2",
        };
        text.push_str(&format!("\n  {}\n", paint.put(code, weight.heading())));
        for change in changes {
            text.push_str(&format!("  • {}  {}\n", one_line(&change.says), paint.put("2", &words(change))));
            if change.complete {
                continue;
            }
            for line in marked(change.before.as_deref(), change.after.as_deref()) {
                text.push_str(&format!("      {}\n", paint.line(&line)));
            }
        }
    }
}

/// Such as `[guard-removed, step-removed]`.
fn words(change: &Change) -> String {
    let words: Vec<&str> = change.whats.iter().map(|what| what.word()).collect();
    format!("[{}]", words.join(", "))
}

fn shown(text: &str) -> String {
    one_line(text).into_owned()
}

#[derive(Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn put(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Changed words stand out: by colour, or in the brackets that `git diff --word-diff` uses.
    fn line(self, line: &MarkedLine) -> String {
        let (sign, code, open, close) = match line.edit {
            Edit::Kept => (' ', "2", "", ""),
            Edit::Removed => ('-', "31", "[-", "-]"),
            Edit::Added => ('+', "32", "{+", "+}"),
        };
        let pieces = line.pieces.iter().map(|(changed, text)| {
            let text = printable(text);
            match (changed, self.color) {
                (true, true) => self.put(&format!("{code};1;4"), &text),
                (true, false) => format!("{open}{text}{close}"),
                (false, true) => self.put(code, &text),
                (false, false) => text.into_owned(),
            }
        });
        let whole: String = pieces.collect();
        format!("{} {whole}", self.put(code, &sign.to_string())).trim_end().to_owned()
    }
}
