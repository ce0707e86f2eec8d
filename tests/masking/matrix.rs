//! Every notation of a secret, printed in two pieces at every place and byte by byte, by a process and by one that has the
//! terminal, quoted by failures, questions, requests and samples: none of it reaches any place that shows or keeps a
//! run. In one process, so that each pair is tried; the tests of the program itself are beside this.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io::Write,
    path::{Path, PathBuf},
    pin::pin,
    rc::Rc,
    sync::OnceLock,
    task::{Context, Poll, Waker},
    time::Duration,
};

use aho_corasick::AhoCorasick;
use indexmap::IndexMap;
use runsheet::{
    engine::{Engine, Options, Publisher, RunEnd},
    event::{Event, Record, Redactor, RunId, RunStarted, RunState, StepId, Stream},
    kinds::registry,
    model::load,
    operators::{Scripted, draw_question},
    plan::{Inputs, Plan},
    port::{
        Answer, Cancel, HttpReply, HttpRequest, Journal, JournalError, Local, Output, OutputLog, OutputSummary,
        ProcessEnd, ProcessRequest, Reply, SecretSource, SendError, Sink, World, WorldError,
    },
    sinks::{JsonLines, LineOptions, Lines},
    syntax::decode,
    text::{DrawStyle, draw, draw_all},
    value::{Secret, Value},
};

use super::forms::{self, Form};

/// What a process of this world writes: the same on both streams, or on its terminal, in the pieces that its step names.
struct Printing {
    shown: String,
    clock: Cell<Duration>,
}

const BEFORE: &str = "before: ";
const AFTER: &str = " :after";

impl Printing {
    fn text(&self) -> String {
        format!("{BEFORE}{}{AFTER}\n", self.shown)
    }

    /// What a step of this name writes: `splits` the text again and again, in two pieces at every place of the secret,
    /// `bytes` byte by byte, everything else at once.
    fn pieces(&self, step: &StepId) -> Vec<Vec<u8>> {
        let text = self.text().into_bytes();
        if step.as_str().starts_with("bytes") {
            return text.chunks(1).map(<[u8]>::to_vec).collect();
        }
        if !step.as_str().starts_with("splits") {
            return vec![text];
        }
        let places = BEFORE.len()..=BEFORE.len() + self.shown.len();
        places.flat_map(|at| [text[..at].to_vec(), text[at..].to_vec()]).collect()
    }
}

impl World for Printing {
    fn run<'a>(
        &'a self,
        request: &'a ProcessRequest,
        output: &'a dyn Output,
        _cancel: &'a Cancel,
    ) -> Local<'a, Result<Option<ProcessEnd>, WorldError>> {
        Box::pin(async move {
            let streams = if request.tty { &[Stream::Terminal][..] } else { &[Stream::Stdout, Stream::Stderr] };
            for stream in streams {
                self.pieces(&request.step).iter().for_each(|piece| output.chunk(*stream, piece));
            }
            let exit = i32::from(request.step.as_str() == "failing");
            Ok(Some(ProcessEnd {
                exit: Some(exit),
                swept: vec![format!("7 left {}", self.shown)],
                ..ProcessEnd::default()
            }))
        })
    }

    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        _cancel: &'a Cancel,
    ) -> Local<'a, Result<Option<HttpReply>, SendError>> {
        Box::pin(async move {
            if request.method == "DELETE" {
                return Err(SendError::NotSent(format!("could not connect to {}", self.shown)));
            }
            let headers = vec![("x-echo".into(), self.shown.clone())];
            let body = self.text().into_bytes();
            let url = request.url.to_string();
            Ok(Some(HttpReply { status: 200, headers, body, truncated: false, url, elapsed: Duration::ZERO }))
        })
    }

    fn now(&self) -> Duration {
        self.clock.get()
    }

    fn wall(&self) -> jiff::Timestamp {
        began()
    }

    fn sleep<'a>(&'a self, duration: Duration, _cancel: &'a Cancel) -> Local<'a, ()> {
        self.clock.set(self.clock.get() + duration);
        Box::pin(async {})
    }

    fn secret<'a>(&'a self, _source: &'a SecretSource) -> Local<'a, Result<Option<Secret>, WorldError>> {
        Box::pin(async { Ok(None) })
    }

    fn variable(&self, _name: &str) -> Option<String> {
        None
    }

    fn tool(&self, name: &str) -> Option<PathBuf> {
        Some(Path::new("/bin").join(name))
    }

    fn random(&self) -> u64 {
        4
    }
}

/// A journal that is read afterwards.
#[derive(Default)]
struct Kept {
    records: RefCell<Vec<Record>>,
    logs: Rc<RefCell<IndexMap<String, Vec<u8>>>>,
}

impl Journal for Kept {
    fn append<'a>(&'a self, record: &'a Record) -> Local<'a, Result<(), JournalError>> {
        self.records.borrow_mut().push(record.clone());
        Box::pin(async { Ok(()) })
    }

    fn output(&self, step: &StepId, attempt: u32) -> Result<Box<dyn OutputLog>, JournalError> {
        let name = format!("{step}.{attempt}");
        Ok(Box::new(Log { logs: Rc::clone(&self.logs), name }))
    }

    fn step_dir(&self) -> Option<PathBuf> {
        None
    }

    fn scratch_dir(&self) -> Option<PathBuf> {
        None
    }
}

struct Log {
    logs: Rc<RefCell<IndexMap<String, Vec<u8>>>>,
    name: String,
}

impl OutputLog for Log {
    fn write(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        self.logs.borrow_mut().entry(self.name.clone()).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn commit(&mut self) -> Result<OutputSummary, JournalError> {
        Ok(OutputSummary::default())
    }
}

#[derive(Clone, Default)]
struct Paper(Rc<RefCell<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn began() -> jiff::Timestamp {
    "2026-11-20T20:13:04Z".parse().unwrap()
}

/// What is printed in pieces, by a process and by one that has the terminal.
const PRINTED: &str = r#"
title: X
steps:
  - {id: splits, shell: print, capture: {splits: result.stdout}}
  - {id: splits-tty, shell: {script: print, tty: true}, capture: {splits_tty: result.stdout}}
  - {id: bytes, shell: print, capture: {bytes: result.lines}}
  - {id: bytes-tty, shell: {script: print, tty: true}, capture: {bytes_tty: result.lines}}
"#;

/// Everything else that quotes what came of the outside.
const QUOTING: &str = r#"
title: X
steps:
  - {id: first, shell: print, capture: {said: result.stdout, bare: "result.stdout|replace('before: ', '')|replace(' :after', '')"}}
  - {id: titled, title: "T {{ bare }}", text: "About {{ bare }}.", shell: print}
  - {id: expected, shell: print, expect: result.stdout == 'nothing', on_failure: continue}
  - {id: listed, shell: print, expect: "'nothing' in result.lines", on_failure: continue}
  - {id: number, set: {n: bare|int}, on_failure: continue}
  - {id: compared, set: {n2: bare > 3}, on_failure: continue}
  - {id: json, set: {n3: bare|fromjson}, on_failure: continue}
  - {id: url, http: {url: "http://h.example/{{ bare }}", query: {q: "{{ bare }}"}, headers: {X-A: "{{ bare|urlencode }}"}}, capture: {body: result.body}}
  - {id: posted, http: {method: POST, url: "http://h.example/", json: {k: "{{ bare }}"}}, expect: result.body == 'nothing', on_failure: continue}
  - {id: unsent, http: {method: DELETE, url: "http://h.example/{{ bare }}"}, on_failure: continue}
  - {id: no-host, http: {url: "http://{{ bare }}/"}, on_failure: continue}
  - {id: no-url, http: {url: "{{ bare }}"}, on_failure: continue}
  - {id: argv, shell: {exec: [prog, "--password={{ bare }}"]}}
  - {id: env, shell: print, env: {HANDED: "x{{ bare }}"}}
  - {id: poll, wait: {shell: print, until: result.stdout == 'never', interval: 10ms, timeout: 50ms}, on_failure: continue}
  - {id: look, watch: {for: 30ms, interval: 10ms, probes: {p: {shell: print, value: result.stdout}}}, on_failure: continue}
  - {id: count, watch: {for: 30ms, interval: 10ms, probes: {p: {shell: print, value: result.stdout|length}}}}
  - {id: failing, shell: print}
  - {id: gate, confirm: "Is {{ bare }} right?"}
  - {id: hand, manual: {message: "Say {{ said }}", open: "https://h.example/{{ bare }}", evidence: {note: {type: string, prompt: Note}}}}
  - {id: noted, shell: print, env: {NOTE: "{{ note }}"}}
  - {id: asked, ask: {fields: {given: {type: string}}}}
  - {id: again, shell: {exec: [prog, "{{ given }}"]}}
  - {id: way, choose: {question: "Which {{ bare }}?", cases: [{id: a, title: "By {{ bare }}", when: true, steps: [{id: in, shell: print}]}]}}
  - {id: loop, foreach: {as: i, in: [1, 2]}, shell: print, capture: {of: result.stdout}}
  - {id: end, set: {whole: "bare ~ '!'", map: "{'k': bare, 'l': [said]}"}}
"#;

/// A run, and every place that something of it came to.
struct Ran {
    places: Vec<(&'static str, Vec<u8>)>,
    logs: IndexMap<String, Vec<u8>>,
    end: RunEnd,
}

fn run(book: &str, form: &Form, redactor: &Redactor) -> Ran {
    let Ok(source) = decode("x.yaml", book.as_bytes().to_vec()) else { panic!("no text") };
    let loaded = load("x", &source, registry());
    let Some(runbook) = loaded.runbook else { panic!("{}", draw_all(&source, &loaded.problems, DrawStyle::default())) };
    let runbook = Rc::new(runbook);
    let plan = match Plan::make(Rc::clone(&runbook), Rc::new(loaded.names), Inputs::default()) {
        Ok(plan) => plan,
        Err(problems) => panic!("{}", draw_all(&source, &problems, DrawStyle::default())),
    };
    let world = Printing { shown: form.shown.clone(), clock: Cell::default() };
    let journal = Kept::default();
    let operator = person(&form.shown);
    let [plain, screen, program] = [Paper::default(), Paper::default(), Paper::default()];
    let titles = || -> HashMap<StepId, String> {
        runbook.all_steps().map(|step| (step.path.clone(), plan.title(step, &plan.scope()))).collect()
    };
    let options = LineOptions { verbose: true, ..LineOptions::default() };
    let seat = LineOptions { color: true, terminal: true, interactive: true, ..options };
    let sinks: Vec<Rc<dyn Sink + '_>> = vec![
        Rc::new(Lines::new(Box::new(plain.clone()), options, titles())),
        Rc::new(Lines::new(Box::new(screen.clone()), seat, titles())),
        Rc::new(JsonLines::new(Box::new(program.clone()))),
    ];
    let id = RunId::make(began(), 4);
    let header = RunStarted {
        journal: 1,
        format: 1,
        run: id.clone(),
        runbook: "x".into(),
        origin: "x.yaml".into(),
        digest: String::new(),
        params: plan.params_json(),
        param_sources: plan.sources_json(),
        secrets: Default::default(),
        tool_version: "0".into(),
        operator: "ada".into(),
        host: "desk".into(),
        cwd: "/work".into(),
        attended: true,
        profile: None,
        lock: None,
        files: Default::default(),
    };
    let publisher = Publisher::new(&world, &journal, sinks, redactor.clone(), RunState::default());
    now(publisher.publish(Event::RunStarted(Box::new(header)))).unwrap();
    let options = Options {
        step_mode: false,
        jobs: 1,
        base_env: Vec::new(),
        cwd: "/work".into(),
        run: Some(Value::map(IndexMap::from([("id".to_owned(), Value::text(id.as_str()))]))),
        signals: None,
        secrets: IndexMap::new(),
        decisions: IndexMap::new(),
        undo: false,
        draw: Rc::new(|source, diagnostic| draw(source, diagnostic, DrawStyle::default()).trim_end().to_owned()),
    };
    let engine = Engine::new(&plan, &world, &operator, &journal, publisher, options);
    let end = now(engine.run());
    let state = engine.publisher().state().clone();
    drop(engine);
    let records = journal.records.take();
    let logs = journal.logs.take();
    let asked: Vec<String> = operator.asked().iter().map(|question| draw_question(question, 4096, true)).collect();
    let lines = |records: &[Record]| -> Vec<u8> {
        records
            .iter()
            .flat_map(|record| serde_json::to_string(record).unwrap().into_bytes().into_iter().chain(*b"\n"))
            .collect()
    };
    let places = vec![
        ("the lines of a terminal", plain.0.take()),
        ("the screen of a terminal", screen.0.take()),
        ("--json", program.0.take()),
        ("the journal", lines(&records)),
        ("the report", runsheet::render::report(&records, &state, Some(&runbook)).into_bytes()),
        ("the questions", asked.join("\n").into_bytes()),
        ("the end", format!("{:?}", end.reason).into_bytes()),
        ("the logs", logs.values().flatten().copied().collect()),
    ];
    Ran { places, logs, end }
}

/// Somebody who answers with what is on the screen of another terminal.
fn person(shown: &str) -> Scripted {
    let say = |word: &str, name: &str, value: &str| {
        let values = IndexMap::from([(name.to_owned(), Value::text(value))]);
        Reply::Answer(Answer { values, ..Answer::word(word) })
    };
    let because = Reply::Answer(Answer { reason: Some(format!("it is {shown}")), ..Answer::word("skip") });
    let yes = Reply::Answer(Answer::word("yes"));
    let way = Reply::Answer(Answer::word("a"));
    Scripted::new([because, yes, say("done", "note", shown), say("give", "given", shown), way])
}

/// Nothing in this world is waited for.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1_000_000 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
    panic!("it waits for what never happens");
}

/// What no place may hold, and where it is looked for: as it is, as a terminal shows it, with its lines joined, and as
/// a program reads its JSON.
pub struct Needles {
    find: AhoCorasick,
    names: Vec<String>,
}

impl Needles {
    pub fn new(forms: &[Form]) -> Needles {
        let mut cores: Vec<(String, String)> =
            forms.iter().map(|form| (form.name.clone(), form.core.clone())).collect();
        // A cut that goes through a secret leaves no half of it either.
        cores.push(("the first half of odd".into(), "p4ss/w0rd+".into()));
        cores.push(("the second half of odd".into(), "& <more>=ü".into()));
        cores.push(("the first half of a line".into(), "C4NARY".into()));
        cores.push(("the second half of a line".into(), "BBBBBBBB".into()));
        let find = AhoCorasick::new(cores.iter().map(|(_, core)| core)).unwrap();
        Needles { find, names: cores.into_iter().map(|(name, _)| name).collect() }
    }

    fn in_text(&self, text: &str) -> Option<String> {
        let hit = self.find.find(text)?;
        let from = text.floor_char_boundary(hit.start().saturating_sub(160));
        let to = text.ceil_char_boundary((hit.end() + 80).min(text.len()));
        Some(format!("{} in: …{}…", self.names[hit.pattern().as_usize()], &text[from..to]))
    }

    pub fn in_bytes(&self, bytes: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(bytes);
        self.in_any(&text).or_else(|| self.in_json(&text))
    }

    /// In one text, read in every way.
    fn in_any(&self, text: &str) -> Option<String> {
        static ESCAPES: OnceLock<[regex::Regex; 3]> = OnceLock::new();
        let [escapes, visible, breaks] = ESCAPES.get_or_init(|| {
            [
                "\x1b\\[[0-9;]*[A-Za-z]|\x1b\\]0;t\x07|\x1b\\(B",
                // As texts are shown in which an escape would do harm.
                r"\\u(\{1b\}|001b)(\[[0-9;]*[A-Za-z]|\]0;t\\u(\{7\}|0007)|\(B)",
                // Ends of lines, as they are and as they are shown, and what stands before a line that a step wrote.
                "(\\\\+[rn] ?|[\r\n]|\",\")+(  │ )?",
            ]
            .map(|pattern| regex::Regex::new(pattern).unwrap())
        });
        let bare = escapes.replace_all(text, "");
        let told = visible.replace_all(&bare, "");
        let joined = breaks.replace_all(&told, "");
        [text, &bare, &told, &joined].into_iter().find_map(|text| self.in_text(text))
    }

    fn in_json(&self, text: &str) -> Option<String> {
        let parsed = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        parsed.filter_map(|json| json.is_object().then_some(json)).find_map(|json| self.in_value(&json))
    }

    fn in_value(&self, json: &serde_json::Value) -> Option<String> {
        match json {
            serde_json::Value::String(text) => self.in_any(text),
            serde_json::Value::Array(items) => items.iter().find_map(|item| self.in_value(item)),
            serde_json::Value::Object(entries) => {
                entries.iter().find_map(|(key, value)| self.in_any(key).or_else(|| self.in_value(value)))
            }
            _ => None,
        }
    }
}

fn redactor() -> Redactor {
    let redactor = Redactor::new();
    for secret in [forms::ODD, forms::KEY] {
        redactor.add(&Secret::new(secret.into()), false).unwrap();
    }
    redactor
}

#[test]
fn no_form_at_any_split_reaches_any_place() {
    let forms = forms::all();
    let needles = Needles::new(&forms);
    let mut wrong = Vec::new();
    for form in &forms {
        let redactor = redactor();
        let split = run(PRINTED, form, &redactor);
        let quoting = run(QUOTING, form, &redactor);
        for (part, ran) in [("printed", &split), ("quoted", &quoting)] {
            assert_eq!(ran.end.code, 0, "{}, {part}: {:?}", form.name, ran.end);
            for (place, bytes) in &ran.places {
                if let Some(found) = needles.in_bytes(bytes) {
                    wrong.push(format!("{}, {part}, {place}: {found}", form.name));
                }
            }
        }
        // What stands around it is left, and every split gives the same.
        for (step, log) in &split.logs {
            let log = String::from_utf8_lossy(log);
            let streams = if step.contains("tty") { 1 } else { 2 };
            let times = if step.starts_with("splits") { form.shown.len() + 1 } else { 1 };
            let lines: Vec<&str> =
                log.split_inclusive(AFTER).map(str::trim_start).filter(|line| !line.is_empty()).collect();
            let same = lines.iter().all(|line| *line == lines[0] && line.starts_with(BEFORE) && line.contains("***"));
            if !same || lines.len() != times * streams {
                wrong.push(format!("{}, {step}: the log is {log:?}", form.name));
            }
        }
    }
    let count = wrong.len();
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{count} leaks, such as\n{}", wrong.join("\n"));
}

/// The search above can find each form in each place: without a redactor it does.
#[test]
fn what_is_not_masked_is_found_in_every_place() {
    let forms = forms::all();
    let needles = Needles::new(&forms);
    for form in &forms {
        let ran = run(QUOTING, form, &Redactor::new());
        for (place, bytes) in &ran.places {
            // A reason is given only where there is one.
            if *place != "the end" {
                assert!(
                    needles.in_bytes(bytes).is_some(),
                    "{} is not seen in {place}: {}",
                    form.name,
                    String::from_utf8_lossy(bytes)
                );
            }
        }
    }
}
