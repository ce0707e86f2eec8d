//! What all parts of `ci` came to, for people, pages and programs. Judges nothing.

use serde_json::{Value as Json, json};

use super::{Part, State};
use crate::text::one_line;

/// Characters of one part that a page is given; it has a limit of its own, and nobody reads more.
const MOST: usize = 40_000;

pub fn text(parts: &[Part], code: u8, quiet: bool, color: bool) -> String {
    let paint = |code: &str, text: &str| if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() };
    let mut text = String::new();
    for part in parts.iter().filter(|part| !part.text.is_empty()) {
        if quiet && part.state != State::Failed {
            continue;
        }
        text.push_str(&format!("{}\n{}\n", paint("1", &format!("── {}", part.name)), part.text.trim_end()));
        text.push('\n');
    }
    text.push_str(&table(parts, code, color));
    text
}

/// One line for each part, and one for all.
pub fn table(parts: &[Part], code: u8, color: bool) -> String {
    let paint = |code: &str, text: &str| if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() };
    let mut text = String::new();
    for part in parts {
        let color = match part.state {
            State::Passed => "32",
            State::Failed => "31",
            State::LeftOut => "2",
        };
        let state = paint(color, &format!("{:<8}", part.state.words()));
        text.push_str(&format!("{:<10} {state}  {}\n", part.name, one_line(&part.says)));
    }
    text.push_str(&format!("{:<10} {}\n", "together", together(code)));
    text
}

fn together(code: u8) -> String {
    if code == 0 { "passed".to_owned() } else { format!("failed, exit {code}") }
}

/// As a page: a table, and below it what each part found, folded where it passed.
pub fn markdown(parts: &[Part], code: u8) -> String {
    let mut page = format!("## runsheet: {}\n\n| part | | |\n| --- | --- | --- |\n", together(code));
    for part in parts {
        page.push_str(&format!("| {} | {} | {} |\n", part.name, part.state.words(), cell(&part.says)));
    }
    for part in parts {
        let body = match &part.markdown {
            Some(markdown) => markdown.trim_end().to_owned(),
            None if part.text.is_empty() => continue,
            None => fenced(&crate::text::without_escapes(&part.text)),
        };
        let open = if part.state == State::Failed { " open" } else { "" };
        page.push_str(&format!("\n<details{open}><summary>{}</summary>\n\n{body}\n\n</details>\n", part.name));
    }
    page
}

/// Text that ends no cell and begins nothing.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in one_line(text).chars() {
        if matches!(c, '|' | '\\' | '`' | '<' | '>' | '*' | '_' | '[' | ']' | '&') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// In a block of text whose fence is longer than any inside.
fn fenced(text: &str) -> String {
    let end = text.floor_char_boundary(MOST);
    let (shown, cut) = (&text[..end], end < text.len());
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let more = if cut { format!("\n… {} bytes more; see the log\n", text.len() - end) } else { String::new() };
    format!("{fence}text\n{}\n{fence}{more}", shown.trim_end())
}

/// For programs; `docs/reference/json.md` says what each member is.
pub fn json(parts: &[Part], code: u8) -> Json {
    let each = parts.iter().map(|part| {
        json!({
            "part": part.name, "state": part.state.name(), "code": part.code, "says": part.says, "found": part.found,
        })
    });
    json!({"passed": code == 0, "code": code, "parts": each.collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_cannot_leave_its_place_on_the_page() {
        assert_eq!(fenced("a\n```\n</details>"), "````text\na\n```\n</details>\n````");
        assert_eq!(cell("a|b\n<b>"), "a\\|b\\\\n\\<b\\>");
        let long = fenced(&"ü".repeat(MOST));
        assert!(long.len() < MOST + 100 && long.ends_with("bytes more; see the log\n"), "{}", long.len());
    }
}
