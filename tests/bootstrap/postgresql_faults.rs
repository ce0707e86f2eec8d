//! `socorro/bootstrap-postgresql` where something is wrong: it notices at the right place, and without the check that
//! notices it, it would go on.

use super::{
    postgresql::{YES, bench, is_set_up},
    step,
};
use crate::standins::{
    machines::Fault,
    socorro_database::{PASSWORD, SocorroDatabase, USER},
};

const NAME: &str = "socorro/bootstrap-postgresql";

type Prepare = fn(&SocorroDatabase);

/// The same faults as a person would meet them, and what is said.
#[test]
fn it_notices_and_nothing_goes_on() {
    let Some(database) = SocorroDatabase::start() else { return };
    let cases: &[(&str, Prepare, &str, &str)] = &[
        ("no machine", |all| all.machines.fault("db-1", Fault::Refused), "server", "refused"),
        ("sudo asks", |all| all.machines.fault("db-1", Fault::Password), "server", "password is required"),
        (
            "an empty database",
            |all| {
                all.sql("postgres", "create database breakpad");
            },
            "half-made",
            "has no tables",
        ),
        (
            "a user whom pg_hba.conf keeps out",
            |all| {
                all.sql("postgres", &format!("create role {USER} login password 'x'"));
                all.may_come(&["local all postgres trust"]);
            },
            "password-now",
            "no pg_hba.conf entry",
        ),
        (
            "a setup that breaks off",
            |all| all.machines.fault("db-1", Fault::Own("dies-early")),
            "create",
            "WARN could not",
        ),
        (
            "a webapp that has no database",
            |all| all.machines.fault("db-1", Fault::Own("syncdb-fails")),
            "webapp",
            "WARN could not",
        ),
        (
            "a webapp half done",
            |all| all.machines.fault("db-1", Fault::Own("migrate-fails")),
            "webapp",
            "WARN could not",
        ),
        (
            "a client that cannot be reached",
            |all| all.machines.fault("webapp-1", Fault::Refused),
            "connects[webapp-1]",
            "refused",
        ),
    ];
    for (what, prepare, at, says) in cases {
        eprintln!("{what}");
        database.fresh();
        prepare(&database);
        let ran = bench(&database, &[]).run(YES);
        ran.stopped_at(at, "");
        assert!(ran.told.contains(says), "{what}: {}", ran.told);
        database.may_come(&["local all postgres trust", "host all all 127.0.0.1/32 scram-sha-256"]);
    }
    database.machines.mend("webapp-1", Fault::Refused);
    // What broke off half-way is not taken for a whole database, and goes when it is taken back.
    database.fresh();
    database.machines.fault("db-1", Fault::Own("dies-late"));
    let broken = bench(&database, &[]);
    broken.run(YES).stopped_at("create", "WARN could not");
    database.machines.mend("db-1", Fault::Own("dies-late"));
    // Begun anew as it is, the script runs migrations alone, and the data is missed.
    bench(&database, &[]).run(YES).stopped_at("data", "");
    // Somebody drops it, as the text says.
    database.sql("postgres", "drop database breakpad");
    bench(&database, &[]).run(YES).succeeded();
    is_set_up(&database);
}

struct Case {
    what: &'static str,
    /// What makes it go wrong.
    prepare: Prepare,
    /// Other checks that would notice it too, taken out in both runs.
    others: Vec<(String, String)>,
    at: &'static str,
    check: (String, String),
    /// What is wrong at the end, unseen.
    harm: fn(&SocorroDatabase) -> bool,
}

/// Each check, what goes wrong, and that the run would succeed without the check and be wrong.
#[test]
fn without_a_check_something_goes_wrong_unseen() {
    let Some(database) = SocorroDatabase::start() else { return };
    let without = |id: &str| (step(NAME, id), String::new());
    let no_warnings = || {
        let say = "      - \"'WARN could not' not in result.stdout\"\n".to_owned();
        (say, "      - result.exit == 0\n".to_owned())
    };
    // Later steps use what stands in these, so that they cannot simply go.
    let data =
        || ("for name in $NAMES; do\n            found=".to_owned(), "for name in; do\n            found=".to_owned());
    let no_errors = || ("for log in $LOG; do".to_owned(), "for log in; do".to_owned());
    fn lacks(all: &SocorroDatabase, table: &str) -> bool {
        all.try_sql("postgres", "", "breakpad", &format!("select 1 from {table} limit 1")).as_deref() != Ok("1")
    }
    let later = || [without("connects"), without("restored")].to_vec();
    let cases = [
        Case {
            what: "a setup that breaks off and says so",
            prepare: |all| all.machines.fault("db-1", Fault::Own("dies-late")),
            others: [vec![no_errors(), data()], later()].concat(),
            at: "create",
            check: no_warnings(),
            harm: |all| lacks(all, "os_names"),
        },
        Case {
            what: "a setup that breaks off and says so in its log alone",
            prepare: |all| {
                all.machines.fault("db-1", Fault::Own("dies-late"));
                all.machines.fault("db-1", Fault::Own("quiet"));
            },
            others: [vec![data()], later()].concat(),
            at: "schema-log",
            check: no_errors(),
            harm: |all| lacks(all, "os_names"),
        },
        Case {
            what: "data that is not there",
            prepare: |all| {
                all.machines.fault("db-1", Fault::Own("dies-late"));
                all.machines.fault("db-1", Fault::Own("quiet"));
            },
            others: [vec![no_errors()], later()].concat(),
            at: "data",
            check: data(),
            harm: |all| lacks(all, "os_names"),
        },
        Case {
            what: "a migration that failed",
            prepare: |all| {
                all.machines.fault("db-1", Fault::Own("migration-fails"));
                all.sql("postgres", "create database breakpad");
                all.sql("breakpad", "create table alembic_version (version_num text)");
                all.sql("breakpad", "insert into alembic_version values ('2b285e76f71d')");
                for table in ["os_names", "process_types", "release_channels", "uptime_levels"] {
                    all.sql("breakpad", &format!("create table {table} (name text)"));
                    all.sql("breakpad", &format!("insert into {table} values ('x')"));
                }
            },
            others: vec![no_errors()],
            at: "migrate",
            check: no_warnings(),
            harm: |all| all.sql("breakpad", "select version_num from alembic_version") == "2b285e76f71d",
        },
        Case {
            what: "a webapp whose settings name another database",
            prepare: |all| {
                all.machines.fault("db-1", Fault::Own("wrong-database"));
                all.sql("postgres", "grant create on schema public to public");
            },
            others: later(),
            at: "webapp-data",
            check: without("webapp-data"),
            harm: |all| lacks(all, "auth_permission"),
        },
        Case {
            what: "a password that does not matter",
            prepare: |all| all.may_come(&["local all postgres trust", "host all all 127.0.0.1/32 trust"]),
            others: vec![],
            at: "wrong-password[processor-1]",
            check: without("wrong-password"),
            harm: |all| all.try_sql(USER, "any other", "breakpad", "select 1").is_ok(),
        },
        Case {
            what: "an address that leads to another server",
            prepare: |_| {},
            others: vec![(
                "select oid || ' ' || extract(epoch from pg_postmaster_start_time()) from".into(),
                "select '1 1.5' from".into(),
            )],
            at: "connects[processor-1]",
            check: ("expect: result.stdout == user ~ ' ' ~ this_server".into(), "expect: this_server != ''".into()),
            harm: |_| true,
        },
        Case {
            what: "rights that were not given",
            prepare: |_| {},
            others: vec![(
                "        grant select, insert, update, delete on all tables in schema public to :\"name\";\n".into(),
                String::new(),
            )],
            at: "connects[processor-1]",
            check: without("connects"),
            harm: |all| {
                let written = all.try_sql(USER, PASSWORD, "breakpad", "delete from os_names where false");
                written.is_err_and(|said| said.contains("permission denied"))
            },
        },
        Case {
            what: "a dump that holds something else",
            prepare: |_| {},
            others: vec![(
                "pg_dump -w -Fc -f \"$1\" breakpad' sh \"$DUMP\"".into(),
                "pg_dump -w -Fc -f \"$1\" postgres' sh \"$DUMP\"".into(),
            )],
            at: "restored",
            check: without("restored"),
            harm: |_| true,
        },
        Case {
            what: "a dump that does not restore",
            prepare: |_| {},
            others: vec![
                (
                    "umask 077; pg_dump -w -Fc -f \"$1\" breakpad' sh \"$DUMP\"".into(),
                    "umask 077; echo x >\"$1\"' sh \"$DUMP\"".into(),
                ),
                without("restored"),
            ],
            at: "restore",
            check: ("        sudo -n -u postgres pg_restore -w --exit-on-error".into(), "        : ".into()),
            harm: |_| true,
        },
        Case {
            what: "a database without tables",
            prepare: |all| {
                all.sql("postgres", "create database breakpad");
                all.machines.fault("db-1", Fault::Own("quiet"));
            },
            others: [vec![no_errors(), data()], later()].concat(),
            at: "half-made",
            check: without("half-made"),
            harm: |all| lacks(all, "os_names"),
        },
    ];
    for case in cases {
        eprintln!("{}", case.what);
        let run = |edits: &[(String, String)]| {
            database.fresh();
            database.sql("postgres", "revoke create on schema public from public");
            database.may_come(&["local all postgres trust", "host all all 127.0.0.1/32 scram-sha-256"]);
            (case.prepare)(&database);
            let edits: Vec<(&str, &str)> = edits.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
            bench(&database, &edits).run(YES)
        };
        run(&case.others).stopped_at(case.at, "");
        let mut edits = case.others.clone();
        edits.push(case.check.clone());
        run(&edits).succeeded();
        assert!((case.harm)(&database), "{}: no harm came of it", case.what);
    }
}
