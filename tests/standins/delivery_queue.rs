//! The connector's database with three tables, and the worker that empties the queue, as far as its source shows them:
//! a job without a file or of an unknown delivery fails, and so does one of a snapshot that does not say which; a job
//! leaves the queue when the state of its file is written. It knows no runbook.

use super::postgres::Postgres;

pub const DATABASE: &str = "facebookconnector";
pub const PASSWORD: &str = "p'w\\ $(id) \"%:'x'";

/// The tables, as the statements of the connector's own stores name their columns.
const TABLES: &str = "
create table commands (
  event_revision bigint primary key,
  payload jsonb not null,
  settings_id text not null,
  status jsonb not null,
  created_at timestamp not null default (now() at time zone 'UTC'),
  updated_at timestamp not null default (now() at time zone 'UTC'));
create table profiles (
  id uuid primary key,
  ad_account_name text not null,
  business_name text not null,
  company_id bigint not null,
  token_encrypted bytea not null,
  token_issued_at timestamp not null,
  user_name text not null);
create table queue (id bigserial primary key, payload jsonb not null);
-- The worker with one job: done, and the state of its file. `broken` is what Facebook still refuses.
create table broken (file text);
create function work(n integer) returns integer language plpgsql as $$
declare job record; kind text; state text; did integer := 0;
begin
  for job in select * from queue order by id limit n for update skip locked loop
    select payload->>'payload_type' into kind from commands where event_revision = (job.payload->>'event_revision')::bigint;
    state := case
      when kind is null then null
      when kind <> 'PerformDelivery' and job.payload->>'snapshot_id' is null then 'failed'
      when exists (select from broken where file = job.payload->>'file') then 'failed'
      else 'delivered' end;
    if state is not null then
      update commands set status = jsonb_set(status, array['files', job.payload->>'file'], to_jsonb(state), false),
        updated_at = now() at time zone 'UTC'
      where event_revision = (job.payload->>'event_revision')::bigint;
    end if;
    delete from queue where id = job.id;
    did := did + 1;
  end loop;
  return did;
end $$;";

/// The database, and an account that may use it over the network.
pub fn make(server: &Postgres) {
    server.sql("postgres", &format!("create role root login superuser password '{}'", PASSWORD.replace('\'', "''")));
    server.sql("postgres", &format!("create database {DATABASE}"));
    server.sql(DATABASE, TABLES);
}

/// As it is after a delivery that was given up: 90 has two failed files and a delivered one, 91 is a snapshot's, 92 was
/// refused for its token, 93 was delivered, and twelve older jobs of others wait in the queue.
pub fn fill(server: &Postgres) {
    server.sql(
        DATABASE,
        r#"
truncate commands, queue, broken, profiles restart identity;
insert into profiles values
 ('6f1c0000-0000-4000-8000-000000000001', 'Shoes', 'Shoes "&" Inc.', 17, 'x', '2024-01-01', 'Some User'),
 ('6f1c0000-0000-4000-8000-000000000002', 'Shoes', 'Shoes "&" Inc.', 17, 'x', '2026-01-01', 'Some User'),
 ('6f1c0000-0000-4000-8000-000000000003', 'Hats', 'Hats', 18, 'x', '2026-01-01', 'Other User');
insert into commands (event_revision, payload, settings_id, status) values
 (90, '{"payload_type": "PerformDelivery", "payload": {"subscriptionId": "s"}}', 's1',
  '{"type": "processing_files", "files": {"part-00000.json": "failed", "it''s \"two\" $(id).json": "failed", "part-00002.json": "delivered"}}'),
 (91, '{"payload_type": "snapshot-appended", "payload": {"connection_id": "c", "snapshot_id": 7}}', 's2',
  '{"type": "processing_files", "files": {"a.parquet": "failed"}}'),
 (92, '{"payload_type": "PerformDelivery", "payload": {}}', 's3',
  '{"type": "invalid_token", "details": "Error validating access token"}'),
 (93, '{"payload_type": "PerformDelivery", "payload": {}}', 's4',
  '{"type": "processing_files", "files": {"done.json": "delivered"}}'),
 (9, '{"payload_type": "PerformDelivery", "payload": {}}', 's5', '{"type": "processing_files", "files": {}}');
insert into queue (payload) select jsonb_build_object('type', 'file', 'event_revision', 9, 'file', 'old-' || n)
from generate_series(1, 12) n;"#,
    );
}

/// The jobs of a delivery that wait, oldest first, as file and snapshot.
pub fn queued(server: &Postgres, revision: u32) -> Vec<String> {
    let rows = server.sql(
        DATABASE,
        &format!(
            "select concat_ws(' ', payload->>'file', payload->>'snapshot_id') from queue \
             where payload->>'event_revision' = '{revision}' order by id"
        ),
    );
    rows.lines().map(str::to_owned).collect()
}

/// The states of a delivery's files, by name.
pub fn states(server: &Postgres, revision: u32) -> String {
    server.sql(DATABASE, &format!("select status->'files' from commands where event_revision = {revision}"))
}

/// Lets the worker do so many jobs.
pub fn work(server: &Postgres, jobs: u32) {
    server.sql(DATABASE, &format!("select work({jobs})"));
}

#[test]
fn the_worker_fails_what_the_real_one_fails() {
    let Some(server) = Postgres::start() else { return };
    make(&server);
    fill(&server);
    let job = |revision: u32, rest: &str| {
        let payload = format!("{{\"type\": \"file\", \"event_revision\": {revision}, {rest}}}");
        server.sql(DATABASE, &format!("insert into queue (payload) values ('{payload}')"));
    };
    // Older jobs come first; one of a snapshot that is not named fails, and one that is goes.
    job(91, "\"file\": \"a.parquet\"");
    work(&server, 12);
    assert_eq!((queued(&server, 9).len(), queued(&server, 91)), (0, vec!["a.parquet".to_owned()]));
    work(&server, 1);
    assert_eq!((queued(&server, 91).len(), states(&server, 91).as_str()), (0, "{\"a.parquet\": \"failed\"}"));
    job(91, "\"file\": \"a.parquet\", \"snapshot_id\": 7");
    job(90, "\"file\": \"part-00000.json\"");
    server.sql(DATABASE, "insert into broken values ('part-00000.json')");
    work(&server, 2);
    assert_eq!(states(&server, 91), "{\"a.parquet\": \"delivered\"}");
    assert!(states(&server, 90).contains("\"part-00000.json\": \"failed\""));
}
