//! Who answers questions: a person at a terminal, a file of answers, a script. Knows nothing of what the answers lead to.

mod draw;
mod keys;
mod prompts;
mod scripted;
mod terminal;
mod unattended;

pub use draw::draw_question;
pub use keys::{after_stop, before_stop, restore_terminal, stops_are_handled, was_stopped};
pub use prompts::{ParamPrompt, PromptError, ask_param, ask_secret, ask_yes};
pub use scripted::Scripted;
pub use terminal::Terminal;
pub use unattended::{Given, Unattended};

use crate::{
    port::Evidence,
    value::{Type, Value},
};

/// A piece of evidence as a person or a file gives it; the error is a fragment that says what was expected.
fn read_evidence(evidence: &Evidence, text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Err("a value is needed".into());
    }
    let value = match evidence.ty {
        Type::String | Type::Enum => evidence.ty.read(text)?,
        _ => evidence.ty.read(text.trim())?,
    };
    if !evidence.choices.is_empty() && !evidence.choices.iter().any(|choice| choice == text) {
        return Err(format!("`{text}` is none of {}", evidence.choices.join(", ")));
    }
    if let Some(pattern) = &evidence.pattern
        && !matches_whole(pattern, text)
    {
        return Err(format!("`{text}` does not match {pattern}"));
    }
    Ok(value)
}

fn matches_whole(pattern: &regex::Regex, text: &str) -> bool {
    // The first match of `a|ab` in `ab` is not the whole of it, though the pattern can match the whole. The line feed
    // ends a comment that a verbose pattern may end in.
    let whole = regex::Regex::new(&format!("\\A(?:{pattern})\\z"))
        .or_else(|_| regex::Regex::new(&format!("\\A(?:{pattern}\n)\\z")));
    match whole {
        Ok(whole) => whole.is_match(text),
        Err(_) => pattern.find(text).is_some_and(|found| found.range() == (0..text.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_checked_against_type_choices_and_pattern() {
        let evidence = |ty, choices: &[&str], pattern: Option<&str>| Evidence {
            name: "build".into(),
            ty,
            prompt: "Build".into(),
            choices: choices.iter().map(|c| (*c).into()).collect(),
            pattern: pattern.map(|p| regex::Regex::new(p).unwrap()),
        };
        let read = |ty, choices: &[&str], pattern, text| read_evidence(&evidence(ty, choices, pattern), text);
        assert_eq!(read(Type::Integer, &[], None, " 7 "), Ok(Value::Int(7)));
        assert_eq!(read(Type::Enum, &["a", "b"], None, "a"), Ok(Value::text("a")));
        assert_eq!(read(Type::String, &[], Some("a|ab"), "ab"), Ok(Value::text("ab")));
        assert_eq!(read(Type::String, &[], Some("(?x) v \\d+ # a version"), "v1"), Ok(Value::text("v1")));
        for (ty, choices, pattern, text, why) in [
            (Type::Integer, &[][..], None, "x", "not a whole number"),
            (Type::Enum, &["a", "b"][..], None, "c", "none of a, b"),
            (Type::String, &[][..], Some("v\\d"), "xv1", "does not match v\\d"),
            (Type::String, &[][..], None, " ", "a value is needed"),
        ] {
            let error = read(ty, choices, pattern, text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
