//! A question as text. Knows nothing of keyboards; a pure function of the question, the width and whether colours do.

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::{
    event::Effect,
    port::{Choice, Question, QuestionKind},
    text::{one_line, printable},
};

/// The whole question but the line that is typed on, ending in a line feed. Nothing of it reaches a terminal
/// unsanitised, and nothing is cut off: what is agreed to is shown whole.
pub fn draw_question(question: &Question, width: usize, color: bool) -> String {
    let mut pen = Pen { out: String::from("\n"), width: width.max(20), color };
    let bold = Style::new().bold();
    let effect = match &question.kind {
        QuestionKind::Confirm { effect, .. } | QuestionKind::BeforeStep { effect } => Some(*effect),
        _ => None,
    };
    let asks = match &question.kind {
        QuestionKind::Confirm { .. } => "confirm",
        QuestionKind::Manual { .. } => "by hand",
        QuestionKind::Ask { .. } => "asked",
        QuestionKind::BeforeStep { .. } => "next",
        QuestionKind::Failure => "failed",
        QuestionKind::Unknown => "outcome unknown",
        QuestionKind::Withheld { .. } => "secret",
        QuestionKind::Choose => "choose",
        QuestionKind::Interrupt => "interrupted",
        QuestionKind::Undo => "undo",
        QuestionKind::Run => "run",
    };
    let step = question.step.as_ref().map(|step| format!(" {}", one_line(step.as_str()))).unwrap_or_default();
    pen.line(colored(accent(&question.kind, effect)).bold(), &format!("── {asks}{step}"));
    // A step without a title is known by its id, which stands above already.
    let untitled = question.step.as_ref().is_some_and(|step| step.as_str() == question.title);
    if !question.title.is_empty() && !untitled {
        pen.wrapped(bold, "  ", &one_line(&question.title));
    }
    match effect {
        Some(Effect::Destroy) => pen.line(colored(AnsiColor::Red).bold(), "  this destroys something"),
        Some(Effect::Change) => pen.line(colored(AnsiColor::Yellow), "  this changes something"),
        Some(Effect::Read) | None => {}
    }
    if question.message != question.title {
        for line in printable(&question.message).lines() {
            pen.wrapped(Style::new(), "  ", line);
        }
    }
    for block in &question.context {
        for line in printable(block).lines() {
            pen.wrapped(Style::new().dimmed(), "  │ ", line);
        }
    }
    if let QuestionKind::Manual { open: Some(url), .. } = &question.kind {
        pen.wrapped(Style::new().underline(), "  ", &one_line(url));
    }
    if let QuestionKind::Confirm { not_now: Some(why), .. } = &question.kind {
        pen.wrapped(
            colored(AnsiColor::Yellow),
            "  ",
            &format!("it cannot be answered with yes now: {}", one_line(why)),
        );
    }
    if let QuestionKind::Confirm { type_back: Some(text), .. } = &question.kind {
        pen.wrapped(bold, "  ", &format!("to go on, type exactly: {}", one_line(text)));
    }
    match &question.kind {
        QuestionKind::Ask { .. } if question.choices.is_empty() => {
            pen.wrapped(Style::new().dimmed(), "  ", "Esc goes back")
        }
        // The values come first; the menu is shown to whoever wants none of them.
        QuestionKind::Ask { .. } => {
            let names: Vec<String> =
                question.choices.iter().skip(1).map(|choice| choice.name.replace('_', " ")).collect();
            pen.wrapped(Style::new().dimmed(), "  ", &format!("Esc for other ways: {}", names.join(", ")));
        }
        _ => pen.menu(&question.choices),
    }
    pen.out
}

/// Only the lines of a menu.
pub(super) fn draw_menu(choices: &[Choice], width: usize, color: bool) -> String {
    let mut pen = Pen { out: String::new(), width: width.max(20), color };
    pen.menu(choices);
    pen.out
}

fn colored(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(color.into()))
}

fn accent(kind: &QuestionKind, effect: Option<Effect>) -> AnsiColor {
    match kind {
        QuestionKind::Failure => AnsiColor::Red,
        QuestionKind::Unknown | QuestionKind::Interrupt => AnsiColor::Yellow,
        _ if effect == Some(Effect::Destroy) => AnsiColor::Red,
        _ => AnsiColor::Cyan,
    }
}

struct Pen {
    out: String,
    width: usize,
    color: bool,
}

impl Pen {
    fn styled(&mut self, style: Style, text: &str) {
        if self.color && !style.is_plain() {
            self.out.push_str(&format!("{style}{text}{style:#}"));
        } else {
            self.out.push_str(text);
        }
    }

    fn line(&mut self, style: Style, text: &str) {
        self.styled(style, text);
        self.out.push('\n');
    }

    fn wrapped(&mut self, style: Style, indent: &str, text: &str) {
        for piece in wrap(text, self.width.saturating_sub(indent.width() + 1)) {
            self.out.push_str(indent);
            self.line(style, piece);
        }
    }

    fn menu(&mut self, choices: &[Choice]) {
        let longest = choices.iter().map(|choice| choice.name.width()).max().unwrap_or(0);
        let indent = "  [x] ".width() + longest + " — ".width();
        for choice in choices {
            self.out.push_str("  ");
            let key = one_line(choice.key.encode_utf8(&mut [0; 4])).into_owned();
            self.styled(Style::new().bold(), &format!("[{key}]"));
            self.out.push(' ');
            self.out.push_str(&choice.name.replace('_', " "));
            if !choice.consequence.is_empty() {
                self.out.push_str(&" ".repeat(longest - choice.name.width()));
                self.out.push_str(" — ");
                let consequence = one_line(&choice.consequence);
                let pieces = wrap(&consequence, self.width.saturating_sub(indent + 1).max(10));
                self.out.push_str(&pieces.join(&format!("\n{}", " ".repeat(indent))));
            }
            self.out.push('\n');
        }
    }
}

/// Pieces of a line that are no wider than `width`, broken at spaces where there are some.
pub(super) fn wrap(text: &str, width: usize) -> Vec<&str> {
    let width = width.max(4);
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let mut used = 0;
        let mut space = None;
        let cut = rest.char_indices().find_map(|(at, c)| {
            if c == ' ' {
                space = Some(at);
            }
            used += c.width().unwrap_or(1);
            (used > width).then_some(at)
        });
        let Some(cut) = cut else {
            pieces.push(rest);
            return pieces;
        };
        // `width` is at least 4, so that a cut never comes before the first character.
        let at = space.filter(|at| !rest[..*at].trim().is_empty()).unwrap_or(cut);
        pieces.push(&rest[..at]);
        rest = rest[at..].strip_prefix(' ').unwrap_or(&rest[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::StepId;

    fn question(kind: QuestionKind) -> Question {
        let choice = |key, name: &'static str, consequence: &str| Choice {
            key,
            name: name.into(),
            consequence: consequence.into(),
            needs_reason: false,
        };
        Question {
            step: Some(StepId::new("admin/tag")),
            title: "Tag the release".into(),
            message: "Is it quiet?\nAsk in the channel.".into(),
            context: vec!["$ git push origin v3.20".into()],
            kind,
            choices: vec![
                choice('r', "run", "POST https://jenkins.example/job/balrog/build"),
                choice('b', "done_by_hand", "you did it"),
            ],
        }
    }

    #[test]
    fn shows_everything_a_person_needs() {
        let drawn = draw_question(&question(QuestionKind::BeforeStep { effect: Effect::Change }), 50, false);
        assert_eq!(
            drawn,
            "
── next admin/tag
  Tag the release
  this changes something
  Is it quiet?
  Ask in the channel.
  │ $ git push origin v3.20
  [r] run          — POST
                     https://jenkins.example/job/
                     balrog/build
  [b] done by hand — you did it
"
        );
    }

    #[test]
    fn what_is_not_ours_is_sanitised_and_nothing_is_cut() {
        let kind =
            QuestionKind::Confirm { effect: Effect::Destroy, type_back: Some("v\u{202e}1".into()), not_now: None };
        let mut hostile = question(kind);
        hostile.choices.clear();
        hostile.title = "a\x1b[2Jb\nc".into();
        hostile.message = format!("\x1b]0;title\x07{}", "long ".repeat(30));
        let drawn = draw_question(&hostile, 40, false);
        assert!(!drawn.contains(['\x1b', '\x07', '\u{202e}']));
        assert!(drawn.contains("a\\u{1b}[2Jb\\nc") && drawn.contains("type exactly: v\\u{202e}1"), "{drawn}");
        assert_eq!(drawn.matches("long").count(), 30);
        assert!(drawn.lines().all(|line| line.width() < 40), "{drawn}");
        assert!(drawn.contains("this destroys something"));
    }

    #[test]
    fn colours_are_asked_for() {
        assert!(draw_question(&question(QuestionKind::Failure), 80, true).contains("\x1b[1m"));
        assert!(!draw_question(&question(QuestionKind::Failure), 80, false).contains('\x1b'));
    }

    #[test]
    fn wraps_at_spaces_and_inside_long_words() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("  indented text", 11), ["  indented", "text"]);
        assert_eq!(wrap("日本語", 4), ["日本", "語"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
