//! `shellcheck`, asked about scripts. Knows nothing of what it says.
//!
//! It is handed the scripts themselves as open files that have no name, one process for many, and nothing else of this
//! process: no input, no configuration, and of the environment what a program needs to run.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    os::fd::AsRawFd,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::lookup;

/// Scripts that one process is given, so that most files need one.
const AT_ONCE: usize = 64;
/// Processes side by side, where there are processors for them. Each script is an open file of ours meanwhile.
const SIDE_BY_SIDE: usize = 4;
/// For that many scripts of at most 128 KiB each.
const LIMIT: Duration = Duration::from_secs(120);
/// More than it can have to say that anybody reads.
const MOST: u64 = 64 << 20;
/// Other files that a script reads in are not followed (1090, 1091); a script in single quotes for another shell, its
/// values beside it, is how one is handed over well (2016). Of a mistake in the syntax it tells where it was noticed; two
/// more remarks say around what (1009, 1073).
const NOT_ASKED: &str = "--exclude=SC1009,SC1073,SC1090,SC1091,SC2016";

/// The program, where there is one.
pub struct Shellcheck {
    program: PathBuf,
}

/// What it said about some of the scripts, as JSON (`json1`), and the name under which each of these was handed over.
pub struct Said {
    pub json: Vec<u8>,
    /// The script, by its place in what was asked, and its name.
    pub names: Vec<(usize, String)>,
}

impl Shellcheck {
    /// The one on the search path. Folders of it that are not absolute are passed over: what lies in the current folder
    /// comes with the runbooks, and is not to be run by looking at them.
    pub fn find() -> Option<Shellcheck> {
        let path = std::env::var("PATH").ok()?;
        let absolute: Vec<&str> = path.split(':').filter(|folder| folder.starts_with('/')).collect();
        let program = lookup::find("shellcheck", Some(&absolute.join(":")), std::path::Path::new("/")).ok()?;
        (!absolute.is_empty()).then_some(Shellcheck { program })
    }

    /// Asks about scripts of one dialect (`bash`, `sh`, `dash`, `ksh`). The error is a fragment.
    pub fn ask(&self, dialect: &str, scripts: &[&str]) -> Result<Vec<Said>, String> {
        let parts: Vec<(usize, &[&str])> =
            scripts.chunks(AT_ONCE).enumerate().map(|(part, some)| (part * AT_ONCE, some)).collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut said = Vec::new();
        for some in parts.chunks(cores.min(SIDE_BY_SIDE)) {
            let asked: Vec<Result<Said, String>> = std::thread::scope(|scope| {
                let threads: Vec<_> = some
                    .iter()
                    .map(|(first, some)| scope.spawn(move || self.ask_once(dialect, *first, some)))
                    .collect();
                let lost = || Err("what it said was lost".to_owned());
                threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())).collect()
            });
            for answer in asked {
                said.push(answer?);
            }
        }
        Ok(said)
    }

    fn ask_once(&self, dialect: &str, first: usize, scripts: &[&str]) -> Result<Said, String> {
        let mut names = Vec::new();
        // Open until it has ended.
        let mut files = Vec::new();
        for (at, script) in scripts.iter().enumerate() {
            let file = nameless(script).map_err(|why| format!("a script could not be handed over: {why}"))?;
            names.push((first + at, format!("/dev/fd/{}", file.as_raw_fd())));
            files.push(file);
        }
        let json = self.call(dialect, names.iter().map(|(_, name)| name.as_str()))?;
        drop(files);
        Ok(Said { json, names })
    }

    fn call<'n>(&self, dialect: &str, names: impl Iterator<Item = &'n str>) -> Result<Vec<u8>, String> {
        let kept = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"];
        let mut child = Command::new(&self.program)
            .args(["--norc", "--severity=info", "--format=json1", NOT_ASKED])
            .arg(format!("--shell={dialect}"))
            .arg("--")
            .args(names)
            .env_clear()
            .envs(kept.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|why| format!("{} could not be started: {why}", self.program.display()))?;
        let out = reader(child.stdout.take());
        let err = reader(child.stderr.take());
        // Whatever holds the pipes of one that was killed is not waited for.
        let ended = wait(&mut child, LIMIT)?;
        let out = out.join().unwrap_or_default();
        let err = err.join().unwrap_or_default();
        match ended {
            // 0: nothing to say; 1: something.
            Some(0 | 1) if (out.len() as u64) < MOST => Ok(out),
            Some(0 | 1) => Err("it said more than 64 MiB".to_owned()),
            code => {
                let said = String::from_utf8_lossy(&err);
                let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
                let ended = code.map_or("on a signal".to_owned(), |code| format!("with {code}"));
                Err(format!("it ended {ended}: {line}"))
            }
        }
    }
}

/// An open file that holds a text and stands in no folder. Programs that we start have it, too.
fn nameless(text: &str) -> std::io::Result<File> {
    #[cfg(target_os = "linux")]
    let mut file = File::from(rustix::fs::memfd_create("script", rustix::fs::MemfdFlags::empty())?);
    #[cfg(not(target_os = "linux"))]
    let mut file = {
        let file = tempfile::tempfile()?;
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
        file
    };
    file.write_all(text.as_bytes())?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

pub(super) fn reader(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut pipe) = pipe {
            // What is over the limit is read and dropped, so that nobody waits for us.
            let _ = pipe.by_ref().take(MOST).read_to_end(&mut kept);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        kept
    })
}

/// Its exit code, none for a signal; one that takes too long is killed.
pub(super) fn wait(child: &mut Child, limit: Duration) -> Result<Option<i32>, String> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.code()),
            Ok(None) if began.elapsed() < limit => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(20));
            }
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("there was no answer within {}s", limit.as_secs()));
            }
            Err(why) => return Err(format!("its end could not be seen: {why}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_one_is_killed_and_a_failing_one_is_told() {
        let mut slow = Command::new("sleep").arg("60").spawn().unwrap();
        assert_eq!(wait(&mut slow, Duration::from_millis(20)).unwrap_err(), "there was no answer within 0s");
        let call = |program: &str| Shellcheck { program: program.into() }.call("bash", ["/dev/fd/9999"].into_iter());
        assert!(call("/nowhere/shellcheck").unwrap_err().contains("could not be started"));
        assert!(call("/bin/ls").unwrap_err().starts_with("it ended with 2: "));
    }
}
