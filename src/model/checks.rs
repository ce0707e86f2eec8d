//! Whether a lowered runbook is well made: names, references, needs, cycles. Looks at no value.

use std::collections::BTreeSet;

use super::{
    Body, Declared, ForEach, Graph, Inside, Names, Runbook, Step, bodies::listed, body_references, combinations,
    step_references, unknown_fields,
};
use crate::{
    syntax::{Expr, Problems, Reference, Text, Truth},
    text::{Diagnostic, Span, did_you_mean, nearest},
    value::{Scope, Slot, Type},
};

/// Combinations of parameter values that are tried for cycles.
const COMBINATIONS: usize = 256;

/// Reports what is wrong and tells every name. `misnamed` are declarations under words that cannot be names: they were
/// reported, and their uses are no further mistakes.
pub(super) fn check(runbook: &Runbook, misnamed: &[(String, Declared)], problems: &Problems) -> Names {
    let mut names = declare(runbook, problems);
    for (name, declared) in misnamed {
        names.declare(name, declared.clone());
    }
    for template in runbook.lock.iter().chain(&runbook.cwd).chain(&runbook.files) {
        only_inputs(template.references(), &names, "it is rendered before the first step", problems);
    }
    for secret in runbook.secrets.values() {
        for template in secret.templates() {
            let why = "a secret's source is found from parameters alone";
            only_inputs(template.references(), &names, why, problems);
        }
    }
    let variables: Vec<&str> = runbook.requires.env.iter().map(|name| name.value.as_str()).collect();
    for steps in [&runbook.steps, &runbook.finally] {
        check_list(runbook, steps, false, &names, &variables, problems);
    }
    for output in runbook.outputs.values() {
        references(output.references(), &Place { names: &names, path: "", above: "" }, &[], problems);
        no_secrets(output, &names, problems);
    }
    check_finally(runbook, &names, problems);
    check_verifies(runbook, &names, problems);
    super::files::check(runbook, &names, problems);
    names
}

fn check_list(
    runbook: &Runbook,
    steps: &[Step],
    parallel: bool,
    names: &Names,
    variables: &[&str],
    problems: &Problems,
) {
    check_needs(steps, names, problems);
    for step in steps {
        check_step(step, names, variables, problems);
        if parallel && step.body.action.is_gate() {
            problems.push(
                Diagnostic::error(
                    "gate-in-parallel",
                    step.body.kind_span,
                    "a confirm cannot stand in a parallel group",
                )
                .label("what runs beside it would not wait for the answer")
                .hint("put it before the group, or leave `parallel` out"),
            );
        }
        if let Some(span) = step.foreach.as_ref().filter(|of| of.parallel.is_some()).map(|of| of.span)
            && step.body.action.is_gate()
        {
            problems.push(
                Diagnostic::error("gate-in-parallel", span, "a confirm cannot be asked for several items at a time")
                    .label("this loop is parallel")
                    .hint("leave `parallel` out, or put the confirm into a group with the steps it guards"),
            );
        }
        let Some(inside) = step.body.action.inside() else { continue };
        if let Inside::Choose(choose) = inside {
            for when in choose.cases.iter().filter_map(|case| case.when.as_ref()) {
                no_secrets(when, names, problems);
            }
        }
        if let Inside::Group(super::Group { helper: Some(helper), .. }) = inside {
            check_helper(step, helper, names, problems);
        }
        let beside = matches!(inside, Inside::Group(group) if group.parallel.is_some());
        for list in inside.lists() {
            check_list(runbook, list, beside, names, variables, problems);
        }
    }
    check_cycles(runbook, steps, parallel, names, problems);
}

/// A helper is there before the steps of its group are.
fn check_helper(group: &Step, helper: &Step, names: &Names, problems: &Problems) {
    for reference in body_references(&helper.body, names) {
        let inside = names
            .producers(&reference.name)
            .find(|producer| Names::is_inside(producer, group.path.as_str()) && *producer != group.path.as_str());
        if let Some(producer) = inside {
            problems.push(
                Diagnostic::error(
                    "not-yet-there",
                    reference.span,
                    format!("`{}` is set by `{producer}`, a step of the same group", reference.name),
                )
                .label("the helper is started before the first of them")
                .hint("move that step before the group"),
            );
        }
    }
}

/// Where an expression stands.
struct Place<'a> {
    names: &'a Names,
    /// The step it belongs to; empty for the runbook itself.
    path: &'a str,
    /// The list of that step.
    above: &'a str,
}

impl<'a> Place<'a> {
    fn of(step: &'a Step, names: &'a Names) -> Place<'a> {
        Place { names, path: step.path.as_str(), above: step.above() }
    }
}

/// A default that names another value would reach a step with its braces, where nobody expects them.
pub(super) fn check_plain(values: &[(String, Text)], names: &Names, problems: &Problems) {
    for (what, text) in values {
        for (start, _) in text.text.match_indices("{{") {
            let inner = text.text[start + 2..].split("}}").next().unwrap_or("");
            let word = inner.trim_start_matches(['-', '+']).trim_start();
            let length = word.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
            let word = &word[..length];
            if !names.contains(word) && !["run", "steps", "result"].contains(&word) {
                continue;
            }
            let end = (start + 2 + inner.len() + 2).min(text.text.len());
            problems.push(
                Diagnostic::warning("template-in-value", text.map.span(start..end), format!("{what} is no template"))
                    .label("it would be taken as it stands, with its braces")
                    .hint("write a value, and put it together with others where it is used, or in a `set` step"),
            );
        }
    }
}

fn declare(runbook: &Runbook, problems: &Problems) -> Names {
    let mut names = Names::default();
    let twice = |name: &str, span: Span, earlier: &Declared| {
        problems.push(
            Diagnostic::error("duplicate-name", span, format!("`{name}` is {} already", earlier.what()))
                .label("declared again here")
                .related(earlier.span(), "declared first here")
                .hint("parameters, secrets and captures share one namespace; choose another name"),
        );
    };
    for param in runbook.params.values() {
        names.declare(&param.name, Declared::Param(param.span));
    }
    for secret in runbook.secrets.values() {
        if let Some(earlier) = names.declare(&secret.name, Declared::Secret(secret.span)) {
            twice(&secret.name, secret.span, &earlier);
        }
        names.allow_origins(&secret.name, &secret.origins);
    }
    for step in runbook.all_steps() {
        if let Some(earlier) = names.add_step(step.path.as_str(), step.id.span) {
            problems.push(
                Diagnostic::error("duplicate-id", step.id.span, format!("there is another step `{}`", step.id.value))
                    .label("the same id again")
                    .related(earlier, "the first one")
                    .hint("give it another id; steps and those of `finally` share them"),
            );
        }
        if let Some(Inside::Call(call)) = step.body.action.inside() {
            // Of a runbook that could not be read nobody knows what it gives; that was told where it is called.
            let outputs = call.callee.as_ref().map(|callee| callee.runbook.outputs.keys().cloned().collect());
            names.add_call(step.path.as_str(), outputs);
        }
        for (name, typed) in step.body.action.typed() {
            if typed.shape.ty == Type::Secret {
                names.keep_secret(&name.value);
            }
        }
        for name in step.gives() {
            let declared = Declared::Capture { step: step.path.to_string(), span: name.span };
            let Some(earlier) = names.declare(&name.value, declared) else { continue };
            match &earlier {
                Declared::Capture { step: other, .. } if in_other_cases(runbook, other, step.path.as_str()) => {
                    names.declare_also(&name.value, step.path.as_str());
                }
                _ => twice(&name.value, name.span, &earlier),
            }
        }
    }
    for step in runbook.all_steps() {
        let Some(foreach) = &step.foreach else { continue };
        let name = &foreach.name;
        let nested = names.loops_of(&name.value).any(|of| Names::is_inside(step.path.as_str(), of));
        match names.declare(&name.value, Declared::Item { span: name.span }) {
            Some(earlier @ Declared::Item { .. }) if nested => twice(&name.value, name.span, &earlier),
            None | Some(Declared::Item { .. }) => names.add_loop(step.path.as_str(), &name.value),
            Some(earlier) => twice(&name.value, name.span, &earlier),
        }
    }
    names
}

/// Whether two steps stand in different cases of one choice, so that only one of them ever runs.
fn in_other_cases(runbook: &Runbook, one: &str, other: &str) -> bool {
    runbook.all_steps().any(|step| {
        let Some(Inside::Choose(choose)) = step.body.action.inside() else { return false };
        let case_of = |path: &str| {
            choose.cases.iter().position(|case| Names::is_inside(path, &format!("{}/{}", step.path, case.id.value)))
        };
        matches!((case_of(one), case_of(other)), (Some(a), Some(b)) if a != b)
    })
}

fn only_inputs(references: &[Reference], names: &Names, why: &str, problems: &Problems) {
    for reference in references {
        let name = reference.name.as_str();
        match names.get(name) {
            Some(Declared::Param(_)) => {}
            None if !["steps", "run", "result"].contains(&name) => {
                unknown_name(reference, &Place { names, path: "", above: "" }, &[], problems);
            }
            declared => {
                let problem = Diagnostic::error("not-a-parameter", reference.span, format!("`{name}` is no parameter"))
                    .label(why)
                    .hint("only parameters have their values by then");
                problems.push(match declared {
                    Some(declared) => problem.related(declared.span(), format!("it is {}", declared.what())),
                    None => problem,
                });
            }
        }
    }
}

fn check_needs(steps: &[Step], names: &Names, problems: &Problems) {
    let ids: BTreeSet<&str> = steps.iter().map(|step| step.id.value.as_str()).collect();
    for step in steps {
        for need in step.needs.iter().flatten() {
            if let Some(when) = &need.when {
                only_inputs(when.references(), names, "the graph is made before the first step", problems);
            }
            let wanted = need.step.value.as_str();
            // A step that needs itself is a cycle, and found as one.
            if ids.contains(wanted) {
                continue;
            }
            let problem =
                Diagnostic::error("unknown-step", need.step.span, format!("there is no step `{wanted}` in this list"))
                    .label("no such step");
            if problems.are_many() {
                problems.push(problem);
                continue;
            }
            let others = steps.iter().map(|other| other.id.value.as_str()).filter(|id| *id != step.id.value);
            problems.push(match did_you_mean(wanted, others.filter(|id| Names::is_id(id))) {
                Some(hint) => problem.hint(hint),
                None if names.has_step(wanted) => problem
                    .hint("`needs` names steps of the same list; those of `finally` run after all others in any case"),
                None if names.contains(wanted) => {
                    problem.hint("`needs` names steps; a step that uses a value waits for it by itself")
                }
                None => problem.hint(ids_of(steps, &step.id.value)),
            });
        }
    }
}

/// The steps that could be named, if they are few.
fn ids_of(steps: &[Step], but: &str) -> String {
    let ids: Vec<String> = steps
        .iter()
        .filter(|step| step.id.value != but && Names::is_id(&step.id.value))
        .map(|step| format!("`{}`", step.id.value))
        .collect();
    match ids.len() {
        0 => "there is no other step in this list".to_owned(),
        1..=12 => format!("the steps of this list are {}", ids.join(", ")),
        _ => "give the id of a step of the same list".to_owned(),
    }
}

fn check_step(step: &Step, names: &Names, variables: &[&str], problems: &Problems) {
    let place = Place::of(step, names);
    if let Some(when) = &step.when {
        references(when.references(), &place, &[], problems);
        no_secrets(when, names, problems);
    }
    if let Some(foreach) = &step.foreach {
        check_foreach(step, foreach, names, problems);
    }
    check_own(step, names, problems);
    check_body(&step.body, &place, variables, problems);
    if let Some(undo) = &step.undo {
        check_undo(step, undo, names, variables, problems);
    }
    if let Some(verify) = &step.verify {
        check_body(verify, &place, variables, problems);
        for capture in &verify.captures {
            if !step.body.captures.iter().any(|of| of.name.value == capture.name.value) {
                let near = slip_of(&capture.name.value, step).map(|name| format!("did you mean `{name}`?"));
                let why = "a `verify` gives the names of its step, so that either way they have a value";
                problems.push(
                    Diagnostic::error(
                        "verify-capture",
                        capture.name.span,
                        format!("`{}` is not captured by the step itself", capture.name.value),
                    )
                    .label("no name of the step")
                    .hint(near.unwrap_or_else(|| why.to_owned())),
                );
            }
        }
        if step.verify.as_ref().is_some_and(|verify| verify.action.is_asked()) {
            problems.push(
                Diagnostic::error("verify-asks", verify.kind_span, "a `verify` cannot ask a person")
                    .hint("it looks with `http` or `shell`"),
            );
        }
        if step.verify.as_ref().is_some_and(|verify| verify.action.may_leave_running()) {
            problems.push(
                Diagnostic::error("look-leaves", verify.kind_span, "a `verify` only looks and leaves nothing running")
                    .hint("leave `daemon` out here"),
            );
        }
    }
    if let Some(retry) = &step.retry
        && let Some(when) = &retry.when
    {
        references(when.references(), &place, &["result"], problems);
        no_secrets(when, names, problems);
        problems.extend(unknown_fields(when, step.body.kind, step.body.action.outputs()));
    }
    for template in step.title.iter().chain(&step.text) {
        references(template.references(), &place, &[], problems);
    }
}

/// What is gone over is known before the first item is.
fn check_foreach(step: &Step, foreach: &ForEach, names: &Names, problems: &Problems) {
    let used = foreach.references();
    // What is written out is the same in every run.
    if used.is_empty()
        && let Err(wrong) = foreach.eval(&Scope::new())
    {
        problems.push(wrong);
    }
    references(&used, &Place::of(step, names), &[], problems);
    for reference in &used {
        if reference.name == foreach.name.value {
            problems.push(
                Diagnostic::error(
                    "own-value",
                    reference.span,
                    format!("`{}` is the item of this loop", reference.name),
                )
                .label("it has no value before the loop begins"),
            );
        }
        if let Some(declared @ Declared::Secret(_)) = names.get(&reference.name) {
            let message = format!("`{}` is a secret, and the items of a loop are shown and on record", reference.name);
            problems.push(
                Diagnostic::error("shown-secret", reference.span, message)
                    .label("a secret")
                    .related(declared.span(), "declared here"),
            );
        }
    }
}

/// An undo sees what its step sees, and what the step captured.
fn check_undo(step: &Step, undo: &Step, names: &Names, variables: &[&str], problems: &Problems) {
    let place = Place { names, path: step.path.as_str(), above: step.above() };
    if step.irreversible {
        problems.push(
            Diagnostic::error("conflict", undo.id.span, "a step is `irreversible` or has an `undo`, not both")
                .hint("remove one of them"),
        );
    }
    if let Some(name) = undo.gives().first() {
        problems.push(
            Diagnostic::error("undo-capture", name.span, "an `undo` captures nothing")
                .label("nobody could use it")
                .hint("what it is expected to come to stands in its `expect`"),
        );
    }
    if undo.body.action.may_leave_running() {
        problems.push(
            Diagnostic::error("undo-leaves", undo.body.kind_span, "an `undo` leaves nothing running")
                .hint("leave `daemon` out here"),
        );
    }
    check_body(&undo.body, &place, variables, problems);
    if let Some(inside) = undo.body.action.inside() {
        for list in inside.lists() {
            check_needs(list, names, problems);
            for child in list {
                check_step(child, names, variables, problems);
            }
        }
    }
}

/// Which steps run is on record and shown, so that it must not hang on a secret; besides, secrets are read by the steps
/// that use them, after their conditions.
fn no_secrets(condition: &Expr, names: &Names, problems: &Problems) {
    let mut told = BTreeSet::new();
    for reference in condition.references() {
        if let Some(declared @ Declared::Secret(_)) = names.get(&reference.name)
            && told.insert(&reference.name)
        {
            problems.push(
                Diagnostic::error(
                    "shown-secret",
                    reference.span,
                    format!("`{}` is a secret, and a condition over a secret would show it", reference.name),
                )
                .label("a secret")
                .related(declared.span(), "declared here")
                .hint("let a step look at it, capture what may be known of it, and test that"),
            );
        }
    }
}

/// The captured name that a name of the `verify` was most likely meant to be: one that `verify` lacks otherwise.
fn slip_of<'s>(name: &str, step: &'s Step) -> Option<&'s str> {
    let given = |name: &str, body: &Body| body.captures.iter().any(|capture| capture.name.value == name);
    if given(name, &step.body) {
        return None;
    }
    let lacking = step.body.captures.iter().map(|capture| capture.name.value.as_str());
    nearest(name, lacking.filter(|name| !step.verify.iter().any(|verify| given(name, verify))))
}

/// A step cannot use what it gives itself, nor ask how it ended.
fn check_own(step: &Step, names: &Names, problems: &Problems) {
    let own = step.gives();
    let mut used: Vec<Reference> = step.when.iter().flat_map(|when| when.references().to_vec()).collect();
    used.extend(step.retry.iter().flat_map(|retry| &retry.when).flat_map(|when| when.references().to_vec()));
    for body in std::iter::once(&step.body).chain(&step.verify) {
        used.extend(body_references(body, names));
    }
    for reference in used.into_iter().filter(|reference| !reference.in_script) {
        let means = reference.step.as_ref().and_then(|id| names.step_from(step.above(), id));
        if means.as_deref() == Some(step.path.as_str()) {
            problems.push(
                Diagnostic::error(
                    "own-value",
                    reference.step_span.unwrap_or(reference.span),
                    "this is the step itself",
                )
                .label("it has no status before it is over")
                .hint("what its own command or request came to is `result`"),
            );
        }
        // The entries of a `set` may use those before them, which it looks at itself.
        let Some(given) = own.iter().find(|name| name.value == reference.name && step.body.kind != "set") else {
            continue;
        };
        problems.push(
            Diagnostic::error(
                "own-value",
                reference.span,
                format!("`{}` has no value before this step is over", given.value),
            )
            .label("used here")
            .related(given.span, "set by the same step")
            .hint(
                "within the step use `result`; what is computed from captured values goes into a `set` step after it",
            ),
        );
    }
}

/// Nothing that `finally` gives is there while the steps run.
fn check_finally(runbook: &Runbook, names: &Names, problems: &Problems) {
    let last = |id: &str| runbook.final_steps().any(|step| step.path.as_str() == id);
    for reference in runbook.steps.iter().flat_map(|step| step_references(step, names)) {
        let producer = match (names.get(&reference.name), &reference.step) {
            (Some(Declared::Capture { step, .. }), _) | (None, Some(step)) => step,
            _ => continue,
        };
        if last(producer) && !reference.in_script {
            problems.push(
                Diagnostic::error(
                    "not-yet-there",
                    reference.step_span.unwrap_or(reference.span),
                    format!("`{producer}` is a step of `finally`"),
                )
                .label("`finally` runs after all steps")
                .hint("move the use into `finally`, or the step out of it"),
            );
        }
    }
}

fn check_body(body: &Body, place: &Place<'_>, variables: &[&str], problems: &Problems) {
    let names = place.names;
    check_has_result(body, problems);
    references(&body.action.references(names), place, body.action.locals(), problems);
    let mut found = Vec::new();
    let own = body.env.iter().map(|(name, _)| name.value.as_str());
    let variables: Vec<&str> = variables.iter().copied().chain(own).collect();
    body.action.check(names, &variables, &mut found);
    problems.extend(found);
    for expr in body.expect.entries.iter().chain(body.captures.iter().map(|capture| &capture.value)) {
        references(expr.references(), place, &["result"], problems);
        problems.extend(unknown_fields(expr, body.kind, body.action.outputs()));
        let of_result = expr.references().iter().filter(|reference| reference.name == "result");
        problems.extend(of_result.filter_map(|reference| body.action.check_part(reference)));
    }
    for template in body.env.iter().map(|(_, template)| template).chain(&body.cwd) {
        references(template.references(), place, &[], problems);
    }
    if let Some(timeout) = &body.timeout {
        references(&timeout.references(), place, &[], problems);
    }
}

/// Where there is no result, nothing is ever expected of it or captured.
fn check_has_result(body: &Body, problems: &Problems) {
    // A container was told already that it has none.
    if !body.action.outputs().is_empty() || body.action.inside().is_some() {
        return;
    }
    let report = |span: Span, key: &str| {
        let message = format!("a step of kind `{}` has no result, so `{key}` means nothing to it", body.kind);
        let problem = Diagnostic::error("no-result", span, message);
        problems.push(match body.kind {
            "set" => problem.hint("put the value among the entries of `set`"),
            "manual" => problem.hint("values that a person types are declared under `evidence`"),
            "ask" => problem.hint("what is typed has the names of its `fields`"),
            _ => problem.hint("only `shell`, `http`, `watch` and a `wait` that looks have a result"),
        });
    };
    if let Some(capture) = body.captures.first() {
        report(capture.name.span, "capture");
    }
    if let Some(entry) = body.expect.entries.first() {
        report(entry.span(), "expect");
    }
}

const RUN: [&str; 5] = ["id", "started", "operator", "dir", "files"];

/// Every reference must be to something that is declared.
fn references(references: &[Reference], place: &Place<'_>, locals: &[&str], problems: &Problems) {
    let names = place.names;
    for reference in references {
        match (reference.name.as_str(), &reference.step) {
            ("steps", Some(step)) => step_reference(reference, step, place, problems),
            ("steps", None) => problems.push(
                Diagnostic::error("bad-reference", reference.span, "`steps` is used without the id of a step")
                    .hint("write steps[\"the-id\"].status"),
            ),
            ("run", _) => {
                if let Some(field) = reference.path.first()
                    && !RUN.contains(&field.as_str())
                {
                    let problem =
                        Diagnostic::error("unknown-field", reference.field_span(), format!("`run` has no `{field}`"))
                            .label("no such field");
                    let near = did_you_mean(field, RUN).map(|hint| hint.replace(" `", " `run."));
                    problems.push(problem.hint(near.unwrap_or_else(|| format!("it has {}", listed(&RUN)))));
                }
            }
            (name, _) if matches!(names.get(name), Some(Declared::Item { .. })) => {
                item_reference(reference, place, problems);
            }
            (name, _) if names.contains(name) || locals.contains(&name) => {}
            ("result", _) => problems.push(
                Diagnostic::error("no-result", reference.span, "there is no `result` here")
                    .label("nothing came to anything yet")
                    .hint("`result` is what a step itself came to; other steps see what it captures"),
            ),
            _ => unknown_name(reference, place, locals, problems),
        }
    }
}

/// The item of a loop is known inside of the loop alone.
fn item_reference(reference: &Reference, place: &Place<'_>, problems: &Problems) {
    let loops: Vec<&str> = place.names.loops_of(&reference.name).collect();
    // A script elsewhere may have a variable of that name.
    if reference.in_script || loops.iter().any(|of| Names::is_inside(place.path, of)) {
        return;
    }
    let Some(declared) = place.names.get(&reference.name) else { return };
    let of = loops.first().copied().unwrap_or_default();
    problems.push(
        Diagnostic::error(
            "not-in-loop",
            reference.span,
            format!("`{}` is known only inside the loop `{of}`", reference.name),
        )
        .label("not inside it")
        .related(declared.span(), "the item of the loop")
        .hint("what the loop captures is there afterwards, as a map from item to value"),
    );
}

fn step_reference(reference: &Reference, step: &str, place: &Place<'_>, problems: &Problems) {
    let names = place.names;
    let at = reference.step_span.unwrap_or(reference.span);
    let means = names.step_from(place.above, step);
    if means.is_none() {
        let problem = Diagnostic::error("unknown-step", at, format!("there is no step `{step}`")).label("no such step");
        let few = !problems.are_many();
        let ids = names.step_ids().filter(|_| few).filter(|id| id.split('/').all(Names::is_id));
        problems.push(problem.hint_opt(did_you_mean(step, ids)));
    }
    let around =
        means.as_deref().filter(|_| !step.contains('[')).and_then(|of| names.loops_between(place.above, of).next());
    if let Some(around) = around {
        problems.push(
            Diagnostic::error("unknown-step", at, format!("`{step}` runs once for each item of the loop `{around}`"))
                .label("which of them?")
                .hint(format!(
                    "name the item, as in steps[\"{around}[web]\"]; what it captures is a map after the loop"
                )),
        );
    }
    let outputs = means.as_deref().and_then(|path| names.outputs_of(path));
    match (reference.path.first(), outputs) {
        (Some(field), Some(None)) if field == "outputs" => {}
        (Some(field), Some(Some(outputs))) if field == "outputs" => {
            if let Some(output) = reference.path.get(1)
                && !outputs.contains(output)
            {
                let message = format!("the runbook that `{step}` calls has no output `{output}`");
                let near = did_you_mean(output, outputs.iter().map(String::as_str));
                let all: Vec<&str> = outputs.iter().map(String::as_str).collect();
                let hint = near.unwrap_or_else(|| match all.as_slice() {
                    [] => "it declares no `outputs`".to_owned(),
                    all => format!("it has {}", listed(all)),
                });
                problems.push(
                    Diagnostic::error("unknown-output", reference.span, message).label("no such output").hint(hint),
                );
            }
        }
        (Some(field), _) if field != "status" => problems.push(
            Diagnostic::error("unknown-field", reference.field_span(), format!("a step has no `{field}` here"))
                .label("no such field")
                .hint(format!("write steps[\"{step}\"].status; values of a step are what it captures")),
        ),
        _ => {}
    }
}

fn unknown_name(reference: &Reference, place: &Place<'_>, locals: &[&str], problems: &Problems) {
    let (names, name) = (place.names, &reference.name);
    let problem =
        Diagnostic::error("unknown-name", reference.span, format!("`{name}` is not declared")).label("no such name");
    let boolean = match name.to_lowercase().as_str() {
        "yes" | "on" | "y" => Some("true"),
        "no" | "off" | "n" => Some("false"),
        _ => None,
    };
    if problems.are_many() {
        return problems.push(problem);
    }
    let candidates = names.words().chain(locals.iter().copied()).chain(["steps", "run"]);
    problems.push(match (did_you_mean(name, candidates), boolean) {
        (_, Some(boolean)) => problem.hint(format!("a boolean is written `{boolean}`")),
        (Some(hint), None) => problem.hint(hint),
        (None, None) if names.step_from(place.above, name).is_some() => {
            problem.hint(format!("the step is `steps[\"{name}\"]`; its values are what it captures"))
        }
        (None, None) => {
            let known: Vec<&str> = names.words().collect();
            problem.hint(match known.len() {
                0 => "this runbook declares no names: add it under `params`".to_owned(),
                1..=12 => format!("the names here are {}", listed(&known)),
                _ => "names are those of parameters, of secrets and of what steps capture".to_owned(),
            })
        }
    });
}

/// Every cycle, for every combination of the values that edges depend on; each is told once.
fn check_cycles(runbook: &Runbook, steps: &[Step], parallel: bool, names: &Names, problems: &Problems) {
    let mut told: BTreeSet<Vec<usize>> = BTreeSet::new();
    for scope in combinations(steps, &runbook.params, COMBINATIONS) {
        let holds = |expr: &Expr| matches!(expr.eval_bool(&scope, &[]), Ok(Truth::True));
        let mut graph = Graph::of_list(steps, names, &holds, parallel);
        while let Some(cycle) = graph.cycle(steps) {
            // Without what its first step waits for, the next cycle shows.
            graph.edges[cycle.steps[0]].clear();
            if !told.insert(cycle.steps.clone()) {
                continue;
            }
            let mut path: Vec<&str> = cycle.steps.iter().map(|i| steps[*i].id.value.as_str()).collect();
            path.push(path[0]);
            let hint = match (cycle.steps.len(), cycle.by_value) {
                (1, _) => "remove it; a step cannot wait for itself",
                (_, true) => "a step that uses a value waits for the step that sets it; move the use after it",
                (_, false) => "remove one of these needs",
            };
            let message = format!("these steps wait for each other: {}", path.join(" → "));
            let label = match condition(&cycle.steps, steps, &scope) {
                Some(condition) => format!("waits in a circle when {condition}"),
                None => "waits in a circle".to_owned(),
            };
            let problem = Diagnostic::error("cycle", cycle.span, message).label(label).hint(hint);
            problems.push(match &cycle.value {
                Some((at, producer)) if *at != cycle.span => {
                    problem.related(*at, format!("uses what `{producer}` sets, so it waits for it"))
                }
                Some((_, producer)) => problem.label(format!("uses what `{producer}` sets, so it waits for it")),
                None => problem,
            });
        }
    }
}

/// For which values of parameters the edges of a cycle are there.
fn condition(cycle: &[usize], steps: &[Step], scope: &Scope) -> Option<String> {
    let mut values: Vec<String> = Vec::new();
    for (at, step) in cycle.iter().enumerate() {
        let next = &steps[cycle[(at + 1) % cycle.len()]].id.value;
        let needs = steps[*step].needs.iter().flatten();
        let whens = needs.filter(|need| need.step.value == *next).filter_map(|need| need.when.as_ref());
        for reference in whens.flat_map(|when| when.references()) {
            if let Some(Slot::Known(value)) = scope.get(&reference.name) {
                let text = format!("`{}` is `{value}`", reference.name);
                if !values.contains(&text) {
                    values.push(text);
                }
            }
        }
    }
    (!values.is_empty()).then(|| values.join(" and "))
}

/// After an open end only `verify` speaks: what is used later must come from it as well.
fn check_verifies(runbook: &Runbook, names: &Names, problems: &Problems) {
    let used: BTreeSet<(String, String)> = runbook
        .all_steps()
        .flat_map(|step| {
            let by = step.path.to_string();
            step_references(step, names).into_iter().map(move |reference| (reference.name, by.clone()))
        })
        .collect();
    for step in runbook.all_steps() {
        let Some(verify) = &step.verify else { continue };
        for capture in &step.body.captures {
            let later =
                used.iter().any(|(name, by)| *name == capture.name.value && !Names::is_inside(step.path.as_str(), by));
            // A misspelt one is reported where it stands.
            let misspelt =
                || verify.captures.iter().any(|of| slip_of(&of.name.value, step) == Some(&capture.name.value));
            if later && !misspelt() && !verify.captures.iter().any(|of| of.name.value == capture.name.value) {
                problems.push(
                    Diagnostic::error(
                        "verify-capture",
                        verify.kind_span,
                        format!("this `verify` does not capture `{}`, which a later step uses", capture.name.value),
                    )
                    .related(capture.name.span, "captured by the step itself")
                    .label("after an unknown end only this speaks")
                    .hint("add it under `capture` of the `verify`"),
                );
            }
        }
    }
}
