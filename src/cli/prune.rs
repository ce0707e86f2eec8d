//! `prune`: old runs that are over, taken away.

use std::io::IsTerminal;

use super::{CliError, Context, args::Prune, error::code, print, say};
use crate::{
    event::RunId,
    journal::{OldRuns, Removal, RunSummary},
    operators::ask_yes,
    text::one_line,
    value::parse_duration,
};

pub fn prune(context: &Context, flags: &Prune) -> Result<u8, CliError> {
    let age = parse_duration(&flags.older_than).map_err(|why| CliError::usage(format!("--older-than: {why}")))?;
    let now = jiff::Timestamp::now();
    let before = jiff::SignedDuration::try_from(age)
        .ok()
        .and_then(|age| now.checked_sub(age).ok())
        .ok_or_else(|| CliError::usage(format!("--older-than: {} is longer than can be told", flags.older_than)))?;
    let store = context.store()?;
    if !flags.dry_run {
        // What a start or a removal left that was killed; an hour old, so that nobody is at it any more.
        let hour_ago = now.checked_sub(jiff::SignedDuration::from_hours(1)).unwrap_or(now);
        match store.sweep(RunId::make(hour_ago, 0).as_str()) {
            Ok(0) => {}
            Ok(count) => say(context, &format!("removed what was left of {}\n", runs(count))),
            Err(error) => say(context, &format!("runsheet: could not {error}\n")),
        }
    }
    let old = store.old_runs(before)?;
    let total: u64 = old.over.iter().map(|(_, bytes)| bytes).sum();
    show(context, flags, &old, total)?;
    if old.over.is_empty() || flags.dry_run {
        return Ok(0);
    }
    if !flags.yes {
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            return Err(CliError::usage("nobody is there to confirm this; nothing was removed")
                .hint("--yes removes without asking, --dry-run shows what would be removed"));
        }
        let sure = ask_yes(&format!("Remove {} for good?", runs(old.over.len())));
        if !sure.map_err(|why| CliError::new(code::DECLINED, format!("{why}; nothing was removed")))? {
            return Err(CliError::new(code::DECLINED, "nothing was removed"));
        }
    }
    let (mut removed, mut freed, mut failed) = (0, 0, false);
    for (run, bytes) in &old.over {
        match store.remove_run(&run.run, before) {
            Ok(Removal::Done) => {
                removed += 1;
                freed += bytes;
            }
            Ok(Removal::Gone) => say(context, &format!("run {} was gone already\n", run.run)),
            Ok(Removal::Kept(why)) => say(context, &format!("run {} is kept: {}\n", run.run, one_line(&why))),
            Err(error) => {
                failed = true;
                say(context, &format!("runsheet: could not {error}\n"));
            }
        }
    }
    print(context, &format!("removed {}, {} freed\n", runs(removed), room(freed)))?;
    Ok(if failed { code::FAILED } else { 0 })
}

fn show(context: &Context, flags: &Prune, old: &OldRuns, total: u64) -> Result<(), CliError> {
    let mut text = String::new();
    if !context.global.quiet {
        for (run, bytes) in &old.over {
            let ended = run.finished.map_or_else(|| "?".into(), day);
            text.push_str(&format!("{}  {}  {ended}  {}\n", line(run), run.outcome.name(), room(*bytes)));
        }
        for (run, why) in &old.kept {
            text.push_str(&format!("{}  kept: {}\n", line(run), one_line(why)));
        }
    }
    let would = if flags.dry_run { "would be removed" } else { "to be removed" };
    match old.over.len() {
        0 => text.push_str(&format!("no run ended more than {} ago; nothing to remove\n", flags.older_than.trim())),
        count => text.push_str(&format!("{}, {} {would}\n", runs(count), room(total))),
    }
    print(context, &text)
}

fn line(run: &RunSummary) -> String {
    format!("{}  {}", run.run, one_line(&run.runbook))
}

fn day(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn runs(count: usize) -> String {
    if count == 1 { "1 run".into() } else { format!("{count} runs") }
}

/// Bytes as people say them.
fn room(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1023.95 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_said_in_its_unit() {
        for (bytes, said) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (3 << 50, "3072.0 TiB"),
        ] {
            assert_eq!(room(bytes), said);
        }
    }
}
