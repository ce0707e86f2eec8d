//! The type of a parameter with its limits, from nodes to what is declared, and values of the file that must keep to them.
//! Knows nothing of parameters beyond their name.

use std::collections::HashMap;

use super::{Lowering, Param, fields::ITEM_KEYS};
use crate::{
    syntax::{Fields, Given, NodeKind, Text},
    text::{Diagnostic, Span},
    value::{Shape, Type, Value, Written},
};

/// What a shape is the shape of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    /// A value that a person is asked for, which may be a secret.
    Asked,
    /// An item of a list, which has no items of its own.
    Item,
}

/// What was read of a shape.
pub(super) struct ShapeRead {
    pub shape: Shape,
    /// Without a mistake that would make each value look wrong.
    pub readable: bool,
}

impl Lowering {
    /// Takes what says which values will do; `what` is the declaration as messages say it.
    pub(super) fn shape(&self, fields: &mut Fields<'_>, what: &str, part: Part) -> ShapeRead {
        let problems = fields.problems();
        let start = fields.span().start;
        let declared = fields.need("type");
        let ty = declared.as_ref().and_then(|given| type_of(given, part));
        let pattern = fields.get("pattern");
        let choices = fields.get("choices");
        let limits = ["min", "max"].map(|key| (key, fields.get(key)));
        let lengths = ["min_length", "max_length"].map(|key| (key, fields.get(key)));
        let items = if part == Part::Item { None } else { fields.get("items") };
        let at = |fields: &Fields<'_>, key| fields.key_span(key).unwrap_or(Span::at(start));
        let mut shape = Shape::of(ty.unwrap_or(Type::String));
        let mut readable = ty.is_some();

        if let (Some(_), Some(ty @ (Type::List | Type::Boolean))) = (&pattern, ty) {
            let hint = match ty {
                Type::List => "write it below `items`, where it is of each item",
                _ => "remove it; a boolean is true or false",
            };
            let message = format!("`pattern` goes with what is typed as one text, and this is `type: {}`", ty.name());
            problems.push(Diagnostic::error("conflict", at(fields, "pattern"), message).hint(hint));
        } else {
            shape.pattern = pattern.as_ref().and_then(pattern_of);
            readable &= pattern.is_some() == shape.pattern.is_some();
        }

        for (key, given) in &limits {
            let (Some(given), Some(ty)) = (given, ty) else { continue };
            if !matches!(ty, Type::Integer | Type::Number | Type::Duration) {
                let message =
                    format!("`{key}` goes with integer, number and duration, and this is `type: {}`", ty.name());
                let hint = match ty {
                    Type::List => format!("`{key}_length` limits how many items there are"),
                    Type::String | Type::Url | Type::Path | Type::Secret => {
                        format!("`{key}_length` limits how long a text is")
                    }
                    _ => "remove it".to_owned(),
                };
                problems.push(Diagnostic::error("conflict", at(fields, key), message).hint(hint));
                continue;
            }
            let limit = given.text_or_number().and_then(|text| match ty.read(&text.text) {
                Ok(limit) => Some(limit),
                Err(why) => {
                    refuse(given, format!("`{key}` of {what}"), &why, format!("must be of `type: {}`", ty.name()))
                }
            });
            readable &= limit.is_some();
            *if *key == "min" { &mut shape.min } else { &mut shape.max } = limit;
        }
        for (key, given) in &lengths {
            let (Some(given), Some(ty)) = (given, ty) else { continue };
            if !matches!(ty, Type::String | Type::Url | Type::Path | Type::Secret | Type::List) {
                let message = format!("`{key}` goes with texts and lists, and this is `type: {}`", ty.name());
                let hint = match (ty, *key) {
                    (Type::Integer | Type::Number | Type::Duration, "min_length") => "`min` limits how small it is",
                    (Type::Integer | Type::Number | Type::Duration, _) => "`max` limits how large it is",
                    _ => "remove it",
                };
                problems.push(Diagnostic::error("conflict", at(fields, key), message).hint(hint));
                continue;
            }
            let length = given.integer(0..=i64::MAX).and_then(|length| u64::try_from(length).ok());
            readable &= length.is_some();
            *if *key == "min_length" { &mut shape.min_length } else { &mut shape.max_length } = length;
        }
        let crossed = Shape { max: None, ..shape.clone() };
        let empty = shape.max.as_ref().is_some_and(|max| crossed.check(max).is_err());
        for (empty, [(low, least), (high, most)]) in
            [(empty, &limits), (shape.min_length > shape.max_length && shape.max_length.is_some(), &lengths)]
        {
            if let (true, Some(least), Some(most)) = (empty, least, most) {
                problems.push(
                    Diagnostic::error("conflict", most.span(), format!("`{high}` of {what} is below its `{low}`"))
                        .label("no value can be both")
                        .related(least.span(), format!("`{low}`"))
                        .hint("exchange them, or remove one"),
                );
                readable = false;
            }
        }

        readable &= self.choices(&mut shape, choices.as_ref(), ty, readable, fields, what);
        match (&items, ty) {
            (Some(given), None | Some(Type::List)) => {
                let read = self.items(given, what);
                readable &= read.as_ref().is_some_and(|read| read.readable);
                shape.items = read.map(|read| Box::new(read.shape));
            }
            (Some(_), Some(ty)) => {
                let message = format!("`items` go with `type: list`, and this is `type: {}`", ty.name());
                let hint = "write `type: list`, or remove the items";
                problems.push(Diagnostic::error("conflict", at(fields, "items"), message).hint(hint));
            }
            (None, _) => {}
        }
        ShapeRead { shape, readable }
    }

    fn items(&self, given: &Given<'_>, what: &str) -> Option<ShapeRead> {
        let what = format!("an item of {what}");
        let mut fields = given.clone().like("{type: string}").fields(&what)?.closed(ITEM_KEYS);
        if let Some(NodeKind::Text(text)) = fields.get("type").map(|given| &given.node().kind)
            && text.text == "list"
        {
            let given = fields.need("type")?;
            let hint = "no command line can give a list of lists; write several parameters";
            return given.report("wrong-value", "an item of a list cannot be a list", Some(hint.into()));
        }
        let read = self.shape(&mut fields, &what, Part::Item);
        fields.finish();
        Some(read)
    }

    /// Whether values can be read.
    fn choices(
        &self,
        shape: &mut Shape,
        given: Option<&Given<'_>>,
        ty: Option<Type>,
        readable: bool,
        fields: &Fields<'_>,
        what: &str,
    ) -> bool {
        let problems = fields.problems();
        let Some(given) = given else {
            if ty == Some(Type::Enum) {
                if !fields.has_slip_of(&["choices"]) {
                    let message = format!("missing `choices` in {what}");
                    problems.push(
                        Diagnostic::error("missing-key", Span::at(fields.span().start), message)
                            .label("an enum needs them")
                            .hint("choices: [one, other]"),
                    );
                }
                return false;
            }
            return true;
        };
        if let Some(ty @ (Type::Boolean | Type::List | Type::Secret)) = ty {
            let message = format!("`choices` do not go with `type: {}`", ty.name());
            let hint = match ty {
                Type::List => "write them below `items`, where they are of each item",
                Type::Secret => "remove them; what stands in the file is no secret",
                _ => "remove them; a boolean is true or false",
            };
            let at = fields.key_span("choices").unwrap_or(given.span());
            problems.push(Diagnostic::error("conflict", at, message).hint(hint));
            return true;
        }
        let items = given.list();
        if items.as_ref().is_some_and(Vec::is_empty) {
            let _: Option<()> = given.report("wrong-value", "`choices` is empty", Some("choices: [one, other]".into()));
        }
        let mut right = items.as_ref().is_some_and(|items| !items.is_empty());
        // Each keeps to the other limits; the choices themselves are none for them.
        let limits = shape.clone();
        let mut seen: HashMap<String, &String> = HashMap::new();
        for item in items.unwrap_or_default() {
            let Some(choice) = item.text_or_number() else {
                right = false;
                continue;
            };
            if let Some(same) = seen.insert(shape.choice_key(&choice.text), &choice.text) {
                let message = match same {
                    same if *same == choice.text => format!("`{same}` is among the choices already"),
                    same => format!("`{}` is among the choices already, as `{same}`", choice.text),
                };
                let _: Option<()> = item.report("wrong-value", message, Some("remove one of them".into()));
            }
            if readable && let Err(why) = limits.read_text(&choice.text) {
                let _: Option<()> = refuse(
                    &item,
                    format!("a choice of {what}"),
                    &why,
                    fits(&limits, &Written::Text(choice.text.clone())),
                );
                right = false;
            }
            shape.choices.push(choice.text.clone());
        }
        right
    }
}

fn type_of(given: &Given<'_>, part: Part) -> Option<Type> {
    if let NodeKind::Text(text) = &given.node().kind
        && text.text == Type::Secret.name()
    {
        if part == Part::Asked {
            return Some(Type::Secret);
        }
        let problem = Diagnostic::error("wrong-value", given.span(), "only what an `ask` asks for can be a secret")
            .label("it would be on record")
            .hint("declare it under `secrets`, or ask for it in a step of kind `ask`");
        given.problems().push(problem);
        return None;
    }
    given.one_of(&Type::ALL)
}

fn pattern_of(given: &Given<'_>) -> Option<(String, regex::Regex)> {
    let written = given.text()?;
    match Shape::anchored(&written.text) {
        Ok(regex) => Some((written.text.clone(), regex)),
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
            given.problems().push(
                Diagnostic::error("bad-pattern", given.span(), format!("this pattern cannot be read: {why}"))
                    .label("expected a regular expression"),
            );
            None
        }
    }
}

/// A default or an example, read as its parameter would be; `field` and `what` are they as messages say it.
pub(super) fn read_as(lowering: &Lowering, param: &Param, given: &Given<'_>, field: &str, what: &str) -> Option<Value> {
    let what = format!("{field} of {what}");
    let (written, texts) = if param.shape.ty == Type::List {
        let items = given.clone().like("[one, other]").list()?;
        let texts: Vec<_> = items.iter().map(Given::text_or_number).collect();
        let texts: Vec<&Text> = texts.into_iter().collect::<Option<_>>()?;
        (Written::List(texts.iter().map(|text| text.text.clone()).collect()), texts)
    } else {
        if given.node().kind == NodeKind::Null {
            let hint = match (field, param.shape.ty) {
                ("`default`", Type::String) => "write \"\" for an empty text; without a default it is asked for",
                ("`default`", _) => "remove it; a parameter without a default is asked for",
                _ => "remove it",
            };
            return given.refuse("a text or a number", Some(hint.to_owned()));
        }
        let text = given.text_or_number()?;
        (Written::Text(text.text.clone()), vec![text])
    };
    match param.read(&written) {
        Ok(value) => {
            texts.iter().for_each(|text| lowering.is_plain(&what, text));
            Some(value)
        }
        Err(why) => refuse(given, what, &why, fits(&param.shape, &written)),
    }
}

fn fits(shape: &Shape, written: &Written) -> String {
    if let (Some((_, pattern)), Written::Text(text)) = (&shape.pattern, written)
        && !pattern.is_match(text)
    {
        return "does not fit the pattern".into();
    }
    if shape.ty != Type::Enum && shape.has_type(written) {
        return "not within its limits".into();
    }
    format!("does not fit `type: {}`", shape.ty.name())
}

/// What to do stands behind the semicolon, where there is anything.
fn refuse<T>(given: &Given<'_>, what: String, why: &str, label: String) -> Option<T> {
    let (why, hint) = match why.split_once("; ") {
        Some((why, hint)) => (why, Some(hint.to_owned())),
        None => (why, None),
    };
    given
        .problems()
        .push(Diagnostic::error("wrong-value", given.span(), format!("{what}: {why}")).label(label).hint_opt(hint));
    None
}
