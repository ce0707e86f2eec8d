//! `socorro/bootstrap-postgresql` against a real PostgreSQL: its normal courses, and how it is taken back and taken up.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::{
    bench::{Bench, Ran},
    standins::{
        machines::Fault,
        socorro_database::{PASSWORD, SocorroDatabase, USER},
    },
};

pub const YES: &[(&str, &str)] = &[("go", "yes")];

pub fn bench(database: &SocorroDatabase, edits: &[(&str, &str)]) -> Bench {
    Bench::new("socorro/bootstrap-postgresql", edits)
        .path_first(&database.machines.bin())
        .param("machine", "db-1")
        .param("clients", "processor-1,webapp-1")
        .param("address", "127.0.0.1")
        .param("port", database.port())
        .param("user", USER)
        .param("backups", database.backups().to_str().unwrap())
        .param("logs", database.logs().to_str().unwrap())
        .env("SOCORRO_DATABASE_PASSWORD", PASSWORD)
        .secret(PASSWORD)
}

/// Everything that Socorro needs is there, and nobody has seen the password.
#[track_caller]
pub fn is_set_up(database: &SocorroDatabase) {
    for table in ["os_names", "release_channels", "auth_permission", "django_content_type"] {
        let rows = database.try_sql(USER, PASSWORD, "breakpad", &format!("select count(*) from {table}"));
        assert!(rows.as_deref().is_ok_and(|rows| rows != "0"), "{table}: {rows:?}");
    }
    let written = database.try_sql(USER, PASSWORD, "breakpad", "insert into reports (uuid) values ('x') returning 1");
    assert_eq!(written.as_deref(), Ok("1"));
    database.sql("breakpad", "delete from reports where uuid = 'x'");
    let databases = database.sql("postgres", "select datname from pg_database order by 1");
    assert_eq!(databases, "breakpad\npostgres\ntemplate0\ntemplate1");
    for place in [database.machines.arguments(), database.log()] {
        assert!(!place.contains("not\\a $(real)") && !place.contains("not\\\\a"), "the password can be read");
    }
}

pub fn dumps(database: &SocorroDatabase) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(database.backups())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn ran_in_order(ran: &Ran, steps: &[&str]) {
    for step in steps {
        assert_eq!(ran.status(step), Some("succeeded"), "{step}: {}", ran.told);
    }
}

#[test]
fn it_is_set_up_once_more_and_with_another_password() {
    let Some(database) = SocorroDatabase::start() else { return };
    let ran = bench(&database, &[]).run(YES);
    ran.succeeded();
    ran_in_order(&ran, &["make-user", "create", "webapp", "connects[processor-1]", "connects[webapp-1]", "restored"]);
    is_set_up(&database);
    let dump = dumps(&database);
    assert_eq!(dump.len(), 1, "{dump:?}");
    let mode = fs::metadata(database.backups().join(&dump[0])).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Once more: migrations alone, and a dump before them.
    database.sql("breakpad", "insert into reports (uuid) values ('before')");
    let again = bench(&database, &[]).run(YES);
    again.succeeded();
    ran_in_order(&again, &["dump-before", "migrate"]);
    assert_eq!((again.status("create"), again.status("make-user")), (Some("skipped"), Some("skipped")));
    is_set_up(&database);
    assert_eq!(database.sql("breakpad", "select version_num from alembic_version"), "495bf3fcdb63");
    assert_eq!(database.sql("breakpad", "select count(*) from reports where version is null"), "1");
    assert_eq!(dumps(&database).len(), 3);
    // Somebody has given the user another password.
    database.sql("postgres", &format!("alter role {USER} password 'somebody else''s'"));
    let stopped = bench(&database, &[]).run(&[("go", "yes"), ("new-password", "no")]);
    assert_eq!(stopped.code, 5, "{}", stopped.told);
    assert!(database.try_sql(USER, "somebody else's", "breakpad", "select 1").is_ok());
    bench(&database, &[]).run(&[("go", "yes"), ("new-password", "yes")]).succeeded();
    is_set_up(&database);
}

#[test]
fn it_is_taken_back_as_far_as_it_was_made() {
    let Some(database) = SocorroDatabase::start() else { return };
    let fresh = bench(&database, &[]);
    fresh.run(YES).succeeded();
    let undone = fresh.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    assert!(undone.told.contains("-undone.dump on "), "{}", undone.told);
    assert_eq!(database.sql("postgres", "select datname from pg_database where datname = 'breakpad'"), "");
    assert_eq!(database.sql("postgres", &format!("select 1 from pg_roles where rolname = '{USER}'")), "");
    // A database that was there stays, with what the user has made in it.
    bench(&database, &[]).run(YES).succeeded();
    database.sql("breakpad", "insert into reports (uuid) values ('kept')");
    database.sql("breakpad", &format!("reassign owned by {USER} to postgres; drop owned by {USER}"));
    database.sql("postgres", &format!("drop role {USER}"));
    let second = bench(&database, &[]);
    second.run(YES).succeeded();
    let undone = second.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    assert_eq!(database.sql("postgres", &format!("select 1 from pg_roles where rolname = '{USER}'")), "");
    assert_eq!(database.sql("breakpad", "select count(*) from reports where uuid = 'kept'"), "1");
}

#[test]
fn it_dies_in_the_middle_and_is_taken_up() {
    let Some(database) = SocorroDatabase::start() else { return };
    let gate = database.machines.machine("db-1").join("gate");
    for step in ["create", "webapp"] {
        database.fresh();
        assert!(Command::new("mkfifo").arg(&gate).status().unwrap().success());
        let bench = bench(&database, &[]);
        let going = bench.start(YES);
        let going = if step == "webapp" {
            let going = going.until_doing("create");
            open(&gate);
            going
        } else {
            going
        };
        let going = going.until_doing(step);
        // Opening it for writing waits until the script reads, so that it is known to be at work.
        let opened = fs::OpenOptions::new().write(true).open(&gate).unwrap();
        going.kill();
        fs::remove_file(&gate).unwrap();
        drop(opened);
        let resumed = bench.resume(YES);
        resumed.succeeded();
        is_set_up(&database);
        let made = database.machines.arguments();
        assert!(made.contains("root: setup-socorro.sh webapp"), "{made}");
    }
}

fn open(gate: &std::path::Path) {
    drop(fs::OpenOptions::new().write(true).open(gate).unwrap());
}

#[test]
fn a_connection_that_is_lost_leaves_nothing_done_twice() {
    let Some(database) = SocorroDatabase::start() else { return };
    // The effect is there, and nobody heard of it. What may be done twice is, when somebody has looked.
    for (lost, open) in [("create role", None), ("\"$setup\" postgres", None), ("grant select", Some("may-connect"))] {
        database.fresh();
        database.machines.fault("db-1", Fault::LostAfter(lost));
        let bench = bench(&database, &[]);
        let ran = bench.run(YES);
        match open {
            None => ran.succeeded(),
            Some(step) => ran.open_at(step, "nobody heard"),
        };
        if let Some(step) = open {
            bench.decide(step, "not-done", YES).succeeded();
        }
        is_set_up(&database);
    }
    // The effect is not there.
    for (lost, at) in [("create role", "make-user"), ("\"$setup\" postgres", "create")] {
        database.fresh();
        database.machines.fault("db-1", Fault::LostBefore(lost));
        bench(&database, &[]).run(YES).stopped_at(at, "");
        bench(&database, &[]).run(YES).succeeded();
        is_set_up(&database);
    }
}
