//! A program followed through its system calls, and killed with KILL as it enters one of them. Knows no runbook.
//!
//! `strace` can inject a signal, too; this can say which file a call is about, can follow a supervisor and nobody else,
//! and leaves every other process alone, so that a point costs little more than the run itself.

use std::{
    collections::BTreeMap,
    fmt, io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use libc::{c_int, c_long, pid_t};

use crate::lab::{Ended, PATIENCE, drain};

/// Where a call says what it is about.
#[derive(Clone, Copy)]
enum About {
    Descriptor,
    /// The number of the argument that is a path.
    Path(usize),
    Nothing,
}

/// The calls that a journal, its files, its locks and its supervisors are made of.
const CALLS: &[(&str, c_long, About)] = &[
    ("openat", libc::SYS_openat, About::Path(1)),
    ("write", libc::SYS_write, About::Descriptor),
    ("pwrite64", libc::SYS_pwrite64, About::Descriptor),
    ("writev", libc::SYS_writev, About::Descriptor),
    ("fdatasync", libc::SYS_fdatasync, About::Descriptor),
    ("fsync", libc::SYS_fsync, About::Descriptor),
    ("ftruncate", libc::SYS_ftruncate, About::Descriptor),
    ("fallocate", libc::SYS_fallocate, About::Descriptor),
    ("flock", libc::SYS_flock, About::Descriptor),
    ("close", libc::SYS_close, About::Descriptor),
    ("sendto", libc::SYS_sendto, About::Descriptor),
    ("sendmsg", libc::SYS_sendmsg, About::Descriptor),
    #[cfg(target_arch = "x86_64")]
    ("rename", libc::SYS_rename, About::Path(0)),
    ("renameat", libc::SYS_renameat, About::Path(1)),
    ("renameat2", libc::SYS_renameat2, About::Path(1)),
    #[cfg(target_arch = "x86_64")]
    ("mkdir", libc::SYS_mkdir, About::Path(0)),
    ("mkdirat", libc::SYS_mkdirat, About::Path(1)),
    #[cfg(target_arch = "x86_64")]
    ("unlink", libc::SYS_unlink, About::Path(0)),
    #[cfg(target_arch = "x86_64")]
    ("rmdir", libc::SYS_rmdir, About::Path(0)),
    ("unlinkat", libc::SYS_unlinkat, About::Path(1)),
];

/// What only a supervisor is looked at for: how it becomes one, and how its step starts and ends.
const CALLS_OF_SUPERVISORS: &[(&str, c_long, About)] = &[
    ("setsid", libc::SYS_setsid, About::Nothing),
    ("prctl", libc::SYS_prctl, About::Nothing),
    ("pipe2", libc::SYS_pipe2, About::Nothing),
    ("chdir", libc::SYS_chdir, About::Nothing),
    ("umask", libc::SYS_umask, About::Nothing),
    ("clone3", libc::SYS_clone3, About::Nothing),
    ("clone", libc::SYS_clone, About::Nothing),
    #[cfg(target_arch = "x86_64")]
    ("poll", libc::SYS_poll, About::Nothing),
    ("ppoll", libc::SYS_ppoll, About::Nothing),
    ("read", libc::SYS_read, About::Descriptor),
    ("splice", libc::SYS_splice, About::Nothing),
    ("wait4", libc::SYS_wait4, About::Nothing),
    ("kill", libc::SYS_kill, About::Nothing),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal, About::Nothing),
    ("exit_group", libc::SYS_exit_group, About::Nothing),
];

/// One entry of one call: the `number`th (from 1) of that name about that thing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub call: &'static str,
    pub about: String,
    pub number: usize,
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.call, self.about, self.number)
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Whom {
    /// The program that is started; its main thread.
    Program,
    /// The `n`th supervisor that it starts, from 1.
    Supervisor(usize),
}

pub struct Traced {
    /// How the program ended, and what it said.
    pub ended: Ended,
    /// The point was reached, and the kill happened there.
    pub reached: bool,
    /// Every point that was passed before it, in order.
    pub passed: Vec<Point>,
}

/// Runs a program to its end, and kills whom it looks at when they enter the given call.
///
/// `state` is the folder whose files are told apart; calls about files elsewhere are not counted.
#[track_caller]
#[expect(clippy::zombie_processes, reason = "the tracer collects it, together with its stops")]
pub fn follow(mut command: Command, whom: Whom, state: &Path, at: Option<&Point>) -> Traced {
    // SAFETY: one system call between fork and exec, which only marks the new process as traced by its parent.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    let mut child = command.spawn().expect("a program that is traced; is ptrace allowed here?");
    let (out, err) = (child.stdout.take().map(drain), child.stderr.take().map(drain));
    let pid = pid_t::try_from(child.id()).unwrap();
    let late = Watchdog::of(pid);
    let mut tracer = Tracer {
        main: pid,
        whom,
        at,
        eye: Eye { state: state.to_owned(), seen: BTreeMap::new(), passed: Vec::new() },
        supervisors: 0,
        chosen: None,
        reached: false,
    };
    let status = tracer.run();
    assert!(!late.barked(), "it hung, killed at {at:?}");
    let text = |thread: Option<std::thread::JoinHandle<String>>| thread.map_or(String::new(), |t| t.join().unwrap());
    let ended = Ended { code: status.code(), signal: status.signal(), out: text(out), err: text(err) };
    Traced { ended, reached: tracer.reached, passed: tracer.eye.passed }
}

/// Kills a program that takes much longer than anything here does.
struct Watchdog {
    bark: Arc<AtomicBool>,
    _stop: mpsc::Sender<()>,
}

impl Watchdog {
    fn of(pid: pid_t) -> Watchdog {
        let (stop, stopped) = mpsc::channel::<()>();
        let bark = Arc::new(AtomicBool::new(false));
        let barks = Arc::clone(&bark);
        std::thread::spawn(move || {
            if stopped.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                barks.store(true, Ordering::SeqCst);
                // SAFETY: the program is collected by whoever holds the other end of the channel, and that is open.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        });
        Watchdog { bark, _stop: stop }
    }

    fn barked(&self) -> bool {
        self.bark.load(Ordering::SeqCst)
    }
}

struct Tracer<'a> {
    main: pid_t,
    whom: Whom,
    at: Option<&'a Point>,
    eye: Eye,
    supervisors: usize,
    /// The supervisor that is looked at, while it lives.
    chosen: Option<pid_t>,
    reached: bool,
}

impl Tracer<'_> {
    fn run(&mut self) -> ExitStatus {
        let mut end = None;
        while end.is_none() || self.chosen.is_some() {
            let (pid, status) = wait();
            if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                if pid == self.main {
                    end = Some(ExitStatus::from_raw(status));
                } else if self.chosen == Some(pid) {
                    self.chosen = None;
                }
                continue;
            }
            let event = status >> 16;
            let signal = libc::WSTOPSIG(status);
            if signal == libc::SIGTRAP | 0x80 {
                self.entered(pid);
            } else if event == libc::PTRACE_EVENT_VFORK || event == libc::PTRACE_EVENT_FORK {
                self.go_on(pid, 0);
            } else if event == libc::PTRACE_EVENT_EXEC && pid != self.main {
                self.became(pid);
            } else if event == libc::PTRACE_EVENT_EXEC {
                self.go_on(pid, 0);
            } else if pid == self.main && signal == libc::SIGTRAP {
                // The exec of the program itself.
                self.begin();
            } else if event != 0 || pid != self.main && self.chosen != Some(pid) {
                // A child of the program, before its first instruction.
                request(libc::PTRACE_SETOPTIONS, pid, libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEEXEC);
                request(libc::PTRACE_CONT, pid, 0);
            } else {
                self.go_on(pid, signal);
            }
        }
        end.unwrap()
    }

    fn begin(&self) {
        let mut options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_EXITKILL;
        if self.whom != Whom::Program {
            options |= libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK;
        }
        request(libc::PTRACE_SETOPTIONS, self.main, options);
        self.go_on(self.main, 0);
    }

    /// A child of the program has become something else.
    fn became(&mut self, pid: pid_t) {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if words.split(|byte| *byte == 0).any(|word| word == b"__supervise") {
            self.supervisors += 1;
            if self.whom == Whom::Supervisor(self.supervisors) {
                self.chosen = Some(pid);
                self.go_on(pid, 0);
                return;
            }
        }
        request(libc::PTRACE_DETACH, pid, 0);
    }

    fn go_on(&self, pid: pid_t, signal: c_int) {
        let looked_at = match self.whom {
            Whom::Program => pid == self.main,
            Whom::Supervisor(_) => self.chosen == Some(pid),
        };
        request(if looked_at { libc::PTRACE_SYSCALL } else { libc::PTRACE_CONT }, pid, signal);
    }

    /// Somebody enters a call, or leaves it.
    fn entered(&mut self, pid: pid_t) {
        let entered = entry(pid);
        if let Some((number, [what, ..])) = entered
            && number == libc::SYS_prctl.unsigned_abs()
            && what == u64::from(libc::PR_SET_DUMPABLE.unsigned_abs())
        {
            skip(pid);
        }
        if let Some((number, args)) = entered
            && let Some(point) = self.eye.point(pid, number, args, self.whom)
        {
            if self.at == Some(&point) {
                self.reached = true;
                // SAFETY: a process that we trace and have not collected; it dies before the call does anything.
                assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
                return;
            }
            self.eye.passed.push(point);
        }
        self.go_on(pid, 0);
    }
}

/// Tells what calls are about, and counts them.
struct Eye {
    state: PathBuf,
    seen: BTreeMap<(&'static str, String), usize>,
    passed: Vec<Point>,
}

impl Eye {
    fn point(&mut self, pid: pid_t, number: u64, args: [u64; 6], whom: Whom) -> Option<Point> {
        let more = if whom == Whom::Program { &[] } else { CALLS_OF_SUPERVISORS };
        let (call, _, about) = CALLS.iter().chain(more).find(|(_, call, _)| u64::try_from(*call) == Ok(number))?;
        let about = match about {
            About::Descriptor => self.thing(pid, args[0]),
            About::Path(argument) => self.file(&path_at(pid, args[*argument])?),
            About::Nothing => Some(String::new()),
        }?;
        let number = self.seen.entry((call, about.clone())).or_default();
        *number += 1;
        Some(Point { call, about, number: *number })
    }

    fn thing(&self, pid: pid_t, descriptor: u64) -> Option<String> {
        let target = match std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}")) {
            // One that is not open; its number is wrong, and the call with it.
            Err(why) if why.kind() == io::ErrorKind::NotFound => return None,
            target => target.expect("the descriptors of a traced process"),
        };
        let name = target.to_string_lossy();
        if name.starts_with("socket:") {
            return Some("socket".to_owned());
        }
        if name.starts_with("pipe:") {
            // Of the streams only that of the events; the others are for people.
            return match descriptor {
                1 => Some("stdout".to_owned()),
                2 => None,
                _ => Some("pipe".to_owned()),
            };
        }
        self.file(&target)
    }

    /// A file of the state folder, without what differs from run to run.
    fn file(&self, path: &Path) -> Option<String> {
        let below = path.strip_prefix(&self.state).ok()?;
        let mut words: Vec<String> = below.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        for word in words.iter_mut().skip(1) {
            if word.len() > 20 && !word.starts_with('.') {
                *word = "*".to_owned();
            } else if word.starts_with(".tmp-") {
                *word = ".tmp-*".to_owned();
            } else if let Some((stem, process)) = word.rsplit_once('.')
                && process.parse::<u32>().is_ok()
            {
                *word = format!("{stem}.*");
            }
        }
        Some(words.join("/"))
    }
}

/// Makes a call that is being entered do nothing. A hardened program of a user without privileges would show nobody its
/// memory and its files.
#[cfg(target_arch = "x86_64")]
fn skip(pid: pid_t) {
    // SAFETY: both requests read or write exactly one such structure, for which all zeros are a valid value.
    unsafe {
        let mut registers: libc::user_regs_struct = std::mem::zeroed();
        if libc::ptrace(libc::PTRACE_GETREGS, pid, 0, &raw mut registers) == 0 {
            registers.orig_rax = u64::MAX;
            libc::ptrace(libc::PTRACE_SETREGS, pid, 0, &raw const registers);
        }
    }
}

/// Here these tests need a user who may look into hardened programs.
#[cfg(not(target_arch = "x86_64"))]
fn skip(_: pid_t) {}

fn wait() -> (pid_t, c_int) {
    let mut status = 0;
    loop {
        // SAFETY: the pointer is to a local. Only children and tracees of this very thread are waited for.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        if pid > 0 {
            return (pid, status);
        }
        let why = io::Error::last_os_error();
        assert_eq!(why.kind(), io::ErrorKind::Interrupted, "nothing is left to wait for: {why}");
    }
}

/// Fails only where the process has been killed in the meantime, which the next wait tells.
fn request(what: libc::c_uint, pid: pid_t, data: c_int) {
    // SAFETY: none of the requests made here writes to our memory.
    unsafe { libc::ptrace(what, pid, 0, c_long::from(data)) };
}

/// Which call is entered, with its arguments; none if it is left.
fn entry(pid: pid_t) -> Option<(u64, [u64; 6])> {
    // SAFETY: the kernel fills in at most as many bytes as it is told; all zeros are a valid value; and the member that
    // is read is the one that the kernel says it has filled in.
    unsafe {
        let mut info: libc::ptrace_syscall_info = std::mem::zeroed();
        let size = size_of::<libc::ptrace_syscall_info>();
        let got = libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, &raw mut info);
        (got > 0 && info.op == libc::PTRACE_SYSCALL_INFO_ENTRY).then_some((info.u.entry.nr, info.u.entry.args))
    }
}

fn path_at(pid: pid_t, address: u64) -> Option<PathBuf> {
    let mut bytes = [0u8; 1024];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("the memory of a traced process");
    let count = std::os::unix::fs::FileExt::read_at(&memory, &mut bytes, address).ok()?;
    let end = bytes[..count].iter().position(|byte| *byte == 0)?;
    Some(PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&bytes[..end])))
}
