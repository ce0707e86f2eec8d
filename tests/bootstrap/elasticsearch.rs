//! `socorro/bootstrap-elasticsearch` against a stand-in for Elasticsearch with everything that may go wrong.

use std::fs;

use serde_json::json;

use super::step;
use crate::{
    bench::Bench,
    standins::{
        elasticsearch::{Elasticsearch, Fault, PASSWORD},
        server::On,
    },
};

const NAME: &str = "socorro/bootstrap-elasticsearch";
const YES: &[(&str, &str)] = &[("go", "yes"), ("replace", "yes")];

fn bench(elasticsearch: &Elasticsearch, edits: &[(&str, &str)]) -> Bench {
    let mut edits = edits.to_vec();
    edits.push(("interval: 2s", "interval: 20ms"));
    let bench = Bench::new(NAME, &edits)
        .param("elasticsearch", elasticsearch.url())
        .param("cluster", "socorro")
        .param("body", "socorro-index.json")
        .param("indexes", "socorro201820,socorro201821")
        .param("repository", "backups")
        .param("poll", "20ms")
        .param("patience", "1s")
        .param("snapshot_time", "1s")
        .env("ELASTICSEARCH_PASSWORD", PASSWORD)
        .secret(PASSWORD);
    let fields = json!({"dynamic": false, "properties": {
        "uuid": {"type": "keyword", "index": true},
        "raw_crash": {"type": "object", "properties": {"type": {"type": "keyword"}, "build": {"type": "long"}}},
    }});
    let mappings = if elasticsearch.state().version.as_str() < "7" { json!({"crash_reports": fields}) } else { fields };
    let body = json!({"settings": {"number_of_shards": 5}, "mappings": mappings});
    fs::write(bench.folder().join("socorro-index.json"), body.to_string()).unwrap();
    bench
}

#[track_caller]
fn is_set_up(elasticsearch: &Elasticsearch) {
    let state = elasticsearch.state();
    assert_eq!((state.templates.len(), state.indexes.len()), (1, 2));
    for mapping in state.indexes.values() {
        let text = mapping.to_string();
        assert!(text.contains(r#""uuid":{"type":"keyword"}"#), "{text}");
    }
}

#[test]
fn template_indexes_and_snapshot_in_the_form_of_each_version_and_once_more() {
    for (version, path) in [
        ("5.3.3", "/_template/"),
        ("6.8.23", "/_template/"),
        ("7.7.1", "/_template/"),
        ("7.8.0", "/_index_template/"),
        ("8.11.0", "/_index_template/"),
    ] {
        eprintln!("{version}");
        let faults = vec![Fault::LateShards { looks: 6 }, Fault::LateSnapshot { looks: 3 }];
        let elasticsearch = Elasticsearch::start(version, 3, faults);
        bench(&elasticsearch, &[]).run(YES).succeeded();
        is_set_up(&elasticsearch);
        assert_eq!(elasticsearch.requests_of("PUT", path).len(), 1);
        assert_eq!(elasticsearch.state().snapshots.len(), 1);
    }
    // Once more: nothing is made, and the template is replaced after a yes.
    let elasticsearch = Elasticsearch::start("8.11.0", 1, vec![]);
    let bench = || bench(&elasticsearch, &[]).param("health", "yellow");
    bench().run(YES).succeeded();
    let asked = bench().run(&[("go", "yes")]);
    assert_eq!(asked.code, 11, "{}", asked.told);
    let again = bench().run(YES);
    again.succeeded();
    assert_eq!(again.status("make[socorro201820]/create"), Some("skipped"));
    is_set_up(&elasticsearch);
}

#[test]
fn what_was_made_is_taken_back_and_what_was_there_comes_back() {
    let elasticsearch = Elasticsearch::start("8.11.0", 3, vec![]);
    let fresh = bench(&elasticsearch, &[]);
    fresh.run(YES).succeeded();
    assert_eq!(fresh.undo(&[]).code, 6);
    let state = elasticsearch.state();
    assert_eq!((state.templates.len(), state.indexes.len(), state.snapshots.len()), (0, 0, 0));
    drop(state);
    let old = json!({"index_patterns": ["old*"], "template": {"mappings": {"properties": {"a": {"type": "long"}}}}});
    elasticsearch.state().templates.insert("_index_template/socorro".into(), old.clone());
    let second = bench(&elasticsearch, &[]);
    second.run(YES).succeeded();
    is_set_up(&elasticsearch);
    assert_eq!(second.undo(&[]).code, 6);
    assert_eq!(elasticsearch.state().templates["_index_template/socorro"], old);
}

#[test]
fn an_index_that_has_filled_up_is_not_taken_back_unasked() {
    let elasticsearch = Elasticsearch::start("8.11.0", 3, vec![]);
    let fresh = bench(&elasticsearch, &[]);
    fresh.run(YES).succeeded();
    elasticsearch.document("socorro201820");
    let refused = fresh.undo(&[("make[socorro201820]/create@undo/sure", "no")]);
    assert_eq!(refused.code, 12, "{}", refused.told);
    assert!(refused.told.contains("holds 1 documents"), "{}", refused.told);
    assert_eq!(elasticsearch.requests_of("DELETE", "/socorro201820").len(), 0);
    let undone = fresh.undo(&[("make[socorro201820]/create@undo/sure", "yes")]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    assert!(elasticsearch.state().indexes.is_empty());
}

/// What goes wrong and can be coped with.
#[test]
fn it_copes() {
    let lost = |method, path: &str| Fault::ReplyLost { on: On::of(method, path), times: 1 };
    let faults = [
        lost("PUT", "/_index_template/"),
        lost("PUT", "/socorro201820"),
        lost("PUT", "/_snapshot/"),
        Fault::ServerError { on: On::of("PUT", "/_index_template/"), times: 2 },
        Fault::NotAcknowledged { looks: Some(4) },
    ];
    for fault in faults {
        eprintln!("{fault:?}");
        let elasticsearch = Elasticsearch::start("8.11.0", 3, vec![fault]);
        bench(&elasticsearch, &[]).run(YES).succeeded();
        is_set_up(&elasticsearch);
        assert_eq!(elasticsearch.requests_of("PUT", "/socorro201820").len(), 1);
    }
}

#[test]
fn it_dies_in_the_middle_and_is_taken_up() {
    for (request, step) in [
        ("PUT /_index_template/socorro", "make-template"),
        ("PUT /socorro201821", "make[socorro201821]/create"),
        ("PUT /_snapshot/backups/", "backup/begin"),
    ] {
        let elasticsearch = Elasticsearch::start("8.11.0", 3, vec![]);
        let door = Door::before(&elasticsearch.url(), request);
        let bench = bench(&elasticsearch, &[]).param("elasticsearch", &door.url);
        let going = bench.start(YES).until_doing(step);
        door.kept.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        going.kill();
        bench.resume(YES).succeeded();
        is_set_up(&elasticsearch);
        assert_eq!(elasticsearch.requests_of("PUT", "/socorro201821").len(), 1);
    }
}

/// A door that keeps one answer back for ever, when the request has had its effect.
struct Door {
    url: String,
    kept: std::sync::mpsc::Receiver<()>,
    _server: crate::standins::server::Server,
}

impl Door {
    fn before(behind: &str, line: &str) -> Door {
        use crate::standins::{
            client::Client,
            server::{Reply, Server},
        };
        let client = Client::new(behind);
        let line = line.to_owned();
        let (keeping, kept) = std::sync::mpsc::channel();
        let once = std::sync::atomic::AtomicBool::new(true);
        let server = Server::start(move |request| {
            let client = client.header("authorization", request.header("authorization").unwrap_or_default());
            let answer = client.send(&request.method, &request.raw_path, &request.text()).unwrap();
            let meant = request.line().starts_with(&line);
            if meant && once.swap(false, std::sync::atomic::Ordering::SeqCst) {
                keeping.send(()).unwrap();
                return Reply::Cut;
            }
            Reply::of(answer.status, "application/json", answer.body)
        });
        Door { url: server.url(), kept, _server: server }
    }
}

/// What goes wrong and is told, at the right place.
#[test]
fn it_notices() {
    let cases: Vec<(Fault, &str, &str)> = vec![
        (Fault::OtherCluster, "cluster-there", "cluster_name"),
        (Fault::Red, "healthy", "status"),
        (Fault::NoRepository, "repository-there", "404"),
        (Fault::Forbidden, "repository-there", "403"),
        (Fault::ServerError { on: On::of("PUT", "/_index_template/"), times: 9 }, "make-template", "503"),
        (Fault::NotAcknowledged { looks: None }, "template-seen", "1s"),
        (Fault::Garbled, "template-right", "uuid.type is absent and not keyword"),
        (Fault::DocumentFirst { index: "socorro201820" }, "make[socorro201820]/create", "400"),
        (Fault::LateShards { looks: 99999 }, "make[socorro201820]/shards", "1s"),
        (Fault::OtherWins, "make[socorro201820]/mapped", "uuid.type is absent and not keyword"),
        (Fault::TurnsRed, "still-healthy", "status"),
        (Fault::Snapshot { state: "PARTIAL" }, "backup/taken", "fails when"),
        (Fault::Snapshot { state: "FAILED" }, "backup/taken", "fails when"),
        (Fault::LateSnapshot { looks: 99999 }, "backup/taken", "1s"),
        (Fault::LeavesOut { index: "socorro201821" }, "backup/complete", "indexes"),
        (Fault::ShardFails, "backup/complete", "failed"),
    ];
    for (fault, at, says) in cases {
        eprintln!("{fault:?}");
        let elasticsearch = Elasticsearch::start("8.11.0", 3, vec![fault]);
        let ran = bench(&elasticsearch, &[]).run(YES);
        ran.stopped_at(at, "");
        assert!(ran.told.contains(says), "{says}: {}", ran.told);
    }
    // A node alone has nowhere to put a replica.
    let one = Elasticsearch::start("8.11.0", 1, vec![]);
    bench(&one, &[]).run(YES).stopped_at("make[socorro201820]/shards", "1s");
    // An index that was there before the template.
    let late = Elasticsearch::start("8.11.0", 3, vec![]);
    late.document("socorro201821");
    let ran = bench(&late, &[]).run(YES);
    ran.stopped_at("indexes-now[socorro201821]/right-mapping", "");
    assert!(ran.told.contains("properties.uuid.type is text and not keyword"), "{}", ran.told);
    assert!(late.requests_of("PUT", "").is_empty());
    // Files that will not do.
    for (text, version) in [
        ("{}", "8.11.0"),
        ("[1]", "8.11.0"),
        ("no JSON", "8.11.0"),
        (r#"{"mappings": {"properties": {}}}"#, "5.3.3"),
        (r#"{"mappings": {}, "order": 1}"#, "8.11.0"),
    ] {
        let elasticsearch = Elasticsearch::start(version, 3, vec![]);
        let bench = bench(&elasticsearch, &[]);
        fs::write(bench.folder().join("socorro-index.json"), text).unwrap();
        bench.run(YES).stopped_at("read-body", "");
    }
}

/// Each check, what goes wrong, and that the run would succeed without the check and be wrong.
#[test]
fn without_a_check_something_goes_wrong_unseen() {
    let without = |id: &str| (step(NAME, id), String::new());
    let text = fs::read_to_string(format!("{}/runbooks/{NAME}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let inner = |id: &str| {
        let from = text.find(&format!("        - id: {id}\n")).unwrap();
        let rest = &text[from + 8..];
        let ends = [rest.find("\n        - id: "), rest.find("\n\n")];
        let to = ends.into_iter().flatten().min().map_or(text.len(), |at| from + 8 + at + 1);
        (text[from..to].to_owned(), String::new())
    };
    let compare = || ("if [ -n \"$wrong\" ]".to_owned(), "if false".to_owned());
    let line = |text: &str| (format!("      - {text}\n"), "      - result.status == 200\n".to_owned());
    let no_document = |_: &Elasticsearch| {};
    let document = |elasticsearch: &Elasticsearch| elasticsearch.document("socorro201821");
    struct Case<'a> {
        fault: Option<Fault>,
        prepare: &'a dyn Fn(&Elasticsearch),
        others: Vec<(String, String)>,
        at: &'a str,
        check: (String, String),
    }
    let case = |fault, at, check| Case { fault: Some(fault), prepare: &no_document, others: vec![], at, check };
    let cases = [
        case(Fault::OtherCluster, "cluster-there", line("result.json.cluster_name == cluster")),
        Case {
            others: vec![without("still-healthy"), inner("shards")],
            ..case(Fault::Red, "healthy", line("result.json.status in ['green', 'yellow']"))
        },
        Case {
            fault: None,
            prepare: &document,
            others: vec![],
            at: "indexes-now[socorro201821]/right-mapping",
            check: compare(),
        },
        Case { others: vec![inner("mapped")], ..case(Fault::Garbled, "template-right", without("template-right")) },
        case(Fault::OtherWins, "make[socorro201820]/mapped", inner("mapped")),
        case(Fault::LateShards { looks: 99999 }, "make[socorro201820]/shards", inner("shards")),
        case(Fault::TurnsRed, "still-healthy", without("still-healthy")),
        case(Fault::Snapshot { state: "PARTIAL" }, "backup/taken", inner("taken")),
        case(Fault::LeavesOut { index: "socorro201821" }, "backup/complete", inner("complete")),
        case(Fault::ShardFails, "backup/complete", inner("complete")),
    ];
    for case in cases {
        eprintln!("{:?} {}", case.fault, case.at);
        let run = |edits: &[(String, String)]| {
            let elasticsearch = Elasticsearch::start("8.11.0", 3, case.fault.clone().into_iter().collect());
            (case.prepare)(&elasticsearch);
            let edits: Vec<(&str, &str)> = edits.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
            bench(&elasticsearch, &edits).run(YES)
        };
        run(&case.others).stopped_at(case.at, "");
        let mut edits = case.others.clone();
        edits.push(case.check.clone());
        run(&edits).succeeded();
    }
}
