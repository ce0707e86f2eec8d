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
pub use unattended::{Given, Unattended, WrongValue, check_values};

use crate::{
    port::Evidence,
    value::{Type, Value, Written},
};

/// A value that is asked for, as a person or a file gives it; the error is a fragment that says what was expected. It
/// quotes no secret.
pub fn read_evidence(evidence: &Evidence, written: &Written) -> Result<Value, String> {
    let read = match written {
        Written::Text(text) if text.trim().is_empty() => {
            return evidence.default.clone().ok_or("a value is needed".into());
        }
        Written::Text(text) => match evidence.shape.ty {
            Type::String | Type::Enum | Type::Secret => evidence.shape.read_text(text),
            _ => evidence.shape.read_text(text.trim()),
        },
        Written::List(_) => evidence.shape.read(written),
    };
    // A pattern alone does not tell people what to write.
    read.map_err(|why| match &evidence.example {
        Some(example) if why.contains(" does not match ") => {
            format!("{why}, such as {}", evidence.shape.written(example))
        }
        _ => why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Shape;

    #[test]
    fn evidence_is_checked_against_type_choices_and_pattern() {
        let evidence = |ty, choices: &[&str], pattern: Option<&str>| {
            let shape = Shape {
                choices: choices.iter().map(|c| (*c).into()).collect(),
                pattern: pattern.map(|p| (p.to_owned(), Shape::anchored(p).unwrap())),
                ..Shape::of(ty)
            };
            Evidence { example: Some(Value::text("v7")), ..Evidence::of("build", shape) }
        };
        let read = |ty, choices: &[&str], pattern, text: &str| {
            read_evidence(&evidence(ty, choices, pattern), &Written::Text(text.to_owned()))
        };
        assert_eq!(read(Type::Integer, &[], None, " 7 "), Ok(Value::Int(7)));
        assert_eq!(read(Type::Enum, &["a", "b"], None, "a"), Ok(Value::text("a")));
        assert_eq!(read(Type::String, &[], Some("a|ab"), "ab"), Ok(Value::text("ab")));
        assert_eq!(read(Type::String, &[], Some("(?x) v \\d+ # a version"), "v1"), Ok(Value::text("v1")));
        for (ty, choices, pattern, text, why) in [
            (Type::Integer, &[][..], None, "x", "not a whole number"),
            (Type::Enum, &["a", "b"][..], None, "c", "none of a, b"),
            (Type::String, &[][..], Some("v\\d"), "xv1", "does not match v\\d, such as v7"),
            (Type::String, &[][..], None, " ", "a value is needed"),
        ] {
            let error = read(ty, choices, pattern, text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let list = Evidence::of("hosts", Shape::of(Type::List));
        let items = || vec!["a,b".to_owned(), "c".to_owned()];
        let read = Value::list(items().iter().map(Value::text).collect());
        assert_eq!(read_evidence(&list, &Written::List(items())), Ok(read));
        let one = Evidence { default: Some(Value::Int(3)), ..Evidence::of("count", Shape::of(Type::Integer)) };
        assert_eq!(read_evidence(&one, &Written::Text("  ".into())), Ok(Value::Int(3)));
        assert!(read_evidence(&one, &Written::List(items())).unwrap_err().contains("a list is given"));
    }
}
