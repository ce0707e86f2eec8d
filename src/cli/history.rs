//! `history`: the runs, newest first.

use super::{CliError, Context, args::History, print};
use crate::value::parse_duration;

pub fn history(context: &Context, flags: &History) -> Result<u8, CliError> {
    let mut runs = context.store()?.list()?;
    if let Some(name) = &flags.runbook {
        runs.retain(|run| run.runbook == *name);
    }
    if let Some(outcome) = &flags.outcome {
        let known = [
            "succeeded",
            "failed",
            "declined",
            "undone",
            "undo_failed",
            "paused",
            "unknown",
            "running",
            "interrupted",
            "broken",
        ];
        if !known.contains(&outcome.as_str()) {
            let error = CliError::usage(format!("there is no outcome `{outcome}`"));
            return Err(match crate::text::nearest(outcome, known) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("one of {}", known.join(", "))),
            });
        }
        runs.retain(|run| run.outcome.name() == outcome);
    }
    if let Some(since) = &flags.since {
        let since = parse_duration(since).map_err(|why| CliError::usage(format!("--since: {why}")))?;
        let from = jiff::Timestamp::now() - jiff::SignedDuration::try_from(since).unwrap_or(jiff::SignedDuration::MAX);
        runs.retain(|run| run.started.is_none_or(|started| started >= from));
    }
    if flags.json {
        let text = serde_json::to_string(&runs).unwrap_or_else(|_| "[]".into());
        print(context, &format!("{text}\n"))?;
        return Ok(0);
    }
    if runs.is_empty() {
        if !context.global.quiet {
            print(context, "no runs\n")?;
        }
        return Ok(0);
    }
    let width = runs.iter().map(|run| run.runbook.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for run in &runs {
        let started = run.started.map_or_else(|| "?".into(), |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
        let took = match (run.started, run.finished) {
            (Some(from), Some(to)) => {
                let took = std::time::Duration::try_from(to.duration_since(from)).unwrap_or_default();
                format!(
                    " after {}",
                    crate::value::show_duration(std::time::Duration::from_millis(
                        u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                    ))
                )
            }
            _ => String::new(),
        };
        let by = crate::text::one_line(&run.by).into_owned();
        text.push_str(&format!(
            "{}  {:width$}  {started}  {}{took}  by {by}\n",
            run.run,
            crate::text::one_line(&run.runbook),
            run.outcome.name(),
        ));
        if let Some(problem) = &run.problem {
            text.push_str(&format!("  {}\n", crate::text::one_line(problem)));
        }
    }
    print(context, &text)?;
    Ok(0)
}
