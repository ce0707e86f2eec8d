//! `facebook-connector/retry-delivery` against a real PostgreSQL with the connector's tables, a worker, and a password that
//! the real AWS command line (once) reads from moto.

use std::process::{Child, Stdio};

use crate::{
    bench::Bench,
    parts,
    standins::{
        aws::Moto,
        delivery_queue::{self, DATABASE, PASSWORD},
        postgres::Postgres,
        remote_shell::executable,
    },
};

const YES: &[(&str, &str)] = &[("go", "yes"), ("production", "90")];
const ODD: &str = "it's \"two\" $(id).json";

pub struct World {
    server: Postgres,
    bin: tempfile::TempDir,
}

/// Does the queue's jobs for as long as it lives, as the worker does.
struct Worker<'a>(Child, &'a World);

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        // What it had sent is still done by the server, and must not be done to what comes next.
        let busy = "select count(*) from pg_stat_activity where query like 'select work(%' and pid <> pg_backend_pid()";
        crate::lab::until("a worker that is gone", || self.1.server.sql(DATABASE, busy) == "0");
    }
}

impl World {
    pub fn new() -> Option<World> {
        let server = Postgres::start()?;
        delivery_queue::make(&server);
        delivery_queue::fill(&server);
        let bin = tempfile::tempdir().unwrap();
        // It knows one parameter for each stage.
        let script = format!(
            "#!/bin/bash\nif [ $1 = sts ]; then echo '{{\"Arn\": \"arn:aws:sts::123456789012:assumed-role/sudo/operator\"}}'; exit; fi\n\
             [[ $* =~ ^'ssm get-parameter --name /'(dev|prod)'/rds-master-password --with-decryption --query \
             Parameter.Value --output text'$ ]] || {{ echo 'An error occurred (ParameterNotFound)' >&2; exit 254; }}\n\
             printf '%s\\n' '{}'\n",
            PASSWORD.replace('\'', "'\\''")
        );
        executable(&bin.path().join("aws"), &script);
        std::fs::write(bin.path().join("work.sql"), "select work(1) \\watch 0.02\n").unwrap();
        Some(World { server, bin })
    }

    fn bench(&self, revision: &str, edits: &[(&str, &str)]) -> Bench {
        self.set("facebook-connector/retry-delivery", edits)
            .param("revision", revision)
            .param("cause", "Facebook was away for an hour.")
            .param("poll", "20ms")
            .param("patience", "60s")
    }

    /// A runbook that uses this database.
    pub fn set(&self, runbook: &str, edits: &[(&str, &str)]) -> Bench {
        let port = self.server.port().to_string();
        Bench::new(runbook, edits)
            .param("stage", "dev")
            .param("host", "127.0.0.1")
            .param("port", port)
            .param("sslmode", "disable")
            .secret(PASSWORD)
            .path_first(self.bin.path())
    }

    fn worker(&self) -> Worker<'_> {
        let mut command = self.server.psql(DATABASE);
        command.arg("-f").arg(self.bin.path().join("work.sql")).stdout(Stdio::null()).stderr(Stdio::null());
        Worker(command.spawn().unwrap(), self)
    }

    fn queued(&self, revision: u32) -> Vec<String> {
        delivery_queue::queued(&self.server, revision)
    }
}

#[test]
fn failed_files_are_enqueued_once_and_delivered() {
    let Some(world) = World::new() else { return };
    let worker = world.worker();
    let ran = world.bench("90", &[]).run(YES);
    ran.succeeded();
    drop(worker);
    assert!(!delivery_queue::states(&world.server, 90).contains("failed"));
    assert!(ran.told.contains("Enqueue 2 files of delivery 90 in dev, as arn:aws:sts::"), "{}", ran.told);
    assert!(ran.told.contains("it's \"two\" $(id).json, part-00000.json"), "{}", ran.told);
    // The delivered file was left alone.
    let made = world.server.sql(DATABASE, "select last_value from queue_id_seq");
    assert_eq!(made, "14");
    // Now nothing has failed any more: `INSERT 0 0` is no success.
    world.bench("90", &[]).run(YES).stopped_at("delivery", "result.json.wanted > 0");
    // A delivered file goes again only with a reason, which is on record.
    let again = world.bench("90", &[]).param("file", ODD);
    again.run(YES).stopped_at("delivery", "not_failed == 0");
    let worker = world.worker();
    let reason = "the audience was emptied by hand, ticket 4";
    let ran = again.param("again", reason).run(YES);
    drop(worker);
    ran.succeeded();
    assert!(ran.told.contains(&format!("Once more, because: {reason}")), "{}", ran.told);
    assert!(ran.events[0].to_string().contains(reason));
    assert_eq!(world.server.sql(DATABASE, "select last_value from queue_id_seq"), "15");
    // The password is in no statement and in no argument that the server could see.
    assert!(!world.server.log().contains(PASSWORD));
}

#[test]
fn what_cannot_be_retried_is_refused_before_anybody_is_asked() {
    let Some(world) = World::new() else { return };
    let all = world.server.sql(DATABASE, "select count(*) from queue");
    let file = |name: &str| world.bench("90", &[]).param("file", name);
    world.bench("9000", &[]).run(YES).stopped_at("delivery", "result.json.found == 1");
    world.bench("92", &[]).run(YES).stopped_at("delivery", "processing_files");
    world.bench("93", &[]).run(YES).stopped_at("delivery", "result.json.wanted > 0");
    world.bench("91", &[]).run(YES).stopped_at("delivery", "snapshot_id != 0");
    // Another case, a blank more, and what would be SQL.
    for name in ["PART-00000.json", "part-00000.json ", "' or true; delete from commands; --", "\\", ":'revision'"] {
        file(name).run(YES).stopped_at("delivery", "result.json.wanted > 0");
    }
    world
        .bench("90", &[])
        .param("stage", "demo")
        .run(YES)
        .stopped_at("delivery", "could not read secret `db_password`");
    for (name, value) in [("revision", "90; drop table queue"), ("revision", ""), ("stage", "local"), ("host", "a b")] {
        let ran = world.bench("90", &[]).param(name, value).run(YES);
        assert_ne!(ran.code, 0, "{name}={value}");
    }
    assert_eq!(world.server.sql(DATABASE, "select count(*) from queue"), all);
    assert_eq!(world.server.sql(DATABASE, "select count(*) from commands"), "5");
    // And a no enqueues nothing, in production neither without its number.
    assert_eq!(world.bench("90", &[]).run(&[("go", "no")]).code, 5);
    let prod = world.bench("90", &[]).param("stage", "prod");
    assert_eq!(prod.run(&[("go", "yes")]).code, 11);
    assert_ne!(prod.resume(&[("production", "9")]).code, 0);
    assert_eq!(world.server.sql(DATABASE, "select count(*) from queue"), all);
}

#[test]
fn each_check_is_needed() {
    let Some(world) = World::new() else { return };
    // A check, what is given, how it is told with the check, and what is in the queue without it.
    type Row =
        (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)], fn(&World));
    let rows: [Row; 6] = [
        // `INSERT 0 0`, and a good end.
        (
            "9000",
            &[
                ("      - result.json.found == 1\n", ""),
                ("      - result.json.status == 'processing_files'\n", ""),
                ("      - result.json.wanted > 0\n", ""),
                ("      - result.json.kind == 'PerformDelivery' or snapshot_id != 0\n", ""),
                ("      - result.json|list == ['delivered']\n", "      - result.exit == 0\n"),
            ],
            &[],
            |world| assert_eq!(world.queued(9000).len(), 0),
        ),
        (
            "92",
            &[
                ("      - result.json.status == 'processing_files'\n", ""),
                ("      - result.json.wanted > 0\n", ""),
                ("      - result.json|list == ['delivered']\n", "      - result.exit == 0\n"),
            ],
            &[],
            |world| assert_eq!(world.queued(92).len(), 0),
        ),
        // The worker fails it at once.
        (
            "91",
            &[
                ("      - result.json.kind == 'PerformDelivery' or snapshot_id != 0\n", ""),
                ("      - result.json|list == ['delivered']\n", "      - result.exit == 0\n"),
            ],
            &[],
            |world| assert!(delivery_queue::states(&world.server, 91).contains("failed")),
        ),
        // Enqueued twice.
        (
            "90",
            &[
                ("      - result.json.queued == 0 or again != ''\n", ""),
                (
                    " and not exists (select from queue q\n            where q.payload->>'event_revision' = :'revision' and q.payload->>'file' = name)",
                    "",
                ),
            ],
            &[("file", "part-00000.json")],
            |world| assert_eq!(world.server.sql(DATABASE, "select last_value from queue_id_seq"), "14"),
        ),
        // What was delivered is delivered again.
        (
            "93",
            &[
                ("      - result.json.not_failed == 0 or again != ''\n", ""),
                ("(:'again' <> '' or (state = 'failed' and", "(true or (true and"),
            ],
            &[("all", "true")],
            |world| assert_eq!(world.server.sql(DATABASE, "select last_value from queue_id_seq"), "13"),
        ),
        // It failed again, and the run ends well.
        (
            "90",
            &[("      - result.json|list == ['delivered']\n", "      - result.exit == 0\n")],
            &[("file", ODD)],
            |world| assert!(delivery_queue::states(&world.server, 90).contains("failed")),
        ),
    ];
    for (number, (revision, without, params, harm)) in rows.into_iter().enumerate() {
        delivery_queue::fill(&world.server);
        if number == 3 {
            let job = "insert into queue (payload) values ('{\"type\": \"file\", \"event_revision\": \"90\", \
                       \"file\": \"part-00000.json\"}')";
            world.server.sql(DATABASE, job);
        }
        let quote = ODD.replace('\'', "''");
        world.server.sql(DATABASE, &format!("insert into broken values ('{quote}')"));
        let bench = |edits: &[(&str, &str)]| {
            let bench = world.bench(revision, edits);
            params.iter().fold(bench, |bench, (name, value)| bench.param(name, value))
        };
        let worker = (number == 5).then(|| world.worker());
        let ran = bench(&[]).run(YES);
        assert_eq!(ran.code, 1, "{number}: {}", ran.told);
        drop(worker);
        // The worker comes when they are in the queue, or it would be faster than the look before.
        let bench = bench(without);
        let going = bench.start(YES).until_doing("taken");
        let worker = world.worker();
        let ran = going.end();
        drop(worker);
        assert_eq!(ran.code, 0, "{number}: {}", ran.told);
        harm(&world);
    }
}

#[test]
fn a_snapshot_is_named_in_the_job() {
    let Some(world) = World::new() else { return };
    // The worker does the twelve older jobs first, which a look at the ten oldest would show instead of this one.
    let bench = world.bench("91", &[]).param("snapshot_id", "7");
    let going = bench.start(YES).until_doing("taken");
    assert_eq!(world.queued(91), ["a.parquet 7"]);
    let worker = world.worker();
    going.end().succeeded();
    drop(worker);
    assert_eq!(delivery_queue::states(&world.server, 91), "{\"a.parquet\": \"delivered\"}");
}

#[test]
fn what_changes_between_the_look_and_the_yes_enqueues_nothing() {
    let Some(world) = World::new() else { return };
    // Somebody else enqueues one of them by the script, while a person thinks.
    let bench = world.bench("90", &[]);
    assert_eq!(bench.run(&[]).code, 11);
    let job = "insert into queue (payload) values ('{\"type\": \"file\", \"event_revision\": \"90\", \"file\": \"part-00000.json\"}')";
    world.server.sql(DATABASE, job);
    bench.resume(YES).stopped_at("enqueue", "nothing was enqueued");
    assert_eq!(world.queued(90), ["part-00000.json"]);
    // Without the count, half of it would have been enqueued, and nobody told.
    delivery_queue::fill(&world.server);
    let without = [
        ("count(*) = :'expected'::bigint as right from made", "true as right from made"),
        (
            "      - result.json|length == expected\n    capture:\n      ids: result.json\n    # Looks",
            "      - result.exit == 0\n    capture:\n      ids: result.json\n    # Looks",
        ),
    ];
    let bench = world.bench("90", &without);
    assert_eq!(bench.run(&[]).code, 11);
    world.server.sql(DATABASE, job);
    let worker = world.worker();
    bench.resume(YES).succeeded();
    drop(worker);
}

#[test]
fn killed_while_it_enqueues_it_enqueues_once_and_what_is_not_taken_is_withdrawn() {
    let Some(world) = World::new() else { return };
    let bench = world.bench("90", &[]);
    bench.start(YES).until_doing("enqueue").kill();
    let going = bench.resume_from(YES).until_doing("taken");
    assert_eq!(world.queued(90).len(), 2);
    going.kill();
    // Nobody takes them. They are withdrawn, and the older ones stay.
    let undone = bench.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    assert_eq!(world.queued(90).len(), 0);
    assert_eq!(world.queued(9).len(), 12);
    // Of what the worker has begun to take the undo says so, and is none.
    let bench = world.bench("90", &[]);
    bench.start(YES).until_doing("taken").kill();
    delivery_queue::work(&world.server, 13);
    let undone = bench.undo(&[]);
    assert_eq!(undone.code, 12, "{}", undone.told);
    assert!(undone.told.contains("what the worker has taken cannot be withdrawn"), "{}", undone.told);
}

#[test]
fn two_at_a_time_enqueue_once() {
    let Some(world) = World::new() else { return };
    let one = world.bench("90", &[]);
    let other = world.bench("90", &[]);
    for bench in [&one, &other] {
        assert_eq!(bench.run(&[]).code, 11);
    }
    let worker = world.worker();
    let going = one.resume_from(YES).until_doing("enqueue");
    let second = other.resume(YES);
    let first = going.end();
    drop(worker);
    let codes = [first.code, second.code];
    assert!(codes.contains(&0) && codes.contains(&1), "{codes:?} {} {}", first.told, second.told);
    assert_eq!(world.server.sql(DATABASE, "select last_value from queue_id_seq"), "14");
}

#[test]
fn the_password_comes_from_ssm_by_the_real_command_line() {
    let Some([aws]) = parts::programs(["aws"]) else { return };
    let Some(moto) = Moto::start() else { return };
    let Some(world) = World::new() else { return };
    let (config, env) = moto.config();
    moto.put_parameter("/dev/rds-master-password", PASSWORD);
    let mut bench = world.bench("93", &[]).path_first(aws.parent().unwrap());
    for (name, value) in env {
        bench = bench.env(name, value);
    }
    // It gets as far as the database: this delivery has nothing to retry.
    bench.run(YES).stopped_at("delivery", "result.json.wanted > 0");
    drop(config);
}

#[test]
fn where_nobody_heard_the_end_the_queue_is_looked_at() {
    let Some(world) = World::new() else { return };
    let before = ("      begin;\n      set local", "      \\! sleep 60\n      begin;\n      set local");
    let after = ("        commit;\n        \\echo :ids", "        commit;\n        \\! sleep 60\n        \\echo :ids");
    let hurry = ("nothing of it is done.\n    timeout: 2m", "nothing of it is done.\n    timeout: 2s");
    // It was cut off before it did anything: that is known, and a new run does it.
    world.bench("90", &[before, hurry]).run(YES).stopped_at("enqueue", "not in place");
    assert_eq!(world.queued(90).len(), 0);
    // It was cut off when all was done: it goes on with what it finds.
    let bench = world.bench("90", &[after, hurry]);
    let going = bench.start(YES).until_doing("taken");
    assert_eq!(world.queued(90).len(), 2);
    let worker = world.worker();
    going.end().succeeded();
    drop(worker);
    assert_eq!(world.server.sql(DATABASE, "select last_value from queue_id_seq"), "14");
    // The worker was faster than the look: nobody knows, and nobody enqueues it a second time.
    delivery_queue::fill(&world.server);
    let worker = world.worker();
    world.bench("90", &[after, hurry]).run(YES).open_at("enqueue", "it did not end within 2s");
    drop(worker);
    assert_eq!(world.server.sql(DATABASE, "select last_value from queue_id_seq"), "14");
}
