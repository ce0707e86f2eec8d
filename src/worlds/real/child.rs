//! Starts the process of a step from an order, and says in people's words why it could not. Knows nothing of how it
//! is watched.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::{process::Pid, pty::OpenptFlags, termios::Winsize};

use super::{
    lookup::{Missing, find},
    wire::Order,
};
use crate::text::one_line;

/// The longest `NAME=value` and the longest argument that Linux takes, with the final NUL.
const MAX_STRING: usize = 128 * 1024;

/// A process that runs, and our ends of its streams.
pub(super) struct Started {
    pub pid: Pid,
    pub stdin: Option<OwnedFd>,
    /// The other end of it, to see in the end what of a script for elsewhere was not taken.
    pub untaken: Option<OwnedFd>,
    /// Standard output, or the terminal.
    pub stdout: OwnedFd,
    pub stderr: Option<OwnedFd>,
    pub terminal: Option<Terminal>,
}

/// A pseudo-terminal of a step.
pub(super) struct Terminal {
    pub master: OwnedFd,
    /// Kept so that a step that closes and opens its terminal again does not look ended.
    pub slave: Option<OwnedFd>,
}

impl Terminal {
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let _ = rustix::termios::tcsetwinsize(&self.master, size);
    }
}

/// What can be told without starting anything: where the program is, and that the system will take what it is given.
pub(super) fn prepare(argv: &[String], env: &[(String, String)], cwd: &Path) -> Result<PathBuf, String> {
    let Some(program) = argv.first() else { return Err("there is no program to start".into()) };
    for (index, argument) in argv.iter().enumerate() {
        if argument.contains('\0') {
            return Err(format!("argument {index} of {} holds a NUL character", shown(program)));
        }
        if argument.len() >= MAX_STRING {
            return Err(format!(
                "argument {index} of {} has {} bytes, and the system takes {}; hand it over in a file or on standard input",
                shown(program),
                argument.len(),
                MAX_STRING - 1
            ));
        }
    }
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(format!("`{}` is no name for a variable", one_line(name)));
        }
        if value.contains('\0') {
            return Err(format!(
                "the variable {} holds a NUL character, which no process can be given",
                one_line(name)
            ));
        }
        if name.len() + 1 + value.len() >= MAX_STRING {
            return Err(format!(
                "the variable {} has {} bytes, and the system takes {} (128 KiB less its name); write the value to a file \
                 and hand over the file's name",
                one_line(name),
                value.len(),
                MAX_STRING - 2 - name.len()
            ));
        }
    }
    let metadata = std::fs::metadata(cwd).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("the folder {} does not exist", path(cwd)),
        _ => format!("the folder {} cannot be entered: {}", path(cwd), plain(&error)),
    })?;
    if !metadata.is_dir() {
        return Err(format!("{} is not a folder", path(cwd)));
    }
    if rustix::fs::access(cwd, rustix::fs::Access::EXEC_OK).is_err() {
        return Err(format!("the folder {} may not be entered by this user", path(cwd)));
    }
    // As for the environment, the last of several wins.
    let search = env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_str());
    find(program, search, cwd).map_err(|missing| match missing {
        Missing::NotExecutable(found) => {
            format!("{} may not be run; is it a program, with its executable bit set?", path(&found))
        }
        Missing::Nowhere if program.contains('/') => {
            format!("the program {} does not exist", path(&cwd.join(program)))
        }
        Missing::Nowhere => {
            format!("the program {} is not on the search path; install it or name it with its folder", shown(program))
        }
    })
}

/// Starts it. The error says what is wrong and what to do.
pub(super) fn start(order: &Order) -> Result<Started, String> {
    let cwd = Path::new(OsStr::from_bytes(&order.cwd));
    let program = prepare(&order.argv, &order.env, cwd)?;
    let mut command = Command::new(&program);
    // `prepare` has seen a first argument.
    command.arg0(&order.argv[0]).args(&order.argv[1..]).current_dir(cwd).env_clear();
    command.envs(order.env.iter().map(|(name, value)| (name, value)));
    // Never wider than what the operator allows, and never wider than others may read.
    let umask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::process::umask(umask | rustix::fs::Mode::from_raw_mode(0o022));
    let pipes = |error: io::Error| format!("no pipes could be made for it: {}", plain(&error));
    let mut started = if order.tty {
        let terminal = open_terminal(order).map_err(|error| format!("no terminal could be made for it: {error}"))?;
        let slave =
            || terminal.slave.as_ref().map_or_else(|| Err(io::ErrorKind::BrokenPipe.into()), OwnedFd::try_clone);
        command.stdin(slave().map_err(pipes)?).stdout(slave().map_err(pipes)?).stderr(slave().map_err(pipes)?);
        // SAFETY: between fork and exec only these two system calls are made.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(0, libc::TIOCSCTTY as _, 0) < 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let stdin = Some(terminal.master.try_clone().map_err(pipes)?);
        let stdout = terminal.master.try_clone().map_err(pipes)?;
        Started { pid: rustix::process::getpid(), stdin, untaken: None, stdout, stderr: None, terminal: Some(terminal) }
    } else {
        let mut untaken = None;
        let stdin = if order.has_stdin {
            let (reader, writer) = io::pipe().map_err(pipes)?;
            if order.marks.is_some() {
                untaken = Some(OwnedFd::from(reader.try_clone().map_err(pipes)?));
            }
            command.stdin(reader);
            Some(OwnedFd::from(writer))
        } else {
            command.stdin(Stdio::null());
            None
        };
        let (stdout, writer) = io::pipe().map_err(pipes)?;
        super::relay::enlarge(&writer);
        command.stdout(writer);
        let (stderr, writer) = io::pipe().map_err(pipes)?;
        command.stderr(writer);
        // A group of its own inside our session, so that `kill 0` in a script does not end its supervisor.
        command.process_group(0);
        Started {
            pid: rustix::process::getpid(),
            stdin,
            untaken,
            stdout: stdout.into(),
            stderr: Some(stderr.into()),
            terminal: None,
        }
    };
    let child = command.spawn().map_err(|error| explain(&error, &program, order))?;
    // The command holds the step's ends of the pipes; while we do, they never end.
    drop(command);
    // A process id of a child is positive; the child itself is reaped by whoever watches the family.
    started.pid = Pid::from_child(&child);
    Ok(started)
}

fn open_terminal(order: &Order) -> io::Result<Terminal> {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    let name = rustix::pty::ptsname(&master, Vec::new())?;
    let slave = rustix::fs::open(
        name.as_c_str(),
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    let terminal = Terminal { master, slave: Some(slave) };
    terminal.resize(order.rows, order.columns);
    Ok(terminal)
}

fn explain(error: &io::Error, program: &Path, order: &Order) -> String {
    match error.raw_os_error() {
        Some(libc::E2BIG) => {
            let largest = order.env.iter().max_by_key(|(_, value)| value.len());
            let hint = largest.map_or(String::new(), |(name, value)| {
                format!("; the largest variable is {} with {} bytes", one_line(name), value.len())
            });
            format!(
                "arguments and environment of {} are too large together{hint}; hand large values over in a file",
                path(program)
            )
        }
        Some(libc::ENOENT) => {
            format!(
                "{} could not be started: the interpreter in its first line does not exist{}",
                path(program),
                shebang(program)
            )
        }
        Some(libc::ENOEXEC) => {
            format!("{} is not a program for this system; a script needs a first line such as #!/bin/sh", path(program))
        }
        Some(libc::EACCES) => {
            format!(
                "{} may not be run by this user, or lies on a file system that runs nothing{}",
                path(program),
                shebang(program)
            )
        }
        Some(libc::ETXTBSY) => format!("{} is being written to; wait until that is done", path(program)),
        Some(libc::EAGAIN | libc::ENOMEM) => {
            format!(
                "{} could not be started: the system has no room for another process ({})",
                path(program),
                plain(error)
            )
        }
        _ => format!("{} could not be started: {}", path(program), plain(error)),
    }
}

// The first line of a script, which the messages are about.
fn shebang(program: &Path) -> String {
    use io::Read;
    let mut start = [0u8; 128];
    let count = File::open(program).and_then(|mut file| file.read(&mut start)).unwrap_or(0);
    let text = String::from_utf8_lossy(&start[..count]);
    match text.lines().next() {
        Some(line) if line.starts_with("#!") => format!(" ({})", one_line(line)),
        _ => String::new(),
    }
}

/// An error of the system without its number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

fn path(path: &Path) -> String {
    one_line(&path.display().to_string()).into_owned()
}

fn shown(program: &str) -> String {
    one_line(program).into_owned()
}
