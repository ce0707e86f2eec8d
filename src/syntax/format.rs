//! The filter `format`: printf's conversions. Knows nothing of trees or scopes.

use super::{
    ast::{At, Caught, Fault},
    eval::Cell,
    filters::made,
    functions::Input,
    strict::{MAX_TEXT, a_kind},
};
use crate::value::Value;

struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    blank: bool,
    width: usize,
    precision: Option<usize>,
}

pub(super) fn format(input: &mut Input<'_>) -> Caught<Cell> {
    let text = input.text()?;
    let mut out = String::new();
    let mut next = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if out.len() > MAX_TEXT {
            break;
        }
        if c != '%' {
            out.push(c);
            continue;
        }
        if chars.peek() == Some(&'%') {
            chars.next();
            out.push('%');
            continue;
        }
        let value = if chars.peek() == Some(&'(') {
            let name: String = chars.by_ref().skip(1).take_while(|c| *c != ')').collect();
            let found = input.rest.iter().find(|(given, _)| given.as_deref() == Some(&name));
            found.map(|(_, value)| value.clone()).ok_or_else(|| input.bad(format!("there is no argument `{name}`")))?
        } else {
            next += 1;
            let given = input.rest.iter().filter(|(name, _)| name.is_none()).nth(next - 1);
            given.map(|(_, value)| value.clone()).ok_or_else(|| {
                input.bad(format!(
                    "the format asks for {next} arguments, there {} {}",
                    if next == 2 { "is" } else { "are" },
                    next - 1
                ))
            })?
        };
        let mut spec = Spec { left: false, zero: false, plus: false, blank: false, width: 0, precision: None };
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '0' | '+' | ' ' | '#')) {
            match flag {
                '-' => spec.left = true,
                '0' => spec.zero = true,
                '+' => spec.plus = true,
                ' ' => spec.blank = true,
                _ => {}
            }
        }
        let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut number = 0_usize;
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                number = number.saturating_mul(10).saturating_add(digit as usize - '0' as usize);
            }
            number
        };
        spec.width = number(&mut chars);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(number(&mut chars));
        }
        if spec.width > 1000 || spec.precision.is_some_and(|precision| precision > 100) {
            return Err(input.bad("a width may be at most 1000, a precision at most 100"));
        }
        let conversion = chars.next();
        one(input, &value, conversion, &spec, &mut out)?;
    }
    let given = input.rest.iter().filter(|(name, _)| name.is_none()).count();
    if next < given {
        return Err(input.bad(format!("the format uses {next} of {given} arguments")));
    }
    made(input, out)
}

fn one(input: &mut Input<'_>, value: &Value, conversion: Option<char>, spec: &Spec, out: &mut String) -> Caught<()> {
    let at: At = input.at.clone();
    let needs = |kind: &str| {
        Fault::new(
            "type-mismatch",
            at.clone(),
            format!("`%{}` needs {kind}, this is {}", conversion.unwrap_or('d'), a_kind(value)),
        )
    };
    let mut body = match (conversion, value) {
        (Some('s'), value) => {
            let text = input.meter.show(value, &at, "")?;
            match spec.precision {
                Some(most) => text.chars().take(most).collect(),
                None => text,
            }
        }
        (Some('d' | 'i'), Value::Int(number)) => number.to_string(),
        (Some('d' | 'i'), Value::Float(number)) => format!("{:.0}", number.trunc()),
        (Some('d' | 'i'), _) => return Err(needs("a number")),
        (Some('x'), Value::Int(number)) if *number >= 0 => format!("{number:x}"),
        (Some('X'), Value::Int(number)) if *number >= 0 => format!("{number:X}"),
        (Some('o'), Value::Int(number)) if *number >= 0 => format!("{number:o}"),
        (Some('x' | 'X' | 'o'), _) => return Err(needs("a whole number from zero up")),
        (Some('f' | 'F' | 'e'), Value::Int(_) | Value::Float(_)) => {
            let number = match value {
                Value::Float(number) => *number,
                Value::Int(number) => *number as f64,
                _ => 0.0,
            };
            let precision = spec.precision.unwrap_or(6);
            if conversion == Some('e') { format!("{number:.precision$e}") } else { format!("{number:.precision$}") }
        }
        (Some('f' | 'F' | 'e'), _) => return Err(needs("a number")),
        (Some(other), _) => {
            return Err(input
                .bad(format!("there is no conversion `%{other}`"))
                .hint("there are %s %d %x %X %o %f %e %%"));
        }
        (None, _) => return Err(input.bad("the format ends after `%`")),
    };
    let numeric = conversion != Some('s');
    if numeric && !body.starts_with('-') {
        if spec.plus {
            body.insert(0, '+');
        } else if spec.blank {
            body.insert(0, ' ');
        }
    }
    let missing = spec.width.saturating_sub(body.chars().count());
    if spec.left {
        out.push_str(&body);
        out.push_str(&" ".repeat(missing));
    } else if spec.zero && numeric {
        let sign = usize::from(body.starts_with(['-', '+', ' ']));
        out.push_str(&body[..sign]);
        out.push_str(&"0".repeat(missing));
        out.push_str(&body[sign..]);
    } else {
        out.push_str(&" ".repeat(missing));
        out.push_str(&body);
    }
    Ok(())
}
