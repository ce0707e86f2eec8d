//! What a simulated process does, written as a script or as the path of a URL. Knows nothing of when it happens.
//!
//! One line is some of these, in turn; a line feed or `;` ends it, and `$name` is a variable of the process:
//!
//! | words | what they do |
//! | --- | --- |
//! | `do NAME` | puts the effect NAME into the ledger after a second; `for 5s` takes that long; `first` has it at once |
//! | `look NAME` | exits with 1 where the effect NAME is not there |
//! | `since NAME 5s` | exits with 1 until the effect NAME is there for so long |
//! | `tell NAME` | prints the secret of that name, which nobody else knows |
//! | `fails N` | exits with 1 the first N times |
//! | `exit N`, `die N` | ends with this status, or by this signal |
//! | `lost` | ends, and nobody learns how |
//! | `stays` | ends well, and what it started goes on with the rest of the line |
//! | `beside STEP 5s` | exits with 1 unless something that STEP has started lives for so long |
//! | `sleep 5s`, `hang` | takes time; for ever |
//! | `print TEXT` | prints the rest of the line |

use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    Nothing,
    Do(String),
    Look(String),
    Since(String, Duration),
    Tell(String),
    Fails(u32),
    Exit(i32),
    Die(i32),
    Lost,
    Stay,
    Beside(String, Duration),
    Print(String),
}

/// An act, and how long after the one before it happens.
pub type Timed = (Duration, Act);

const TAKES: Duration = Duration::from_secs(1);
const LOOKS: Duration = Duration::from_millis(100);
/// Longer than any limit.
const EVER: Duration = Duration::from_secs(1_000_000_000);

/// The acts of a script. Slips are the test's own, so they panic.
pub fn parse(script: &str, env: &[(String, String)]) -> Vec<Timed> {
    let mut acts = Vec::new();
    for line in script.split(['\n', ';']) {
        let words: Vec<String> = line.split_whitespace().map(|word| fill(word, env)).collect();
        let mut words = words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            let mut next = || words.next().unwrap_or_else(|| panic!("`{word}` lacks a word in `{line}`")).to_owned();
            match word {
                "do" => {
                    let name = next();
                    let first = words.next_if_eq(&"first").is_some();
                    let takes =
                        words.next_if_eq(&"for").map_or(TAKES, |_| duration(words.next().expect("how long it takes")));
                    if first {
                        acts.extend([(Duration::ZERO, Act::Do(name)), (takes, Act::Nothing)]);
                    } else {
                        acts.push((takes, Act::Do(name)));
                    }
                }
                "look" => acts.push((LOOKS, Act::Look(next()))),
                "since" => {
                    let name = next();
                    acts.push((LOOKS, Act::Since(name, duration(&next()))));
                }
                "stays" => acts.push((TAKES, Act::Stay)),
                "beside" => {
                    let step = next();
                    acts.push((LOOKS, Act::Beside(step, duration(&next()))));
                }
                "tell" => acts.push((LOOKS, Act::Tell(next()))),
                "fails" => acts.push((LOOKS, Act::Fails(number(&next()) as u32))),
                "exit" => acts.push((Duration::ZERO, Act::Exit(number(&next())))),
                "die" => acts.push((Duration::ZERO, Act::Die(number(&next())))),
                "lost" => acts.push((Duration::ZERO, Act::Lost)),
                "sleep" => acts.push((duration(&next()), Act::Nothing)),
                "hang" => acts.push((EVER, Act::Nothing)),
                "print" => {
                    let text: Vec<&str> = words.by_ref().collect();
                    acts.push((Duration::ZERO, Act::Print(text.join(" ") + "\n")));
                }
                other => panic!("no simulated process knows `{other}`: {script}"),
            }
        }
    }
    acts
}

/// The effects that a script has when it comes to its end.
pub fn effects(acts: &[Timed]) -> Vec<String> {
    let name = |act: &Timed| if let Act::Do(name) = &act.1 { Some(name.clone()) } else { None };
    acts.iter().filter_map(name).collect()
}

fn fill(word: &str, env: &[(String, String)]) -> String {
    let Some((before, name)) = word.split_once('$') else { return word.to_owned() };
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    let value = env.iter().find(|(known, _)| *known == name[..end]).map_or("", |(_, value)| value);
    format!("{before}{value}{}", fill(&name[end..], env))
}

fn number(word: &str) -> i32 {
    word.parse().unwrap_or_else(|_| panic!("`{word}` is no number"))
}

fn duration(word: &str) -> Duration {
    let (digits, unit) = word.split_at(word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len()));
    let count = digits.parse().unwrap_or_else(|_| panic!("`{word}` is no duration"));
    match unit {
        "ms" => Duration::from_millis(count),
        "s" => Duration::from_secs(count),
        "m" => Duration::from_secs(count * 60),
        _ => panic!("`{word}` is no duration"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_read() {
        let env = [("x".to_owned(), "7".to_owned())];
        let secs = Duration::from_secs;
        for (script, acts) in [
            ("do a", vec![(secs(1), Act::Do("a".into()))]),
            ("do a-$x first for 5s", vec![(secs(0), Act::Do("a-7".into())), (secs(5), Act::Nothing)]),
            (
                "do a for 2m exit 3; print $x$y two",
                vec![
                    (secs(120), Act::Do("a".into())),
                    (secs(0), Act::Exit(3)),
                    (secs(0), Act::Print("7 two\n".into())),
                ],
            ),
            ("since a 5s\nlost", vec![(LOOKS, Act::Since("a".into(), secs(5))), (secs(0), Act::Lost)]),
        ] {
            assert_eq!(parse(script, &env), acts, "{script}");
        }
        assert_eq!(effects(&parse("do a\nlook b\ndo c first", &[])), ["a", "c"]);
    }
}
