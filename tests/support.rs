//! One builder for tests that drive the real program from the outside: a folder of its own, a frozen environment, and
//! what came of a call as text. Knows nothing of what a runbook means.

use std::{
    ffi::OsString,
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{OnceLock, mpsc},
    time::Duration,
};

use serde_json::Value as Json;

/// A call that has not ended by then hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_runsheet");

/// A folder with a home, a state folder and a place for tools, all of its own. It is gone when this is dropped.
///
/// ```ignore
/// let bed = Bed::new().file("x.yaml", "title: X\nsteps:\n  - {id: a, shell: echo hello}\n");
/// bed.run(&["run", "x.yaml"]).end().code(0).stderr_has("hello");
/// ```
pub struct Bed {
    dir: tempfile::TempDir,
    env: Vec<(OsString, OsString)>,
}

impl Bed {
    pub fn new() -> Bed {
        let dir = tempfile::Builder::new().prefix("runsheet-").tempdir().unwrap();
        for sub in ["home", "state", "bin", "tmp", "work"] {
            fs::create_dir(dir.path().join(sub)).unwrap();
        }
        let path = |sub: &str| dir.path().join(sub).into_os_string();
        let mut search = path("bin");
        search.push(":/usr/local/bin:/usr/bin:/bin");
        let env = [
            ("HOME", path("home")),
            ("XDG_STATE_HOME", path("state")),
            ("XDG_CONFIG_HOME", path("home/.config")),
            ("XDG_DATA_HOME", path("home/.local/share")),
            ("TMPDIR", path("tmp")),
            ("PATH", search),
            ("USER", "tester".into()),
            ("TZ", "UTC".into()),
            ("LANG", "C.UTF-8".into()),
            ("TERM", "xterm".into()),
            ("NO_COLOR", "1".into()),
        ];
        Bed { dir, env: env.map(|(name, value)| (name.into(), value)).to_vec() }
    }

    /// A bed with one runbook, `x.yaml`.
    pub fn with(runbook: &str) -> Bed {
        Bed::new().file("x.yaml", runbook)
    }

    /// Writes a file below the working folder.
    pub fn file(self, path: &str, text: &str) -> Bed {
        self.write(path, text);
        self
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A program on the search path, ahead of the machine's.
    pub fn tool(self, name: &str, script: &str) -> Bed {
        let path = self.dir.path().join("bin").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// A variable for every call from now on.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Bed {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.into(), value.into()));
        self
    }

    /// A path below the working folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("work").join(path)
    }

    pub fn read(&self, path: &str) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|why| panic!("could not read {}: {why}", path.display()))
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// The folder of everything.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The folder in which runs are kept.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The folders of all runs, oldest first.
    pub fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.state().join("runsheet/runs")) else { return Vec::new() };
        let mut runs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        // Names tell the second, and two runs of one second stand in no order.
        runs.sort_by_cached_key(|run| (began(run), run.clone()));
        runs
    }

    /// The only run's journal, parsed.
    pub fn journal(&self) -> Vec<Json> {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "one run was expected: {runs:?}");
        lines_of_json(&fs::read_to_string(runs[0].join("journal.jsonl")).unwrap())
    }

    /// A call of the program, in the working folder, with an empty standard input.
    pub fn run(&self, args: &[&str]) -> Call<'_> {
        self.call(PROGRAM, args)
    }

    /// A call of another program, in the same environment.
    pub fn call(&self, program: &str, args: &[&str]) -> Call<'_> {
        let mut command = Command::new(program);
        self.prepare(&mut command);
        command.args(args);
        // Signals of the terminal that the tests are started from are not meant for it.
        command.process_group(0);
        Call { bed: self, command, stdin: Some(Vec::new()), limit: LIMIT }
    }

    /// The environment and the folder of every call, for those that have to start it themselves.
    pub fn prepare(&self, command: &mut Command) {
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value))).current_dir(self.path("."));
    }

    /// Without what differs from run to run: ids, times, durations, digests, this folder.
    pub fn normalise(&self, text: &str) -> String {
        let text = text.replace(&*self.dir.path().to_string_lossy(), "[BED]");
        rules().iter().fold(text, |text, (pattern, instead)| pattern.replace_all(&text, *instead).into_owned())
    }
}

fn rules() -> &'static [(regex::Regex, &'static str)] {
    static RULES: OnceLock<Vec<(regex::Regex, &'static str)>> = OnceLock::new();
    RULES.get_or_init(|| {
        [
            (r"\b\d{8}-\d{6}-[a-z2-9]{6}\b", "[RUN]"),
            (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "[TIME]"),
            (r"\b[0-9a-f]{64}\b", "[SHA]"),
            (r"\bon \S+  in ", "on [HOST]  in "),
            (r"\b(\d+h)?(\d+m)?(\d+s)?\d+(\.\d+)?(ms|s)\b", "[TOOK]"),
        ]
        .map(|(pattern, instead)| (regex::Regex::new(pattern).unwrap(), instead))
        .into()
    })
}

/// When a run began, as its journal says; none if that cannot be read.
fn began(run: &Path) -> Option<jiff::Timestamp> {
    let journal = fs::read(run.join("journal.jsonl")).ok()?;
    let first: Json = serde_json::from_slice(journal.split(|byte| *byte == b'\n').next()?).ok()?;
    first["time"].as_str()?.parse().ok()
}

/// Every line as JSON; anything else fails the test.
pub fn lines_of_json(text: &str) -> Vec<Json> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why} in: {line}"));
    text.lines().map(parse).collect()
}

/// A call that is being put together.
pub struct Call<'b> {
    bed: &'b Bed,
    command: Command,
    stdin: Option<Vec<u8>>,
    limit: Duration,
}

impl<'b> Call<'b> {
    /// Standard input is `/dev/null`.
    pub fn stdin_null(mut self) -> Call<'b> {
        self.stdin = None;
        self
    }

    /// Standard input is a pipe with this text.
    pub fn stdin(mut self, text: &str) -> Call<'b> {
        self.stdin = Some(text.as_bytes().to_vec());
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Call<'b> {
        self.command.env(name, value.into());
        self
    }

    pub fn args(mut self, args: &[&str]) -> Call<'b> {
        self.command.args(args);
        self
    }

    /// An argument that need not be text.
    pub fn raw_arg(mut self, bytes: &[u8]) -> Call<'b> {
        self.command.arg(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes));
        self
    }

    /// Starts it and does not wait: for tests that do something meanwhile.
    pub fn start(mut self) -> Going<'b> {
        let stdin = if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        if let (Some(text), Some(mut pipe)) = (self.stdin, child.stdin.take()) {
            // Who does not read its input has no need of it.
            std::thread::spawn(move || pipe.write_all(&text));
        }
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Going { bed: self.bed, child, stdout, stderr, limit: self.limit }
    }

    /// Runs it to its end.
    pub fn end(self) -> Ended<'b> {
        self.start().end()
    }
}

/// What a stream says, as it comes; the channel closes at its end.
fn collect(mut stream: impl Read + Send + 'static) -> Stream {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            if sender.send(bytes[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    Stream { receiver, said: Vec::new() }
}

struct Stream {
    receiver: mpsc::Receiver<Vec<u8>>,
    said: Vec<u8>,
}

impl Stream {
    /// More of it; false at its end.
    fn more(&mut self, until: std::time::Instant) -> Result<bool, ()> {
        let left = until.saturating_duration_since(std::time::Instant::now());
        match self.receiver.recv_timeout(left) {
            Ok(bytes) => {
                self.said.extend(bytes);
                Ok(true)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Ok(false),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(()),
        }
    }
}

/// A call under way. Dropped before its end, it is killed.
pub struct Going<'b> {
    bed: &'b Bed,
    child: Child,
    stdout: Stream,
    stderr: Stream,
    limit: Duration,
}

impl<'b> Going<'b> {
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Sends a signal to the program alone.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until standard error holds this text.
    pub fn until_stderr(&mut self, text: &str) {
        let until = std::time::Instant::now() + self.limit;
        while !String::from_utf8_lossy(&self.stderr.said).contains(text) {
            if self.stderr.more(until) != Ok(true) {
                panic!("`{text}` was not said:\n{}", String::from_utf8_lossy(&self.stderr.said));
            }
        }
    }

    pub fn end(mut self) -> Ended<'b> {
        let until = std::time::Instant::now() + self.limit;
        for stream in [&mut self.stdout, &mut self.stderr] {
            loop {
                match stream.more(until) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(()) => {
                        let said = String::from_utf8_lossy(&stream.said).into_owned();
                        panic!("it did not come to an end; it said:\n{said}");
                    }
                }
            }
        }
        let status = self.child.wait().unwrap();
        Ended {
            bed: self.bed,
            code: status.code(),
            stdout: String::from_utf8(std::mem::take(&mut self.stdout.said)).unwrap(),
            stderr: String::from_utf8(std::mem::take(&mut self.stderr.said)).unwrap(),
        }
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came of a call. Every question about it answers with itself, so that they can be put in a row.
pub struct Ended<'b> {
    bed: &'b Bed,
    /// None: ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended<'_> {
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        if self.code != Some(code) {
            panic!("exit {:?}, not {code}\n{}", self.code, self.both());
        }
        self
    }

    /// Standard output, normalised, is this.
    #[track_caller]
    pub fn stdout(self, text: &str) -> Self {
        let found = self.bed.normalise(&self.stdout);
        assert!(found == text, "standard output is\n{found}\nand not\n{text}\n{}", self.both());
        self
    }

    /// Standard error, normalised, is this.
    #[track_caller]
    pub fn stderr(self, text: &str) -> Self {
        let found = self.bed.normalise(&self.stderr);
        assert!(found == text, "standard error is\n{found}\nand not\n{text}\n{}", self.both());
        self
    }

    #[track_caller]
    pub fn stdout_has(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "standard output lacks `{text}`\n{}", self.both());
        self
    }

    #[track_caller]
    pub fn stderr_has(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "standard error lacks `{text}`\n{}", self.both());
        self
    }

    #[track_caller]
    pub fn stderr_lacks(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text), "standard error has `{text}`\n{}", self.both());
        self
    }

    /// Standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("{why}\n{}", self.both()))
    }

    /// Standard output as one JSON value a line.
    pub fn events(&self) -> Vec<Json> {
        lines_of_json(&self.stdout)
    }

    fn both(&self) -> String {
        format!("--- standard output\n{}--- standard error\n{}", self.stdout, self.stderr)
    }
}

mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_machine_shows_and_what_differs_is_named() {
        let bed = Bed::with("title: X\nsteps:\n  - {id: a, shell: 'echo \"$HOME $USER\"'}\n");
        bed.run(&["run", "./x.yaml"]).stdin_null().end().code(0).stdout("").stderr(
            "x  X  ([BED]/work/x.yaml)
run [RUN]  by tester on [HOST]  in [BED]/work

▶ a [change]
  │ [BED]/home tester
✔ a [TOOK]
✔ succeeded [TOOK]
",
        );
        assert_eq!(bed.journal().last().unwrap()["code"], 0);
    }
}
