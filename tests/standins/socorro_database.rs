//! A real PostgreSQL on loopback, a stand-in for the script that sets up Socorro's database, and the machines that use
//! them: `db-1` carries the server, `processor-1` and `webapp-1` come from outside. Knows no runbook.
//!
//! The script is written from what is known of the real one: which way it takes, what it says, that it ends with 0 in any
//! case, and that what it does may be half of it. Its tables are a few of the real ones. Its faults are files below
//! `faults` of the machine: `dies-early` (a database without tables), `dies-late` (tables without data), `quiet` (no word
//! about it), `migration-fails`, `syncdb-fails`, `migrate-fails`, `wrong-database` (the webapp's settings name another).

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::machines::Machines;

const SETUP: &str = include_str!("machines/setup-socorro.sh");

/// Nobody: a server does not want to be root.
const NOBODY: u32 = 65534;

/// The password of Socorro's user.
pub const PASSWORD: &str = "it's not\\a $(real) \"password\"";
pub const USER: &str = "breakpad_rw";

/// A server with the machines around it; it ends when this is dropped.
pub struct SocorroDatabase {
    pub machines: Machines,
    programs: PathBuf,
    port: u16,
}

impl SocorroDatabase {
    /// None where PostgreSQL is not installed.
    #[track_caller]
    pub fn start() -> Option<SocorroDatabase> {
        let [initdb, _, _] = crate::parts::programs(["initdb", "pg_ctl", "pg_dump"])?;
        // What stands on the search path may be a link to it.
        let programs = initdb.canonicalize().unwrap().parent().unwrap().to_owned();
        let machines = Machines::new();
        let folder = machines.folder().join("server");
        for below in ["", "data", "backups"] {
            fs::create_dir(folder.join(below)).unwrap();
            if is_root() {
                chown(folder.join(below), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let database = SocorroDatabase { machines, programs, port: free_port() };
        let data = folder.join("data");
        let data = data.to_str().unwrap();
        database
            .server_program("initdb", &["-U", "postgres", "-D", data, "--no-sync", "--encoding=UTF8", "--locale=C"]);
        database.may_come(&["local all postgres trust", "host all all 127.0.0.1/32 scram-sha-256"]);
        let settings = format!(
            "fsync = off\nlisten_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\n\
             log_statement = 'all'\nlog_min_duration_statement = 0\nmax_connections = 20\nshared_buffers = 16MB\n",
            database.port,
            folder.display()
        );
        fs::write(folder.join("data/postgresql.auto.conf"), settings).unwrap();
        let log = folder.join("log");
        database.server_program("pg_ctl", &["-D", data, "-l", log.to_str().unwrap(), "-w", "-s", "start"]);
        for name in ["db-1", "processor-1", "webapp-1"] {
            database.add_machine(name);
        }
        Some(database)
    }

    fn add_machine(&self, name: &str) {
        let logs = self.machines.machine(name).join("log");
        let mut variables = vec![("PGPORT", self.port.to_string()), ("SOCORRO_LOGS", logs.display().to_string())];
        if name == "db-1" {
            variables.push(("PGHOST", self.folder().display().to_string()));
        }
        if is_root() {
            variables.push(("AS_USER", format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups")));
        }
        variables.push(("DJANGO_HOST", "127.0.0.1".into()));
        variables.push(("DJANGO_USER", USER.into()));
        variables.push(("DJANGO_PASSWORD", PASSWORD.replace('\'', "'\\''")));
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.machines.add(name, &[&self.programs], &variables);
        fs::create_dir_all(&logs).unwrap();
        if name == "db-1" {
            self.machines.install(name, "setup-socorro.sh", SETUP);
        }
    }

    fn folder(&self) -> PathBuf {
        self.machines.folder().join("server")
    }

    pub fn port(&self) -> String {
        self.port.to_string()
    }

    /// Where dumps go.
    pub fn backups(&self) -> PathBuf {
        self.folder().join("backups")
    }

    /// Where the script writes.
    pub fn logs(&self) -> PathBuf {
        self.machines.machine("db-1").join("log")
    }

    /// Who may come in, from where and how.
    pub fn may_come(&self, lines: &[&str]) {
        fs::write(self.folder().join("data/pg_hba.conf"), lines.join("\n") + "\n").unwrap();
        let running = self.folder().join("data/postmaster.pid").exists();
        if running {
            self.sql("postgres", "select pg_reload_conf()");
        }
    }

    /// What the server has written about itself and about every statement.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder().join("log")).unwrap()).into_owned()
    }

    /// What a statement of postgres gives, one line a row.
    #[track_caller]
    pub fn sql(&self, database: &str, statement: &str) -> String {
        self.try_sql("postgres", "", database, statement).unwrap_or_else(|said| panic!("{statement}: {said}"))
    }

    /// The same as somebody else, over the network.
    pub fn try_sql(&self, user: &str, password: &str, database: &str, statement: &str) -> Result<String, String> {
        let folder = self.folder();
        let host = if user == "postgres" { folder.to_str().unwrap() } else { "127.0.0.1" };
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-X", "-A", "-t", "-w", "-q", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", &self.port()]);
        command.args(["-U", user, "-d", database, "-c", statement]).env_clear().env("PGPASSWORD", password);
        let said = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if said.status.success() { Ok(text(&said.stdout)) } else { Err(text(&said.stderr)) }
    }

    /// As it was at the beginning.
    pub fn fresh(&self) {
        let databases = self.sql(
            "postgres",
            "select datname from pg_database where datname not like 'template_' and datname <> 'postgres'",
        );
        for name in databases.lines() {
            self.sql("postgres", &format!("drop database \"{name}\""));
        }
        self.sql("postgres", "drop table if exists auth_user, auth_permission, django_content_type");
        self.sql("postgres", &format!("drop role if exists {USER}"));
        for folder in [self.backups(), self.logs(), self.machines.machine("db-1").join("faults")] {
            for entry in fs::read_dir(folder).unwrap() {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
    }

    fn server_program(&self, name: &str, args: &[&str]) {
        let said = self.as_server(name, args).output().unwrap();
        let log = fs::read_to_string(self.folder().join("log")).unwrap_or_default();
        assert!(said.status.success(), "{name}: {}{log}", String::from_utf8_lossy(&said.stderr));
    }

    fn as_server(&self, name: &str, args: &[&str]) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        if is_root() {
            let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
            words.extend(["setpriv".into(), OsString::from(&ids[0]), OsString::from(&ids[1]), "--clear-groups".into()]);
        }
        words.push(self.programs.join(name).into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(args).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        command.current_dir(self.folder()).stdin(Stdio::null());
        command
    }
}

impl Drop for SocorroDatabase {
    fn drop(&mut self) {
        let data = self.folder().join("data");
        // A server that is gone already is what is wanted.
        let _ = self.as_server("pg_ctl", &["-D", data.to_str().unwrap(), "-m", "immediate", "-s", "stop"]).output();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0).unwrap_or(false)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(database: &SocorroDatabase, role: &str) -> (Option<i32>, String) {
        let said = Command::new(database.machines.machine("db-1").join("bin/sudo"))
            .args(["-n", "setup-socorro.sh", role])
            .env("MACHINE", database.machines.machine("db-1"))
            .output()
            .unwrap();
        (said.status.code(), String::from_utf8_lossy(&said.stdout).into_owned())
    }

    fn rows(database: &SocorroDatabase) -> String {
        database.sql("breakpad", "select count(*) from os_names")
    }

    #[test]
    fn the_script_ends_with_0_whatever_became_of_it_and_never_loads_what_it_has_missed() {
        let Some(database) = SocorroDatabase::start() else { return };
        assert_eq!(setup(&database, "consul").0, Some(1));
        fs::write(database.machines.machine("db-1").join("faults/dies-late"), "").unwrap();
        let (code, said) = setup(&database, "postgres");
        assert!(code == Some(0) && said.contains("WARN could not create database"), "{said}");
        fs::remove_file(database.machines.machine("db-1").join("faults/dies-late")).unwrap();
        // The second time it finds a database, and no longer looks whether anything is in it.
        let (code, said) = setup(&database, "postgres");
        assert!(code == Some(0) && said.contains("alembic") && !said.contains("WARN"), "{said}");
        assert_eq!(rows(&database), "0");
        database.fresh();
        let (code, said) = setup(&database, "postgres");
        assert!(code == Some(0) && !said.contains("WARN"), "{said}");
        assert_eq!(rows(&database), "3");
        // Nobody has made the user that the webapp's settings name.
        let (code, said) = setup(&database, "webapp");
        assert!(code == Some(0) && said.contains("WARN could not run django syncdb"), "{said}");
        assert!(Path::new(&database.logs()).join("django-syncdb.log").exists());
    }
}
