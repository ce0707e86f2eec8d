//! The real binary in a folder of its own: home, state and runbooks below one temporary folder. Knows no topic.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::{fs::OpenOptionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value as Json;

/// Much longer than anything here takes, for machines that are busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const BINARY: &str = env!("CARGO_BIN_EXE_runsheet");

/// Options of `strace` without which only root may look into a program that turns its core dumps off: it believes that it
/// did. Where `trace=` names calls, `prctl` must be one of them.
pub const LOOK_INSIDE: [&str; 2] = ["-e", "inject=prctl:retval=0"];

pub struct Lab {
    temp: tempfile::TempDir,
    pub state: PathBuf,
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ended {
    #[track_caller]
    pub fn expect(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Standard output as one JSON object a line; a line that a kill cut short is left out.
    pub fn events(&self) -> Vec<Json> {
        events(&self.out)
    }
}

pub fn events(text: &str) -> Vec<Json> {
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why} in {line:?}")))
        .collect()
}

impl Lab {
    /// `$HOME` of every step is the lab's folder.
    pub fn new() -> Lab {
        let temp = tempfile::Builder::new().prefix("lab").tempdir().unwrap();
        std::fs::create_dir(temp.path().join("work")).unwrap();
        let state = temp.path().join("state");
        Lab { temp, state }
    }

    pub fn home(&self) -> &Path {
        self.temp.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    pub fn book(&self, text: &str) -> &Lab {
        std::fs::write(self.path("work/book.yaml"), text).unwrap();
        self
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    /// What a file below home holds; nothing if there is none.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// What a file of the only run holds; nothing if there is none.
    pub fn read_run(&self, name: &str) -> String {
        std::fs::read_to_string(self.run_dir().join(name)).unwrap_or_default()
    }

    /// The lines of a file of effects.
    pub fn marks(&self, name: &str) -> Vec<String> {
        self.read(name).lines().map(str::to_owned).collect()
    }

    fn dressed(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.temp.path())
            .env("XDG_STATE_HOME", &self.state)
            .env("USER", "tester")
            .env("LANG", "C.UTF-8")
            .current_dir(self.path("work"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.dressed(Command::new(BINARY));
        command.args(args);
        command
    }

    /// The program under `strace`, which traces its main thread only: not the supervisors, not the steps.
    pub fn traced(&self, strace: &[&str], args: &[&str]) -> Command {
        let mut command = self.dressed(Command::new(strace_program()));
        // What strace itself has to say does not belong to the program's words.
        command.args(["-qqq", "-o"]).arg(self.path("trace")).args(strace).arg("--").arg(BINARY).args(args);
        command
    }

    pub fn call(&self, args: &[&str]) -> Ended {
        finish(self.command(args))
    }

    pub fn start(&self, args: &[&str]) -> Running {
        Running::of(self.command(args))
    }

    /// Makes a fifo on which a step can wait.
    pub fn gate(&self, name: &str) -> Gate {
        let path = self.path(name);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        Gate { path }
    }

    pub fn runs_dir(&self) -> PathBuf {
        self.state.join("runsheet/runs")
    }

    fn run_dirs(&self) -> Vec<PathBuf> {
        let mut runs: Vec<PathBuf> = std::fs::read_dir(self.runs_dir())
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        runs.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
        runs
    }

    /// The folder of the only run.
    #[track_caller]
    pub fn run_dir(&self) -> PathBuf {
        let mut runs = self.run_dirs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }

    /// Whole lines of the journal of the only run.
    pub fn journal(&self) -> Vec<Json> {
        events(&std::fs::read_to_string(self.run_dir().join("journal.jsonl")).unwrap())
    }

    /// Waits for a record of the only run.
    pub fn until_record(&self, what: &str, wanted: impl Fn(&Json) -> bool) {
        until(what, || !self.run_dirs().is_empty() && self.journal().iter().any(&wanted));
    }

    /// The outcomes that `history` shows, newest first.
    pub fn outcomes(&self) -> Vec<String> {
        let listed: Json = serde_json::from_str(&self.call(&["history", "--json"]).expect(0).out).unwrap();
        let runs = listed.as_array().unwrap();
        runs.iter().map(|run| run["outcome"].as_str().unwrap().to_owned()).collect()
    }

    /// `verify` and `report` are content with the newest run.
    #[track_caller]
    pub fn sound(&self) {
        self.call(&["verify", "last"]).expect(0);
        self.call(&["report", "last"]).expect(0);
        self.call(&["report", "last", "--format", "json"]).expect(0);
    }
}

/// A fifo: a step waits for a line from it (`read -r _ < "$HOME/gate"`).
pub struct Gate {
    path: PathBuf,
}

impl Gate {
    /// One that was made before.
    pub fn at(path: &Path) -> Gate {
        Gate { path: path.to_owned() }
    }

    /// Resolves when somebody waits at it.
    pub fn reached(&self) -> Open {
        let mut opened = None;
        until("a step at its gate", || {
            opened = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&self.path).ok();
            opened.is_some()
        });
        Open(opened.unwrap())
    }
}

/// A step stands at the gate; dropping this lets it see the end of the file.
pub struct Open(File);

impl Open {
    pub fn pass(self) {
        self.pass_with("go\n");
    }

    /// Lets it through with a word of its own.
    pub fn pass_with(mut self, line: &str) {
        self.0.write_all(line.as_bytes()).unwrap();
    }
}

/// A program that runs; it is killed with the test.
pub struct Running {
    child: Child,
    out: Option<std::thread::JoinHandle<String>>,
    err: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    pub fn of(mut command: Command) -> Running {
        let mut child = command.spawn().unwrap();
        let out = child.stdout.take().map(drain);
        let err = child.stderr.take().map(drain);
        Running { child, out, err }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: our own child, which has not been waited for.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    pub fn alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// KILL, and its words so far.
    pub fn kill(self) -> Ended {
        self.signal(libc::SIGKILL);
        self.end()
    }

    pub fn end(mut self) -> Ended {
        let mut status = None;
        until("the end of the program", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        let text =
            |thread: Option<std::thread::JoinHandle<String>>| thread.map_or(String::new(), |t| t.join().unwrap());
        Ended { code: status.code(), signal: status.signal(), out: text(self.out.take()), err: text(self.err.take()) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a stream to its end beside everything else.
pub fn drain(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

pub fn finish(command: Command) -> Ended {
    Running::of(command).end()
}

/// Looks until something is true; nothing here waits for a fixed time.
#[track_caller]
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// These tests say nothing without it, so its absence is a failure and not a reason to skip them.
pub fn strace_program() -> &'static str {
    static FOUND: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    FOUND.get_or_init(|| {
        let version = Command::new("strace").arg("-V").output();
        let found = version.as_ref().is_ok_and(|output| output.status.success());
        assert!(found, "this test needs strace: install it (apt-get install strace); {version:?}");
    });
    "strace"
}

/// Every process that stands in a folder below this one. Steps start there; wherever they fork to, they stay.
pub fn processes_of(folder: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder)) {
            found.push(pid);
        }
    }
    found
}
