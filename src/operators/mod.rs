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
    match evidence.shape.ty {
        Type::String | Type::Enum => evidence.shape.read_text(text),
        _ => evidence.shape.read_text(text.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Shape;

    #[test]
    fn evidence_is_checked_against_type_choices_and_pattern() {
        let evidence = |ty, choices: &[&str], pattern: Option<&str>| Evidence {
            name: "build".into(),
            prompt: "Build".into(),
            shape: Shape {
                choices: choices.iter().map(|c| (*c).into()).collect(),
                pattern: pattern.map(|p| (p.to_owned(), Shape::anchored(p).unwrap())),
                ..Shape::of(ty)
            },
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
