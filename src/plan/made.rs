//! The plan of one run: values, graph, and the same as data. Performs nothing.

use std::{collections::HashSet, rc::Rc};

use serde_json::{Map, Value as Json, json};

use super::{Inputs, ValueSource};
use crate::{
    event::{Redactor, StepId},
    model::{Cycle, Graph, Inside, Names, Runbook, Step, own_references, step_references},
    syntax::{Expr, Rendered, Truth},
    text::{Diagnostic, sha256_hex},
    value::{Scope, Slot, Value},
};

/// What one run of a runbook would do.
pub struct Plan {
    pub runbook: Rc<Runbook>,
    pub names: Rc<Names>,
    pub inputs: Inputs,
    pub main: Graph,
    pub finally: Graph,
    /// The rendered `lock`.
    pub lock: Option<String>,
}

impl Plan {
    /// Resolves the graph for these values; what does not fit is drawn.
    pub fn make(runbook: Rc<Runbook>, names: Rc<Names>, inputs: Inputs) -> Result<Plan, Vec<Diagnostic>> {
        let scope = scope_of(&runbook, &names, &inputs, "");
        let mut problems = Vec::new();
        let wrong = std::cell::RefCell::new(Vec::new());
        let holds = |expr: &Expr| match expr.eval_bool(&scope, &[]) {
            Ok(Truth::True) => true,
            Ok(Truth::False) => false,
            // The edge stays where its condition cannot be decided: waiting too long is safe, going ahead is not.
            Ok(Truth::Deferred(_)) => true,
            Err(diagnostic) => {
                wrong.borrow_mut().push(diagnostic);
                true
            }
        };
        let main = Graph::of(&runbook.steps, &names, &holds);
        let finally = Graph::of(&runbook.finally, &names, &holds);
        for (graph, steps) in [(&main, &runbook.steps), (&finally, &runbook.finally)] {
            if let Some(cycle) = graph.cycle(steps) {
                problems.push(cycle_problem(&cycle, steps));
            }
        }
        for step in runbook.all_steps() {
            let Some(inside) = step.body.action.inside() else { continue };
            let parallel = matches!(inside, Inside::Group(group) if group.parallel.is_some());
            for list in inside.lists() {
                let cycle = Graph::of_list(list, &names, &holds, parallel).cycle(list);
                problems.extend(cycle.map(|cycle| cycle_problem(&cycle, list)));
            }
        }
        let lock = match runbook.lock.as_ref().map(|lock| lock.render(&scope, &[])) {
            Some(Ok(Rendered::Text(text))) => Some(text),
            Some(Ok(Rendered::Deferred(_))) | None => None,
            Some(Err(diagnostic)) => {
                problems.push(diagnostic);
                None
            }
        };
        problems.extend(wrong.into_inner());
        if problems.is_empty() { Ok(Plan { runbook, names, inputs, main, finally, lock }) } else { Err(problems) }
    }

    /// What every name stands for before the first step.
    pub fn scope(&self) -> Scope {
        scope_of(&self.runbook, &self.names, &self.inputs, "")
    }

    /// The ids a step waits for, in file order.
    pub fn needs(&self, steps: &[Step], graph: &Graph, index: usize) -> Vec<String> {
        let mut needs: Vec<usize> = graph.edges[index].keys().copied().collect();
        needs.sort_unstable();
        needs.iter().map(|on| steps[*on].path.to_string()).collect()
    }

    pub fn params_json(&self) -> Map<String, Json> {
        self.inputs
            .values
            .iter()
            .filter_map(|(name, given)| Some((name.clone(), given.value.as_ref()?.to_json())))
            .collect()
    }

    pub fn sources_json(&self) -> Map<String, Json> {
        self.inputs.values.iter().map(|(name, given)| (name.clone(), Json::from(given.source.name()))).collect()
    }

    /// The plan as recorded with a run: everything this version of the tool makes of the file and its values.
    pub fn record(&self) -> Json {
        let scope = self.scope();
        let mut steps = Vec::new();
        for (list, graph, part) in
            [(&self.runbook.steps, &self.main, "steps"), (&self.runbook.finally, &self.finally, "finally")]
        {
            let place = Place { names: &self.names, scope: &scope, above: "", part };
            record_list(list, graph, &place, &mut steps);
        }
        let mut record = json!({
            "runbook": self.runbook.name,
            "source_sha256": self.runbook.sha256(),
            "params": self.params_json(),
            "lock": self.lock,
            "steps": steps,
        });
        let callees = self.runbook.callees();
        if !callees.is_empty() {
            let digests = callees.iter().map(|of| (of.runbook.name.clone(), Json::from(of.runbook.sha256())));
            record["calls"] = digests.collect::<Map<_, _>>().into();
        }
        record
    }

    /// The runbook of the run, then what each call leads to, with what is known of its values before the first step.
    pub fn books(&self) -> Vec<Book<'_>> {
        let mut own = Book::new(&self.runbook, &self.names, self.scope(), String::new(), false);
        own.lock = self.lock.clone().map(Ok);
        let mut books = vec![own];
        called_by(&self.runbook, &self.names, &self.scope(), ("", false), &mut books);
        books
    }

    /// The masked bytes of `plan.json`, and their digest, which the journal's first line binds.
    pub fn recorded(&self, redactor: &Redactor) -> (Vec<u8>, String) {
        let mut record = self.record();
        redactor.json(&mut record);
        let mut bytes = serde_json::to_vec_pretty(&record).unwrap_or_default();
        bytes.push(b'\n');
        let digest = sha256_hex(&bytes);
        (bytes, digest)
    }

    /// Origins that requests of the file or parameters name, such as `https://jenkins.example:8443`.
    pub fn origins(&self) -> Vec<String> {
        origins_of(&self.runbook, &self.inputs)
    }

    /// A step's title, or its id.
    pub fn title(&self, step: &Step, scope: &Scope) -> String {
        match &step.title {
            Some(title) => title.show(scope, &[]),
            None => step.id.value.clone(),
        }
    }
}

/// A runbook as it takes part in a run.
pub struct Book<'a> {
    pub runbook: &'a Runbook,
    /// What is known of its names.
    pub scope: Scope,
    /// The step that calls it; empty for that of the run itself.
    pub at: String,
    /// Its lock, rendered; `Err` where that waits for values, or is wrong.
    pub lock: Option<Result<String, String>>,
    /// Its call never takes place: with these parameters a `when` around it is false.
    pub is_idle: bool,
    /// Secrets that only such steps use.
    pub idle_secrets: Vec<String>,
}

impl<'a> Book<'a> {
    fn new(runbook: &'a Runbook, names: &Names, scope: Scope, at: String, is_idle: bool) -> Book<'a> {
        let idle = idle_steps(runbook, names, &scope);
        let uses = |step: &Step, name: &str| {
            let undo = step.undo.iter().flat_map(|undo| step_references(undo, names));
            own_references(step, names).into_iter().chain(undo).any(|reference| reference.name == name)
        };
        let is_unused = |name: &&String| {
            let mut users = runbook.all_steps().filter(|step| uses(step, name)).peekable();
            is_idle || users.peek().is_some() && users.all(|step| idle.contains(&step.path))
        };
        let idle_secrets = runbook.secrets.keys().filter(is_unused).cloned().collect();
        Book { runbook, scope, at, lock: None, is_idle, idle_secrets }
    }

    /// Whether the run may need it; one that no step uses is looked for all the same.
    pub fn needs(&self, secret: &str) -> bool {
        !self.idle_secrets.iter().any(|name| name == secret)
    }
}

/// Steps that never run, because a `when` of theirs, or of what they are inside of, is false with the parameters alone.
/// Expressions know no clock, so what is false now stays so.
fn idle_steps(runbook: &Runbook, names: &Names, scope: &Scope) -> HashSet<StepId> {
    let mut idle = HashSet::new();
    for step in runbook.all_steps() {
        let inside = idle
            .iter()
            .any(|of: &StepId| step.path.as_str().strip_prefix(of.as_str()).is_some_and(|rest| rest.starts_with('/')));
        let is_false = |when: &Expr| {
            let rounds = rounds(runbook, names, step, scope);
            rounds.iter().all(|round| matches!(when.eval_bool(&round.scope, &[]), Ok(Truth::False)))
        };
        if inside || step.when.as_ref().is_some_and(is_false) {
            idle.insert(step.path.clone());
        }
    }
    idle
}

/// `above` is what stands before the steps of this runbook in the run, and whether none of them ever runs.
fn called_by<'a>(
    runbook: &'a Runbook,
    names: &Names,
    scope: &Scope,
    (above, is_idle): (&str, bool),
    books: &mut Vec<Book<'a>>,
) {
    let idle = idle_steps(runbook, names, scope);
    for step in runbook.all_steps() {
        let undo = step.undo.as_deref();
        for of in std::iter::once(step).chain(undo) {
            let Some(Inside::Call(call)) = of.body.action.inside() else { continue };
            let Some(callee) = &call.callee else { continue };
            for round in rounds(runbook, names, step, scope) {
                let mut inputs = Inputs::default();
                for (name, param) in &callee.runbook.params {
                    let value = match call.params.iter().find(|(of, _)| of.value == *name) {
                        None => param.default.clone(),
                        Some((_, value)) => match value.eval(&round.scope) {
                            Ok(crate::syntax::Eval::Value(value)) => param.read_text(&value.to_string()).ok(),
                            _ => None,
                        },
                    };
                    let source = if value.is_some() { ValueSource::Flag } else { ValueSource::Missing };
                    inputs.values.insert(name.clone(), super::Given { value, source });
                }
                let at = format!("{above}{}", round.named(of.path.as_str()));
                let scope = scope_of(&callee.runbook, &callee.names, &inputs, &format!("{at}/"));
                let lock = callee.runbook.lock.as_ref().map(|lock| match lock.render(&scope, &[]) {
                    Ok(Rendered::Text(text)) => Ok(text),
                    Ok(Rendered::Deferred(names)) => {
                        Err(format!("it depends on {}{}", names.join(", "), round.unknown_loop()))
                    }
                    Err(diagnostic) => Err(diagnostic.message),
                });
                let is_idle = is_idle || idle.contains(&step.path);
                let mut book = Book::new(&callee.runbook, &callee.names, scope.clone(), at.clone(), is_idle);
                book.lock = lock;
                books.push(book);
                called_by(&callee.runbook, &callee.names, &scope, (&format!("{at}/"), is_idle), books);
            }
        }
    }
}

/// A step of one item of each loop around it.
#[derive(Clone)]
struct Round {
    scope: Scope,
    /// Paths of loops with their items, the outermost first.
    items: Vec<(String, String)>,
    /// A loop whose items nobody knows yet.
    unknown: Option<String>,
}

impl Round {
    /// The step's path with the items in it.
    fn named(&self, path: &str) -> String {
        let mut named = path.to_owned();
        for (around, item) in self.items.iter().rev().filter(|(around, _)| path.starts_with(around.as_str())) {
            named.insert_str(around.len(), &format!("[{item}]"));
        }
        named
    }

    fn unknown_loop(&self) -> String {
        self.unknown.as_ref().map_or_else(String::new, |around| {
            format!(
                "; the items of `{around}` are known only once it begins: take them from parameters, or give this \
                 runbook a `lock` that holds for all of them"
            )
        })
    }
}

/// More items than this are not looked at one by one before the first step.
const MOST_ROUNDS: usize = 1000;

/// Every round of the loops around a step, as far as their items are known; one where there is no loop.
fn rounds(runbook: &Runbook, names: &Names, step: &Step, scope: &Scope) -> Vec<Round> {
    let mut around: Vec<&str> = names.loops_around(step.path.as_str()).collect();
    // Of two loops around one step the outer one has the shorter path.
    around.sort_by_key(|path| path.len());
    let scope = scope.clone().seen_from(step.above());
    let mut rounds = vec![Round { scope, items: Vec::new(), unknown: None }];
    for path in around {
        let Some(item) = names.item_of(path) else { continue };
        let foreach = runbook.all_steps().find(|of| of.path.as_str() == path).and_then(|of| of.foreach.as_ref());
        let known = |round: &Round| match foreach?.eval(&round.scope) {
            Ok(Ok(items)) => Some(items),
            _ => None,
        };
        let all: Option<Vec<Vec<Value>>> = rounds.iter().map(known).collect();
        match all.filter(|all| all.iter().map(Vec::len).sum::<usize>() <= MOST_ROUNDS) {
            Some(all) => {
                let each = |(round, items): (Round, Vec<Value>)| {
                    items.into_iter().map(move |value| {
                        let mut round = round.clone();
                        round.items.push((path.to_owned(), value.to_string()));
                        round.scope.know(item, value);
                        round
                    })
                };
                rounds = rounds.into_iter().zip(all).flat_map(each).collect();
            }
            None => {
                for round in &mut rounds {
                    round.scope.set(item, Slot::Unknown { origin: item.into() });
                    round.unknown = Some(path.to_owned());
                }
            }
        }
    }
    rounds
}

/// Where a list of steps stands.
struct Place<'a> {
    names: &'a Names,
    scope: &'a Scope,
    /// What goes before the path that a step has in its file.
    above: &'a str,
    part: &'a str,
}

/// A list of steps, each followed by what is inside of it; loops by their body, calls by what they call.
fn record_list(list: &[Step], graph: &Graph, place: &Place<'_>, steps: &mut Vec<Json>) {
    for (index, step) in list.iter().enumerate() {
        let scope = place.scope.clone().seen_from(step.above());
        let shown = step.body.show(&step.sees(&scope));
        let mut needs: Vec<usize> = graph.edges[index].keys().copied().collect();
        needs.sort_unstable();
        let needs: Vec<String> = needs.into_iter().map(|on| format!("{}{}", place.above, list[on].path)).collect();
        let mut recorded = json!({
            "id": format!("{}{}", place.above, step.path),
            "part": place.part,
            "kind": step.body.kind,
            "title": match &step.title {
                Some(title) => title.show(&scope, &[]),
                None => step.id.value.clone(),
            },
            "effect": step.body.effect.name(),
            "needs": needs,
            "when": step.when.as_ref().map(|when| when.source().to_owned()),
            "expect": step.body.expect.entries.iter().map(|e| e.source().to_owned()).collect::<Vec<_>>(),
            "idempotent": step.idempotent,
            "critical": step.critical,
            "on_failure": step.policy().name(),
            "timeout": step.body.timeout.as_ref().map(|timeout| timeout.show(&scope)),
            "detail": shown.detail,
        });
        if let Some(foreach) = &step.foreach {
            recorded["foreach"] =
                json!({"as": foreach.name.value, "in": foreach.source(), "parallel": foreach.parallel});
        }
        if let Some(undo) = &step.undo {
            recorded["undo"] = undo.body.show(&scope).detail.into();
        }
        if step.irreversible {
            recorded["irreversible"] = true.into();
        }
        steps.push(recorded);
        let holds = |expr: &Expr| !matches!(expr.eval_bool(&scope, &[]), Ok(Truth::False));
        match step.body.action.inside() {
            None => {}
            Some(Inside::Call(call)) => {
                let Some(callee) = &call.callee else { continue };
                let (book, names) = (&callee.runbook, &callee.names);
                let above = format!("{}{}/", place.above, step.path);
                // What it is given is for the run to find out; its names are there all the same.
                let unknown =
                    |name: &String| (name.clone(), super::Given { value: None, source: ValueSource::Missing });
                let inputs = Inputs { values: book.params.keys().map(unknown).collect(), ..Inputs::default() };
                // Records of before are compared with this one, and name what is unknown without what is above.
                let scope = scope_of(book, names, &inputs, "");
                let inner = Place { names, scope: &scope, above: &above, part: place.part };
                for list in [&book.steps, &book.finally] {
                    record_list(list, &Graph::of(list, names, &|_| true), &inner, steps);
                }
            }
            Some(inside) => {
                let parallel = matches!(inside, Inside::Group(group) if group.parallel.is_some());
                for list in inside.lists() {
                    record_list(list, &Graph::of_list(list, place.names, &holds, parallel), place, steps);
                }
            }
        }
    }
}

/// Origins that requests of a file, or its parameters, name.
pub fn origins_of(runbook: &Runbook, inputs: &Inputs) -> Vec<String> {
    let values = inputs.values.values().filter_map(|given| given.value.as_ref());
    let mut origins: Vec<String> = values
        .flat_map(|value| match value {
            Value::List(items) => items.iter().collect(),
            one => vec![one],
        })
        .filter_map(Value::as_str)
        .filter_map(|text| url::Url::parse(text).ok())
        .filter(url::Url::has_host)
        .map(|url| url.origin().ascii_serialization())
        .collect();
    for step in runbook.all_steps() {
        let undo = step.undo.as_deref().map(|undo| &undo.body);
        for body in [Some(&step.body), step.verify.as_ref(), undo].into_iter().flatten() {
            origins.extend(body.action.origins());
        }
    }
    origins.sort_unstable();
    origins.dedup();
    origins
}

/// Parameters known, secrets hidden, captures and statuses unknown. What is unknown is named with what stands before the
/// steps of this runbook in the run: nothing, or the path of its call and a slash.
pub fn scope_of(runbook: &Runbook, names: &Names, inputs: &Inputs, above: &str) -> Scope {
    let mut scope = Scope::new();
    // A runbook that is called is looked at before anybody knows what it will be given.
    for name in runbook.params.keys().filter(|name| !inputs.values.contains_key(*name)) {
        scope.set(name, Slot::Unknown { origin: name.as_str().into() });
    }
    for (name, given) in &inputs.values {
        match (&given.value, given.source) {
            (Some(value), _) => scope.know(name, value.clone()),
            (None, ValueSource::Missing) => scope.set(name, Slot::Unknown { origin: name.as_str().into() }),
            (None, _) => scope.know(name, Value::None),
        }
    }
    for name in runbook.secrets.keys() {
        scope.set(name, Slot::Hidden);
    }
    for step in runbook.all_steps() {
        for name in step.gives() {
            let origin = format!("{above}{}.{}", step.path, name.value);
            scope.set(&name.value, Slot::Unknown { origin: origin.into() });
        }
        scope.set_step(step.path.as_str(), Slot::Unknown { origin: format!("{above}{}.status", step.path).into() });
    }
    debug_assert!(names.words().all(|name| {
        scope.get(name).is_some() || matches!(names.get(name), Some(crate::model::Declared::Item { .. }))
    }));
    scope.set("run", Slot::Unknown { origin: "run".into() });
    scope
}

/// A cycle, drawn as `a → b → a`.
pub fn cycle_problem(cycle: &Cycle, steps: &[Step]) -> Diagnostic {
    let mut path: Vec<&str> = cycle.steps.iter().map(|i| steps[*i].id.value.as_str()).collect();
    path.push(path[0]);
    let hint = if cycle.by_value {
        "a step that uses a value waits for the step that sets it; move the use after it"
    } else {
        "remove one of these needs"
    };
    Diagnostic::error("cycle", cycle.span, format!("these steps wait for each other: {}", path.join(" → ")))
        .label("waits in a circle")
        .hint(hint)
}
