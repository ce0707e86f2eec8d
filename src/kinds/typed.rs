//! Values that a person types, declared as parameters are: what `ask` and `manual` have in common. Knows nothing of
//! terminals.

use indexmap::IndexMap;

use crate::{
    event::StepStatus,
    model::{Lowering, Param},
    port::{Answer, Choice, Evidence, Failure, StepContext, StepError, StepReport},
    syntax::{Given, Text},
    text::Spanned,
    value::Value,
};

/// Names with what each must be.
pub type Typed = Vec<(Spanned<String>, Param)>;

/// Each entry of a mapping, read by `read`.
pub fn lower(
    given: Option<Given<'_>>,
    lowering: &Lowering,
    read: impl Fn(&Lowering, &Text, &Given<'_>) -> Param,
) -> Typed {
    let mut typed = Vec::new();
    for (name, given) in given.and_then(|given| given.entries()).unwrap_or_default() {
        let ok = lowering.name(name, given.problems());
        let param = read(lowering, name, &given);
        if ok {
            typed.push((Spanned::new(name.text.clone(), name.span), param));
        }
    }
    typed
}

/// What an operator has to ask for.
pub fn wanted(typed: &[(Spanned<String>, Param)]) -> Vec<Evidence> {
    let one = |(name, param): &(Spanned<String>, Param)| Evidence {
        name: name.value.clone(),
        prompt: param.prompt.clone().unwrap_or_else(|| name.value.clone()),
        help: param.help.clone(),
        shape: param.shape.clone(),
        default: param.default.clone(),
        example: param.example.clone(),
    };
    typed.iter().map(one).collect()
}

/// The values of an answer. Whoever answered has read them as what they must be; no operator's word is taken for that.
pub fn taken(wanted: &[Evidence], answer: Answer, what: &str) -> Result<IndexMap<String, Value>, StepError> {
    for one in wanted {
        let Some(value) = answer.values.get(&one.name) else {
            return Err(StepError::Paused(format!("the {what} `{}` is missing", one.name)));
        };
        if let Err(why) = one.shape.read_recorded(&value.to_json()).and_then(|value| one.shape.check(&value)) {
            return Err(StepError::Paused(format!("the {what} `{}` will not do: {why}", one.name)));
        }
    }
    Ok(answer.values)
}

pub fn choice(key: char, name: &'static str, consequence: &str, needs_reason: bool) -> Choice {
    Choice { key, name: name.into(), consequence: consequence.to_owned(), needs_reason }
}

/// What may be said instead of typing anything.
pub fn ways_out() -> [Choice; 3] {
    [
        choice('s', "skip", "leave it out; steps after it go on", true),
        choice('p', "pause", "stop here; `runsheet resume` asks this again", false),
        choice('q', "quit", "end the run as declined; it cannot be resumed", false),
    ]
}

/// What follows from one of [`ways_out`], or from an answer that is none.
pub fn way_out(answer: &Answer, cx: &dyn StepContext) -> Result<StepReport, StepError> {
    match answer.word.as_str() {
        "skip" => {
            let reason = answer.reason.clone().unwrap_or_default();
            Ok(StepReport { failure: Some(Failure::plain(reason)), ..StepReport::of(StepStatus::Skipped) })
        }
        "quit" => Err(StepError::Declined(format!("the operator quit at {}", cx.step()))),
        "pause" => Err(StepError::Paused("the operator paused the run".into())),
        other => Err(StepError::Paused(format!("`{other}` is no answer to {}", cx.step()))),
    }
}
