//! Whether a lowered runbook is well made: names, references, needs, cycles. Looks at no value.

use std::collections::BTreeSet;

use super::{Body, Declared, Graph, Names, Runbook, Step, combinations, step_references};
use crate::{
    syntax::{Expr, Problems, Reference, Truth},
    text::{Diagnostic, Span, nearest},
};

/// Combinations of parameter values that are tried for cycles.
const COMBINATIONS: usize = 256;

/// Reports what is wrong and tells every name.
pub(super) fn check(runbook: &Runbook, problems: &Problems) -> Names {
    let names = declare(runbook, problems);
    let inputs: BTreeSet<&str> = runbook.params.keys().map(String::as_str).collect();
    for template in runbook.lock.iter().chain(&runbook.cwd) {
        only_inputs(template.references(), &inputs, &names, "it is rendered before the first step", problems);
    }
    for secret in runbook.secrets.values() {
        for template in secret.templates() {
            only_inputs(
                template.references(),
                &inputs,
                &names,
                "a secret's source is found from parameters alone",
                problems,
            );
        }
    }
    let variables: Vec<&str> = runbook.requires.env.iter().map(|name| name.value.as_str()).collect();
    for steps in [&runbook.steps, &runbook.finally] {
        check_needs(steps, &inputs, &names, problems);
        for step in steps {
            check_step(step, &names, &variables, problems);
        }
        check_cycles(runbook, steps, &names, problems);
    }
    check_verifies(runbook, &names, problems);
    names
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
    }
    for step in runbook.all_steps() {
        if let Some(earlier) = names.add_step(&step.id.value, step.id.span) {
            problems.push(
                Diagnostic::error("duplicate-id", step.id.span, format!("there is another step `{}`", step.id.value))
                    .related(earlier, "the first one")
                    .hint("ids are unique among the steps of a list"),
            );
        }
        for name in step.gives() {
            let declared = Declared::Capture { step: step.id.value.clone(), span: name.span };
            if let Some(earlier) = names.declare(&name.value, declared) {
                twice(&name.value, name.span, &earlier);
            }
        }
    }
    names
}

fn only_inputs(references: &[Reference], inputs: &BTreeSet<&str>, names: &Names, why: &str, problems: &Problems) {
    for reference in references {
        if inputs.contains(reference.name.as_str()) {
            continue;
        }
        if names.contains(&reference.name) {
            problems.push(
                Diagnostic::error("not-a-parameter", reference.span, format!("`{}` is no parameter", reference.name))
                    .label(why)
                    .hint("only parameters have their values by then"),
            );
        } else {
            unknown_name(reference, names, &[], problems);
        }
    }
}

fn check_needs(steps: &[Step], inputs: &BTreeSet<&str>, names: &Names, problems: &Problems) {
    for step in steps {
        for need in step.needs.iter().flatten() {
            if let Some(when) = &need.when {
                only_inputs(when.references(), inputs, names, "the graph is made before the first step", problems);
            }
            if need.step.value == step.id.value {
                problems.push(
                    Diagnostic::error(
                        "cycle",
                        need.step.span,
                        format!("these steps wait for each other: {0} → {0}", step.id.value),
                    )
                    .label("a step cannot wait for itself"),
                );
                continue;
            }
            if steps.iter().any(|other| other.id.value == need.step.value) {
                continue;
            }
            let problem = Diagnostic::error(
                "unknown-step",
                need.step.span,
                format!("there is no step `{}` in this list", need.step.value),
            )
            .label("no such step");
            let near = nearest(&need.step.value, steps.iter().map(|s| s.id.value.as_str()));
            problems.push(match near {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None if names.has_step(&need.step.value) => problem.hint("`needs` names steps of the same list"),
                None => problem,
            });
        }
    }
}

fn check_step(step: &Step, names: &Names, variables: &[&str], problems: &Problems) {
    if let Some(when) = &step.when {
        references(when.references(), names, &[], problems);
    }
    check_body(&step.body, names, variables, problems);
    if let Some(verify) = &step.verify {
        check_body(verify, names, variables, problems);
        for capture in &verify.captures {
            if !step.body.captures.iter().any(|of| of.name.value == capture.name.value) {
                problems.push(
                    Diagnostic::error(
                        "verify-capture",
                        capture.name.span,
                        format!("`{}` is not captured by the step itself", capture.name.value),
                    )
                    .hint("a `verify` gives the names of its step, so that either way they have a value"),
                );
            }
        }
        if step.verify.as_ref().is_some_and(|verify| verify.action.is_asked()) {
            problems.push(Diagnostic::error("verify-asks", verify.kind_span, "a `verify` cannot ask a person"));
        }
    }
    if let Some(retry) = &step.retry
        && let Some(when) = &retry.when
    {
        references(when.references(), names, &["result"], problems);
        check_result(when, &step.body, problems);
    }
    for template in step.title.iter().chain(&step.text) {
        references(template.references(), names, &["result"], problems);
    }
}

fn check_body(body: &Body, names: &Names, variables: &[&str], problems: &Problems) {
    references(&body.action.references(names), names, body.action.locals(), problems);
    let mut found = Vec::new();
    let own = body.env.iter().map(|(name, _)| name.value.as_str());
    let variables: Vec<&str> = variables.iter().copied().chain(own).collect();
    body.action.check(names, &variables, &mut found);
    problems.extend(found);
    for expr in body.expect.entries.iter().chain(body.captures.iter().map(|capture| &capture.value)) {
        references(expr.references(), names, &["result"], problems);
        check_result(expr, body, problems);
    }
    for template in body.env.iter().map(|(_, template)| template).chain(&body.cwd) {
        references(template.references(), names, &[], problems);
    }
    if let Some(timeout) = &body.timeout {
        references(&timeout.references(), names, &[], problems);
    }
}

/// `result.FIELD` must be a field that the kind has.
fn check_result(expr: &Expr, body: &Body, problems: &Problems) {
    let outputs = body.action.outputs();
    for reference in expr.references().iter().filter(|reference| reference.name == "result") {
        if outputs.is_empty() {
            problems.push(Diagnostic::error(
                "no-result",
                reference.span,
                format!("a step of kind `{}` has no `result`", body.kind),
            ));
            continue;
        }
        let Some(field) = reference.path.first() else { continue };
        if !outputs.contains(&field.as_str()) {
            let problem = Diagnostic::error(
                "unknown-result-field",
                reference.span,
                format!("the result of a `{}` step has no `{field}`", body.kind),
            );
            problems.push(match nearest(field, outputs.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean `result.{near}`?")),
                None => problem.hint(format!("it has {}", outputs.join(", "))),
            });
        }
    }
}

/// Every reference must be to something that is declared.
fn references(references: &[Reference], names: &Names, locals: &[&str], problems: &Problems) {
    for reference in references {
        match (reference.name.as_str(), &reference.step) {
            ("steps", Some(step)) => {
                if !names.has_step(step) {
                    let problem =
                        Diagnostic::error("unknown-step", reference.span, format!("there is no step `{step}`"))
                            .label("no such step");
                    problems.push(match nearest(step, names.step_ids()) {
                        Some(near) => problem.hint(format!("did you mean `{near}`?")),
                        None => problem,
                    });
                }
                if let Some(field) = reference.path.first()
                    && field != "status"
                {
                    problems.push(
                        Diagnostic::error("unknown-field", reference.span, format!("a step has no `{field}` here"))
                            .hint(format!("write steps[\"{step}\"].status")),
                    );
                }
            }
            ("steps", None) => problems.push(
                Diagnostic::error("bad-reference", reference.span, "`steps` is used without the id of a step")
                    .hint("write steps[\"the-id\"].status"),
            ),
            ("run", _) => {
                if let Some(field) = reference.path.first()
                    && !["id", "started", "operator", "dir"].contains(&field.as_str())
                {
                    let problem = Diagnostic::error("unknown-field", reference.span, format!("`run` has no `{field}`"));
                    problems.push(match nearest(field, ["id", "started", "operator", "dir"]) {
                        Some(near) => problem.hint(format!("did you mean `run.{near}`?")),
                        None => problem.hint("it has id, started, operator and dir"),
                    });
                }
            }
            (name, _) if names.contains(name) || locals.contains(&name) => {}
            ("result", _) => problems.push(
                Diagnostic::error("no-result", reference.span, "there is no `result` here")
                    .hint("`result` is what a step itself came to; other steps see what it captures"),
            ),
            _ => unknown_name(reference, names, locals, problems),
        }
    }
}

fn unknown_name(reference: &Reference, names: &Names, locals: &[&str], problems: &Problems) {
    let name = &reference.name;
    let problem =
        Diagnostic::error("unknown-name", reference.span, format!("`{name}` is not declared")).label("no such name");
    let candidates = names.words().chain(locals.iter().copied()).chain(["steps", "run"]);
    problems.push(match nearest(name, candidates) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint("names are those of parameters, of secrets and of what steps capture"),
    });
}

fn check_cycles(runbook: &Runbook, steps: &[Step], names: &Names, problems: &Problems) {
    for scope in combinations(steps, &runbook.params, COMBINATIONS) {
        let holds = |expr: &Expr| matches!(expr.eval_bool(&scope, &[]), Ok(Truth::True));
        let graph = Graph::of(steps, names, &holds);
        if let Some(cycle) = graph.cycle(steps) {
            let mut path: Vec<&str> = cycle.steps.iter().map(|i| steps[*i].id.value.as_str()).collect();
            path.push(path[0]);
            let hint = if cycle.by_value {
                "a step that uses a value waits for the step that sets it; move the use after it"
            } else {
                "remove one of these needs"
            };
            problems.push(
                Diagnostic::error(
                    "cycle",
                    cycle.span,
                    format!("these steps wait for each other: {}", path.join(" → ")),
                )
                .label("waits in a circle")
                .hint(hint),
            );
            return;
        }
    }
}

/// After an open end only `verify` speaks: what is used later must come from it as well.
fn check_verifies(runbook: &Runbook, names: &Names, problems: &Problems) {
    let used: BTreeSet<(String, String)> = runbook
        .all_steps()
        .flat_map(|step| {
            let by = step.id.value.clone();
            step_references(step, names).into_iter().map(move |reference| (reference.name, by.clone()))
        })
        .collect();
    for step in runbook.all_steps() {
        let Some(verify) = &step.verify else { continue };
        for capture in &step.body.captures {
            let later = used.iter().any(|(name, by)| *name == capture.name.value && *by != step.id.value);
            if later && !verify.captures.iter().any(|of| of.name.value == capture.name.value) {
                problems.push(
                    Diagnostic::error(
                        "verify-capture",
                        verify.span,
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
