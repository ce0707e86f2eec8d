//! A real PostgreSQL on loopback with a folder of its own, for one test. It knows no database's contents.

use std::{
    ffi::OsString,
    fs,
    net::TcpListener,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::parts;

/// Nobody: the server refuses to be root.
const NOBODY: u32 = 65534;

/// A running server; it ends when this is dropped.
pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// One that takes whoever says a password on loopback; its superuser `postgres` comes by socket. None where it is not
    /// installed.
    #[track_caller]
    pub fn start() -> Option<Postgres> {
        let [initdb, _] = parts::programs(["initdb", "psql"])?;
        // What stands on the search path may be a link, and what belongs to it lies where it leads.
        let programs = initdb.canonicalize().unwrap().parent().unwrap().to_owned();
        // The socket's path may have a hundred bytes, wherever temporary files are.
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Postgres { folder, programs, port };
        let data = server.folder.path().join("data");
        fs::create_dir(&data).unwrap();
        if is_root() {
            chown(server.folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = data.to_str().unwrap();
        server.run("initdb", &["-U", "postgres", "-D", data, "--no-sync", "--encoding=UTF8", "--locale=C"]);
        fs::write(format!("{data}/pg_hba.conf"), "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
            .unwrap();
        let settings = format!(
            "fsync = off\nlisten_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\n\
             max_connections = 20\nshared_buffers = 16MB\nlog_statement = 'all'\n",
            server.folder.path().display()
        );
        fs::write(format!("{data}/postgresql.auto.conf"), settings).unwrap();
        let log = server.folder.path().join("log");
        server.run("pg_ctl", &["-D", data, "-l", log.to_str().unwrap(), "-w", "-s", "start"]);
        Some(server)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a statement of the superuser gives, one line a row.
    #[track_caller]
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let mut command = self.psql(database);
        let said = command.args(["-c", statement]).output().unwrap();
        assert!(said.status.success(), "{statement}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).trim_end().to_owned()
    }

    /// `psql` as the superuser, for what is to run beside a test.
    pub fn psql(&self, database: &str) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command.args([
            "-XAtwq",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-p",
            &self.port.to_string(),
            "-d",
            database,
        ]);
        command.arg("-h").arg(self.folder.path()).env_clear().stdin(Stdio::null());
        command
    }

    /// Every statement that it was sent.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("log")).unwrap()).into_owned()
    }

    fn run(&self, program: &str, args: &[&str]) {
        let mut words: Vec<OsString> = Vec::new();
        if is_root() {
            words.extend(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"].map(Into::into));
        }
        words.push(self.programs.join(program).into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(args).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        // The server keeps what it was given open: a pipe would never end.
        let said = self.folder.path().join("said");
        let file = fs::File::create(&said).unwrap();
        let status = command.stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
        assert!(status.success(), "{program}: {}", fs::read_to_string(said).unwrap());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if Path::new(&self.folder.path().join("data/postmaster.pid")).exists() {
            let data = self.folder.path().join("data");
            self.run("pg_ctl", &["-D", data.to_str().unwrap(), "-m", "immediate", "-s", "stop"]);
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn it_knows_a_password_from_a_wrong_one() {
    let Some(server) = Postgres::start() else { return };
    server.sql("postgres", "create role someone login password 'right one'");
    for (password, code) in [("right one", 0), ("wrong one", 2)] {
        let mut command = Command::new(server.programs.join("psql"));
        let port = server.port.to_string();
        command.args(["-XAtwq", "-h", "127.0.0.1", "-p", &port, "-U", "someone", "-d", "postgres", "-c", "select 1"]);
        let said = command.env_clear().env("PGPASSWORD", password).stdin(Stdio::null()).output().unwrap();
        assert_eq!(said.status.code(), Some(code), "{said:?}");
    }
    assert!(server.log().contains("select 1"));
}
