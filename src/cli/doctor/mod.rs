//! `doctor`: whether this machine is ready, and for which runbooks. Looks, and leaves nothing behind.

mod machine;
mod needs;

use serde_json::{Value, json};

use super::{CliError, Context, args::Doctor, error::code, print, session};
use crate::{text::one_line, worlds::real::RealWorld};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    /// Something is weaker, or does not work that may not be needed.
    Warn,
    /// What was asked for does not work.
    Bad,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Bad => "bad",
        }
    }
}

/// One thing that was looked at.
struct Finding {
    about: &'static str,
    level: Level,
    text: String,
    /// What to do about it.
    hint: Option<String>,
}

impl Finding {
    fn ok(about: &'static str, text: impl Into<String>) -> Finding {
        Finding { about, level: Level::Ok, text: text.into(), hint: None }
    }

    fn warn(about: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { about, level: Level::Warn, text: text.into(), hint: Some(hint.into()) }
    }

    fn bad(about: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { level: Level::Bad, ..Finding::warn(about, text, hint) }
    }
}

pub fn doctor(context: &Context, flags: &Doctor) -> Result<u8, CliError> {
    let world = RealWorld::new(RealWorld::own_program());
    let mut findings = session::block_on(machine::look(context, &world))?;
    findings.extend(needs::look(context, &world, flags.runbook.as_deref())?);
    let ready = !findings.iter().any(|finding| finding.level == Level::Bad);
    print(context, &if flags.json { as_json(&findings, ready) } else { as_text(context, &findings, ready) })?;
    Ok(if ready { 0 } else { code::REQUIREMENT })
}

fn as_json(findings: &[Finding], ready: bool) -> String {
    let findings: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "about": finding.about, "level": finding.level.name(), "text": finding.text, "hint": finding.hint,
            })
        })
        .collect();
    format!("{}\n", json!({"ready": ready, "findings": findings}))
}

fn as_text(context: &Context, findings: &[Finding], ready: bool) -> String {
    let color = context.color(std::io::IsTerminal::is_terminal(&std::io::stdout()));
    let width = findings.iter().map(|finding| finding.about.len()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        // What is in order is not said where only what must be said is wanted.
        if finding.level == Level::Ok && context.global.quiet {
            continue;
        }
        let word = format!("{:4}", finding.level.name());
        let word = match (color, finding.level) {
            (false, _) => word,
            (true, Level::Ok) => format!("\u{1b}[32m{word}\u{1b}[0m"),
            (true, Level::Warn) => format!("\u{1b}[33m{word}\u{1b}[0m"),
            (true, Level::Bad) => format!("\u{1b}[31m{word}\u{1b}[0m"),
        };
        text.push_str(&format!("{word}  {:width$}  {}\n", finding.about, one_line(&finding.text)));
        if let Some(hint) = &finding.hint {
            text.push_str(&format!("      {:width$}  → {}\n", "", one_line(hint)));
        }
    }
    text.push_str(if ready { "this machine is ready\n" } else { "this machine is not ready\n" });
    text
}
