//! Runbooks made by chance, with whatever can go wrong in them: the same promises. Failures show the runbook and the plan
//! of faults, made as small as they can be.

use std::fmt;

use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use runsheet::{
    event::Outcome,
    journal::{Fault, Op},
};

use super::{
    checks::{Broken, Rule, broken, over, standing},
    drive::{Came, Case, Crash, Machine, Rig},
    person::Manner,
    points::{falls, to_the_end, uninterrupted},
};

/// What a step does in the end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Works {
    Well,
    /// After so many failures.
    AfterAll(u32),
    Never,
    /// With its effect, and nobody learns of it.
    Unseen,
    /// By a signal, after its effect.
    Killed,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Change,
    Repeatable,
    Read,
    Request,
    Gate,
    Pause,
}

/// What other steps stand in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    Group,
    Parallel,
    Loop,
    ParallelLoop,
    /// The second of two ways.
    Choice,
}

#[derive(Clone, Debug)]
struct Node {
    /// It holds these, and does nothing itself.
    inside: Option<(Held, Vec<Node>)>,
    kind: Kind,
    works: Works,
    /// Of the steps before it; none for the one right before it.
    needs: Option<Vec<prop::sample::Index>>,
    /// Only if that step is done.
    when: Option<prop::sample::Index>,
    verify: bool,
    on_failure: &'static str,
    takes: u64,
    first: bool,
    prints: bool,
}

#[derive(Clone, Debug)]
struct Trouble {
    /// Where in the session, of 1000.
    at: u64,
    moment: bool,
    fall: usize,
    seed: u64,
    /// A fault of the disk on the way there.
    fault: Option<(usize, u64, bool, Option<usize>)>,
}

#[derive(Clone)]
struct Chance {
    nodes: Vec<Node>,
    last: Vec<Node>,
    jobs: usize,
    attended: bool,
    step_mode: bool,
    end_it: bool,
    troubles: Vec<Trouble>,
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Chance { jobs, attended, step_mode, end_it, troubles, .. } = self;
        writeln!(f, "jobs {jobs}, attended {attended}, step mode {step_mode}, ends what runs {end_it}, {troubles:#?}")?;
        f.write_str(&self.text())
    }
}

impl Node {
    fn effect(&self, id: &str) -> String {
        match self.first {
            true => format!("do {id} first for {}s", self.takes),
            false => format!("do {id} for {}s", self.takes),
        }
    }

    /// `at` is where it stands: how deep, the path of its list, and what ends the names of its effects in a loop.
    fn write(&self, id: &str, at: &At, before: &[String], text: &mut String) {
        let (deep, short) = (&at.deep, id);
        if let Some((held, inside)) = &self.inside {
            self.write_held(*held, inside, id, at, text);
            self.write_order(deep, before, text);
            return;
        }
        let path = format!("{}{short}", at.path);
        let id = &format!("{}{short}{}", at.name, at.item);
        let script = match (self.works, self.kind) {
            (Works::AfterAll(times), Kind::Read) => format!("fails {times}; sleep {}s", self.takes),
            (Works::Never, Kind::Read) => "exit 4".into(),
            (_, Kind::Read) => format!("sleep {}s", self.takes),
            (Works::AfterAll(times), _) => format!("fails {times}; {}", self.effect(id)),
            (Works::Never, _) => format!("exit 4; {}", self.effect(id)),
            (Works::Unseen, _) => format!("{} lost", self.effect(id)),
            (Works::Killed, _) => format!("{} die 9", self.effect(id)),
            (Works::Well, _) => self.effect(id),
        };
        let script = if self.prints { format!("print {id} begins; {script}") } else { script };
        text.push_str(&format!("{deep}  - id: {short}\n"));
        match self.kind {
            Kind::Gate => text.push_str(&format!("{deep}    confirm: Go on?\n")),
            Kind::Pause => text.push_str(&format!("{deep}    wait: {}s\n", self.takes)),
            Kind::Request => {
                // Over there it takes effect at once, or never.
                let id = &id.replace("$item", "{{ item }}");
                let sent = match self.works {
                    Works::Never => "exit/503".to_owned(),
                    Works::Unseen | Works::Killed => format!("do/{id}/first/for/{}s/lost", self.takes),
                    _ => format!("do/{id}/first/for/{}s", self.takes),
                };
                text.push_str(&format!(
                    "{deep}    http: {{method: POST, url: \"https://sim.example/{sent}\", headers: {{x-step: \"{path}\"}}}}\n"
                ));
            }
            Kind::Change => text.push_str(&format!("{deep}    shell: {script}\n")),
            Kind::Repeatable => text.push_str(&format!("{deep}    idempotent: true\n{deep}    shell: {script}\n")),
            Kind::Read => text.push_str(&format!("{deep}    effect: read\n{deep}    shell: {script}\n")),
        }
        if self.verify && matches!(self.kind, Kind::Change | Kind::Repeatable) {
            text.push_str(&format!("{deep}    verify: {{shell: look {id}}}\n"));
        }
        if let (Works::AfterAll(times), Kind::Change | Kind::Repeatable | Kind::Read) = (self.works, self.kind) {
            // More than faults can use up.
            text.push_str(&format!("{deep}    retry: {{attempts: {}, interval: 5s}}\n", times + 8));
        }
        if !matches!(self.kind, Kind::Gate) && !self.on_failure.is_empty() {
            text.push_str(&format!("{deep}    on_failure: {}\n", self.on_failure));
        }
        self.write_order(deep, before, text);
    }

    fn write_held(&self, held: Held, inside: &[Node], id: &str, at: &At, text: &mut String) {
        let deep = &at.deep;
        text.push_str(&format!("{deep}  - id: {id}\n"));
        if !self.on_failure.is_empty() {
            text.push_str(&format!("{deep}    on_failure: {}\n", self.on_failure));
        }
        let (mut below, mut item) = (format!("{}{id}", at.path), at.item.clone());
        match held {
            Held::Group => text.push_str(&format!("{deep}    group:\n")),
            Held::Parallel => text.push_str(&format!("{deep}    group:\n{deep}      parallel: 2\n")),
            Held::Loop | Held::ParallelLoop => {
                let parallel = if held == Held::ParallelLoop { ", parallel: 2" } else { "" };
                text.push_str(&format!("{deep}    foreach: {{as: item, in: [p, q]{parallel}}}\n{deep}    group:\n"));
                below.push_str("[{{ item }}]");
                item = "-$item".to_owned();
            }
            Held::Choice => {
                text.push_str(&format!(
                    "{deep}    choose:\n{deep}      cases:\n{deep}        - {{id: no, when: false, steps: [{{id: x, shell: do never}}]}}\n{deep}        - id: way\n{deep}          else: true\n"
                ));
                below.push_str("/way");
            }
        }
        let deeper = if held == Held::Choice { "        " } else { "    " };
        text.push_str(&format!("{deep}{deeper}  steps:\n"));
        let at = At {
            deep: format!("{deep}{deeper}  "),
            path: format!("{below}/"),
            name: format!("{}{id}-", at.name),
            item,
        };
        let ids: Vec<String> = (0..inside.len()).map(|number| format!("c{number}")).collect();
        for (number, node) in inside.iter().enumerate() {
            node.write(&ids[number], &at, &ids[..number], text);
        }
    }

    fn write_order(&self, deep: &str, before: &[String], text: &mut String) {
        if before.is_empty() {
            return;
        }
        if let Some(needs) = &self.needs {
            let needs: std::collections::BTreeSet<&str> = needs.iter().map(|need| need.get(before).as_str()).collect();
            let needs: Vec<&str> = needs.into_iter().collect();
            text.push_str(&format!("{deep}    needs: [{}]\n", needs.join(", ")));
        }
        if let Some(when) = &self.when {
            let step = when.get(before);
            text.push_str(&format!("{deep}    when: steps['{step}'].status in ['succeeded', 'done_by_hand']\n"));
        }
    }
}

/// Where a step is written.
#[derive(Default)]
struct At {
    deep: String,
    path: String,
    name: String,
    item: String,
}

impl Chance {
    fn text(&self) -> String {
        let mut text = "title: By chance\nlock: release\nsteps:\n".to_owned();
        for (part, nodes) in [("s", &self.nodes), ("f", &self.last)] {
            if part == "f" && !nodes.is_empty() {
                text.push_str("finally:\n");
            }
            let ids: Vec<String> = (0..nodes.len()).map(|number| format!("{part}{number}")).collect();
            for (number, node) in nodes.iter().enumerate() {
                node.write(&ids[number], &At::default(), &ids[..number], &mut text);
            }
        }
        text
    }

    fn case(&self) -> Case {
        let still_running = if self.end_it { "end" } else { "wait" };
        let manner = Manner { after_failure: "skip", still_running, ..Manner::default() };
        let case = Case::new("chance", &self.text()).manner(manner).jobs(self.jobs);
        let case = if self.step_mode { case.step_mode() } else { case };
        if self.attended { case } else { case.unattended() }
    }

    fn fault(&self, number: usize) -> Option<Fault> {
        let (op, nth, io, keeping) = self.troubles[number].fault?;
        let op = [Op::Write, Op::Sync, Op::SyncDir, Op::Create, Op::Rename, Op::Truncate][op % 6];
        let fault = Fault::on(op, if io { Fault::EIO } else { Fault::ENOSPC }).nth(nth);
        Some(keeping.map_or(fault.clone(), |bytes| fault.keeping(bytes)))
    }

    /// Lives through all of it; a failure shows the journal.
    fn survives(&self) -> Result<u64, Broken> {
        let mut machine = Machine::default();
        self.lives(&mut machine).map_err(|found| {
            let records = machine.journal().map_or(Vec::new(), |journal| journal.records);
            let lines: Vec<String> = records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
            Broken { what: format!("{}\n{}\n", found.what, lines.join("\n")), ..found }
        })
    }

    fn lives(&self, machine: &mut Machine) -> Result<u64, Broken> {
        let (case, rig) = (self.case(), Rig::default());
        let whole = uninterrupted(&case, &rig)?;
        let mut crashes = 0;
        for (number, trouble) in self.troubles.iter().enumerate() {
            if machine.last.as_ref().is_some_and(|end| end.outcome.closes()) {
                break;
            }
            if let Some(fault) = self.fault(number) {
                machine.disk.inject(fault);
            }
            let place = |points: u64| trouble.at * points / 1000;
            let crash =
                if trouble.moment { Crash::Moment(place(whole.moments)) } else { Crash::Change(place(whole.changes)) };
            let session = machine.session(&case, &rig, Some(crash));
            machine.disk.heal();
            if matches!(session.came, Came::Hangs(_)) {
                return broken(Rule::Ends, format!("{session:?}"));
            }
            let ways = falls(trouble.seed..trouble.seed + 1);
            let fall = ways[trouble.fall % ways.len()];
            machine.fall(fall);
            standing(&case, machine)?;
            crashes += 1;
        }
        to_the_end(&case, &rig, machine)?;
        // Where a failure stops the run, what else had begun by then is a matter of time.
        let alike = self.jobs == 1 || whole.end.outcome == Outcome::Succeeded;
        over(&case, machine, alike.then_some(&whole.end))?;
        Ok(crashes)
    }
}

/// Steps that do something themselves; inside of others some say nothing of their failures.
fn leaf(inside: bool) -> impl Strategy<Value = Node> {
    let kind = prop_oneof![
        4 => Just(Kind::Change),
        2 => Just(Kind::Repeatable),
        2 => Just(Kind::Read),
        2 => Just(Kind::Request),
        1 => Just(Kind::Gate),
        1 => Just(Kind::Pause),
    ];
    let works = prop_oneof![
        6 => Just(Works::Well),
        2 => (1..3_u32).prop_map(Works::AfterAll),
        1 => Just(Works::Never),
        1 => Just(Works::Unseen),
        1 => Just(Works::Killed),
    ];
    let mut policies = vec!["ask", "stop", "continue"];
    policies.extend(inside.then_some(""));
    let on_failure = prop::sample::select(policies);
    let index = any::<prop::sample::Index>;
    let needs = prop::option::weighted(0.6, prop::collection::vec(index(), 0..3));
    let when = prop::option::weighted(0.2, index());
    let node = (kind, works, needs, when, any::<bool>(), on_failure, 1..20_u64, any::<bool>(), any::<bool>());
    node.prop_map(move |(kind, works, needs, when, verify, on_failure, takes, first, prints)| Node {
        inside: None,
        kind,
        works,
        needs,
        when,
        verify,
        on_failure,
        takes,
        first,
        prints,
    })
}

/// No gate stands where several steps run side by side.
fn held(held: Held, mut inside: Vec<Node>) -> Option<(Held, Vec<Node>)> {
    if held == Held::Parallel {
        inside.retain(|node| node.kind != Kind::Gate || node.inside.is_some());
    }
    (!inside.is_empty()).then_some((held, inside))
}

fn nodes(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Node>> {
    let shapes = vec![Held::Group, Held::Parallel, Held::Loop, Held::ParallelLoop, Held::Choice];
    // Loops within loops would have two items of one name.
    let inner = vec![Held::Group, Held::Parallel, Held::Choice];
    let inner = (leaf(true), prop::sample::select(inner), prop::collection::vec(leaf(true), 1..3));
    let inner = inner.prop_map(|(node, shape, inside)| Node { inside: held(shape, inside), ..node });
    let child = prop_oneof![4 => leaf(true), 1 => inner];
    let outer = (leaf(false), prop::sample::select(shapes), prop::collection::vec(child, 1..4));
    let outer = outer.prop_map(|(node, shape, inside)| Node { inside: held(shape, inside), ..node });
    prop::collection::vec(prop_oneof![5 => leaf(false), 2 => outer], count)
}

fn holds_gate(node: &Node) -> bool {
    let gate = |node: &Node| node.kind == Kind::Gate && node.inside.is_none();
    node.inside.iter().any(|(_, inside)| inside.iter().any(|node| gate(node) || holds_gate(node)))
}

fn chance() -> impl Strategy<Value = Chance> {
    let fault = (0..6_usize, 1..40_u64, any::<bool>(), prop::option::of(0..200_usize));
    let fault = prop::option::weighted(0.3, fault);
    let trouble = (0..1000_u64, any::<bool>(), 0..6_usize, any::<u64>(), fault)
        .prop_map(|(at, moment, fall, seed, fault)| Trouble { at, moment, fall, seed: seed >> 1, fault });
    let troubles = prop::collection::vec(trouble, 1..4);
    let jobs = prop::sample::select(vec![1_usize, 2, 4]);
    (nodes(1..7), nodes(0..3), jobs, any::<bool>(), any::<bool>(), any::<bool>(), troubles).prop_map(
        |(nodes, mut last, jobs, attended, step_mode, end_it, troubles)| {
            last.retain(|node| node.kind != Kind::Gate && !holds_gate(node));
            Chance { nodes, last, jobs, attended, step_mode: step_mode && attended, end_it, troubles }
        },
    )
}

/// Always the same ones; `SIMULATED_CASES` and `SIMULATED_SEED` choose others.
#[test]
fn whatever_chance_makes_survives() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cases = number("SIMULATED_CASES").unwrap_or(200);
    let config = Config { cases: cases as u32, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&number("SIMULATED_SEED").unwrap_or(1).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let crashes = std::cell::Cell::new(0);
    let tried = runner.run(&chance(), |chance| match chance.survives() {
        Ok(count) => {
            crashes.set(crashes.get() + count);
            Ok(())
        }
        Err(found) => Err(TestCaseError::fail(format!("{:?}: {}", found.rule, found.what))),
    });
    println!("{cases} runbooks, {} crashes", crashes.get());
    if let Err(failed) = tried {
        panic!("{failed}");
    }
}
