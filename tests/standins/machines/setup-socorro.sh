#!/bin/bash
# Stands in for the script of Socorro that sets up one role of a machine. As the real one does, it goes by whether the
# database is there, writes what happened into logs, says WARN, and ends with 0 whatever became of it.
set -u
if [[ ${AS-} != root ]]; then
    echo "This script must be run as root."
    exit 1
fi
logs=$SOCORRO_LOGS
fault() { [[ -e $MACHINE/faults/$1 ]]; }
# A test may look while it is at work: it waits for the other end of a pipe.
if [[ -p $MACHINE/gate ]]; then cat "$MACHINE/gate" >/dev/null; fi
as_postgres() { sudo -n -u postgres "$@"; }

warn() {
    if fault quiet; then return; fi
    echo "WARN could not $1"
    echo "See $logs/$2 for more info"
}

postgres() {
    if ! as_postgres psql -X -d breakpad -c '' >"$logs/setupdb.log" 2>&1; then
        echo "Creating new DB, may take a few minutes"
        create &>"$logs/setupdb.log" || warn "create database on localhost" setupdb.log
    else
        echo "Running database migrations with alembic"
        migrate &>"$logs/alembic.log" || warn "run alembic migrations" alembic.log
    fi
}

create() {
    as_postgres psql -X -q -d postgres -c 'create database breakpad' || return
    if fault dies-early; then echo "Traceback: no space left on device"; return 1; fi
    as_postgres psql -X -q -v ON_ERROR_STOP=1 -d breakpad <<'SQL' || return
create table alembic_version (version_num varchar(32) not null);
create table products (product_name text primary key);
create table release_channels (release_channel text primary key, sort smallint not null);
create table os_names (os_name text primary key);
create table process_types (process_type text primary key);
create table uptime_levels (uptime_level serial primary key, uptime_string text not null);
create table reports (id serial primary key, uuid text not null);
SQL
    if fault dies-late; then echo "Traceback: could not load static data"; return 1; fi
    as_postgres psql -X -q -v ON_ERROR_STOP=1 -d breakpad <<'SQL'
insert into alembic_version values ('2b285e76f71d');
insert into release_channels values ('Nightly', 1), ('Release', 4);
insert into os_names values ('Windows'), ('Mac OS X'), ('Linux');
insert into process_types values ('browser'), ('plugin');
insert into uptime_levels (uptime_string) values ('< 1 min'), ('1-5 min');
SQL
}

migrate() {
    if fault migration-fails; then echo "FAILED: Can't locate revision"; return 1; fi
    as_postgres psql -X -q -v ON_ERROR_STOP=1 -d breakpad \
        -c "alter table reports add column if not exists version text" \
        -c "update alembic_version set version_num = '495bf3fcdb63'"
}

webapp() {
    django syncdb "create table if not exists auth_user (id serial primary key, username text);
        create table if not exists auth_permission (id serial primary key, codename text);
        create table if not exists django_content_type (id serial primary key, model text)" \
        &>"$logs/django-syncdb.log" || warn "run django syncdb" django-syncdb.log
    django migrate "insert into auth_permission (codename) select 'add_user' where not exists (select from auth_permission);
        insert into django_content_type (model) select 'user' where not exists (select from django_content_type)" \
        &>"$logs/django-migrate.log" || warn "run django migration" django-migrate.log
}

# As whoever the settings of the webapp name, in the database that they name.
django() {
    if fault "$1-fails"; then echo "OperationalError: connection refused"; return 1; fi
    local database=breakpad
    if fault wrong-database; then database=postgres; fi
    PGPASSWORD=$DJANGO_PASSWORD psql -X -q -v ON_ERROR_STOP=1 -h "$DJANGO_HOST" -U "$DJANGO_USER" -d "$database" -c "$2"
}

if [[ $(type -t "${1-}") != function || $1 == @(fault|warn|as_postgres|create|migrate|django) ]]; then
    echo "USAGE: $0 <role>"
    echo "Valid roles are: postgres, webapp."
    exit 1
fi
echo "Initialising $1."
"$1"
exit 0
