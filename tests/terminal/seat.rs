//! A person at a pseudo-terminal in which the real program runs. Waits for what is shown; never sleeps.

use std::{
    fs::File,
    io::{Read, Write},
    num::NonZeroU16,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command},
    sync::mpsc,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::Winsize,
};

use crate::support::{Bed, PROGRAM};

const LIMIT: Duration = Duration::from_secs(30);
const ROWS: u16 = 50;
const COLUMNS: u16 = 110;

pub struct Seat<'b> {
    _bed: &'b Bed,
    child: Child,
    keyboard: Option<File>,
    /// The program's side of the terminal.
    slave: std::ffi::CString,
    screen: vt100::Parser,
    /// Everything that was shown, without escape sequences.
    said: String,
    /// How much of it was looked for already.
    seen: usize,
}

impl<'b> Seat<'b> {
    /// Starts the program with a terminal of its own.
    pub fn take(bed: &'b Bed, args: &[&str]) -> Seat<'b> {
        Seat::take_with(bed, PROGRAM, args)
    }

    /// Starts another program in the same way.
    pub fn take_with(bed: &'b Bed, program: &str, args: &[&str]) -> Seat<'b> {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let slave = || -> OwnedFd {
            rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap()
        };
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&keyboard, size).unwrap();
        let mut command = Command::new(program);
        bed.prepare(&mut command);
        command.args(args).stdin(slave()).stdout(slave()).stderr(slave());
        // SAFETY: between fork and exec only these two system calls are made.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop(command);
        let keyboard = File::from(keyboard);
        let size = |length| NonZeroU16::new(length).unwrap();
        let screen = vt100::Parser::new(size(ROWS), size(COLUMNS), 0);
        Seat { _bed: bed, child, keyboard: Some(keyboard), slave: name, screen, said: String::new(), seen: 0 }
    }

    /// Waits until this is shown, after whatever was waited for before.
    #[track_caller]
    pub fn sees(&mut self, text: &str) -> &mut Self {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.said[self.seen..].find(text) {
                self.seen += at + text.len();
                return self;
            }
            if !self.more(until) {
                panic!("`{text}` was not shown:\n{}", self.said);
            }
        }
    }

    pub fn types(&mut self, keys: &str) -> &mut Self {
        self.keyboard.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Keys that are typed and shown are not mistaken for what the program says.
    #[track_caller]
    pub fn answers(&mut self, question: &str, keys: &str) -> &mut Self {
        self.sees(question).types(keys)
    }

    /// What stands on the screen now.
    pub fn screen(&self) -> String {
        self.screen.screen().contents()
    }

    /// Closes the window: nobody has the terminal any more.
    #[track_caller]
    pub fn hangs_up(mut self) -> i32 {
        self.keyboard = None;
        self.wait()
    }

    /// KILL, as a machine that runs out of memory does it.
    pub fn killed(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Changes the size of the window.
    pub fn resizes(&mut self, rows: u16, columns: u16) -> &mut Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(self.keyboard.as_ref().unwrap(), size).unwrap();
        self
    }

    /// Types, and waits until the keys are where the program would read them.
    pub fn types_ahead(&mut self, keys: &str) -> &mut Self {
        self.types(keys);
        let until = Instant::now() + LIMIT;
        // Not kept open: the end of the program is the end of the last one who has it.
        let slave = rustix::fs::open(&*self.slave, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        while rustix::io::ioctl_fionread(&slave).unwrap() < keys.len() as u64 {
            assert!(Instant::now() < until, "the keys did not arrive");
            std::thread::yield_now();
        }
        self
    }

    pub fn signal(&mut self, signal: rustix::process::Signal) -> &mut Self {
        rustix::process::kill_process(self.pid(), signal).unwrap();
        self
    }

    pub fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Sends the program a signal.
    pub fn signals(&mut self, number: i32) -> &mut Self {
        // SAFETY: our own child, which has not been waited for.
        assert_eq!(unsafe { libc::kill(self.pid().as_raw_nonzero().get(), number) }, 0);
        self
    }

    /// Waits for the end.
    #[track_caller]
    pub fn ends(mut self, code: i32) -> String {
        let found = self.wait();
        assert_eq!(found, code, "{}", self.said);
        self.said.clone()
    }

    /// Waits for the end, whatever it is; the code and everything that was shown.
    #[track_caller]
    pub fn leaves(mut self) -> (i32, String) {
        let code = self.wait();
        (code, self.said.clone())
    }

    #[track_caller]
    fn wait(&mut self) -> i32 {
        let until = Instant::now() + LIMIT;
        while self.more(until) {}
        self.keyboard = None;
        let (pid, (gone, ended)) = (self.pid(), mpsc::channel::<()>());
        // Whoever does not end is ended, so that the test does.
        let guard = std::thread::spawn(move || {
            if ended.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        let status = self.child.wait().unwrap();
        drop(gone);
        guard.join().unwrap();
        status.code().unwrap_or_else(|| panic!("it did not come to an end by itself:\n{}", self.said))
    }

    /// Takes in more of what is shown; false at the end, or when time is up.
    fn more(&mut self, until: Instant) -> bool {
        let Some(keyboard) = &mut self.keyboard else { return false };
        let left = i32::try_from(until.saturating_duration_since(Instant::now()).as_millis()).unwrap();
        let mut watched = libc::pollfd { fd: keyboard.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, of a descriptor that is open.
        if unsafe { libc::poll(&mut watched, 1, left) } != 1 {
            return false;
        }
        let mut bytes = [0; 4096];
        // The end is an error: nobody has the other side open any more.
        let Ok(count @ 1..) = keyboard.read(&mut bytes) else { return false };
        let bytes = &bytes[..count];
        // A terminal that is asked where its cursor stands says so.
        let mut rest = bytes;
        while let Some(at) = rest.windows(4).position(|window| window == b"\x1b[6n") {
            self.screen.process(&rest[..at]);
            let (row, column) = self.screen.screen().cursor_position();
            if let Some(keyboard) = &mut self.keyboard {
                keyboard.write_all(format!("\x1b[{};{}R", row + 1, column + 1).as_bytes()).unwrap();
            }
            rest = &rest[at + 4..];
        }
        self.screen.process(rest);
        let text = String::from_utf8_lossy(bytes);
        let escapes = regex::Regex::new("\x1b\\[[0-9;?]*[a-zA-Z]|\x1b[78=>]").unwrap();
        self.said.push_str(&escapes.replace_all(&text, "").replace('\r', ""));
        true
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
