//! When a gate may be opened: not before one moment, not after another. Knows no clock but the one it is given.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    model::Lowering,
    port::StepContext,
    syntax::{Eval, Fields, Reference, Template, moment_of},
    text::Diagnostic,
    value::{Scope, Value, show_duration},
};

pub const FIELDS: [&str; 2] = ["not_before", "not_after"];

/// As written: moments, or templates that give one.
#[derive(Debug, Default)]
pub struct Window {
    opens: Option<Template>,
    closes: Option<Template>,
}

/// With the moments in place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    opens: Option<Timestamp>,
    closes: Option<Timestamp>,
}

/// Where a moment lies, and which one is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Before(Timestamp),
    /// Until then, if there is an end.
    Open(Option<Timestamp>),
    After(Timestamp),
}

impl Window {
    pub fn lower(fields: &mut Fields<'_>, lowering: &Lowering) -> Window {
        let mut one = |key| {
            let given = fields.get(key)?;
            let template = lowering.template(&given)?;
            // What stands there in so many words is looked at right away.
            if template.references().is_empty()
                && let Ok(Eval::Value(value)) = template.eval(&Scope::new(), &[])
                && let Err(problem) = moment_of(&value, template.span())
            {
                given.problems().push(problem);
                return None;
            }
            Some(template)
        };
        Window { opens: one(FIELDS[0]), closes: one(FIELDS[1]) }
    }

    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.opens.iter().chain(&self.closes)
    }

    pub fn references(&self) -> impl Iterator<Item = Reference> {
        self.templates().flat_map(|template| template.references().to_vec())
    }

    /// One line for each moment, with what `show` makes of it.
    pub fn words(&self, show: impl Fn(&Template) -> String) -> Vec<String> {
        let opens = self.opens.iter().map(|template| format!("not before {}", show(template)));
        let closes = self.closes.iter().map(|template| format!("not after {}", show(template)));
        opens.chain(closes).collect()
    }

    /// `Err(Ok(names))` where it waits for values, `Err(Err(diagnostic))` where it is wrong.
    pub fn resolve(&self, scope: &Scope) -> Result<Bounds, Result<Vec<String>, Diagnostic>> {
        let one = |template: &Option<Template>| {
            let Some(template) = template else { return Ok(None) };
            match template.eval(scope, &[]).map_err(Err)? {
                Eval::Deferred(names) => Err(Ok(names)),
                // Nothing was said after all.
                Eval::Value(Value::None) => Ok(None),
                Eval::Value(value) => moment_of(&value, template.span()).map(Some).map_err(Err),
            }
        };
        let bounds = Bounds { opens: one(&self.opens)?, closes: one(&self.closes)? };
        if let (Some(opens), Some(closes), Some(template)) = (bounds.opens, bounds.closes, &self.closes)
            && closes <= opens
        {
            let message = format!("it would close at {}, before it opens at {}", show(closes), show(opens));
            return Err(Err(Diagnostic::error("conflict", template.span(), message).label("never open")));
        }
        Ok(bounds)
    }
}

impl Bounds {
    pub fn phase(&self, now: Timestamp) -> Phase {
        match (self.opens, self.closes) {
            (Some(opens), _) if now < opens => Phase::Before(opens),
            (_, Some(closes)) if now > closes => Phase::After(closes),
            (_, closes) => Phase::Open(closes),
        }
    }
}

/// To the second, as it stands in a question.
pub fn show(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The time between two moments, in whole seconds; nothing if the second comes first.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0))
}

/// Such as "opens at 2026-11-20 22:00:00 UTC, in 1h30m"; nothing while it is open.
pub fn refusal(phase: Phase, now: Timestamp) -> Option<String> {
    match phase {
        Phase::Open(_) => None,
        Phase::Before(opens) => Some(format!("it opens at {}, in {}", show(opens), show_duration(between(now, opens)))),
        Phase::After(closes) => {
            Some(format!("it closed at {}, {} ago", show(closes), show_duration(between(closes, now))))
        }
    }
}

/// Longest sleep before the clock on the wall is looked at again: somebody may have set it, and the live line moves.
const LOOK: Duration = Duration::from_secs(1);

/// Resolves once the clock on the wall is past a moment, or the step is told to end.
pub async fn comes(cx: &dyn StepContext, at: Timestamp, shown: impl Fn()) {
    loop {
        let left = at.duration_since(cx.wall());
        if left.is_negative() || cx.cancel().level() > 0 {
            return;
        }
        // A moment later, so that it is past and not now.
        let left = Duration::try_from(left).unwrap_or_default() + Duration::from_millis(1);
        shown();
        cx.sleep(left.min(LOOK)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_two_sides() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let bounds = |opens: Option<i64>, closes: Option<i64>| Bounds { opens: opens.map(at), closes: closes.map(at) };
        for (window, now, expected) in [
            (bounds(None, None), 5, Phase::Open(None)),
            (bounds(Some(6), None), 5, Phase::Before(at(6))),
            (bounds(Some(5), None), 5, Phase::Open(None)),
            (bounds(None, Some(5)), 5, Phase::Open(Some(at(5)))),
            (bounds(None, Some(5)), 6, Phase::After(at(5))),
            (bounds(Some(7), Some(9)), 6, Phase::Before(at(7))),
            (bounds(Some(7), Some(9)), 10, Phase::After(at(9))),
        ] {
            assert_eq!(window.phase(at(now)), expected, "{window:?} {now}");
        }
        let told = refusal(Phase::Before(at(5400)), at(0));
        assert_eq!(told.as_deref(), Some("it opens at 1970-01-01 01:30:00 UTC, in 1h30m"));
        let told = refusal(Phase::After(at(0)), at(90));
        assert_eq!(told.as_deref(), Some("it closed at 1970-01-01 00:00:00 UTC, 1m30s ago"));
    }
}
