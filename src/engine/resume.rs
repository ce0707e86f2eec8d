//! What an interrupted run left, and what follows from it: the table of the design, row by row. Knows no kind of step.

use indexmap::IndexMap;

use super::{Engine, Standing, attempt::Ended, decide::Next, menu, unit::Unit};
use crate::{
    event::{Effect, StepPhase, StepStatus, ToUndo},
    model::{DefaultExpect, Inside, own_references, step_references},
    port::{Answer, ExecRecord, Failure, LeftBehind, Local, RemoteEnd, Reply, StepError, StepReport},
    value::{Secret, Slot, Value},
};

impl<'a> Engine<'a> {
    /// Puts what the journal knows where expressions can see it.
    pub(super) async fn restore(&self) -> Result<(), StepError> {
        // Once before what is made of these values, once for what is known only then.
        self.restore_given();
        for steps in [&self.plan.runbook.steps, &self.plan.runbook.finally] {
            for step in self.list_of(&self.top, steps) {
                self.restore_step(&step).await?;
            }
        }
        self.restore_given();
        // What takes a step back may have been entered by a way back that ended half done.
        if self.goes_back() {
            for undo in self.main_units().iter().filter_map(Unit::undo) {
                self.restore_step(&undo).await?;
            }
        }
        Ok(())
    }

    fn restore_step<'s>(&'s self, step: &'s Unit<'a>) -> Local<'s, Result<(), StepError>> {
        Box::pin(async move {
            let Some(state) = self.state().steps.get(&step.path).cloned() else { return Ok(()) };
            if let Some(entered) = &state.entered {
                self.enter_again(step, entered)?;
                if let Some(Inside::Group(group)) = step.inside().filter(|_| !step.is_loop())
                    && let Some(helper) = self.helper_of(step, group)
                {
                    self.restore_step(&helper).await?;
                }
                for child in self.children(step) {
                    self.restore_step(&child).await?;
                }
                if let Some(status) = state.status() {
                    self.settle_again(step, status);
                }
                return Ok(());
            }
            match &state.phase {
                StepPhase::Finished { status, captures, withheld, .. } => {
                    let values: IndexMap<String, Value> =
                        captures.iter().map(|(name, json)| (name.clone(), step.recalled(name, json))).collect();
                    let open = matches!(status, StepStatus::Failed | StepStatus::Unknown);
                    if !open || step.policy() == crate::model::OnFailure::Continue {
                        self.settle(step, *status, &values);
                    }
                    if withheld.is_empty() || open {
                        return Ok(());
                    }
                    // Only what takes something back is still to come.
                    if self.goes_back() {
                        self.forget(step, withheld);
                        return Ok(());
                    }
                    if state.idempotent && step.repeats() {
                        // It runs again if its value is still needed; until then the value is unknown.
                        if self.needs_again(step, withheld) {
                            self.forget(step, withheld);
                        }
                        return Ok(());
                    }
                    self.ask_withheld(step, withheld).await?;
                }
                StepPhase::Skipped { .. } => self.settle(step, StepStatus::Skipped, &IndexMap::new()),
                StepPhase::NotStarted | StepPhase::Running | StepPhase::Deferred { .. } => {}
            }
            Ok(())
        })
    }

    /// Whether a step of the same file that has not run yet uses one of these names, or the caller does.
    pub(super) fn needs_again(&self, producer: &Unit<'a>, names: &[String]) -> bool {
        let used = |references: &[crate::syntax::Reference]| references.iter().any(|of| names.contains(&of.name));
        let book = producer.frame.book;
        if book.outputs.values().any(|output| used(output.references())) {
            return true;
        }
        book.all_steps().any(|step| {
            step.path != producer.step.path
                && used(&own_references(step, producer.frame.names))
                && !self.is_over_for(producer, step)
        })
    }

    /// Whether a step of the same file is over, or a container around it is.
    fn is_over_for(&self, producer: &Unit<'a>, step: &crate::model::Step) -> bool {
        let state = self.state();
        let mut path = step.path.as_str();
        loop {
            let at = producer.frame.holding(path).path(path);
            let status = state.steps.get(&at).and_then(|of| of.status());
            if status.is_some_and(|status| !matches!(status, StepStatus::Failed | StepStatus::Unknown)) {
                return true;
            }
            match path.rsplit_once('/') {
                Some((above, _)) => path = above,
                None => return false,
            }
        }
    }

    /// Makes again, before `finally` runs, the values it uses that are not on record.
    pub(super) async fn make_again_for_finally(&self) -> Result<(), StepError> {
        let units = self.main_units();
        let wanted: Vec<Unit<'a>> = {
            let state = self.state();
            let used = |names: &[String]| {
                self.plan.runbook.final_steps().any(|step| {
                    let references = step_references(step, &self.plan.names);
                    references.iter().any(|reference| names.contains(&reference.name))
                })
            };
            let lost = |step: &Unit<'a>| {
                state.steps.get(&step.path).is_some_and(|of| match &of.phase {
                    StepPhase::Finished { withheld, .. } => {
                        of.idempotent && step.repeats() && !withheld.is_empty() && used(withheld)
                    }
                    _ => false,
                })
            };
            units.into_iter().filter(lost).collect()
        };
        for step in wanted {
            let known = |name: &crate::text::Spanned<String>| {
                !matches!(step.frame.scope.borrow().get(&name.value), Some(Slot::Unknown { .. }))
            };
            if !step.gives().iter().all(known) {
                self.step(&step, false).await?;
            }
        }
        Ok(())
    }

    /// Makes again, or asks for, what takes steps back uses and is not on record.
    pub(super) async fn make_again_for_undo(&self, units: &[Unit<'a>], left: &[ToUndo]) -> Result<(), StepError> {
        let mut wanted: Vec<String> = Vec::new();
        for step in units {
            let listed = left.iter().any(|of| of.step == step.path);
            let over = self.status_of(&step.path) == Some(StepStatus::Undone);
            if let (true, false, Some(undo)) = (listed, over, step.undo()) {
                wanted.extend(own_references(undo.step, step.frame.names).into_iter().map(|of| of.name));
            }
        }
        let last = self.plan.runbook.final_steps().flat_map(|step| step_references(step, &self.plan.names));
        wanted.extend(last.map(|of| of.name));
        for step in units {
            let lost: Vec<String> = {
                let state = self.state();
                let Some(of) = state.steps.get(&step.path) else { continue };
                let StepPhase::Finished { withheld, .. } = &of.phase else { continue };
                let scope = step.frame.scope.borrow();
                let unknown = |name: &&String| !matches!(scope.get(name), Some(Slot::Known(_)));
                withheld.iter().filter(|name| wanted.contains(name)).filter(unknown).cloned().collect()
            };
            if lost.is_empty() || step.is_container() {
                continue;
            }
            let again = {
                let state = self.state();
                let of = state.steps.get(&step.path);
                step.repeats() && of.is_some_and(|of| of.idempotent && of.status() != Some(StepStatus::Undone))
            };
            if again {
                self.attempts(step, false).await?;
                continue;
            }
            for name in &lost {
                self.ask_for(step, name).await?;
            }
        }
        Ok(())
    }

    fn forget(&self, step: &Unit<'a>, names: &[String]) {
        for name in names {
            let origin = format!("{}.{name}", step.path);
            step.frame.scope.borrow_mut().set(name, Slot::Unknown { origin: origin.into() });
        }
    }

    /// A value that is not on record and whose step may not run again comes from the operator.
    async fn ask_withheld(&self, step: &Unit<'a>, names: &[String]) -> Result<(), StepError> {
        if !self.needs_again(step, names) {
            return Ok(());
        }
        for name in names {
            self.ask_for(step, name).await?;
        }
        Ok(())
    }

    async fn ask_for(&self, step: &Unit<'a>, name: &str) -> Result<(), StepError> {
        let mut question = menu::withheld(&step.path, name);
        loop {
            match self.ask(question.clone()).await? {
                Reply::Answer(Answer { secret: Some(secret), .. }) => {
                    let text = secret.expose().to_owned();
                    // None that short was ever captured, and masking it would hide half of every text.
                    if self.publisher.redactor().add(&Secret::new(text.clone()), false).is_err() {
                        question.message =
                            format!("that is shorter than 8 bytes, which the captured `{name}` was not; type it again");
                        continue;
                    }
                    step.frame.scope.borrow_mut().know(name, Value::text(text));
                    return Ok(());
                }
                Reply::Nobody { why } => {
                    return Err(StepError::Undecided(format!("`{name}` is not on record and must be typed: {why}")));
                }
                Reply::Closed { why, .. } => {
                    return Err(StepError::Paused(format!("`{name}` is not on record and must be typed: {why}")));
                }
                _ => return Err(StepError::Paused(format!("`{name}` is not on record and was not given"))),
            }
        }
    }

    /// Goes on with a step that was begun before. `None`: it is run as if for the first time.
    pub(super) async fn carry_on(
        &self,
        step: &Unit<'a>,
        begun: Option<StepPhase>,
        last: bool,
    ) -> Result<Option<Standing>, StepError> {
        let mut ended = match begun {
            None | Some(StepPhase::NotStarted | StepPhase::Deferred { .. } | StepPhase::Skipped { .. }) => {
                return Ok(None);
            }
            Some(StepPhase::Finished {
                status: status @ (StepStatus::Failed | StepStatus::Unknown), error, ..
            }) => {
                let (interrupted, no_effect) = {
                    let state = self.state();
                    let of = state.steps.get(&step.path);
                    (of.is_some_and(|of| of.interrupted), of.is_some_and(|of| of.no_effect))
                };
                if no_effect && !self.is_decided(step) {
                    return Ok(None);
                }
                if (status == StepStatus::Unknown || interrupted) && self.runs_again(step) {
                    return Ok(None);
                }
                let attempts = self.state().steps.get(&step.path).map_or(0, |state| state.attempts);
                Ended {
                    status,
                    captures: IndexMap::new(),
                    result: None,
                    why: error.unwrap_or_else(|| "it did not come to an end".into()),
                    output: self.journal.output_tail(&step.path, attempts),
                    not_in_place: false,
                    seen: self.seen_before(step),
                }
            }
            Some(StepPhase::Finished { .. }) => return Ok(None),
            Some(StepPhase::Running) => match self.left_running(step).await? {
                Some(ended) => ended,
                None => return Ok(None),
            },
        };
        match ended.status {
            StepStatus::Failed | StepStatus::Unknown => {}
            status => {
                self.settle(step, status, &ended.captures);
                return Ok(Some(Standing::Satisfied));
            }
        }
        // What failed has failed: nobody is there to have it repeated.
        let of_run = step.path.undoes().is_none() && !step.step.is_helper();
        if ended.status == StepStatus::Failed && self.over.get() && of_run && !last {
            self.settle(step, StepStatus::Failed, &IndexMap::new());
            return Ok(Some(Standing::Blocks));
        }
        // The engine died, or was stopped, before the rule could repeat the step.
        if ended.status == StepStatus::Failed && !self.is_decided(step) {
            let turn = self.state().steps.get(&step.path).map_or(0, |state| state.attempts);
            if self.retries(step, &mut ended, turn).await? {
                return Ok(None);
            }
        }
        if let Some(decision) = self.options.decisions.get(step.path.as_str()) {
            let answer = Answer { reason: Some(decision.reason.clone()), ..Answer::word("done") };
            if !decision.done {
                // The operator says it had no effect, so it is as if it had not run.
                self.not_done(step, &decision.reason).await?;
                if !last && self.is_over_for_good(step) {
                    return self.without_effect(step, &decision.reason).await.map(Some);
                }
                return Ok(None);
            }
            return match self.done_by_hand(step, answer).await? {
                Ok(standing) => Ok(Some(standing)),
                Err(found) => Err(StepError::Undecided(format!("step {}: {found}", step.path))),
            };
        }
        match self.after(step, &ended, last).await? {
            Next::Again => Ok(None),
            Next::Over(standing) => Ok(Some(standing)),
        }
    }

    /// After a no: what ran beside it and has an open end is decided, and nothing is run.
    pub(super) async fn decide_open_ends(&self) -> Result<(), StepError> {
        for step in self.main_units() {
            if step.is_container() || step.step.is_helper() {
                continue;
            }
            let begun = {
                let state = self.state();
                let Some(of) = state.steps.get(&step.path) else { continue };
                let open = of.phase == StepPhase::Running || of.status() == Some(StepStatus::Unknown);
                let quit_here = of.answers.last().is_some_and(|answer| answer.0 == "quit");
                if !open || quit_here || step.body.action.is_asked() || of.effect == Effect::Read {
                    continue;
                }
                of.phase.clone()
            };
            self.carry_on(&step, Some(begun), false).await?;
        }
        Ok(())
    }

    /// Whether the command line says how this step ended.
    fn is_decided(&self, step: &Unit<'a>) -> bool {
        self.options.decisions.contains_key(step.path.as_str())
    }

    /// Whether a step whose end nobody knows simply runs once more. After a no nothing does, so that somebody has to say
    /// what became of it.
    fn runs_again(&self, step: &Unit<'a>) -> bool {
        step.idempotent && !self.is_decided(step) && !self.is_over_for_good(step)
    }

    /// A decision from the command line, on record like any answer.
    async fn not_done(&self, step: &Unit<'a>, reason: &str) -> Result<(), StepError> {
        let _asking = self.signals.asking(Some(&step.path));
        let _turn = self.signals.seat.lock().await;
        let number = self.put(&menu::decided(&step.path)).await?;
        self.answered(number, Some(step.path.clone()), "not-done", Some(reason.to_owned()), self.operator.name()).await
    }

    /// A step that was started and has no end on record. `None`: run it (again).
    async fn left_running(&self, step: &Unit<'a>) -> Result<Option<Ended>, StepError> {
        let (attempt, effect, effects) = {
            let state = self.state();
            match state.steps.get(&step.path) {
                Some(of) => (of.attempts, of.effect, of.effects.clone()),
                None => return Ok(None),
            }
        };
        let mut left = match self.journal.step_dir() {
            Some(dir) => self.world.left_behind(&dir, &step.path, attempt),
            None => LeftBehind::Nothing,
        };
        if left == LeftBehind::Running
            && let Some(dir) = self.journal.step_dir()
        {
            let end_it = if effect == Effect::Read && step.idempotent || step.step.is_helper() {
                true
            } else {
                let output = self.journal.output_tail(&step.path, attempt);
                let question = menu::still_running(&step.path, self.title(step), &effects, &output);
                // Nobody there: waiting harms nothing, ending might.
                match self.ask_else(question, Some("wait")).await? {
                    Reply::Answer(answer) if answer.word == "wait" => false,
                    Reply::Answer(answer) if answer.word == "end" => true,
                    Reply::Nobody { .. } => false,
                    Reply::Answer(_) | Reply::Unasked => {
                        return Err(StepError::Paused(format!("step {} is still running", step.path)));
                    }
                    Reply::Closed { why, .. } => return Err(StepError::Paused(why)),
                }
            };
            let cancel = crate::port::Cancel::new();
            let settling = self.world.settle_left_behind(&dir, &step.path, attempt, end_it, &cancel);
            left = if end_it {
                self.guarded(step, &cancel, settling).await
            } else {
                // Nothing of it is ours to interrupt: whoever stops waiting leaves it running.
                tokio::select! {
                    left = settling => left,
                    _ = self.signals.closed() => LeftBehind::Running,
                }
            };
            if left == LeftBehind::Running {
                let stopped = self.signals.stop_reason().map(|why| format!("{why}; ")).unwrap_or_default();
                return Err(StepError::Paused(format!("{stopped}step {} is still running", step.path)));
            }
        }
        if let LeftBehind::Ended(record) | LeftBehind::Daemon(record) = &left
            && step.body.action.is_one_process()
        {
            let ended = self.adopt_record(step, attempt, record).await?;
            // It runs again, so that what it left running the first time is in the way.
            if let (None, LeftBehind::Daemon(_), Some(dir)) = (&ended, &left, self.journal.step_dir()) {
                let cancel = crate::port::Cancel::new();
                let settling = self.world.settle_left_behind(&dir, &step.path, attempt, true, &cancel);
                self.guarded(step, &cancel, settling).await;
            }
            return Ok(ended);
        }
        // It lives, and no end of its start is on record: it is started again.
        if let (true, LeftBehind::Daemon(_), Some(dir)) = (step.step.is_helper(), &left, self.journal.step_dir()) {
            let cancel = crate::port::Cancel::new();
            let settling = self.world.settle_left_behind(&dir, &step.path, attempt, true, &cancel);
            self.guarded(step, &cancel, settling).await;
        }
        if let Some(ended) = self.answered_before(step, attempt).await? {
            return Ok(Some(ended));
        }
        let decided = self.is_decided(step);
        // Whoever was asked is asked again, and what only looks, or may run twice, runs again; unless the operator has
        // decided already how it ended.
        if self.runs_again(step) || !decided && (step.body.action.is_asked() || effect == Effect::Read) {
            return Ok(None);
        }
        // Nothing of it had begun: its start is on record, and no intent of an effect.
        if !decided && effects.is_empty() {
            return Ok(None);
        }
        let mut report = StepReport::of(StepStatus::Unknown);
        report.failure =
            Some(Failure::plain("the run ended while this step was running, and how it ended is not on record"));
        let ended = self.adopt(step, attempt, report, !decided, true).await?;
        // It had no end, and what was looked for is not there: it runs, as the first time.
        Ok((!ended.not_in_place).then_some(ended))
    }

    /// What a person typed is on record, and the run was cut off right after it: nobody types it twice.
    async fn answered_before(&self, step: &Unit<'a>, attempt: u32) -> Result<Option<Ended>, StepError> {
        let typed = step.body.action.typed();
        let values: IndexMap<String, Value> = {
            let state = self.state();
            let Some(of) = state.steps.get(&step.path) else { return Ok(None) };
            of.typed.iter().map(|(name, json)| (name.clone(), step.recalled(name, json))).collect()
        };
        // A secret is not on record, so that all of it is asked for again.
        if typed.is_empty() || !typed.iter().all(|(name, _)| values.contains_key(&name.value)) {
            return Ok(None);
        }
        let mut report = StepReport::of(StepStatus::Succeeded);
        report.notes.push("it was answered before the run was interrupted".into());
        let gathered = self.gather(values, step)?;
        let cx = self.context(step, attempt);
        self.record_end(step, attempt, &report, report.status, &gathered, &cx, self.world.now()).await?;
        let (status, captures, why) = (report.status, gathered.values, "it ended".to_owned());
        Ok(Some(Ended { status, captures, result: None, why, output: Vec::new(), not_in_place: false, seen: None }))
    }

    /// The end that a supervisor wrote down after its engine had died. `None` where it does not tell how the step ended,
    /// and the step may run again.
    async fn adopt_record(
        &self,
        step: &Unit<'a>,
        attempt: u32,
        record: &ExecRecord,
    ) -> Result<Option<Ended>, StepError> {
        let mut report = StepReport::of(StepStatus::Unknown);
        report.exit = record.exit;
        report.signal = record.signal;
        report.notes.push("it ended after the run had been interrupted; its supervisor recorded the end".into());
        if record.lost_bytes > 0 {
            report
                .notes
                .push(format!("{} bytes of its output came after the interruption and are lost", record.lost_bytes));
        }
        for left in &record.swept {
            report.notes.push(format!("left over and ended: {left}"));
        }
        report.left.clone_from(&record.left);
        if let Some(RemoteEnd::NotBegun(_)) = record.remote {
            report.status = StepStatus::Failed;
            report.failure = Some(Failure::plain("the program of its `via` ended and had not taken the script"));
            return self.adopt(step, attempt, report, false, false).await.map(Some);
        }
        let said = record.remote == Some(RemoteEnd::Ended);
        let Some(exit) = record.exit.filter(|_| said || (!record.timed_out && !record.cancelled)) else {
            if self.runs_again(step) {
                return Ok(None);
            }
            let how = match record {
                ExecRecord { remote: Some(RemoteEnd::Lost(_)), .. } => "nobody heard how it ended over there",
                ExecRecord { timed_out: true, .. } => "it ran out of time",
                ExecRecord { cancelled: true, .. } => "it was interrupted",
                _ => "it was killed",
            };
            report.failure = Some(Failure::plain(how));
            // Whoever cut it short did not say that it failed: where it had no effect, it runs.
            let cut = record.cancelled && !self.is_decided(step);
            let ended = self.adopt(step, attempt, report, true, cut).await?;
            return Ok((!(cut && ended.not_in_place)).then_some(ended));
        };
        let says_more = step.body.expect.entries.iter().any(|entry| {
            entry.references().iter().any(|r| r.name == "result" && r.path.first().is_none_or(|field| field != "exit"))
        });
        if step.body.expect.default_in_force() == DefaultExpect::ExitZero && exit != 0 {
            report.status = StepStatus::Failed;
            report.failure = Some(Failure::plain(format!("it exited with {exit}")));
            return self.adopt(step, attempt, report, false, false).await.map(Some);
        }
        if !says_more && step.body.captures.is_empty() {
            let result = Value::map([("exit".to_owned(), Value::Int(i64::from(exit)))].into_iter().collect());
            match step.body.expect.judge(&step.scope(), &result) {
                crate::model::Verdict::Holds => report.status = StepStatus::Succeeded,
                crate::model::Verdict::Misses(failure) => {
                    report.status = StepStatus::Failed;
                    report.failure = Some(failure);
                }
                crate::model::Verdict::Broken(diagnostic) => {
                    report.status = StepStatus::Failed;
                    report.failure = Some(Failure::drawn(diagnostic));
                }
                crate::model::Verdict::Deferred(_) => {}
            }
            return self.adopt(step, attempt, report, false, false).await.map(Some);
        }
        if self.runs_again(step) {
            return Ok(None);
        }
        report.failure = Some(Failure::plain(format!(
            "it exited with {exit} after the run had been interrupted, so what it wrote, and with it {}, is lost",
            what_is_lost(step)
        )));
        self.adopt(step, attempt, report, true, false).await.map(Some)
    }
}

fn what_is_lost(step: &Unit<'_>) -> String {
    let names: Vec<String> = step.body.captures.iter().map(|capture| format!("`{}`", capture.name.value)).collect();
    if names.is_empty() { "what it was expected to say".into() } else { names.join(", ") }
}
