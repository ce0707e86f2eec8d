//! The `tree` parameter of Jenkins's API, `builds[number,actions[parameters[name]]]{0,2}`; it knows JSON and no job.

use serde_json::{Map, Value};

/// What `tree` leaves of a body; all of it without one.
pub fn shown(body: Value, tree: Option<&str>) -> Value {
    match tree {
        Some(tree) => pick(body, &parse(&mut tree.chars().peekable())),
        None => body,
    }
}

struct Wanted {
    name: String,
    children: Vec<Wanted>,
    range: Option<(usize, usize)>,
}

fn parse(text: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Vec<Wanted> {
    let mut found = Vec::new();
    let mut current = Wanted { name: String::new(), children: Vec::new(), range: None };
    let empty = || Wanted { name: String::new(), children: Vec::new(), range: None };
    while let Some(letter) = text.next() {
        match letter {
            ',' => found.push(std::mem::replace(&mut current, empty())),
            '[' => current.children = parse(text),
            ']' => break,
            '{' => {
                let range: String = text.by_ref().take_while(|letter| *letter != '}').collect();
                current.range = Some(bounds(&range));
            }
            letter => current.name.push(letter),
        }
    }
    found.push(current);
    found.retain(|wanted| !wanted.name.is_empty());
    found
}

/// `{M,N}`, `{M,}`, `{,N}` and `{N}` (that one item alone).
fn bounds(range: &str) -> (usize, usize) {
    let number = |text: &str, default: usize| text.trim().parse().unwrap_or(default);
    match range.split_once(',') {
        Some((from, to)) => (number(from, 0), number(to, usize::MAX)),
        None => (number(range, 0), number(range, 0) + 1),
    }
}

fn pick(value: Value, wanted: &[Wanted]) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(|item| pick(item, wanted)).collect()),
        Value::Object(mut fields) => {
            let mut kept = Map::new();
            // The class of a bean is always there, unless the bean exports nothing at all.
            if let Some(class) = fields.get("_class") {
                kept.insert("_class".into(), class.clone());
            }
            let everything = wanted.iter().any(|wanted| wanted.name == "*");
            if everything {
                kept = fields;
            } else {
                for wanted in wanted {
                    if let Some(value) = fields.shift_remove(&wanted.name) {
                        let value = cut(value, wanted.range);
                        kept.insert(wanted.name.clone(), pick(value, &wanted.children));
                    }
                }
            }
            Value::Object(kept)
        }
        plain => plain,
    }
}

fn cut(value: Value, range: Option<(usize, usize)>) -> Value {
    match (value, range) {
        (Value::Array(items), Some((from, to))) => {
            Value::Array(items.into_iter().skip(from).take(to.saturating_sub(from)).collect())
        }
        (value, _) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_lists_and_ranges_are_kept() {
        let body =
            json!({"_class": "J", "a": 1, "b": [{"_class": "B", "n": 1, "x": 0}, {"n": 2}, {"n": 3}], "c": {"d": 1}});
        let tree = |text: &str| shown(body.clone(), Some(text));
        assert_eq!(tree("a"), json!({"_class": "J", "a": 1}));
        assert_eq!(tree("b[n]{0,2},none"), json!({"_class": "J", "b": [{"_class": "B", "n": 1}, {"n": 2}]}));
        assert_eq!(tree("b[n]{1}"), json!({"_class": "J", "b": [{"n": 2}]}));
        assert_eq!(tree("c"), json!({"_class": "J", "c": {}}));
        assert_eq!(tree("c[d],a"), json!({"_class": "J", "c": {"d": 1}, "a": 1}));
        assert_eq!(shown(body.clone(), None), body);
    }
}
