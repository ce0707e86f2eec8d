//! Keys of a terminal, one by one, without waiting in a thread. Knows nothing of questions.
//!
//! Written by hand because the usual crates cannot do what a question must: crossterm's reader (and inquire over it) spins
//! for ever once the terminal is gone, writes the letter of Ctrl-U into what is typed, keeps typed-ahead keys where no flush reaches them, and cannot be called off.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::{
    process::{Signal, kill_current_process_group},
    termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
};

const CTRL_Z: u8 = 0x1a;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Erase,
    EraseWord,
    EraseLine,
    Escape,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D.
    End,
    /// The process was suspended and goes on; the screen may show something else.
    Redraw,
    /// An arrow, a function key, something pasted where one key is wanted.
    Other,
}

/// A terminal in raw mode; what it was before is restored when this goes.
pub(super) struct Keys<'t> {
    fd: AsyncFd<BorrowedFd<'t>>,
    pending: VecDeque<u8>,
    raw: RawMode,
    /// Stops that are known of.
    stops: u64,
}

impl<'t> Keys<'t> {
    /// Takes the terminal and throws away what was typed before. The file must not block.
    pub fn take(tty: &'t File) -> io::Result<Keys<'t>> {
        let raw = RawMode::enter(tty)?;
        // SAFETY: the descriptor is borrowed from a file that outlives this value, so that it is open and the same until then.
        let fd = unsafe { AsyncFd::register_with_interest(tty.as_fd(), Interest::READABLE) }?;
        let keys = Keys { fd, pending: VecDeque::new(), raw, stops: STOPS.load(Ordering::Relaxed) };
        tcflush(tty, QueueSelector::IFlush)?;
        Ok(keys)
    }

    /// The next key. An error means that the terminal is gone.
    pub async fn key(&mut self) -> Result<Key, String> {
        let byte = loop {
            let Some(byte) = self.byte().await? else { return Ok(Key::Redraw) };
            if byte != CTRL_Z {
                break byte;
            }
            if self.suspend()? {
                return Ok(Key::Redraw);
            }
        };
        Ok(match byte {
            b'\r' | b'\n' => Key::Enter,
            0x03 => Key::Interrupt,
            0x04 => Key::End,
            0x08 | 0x7f => Key::Erase,
            0x15 => Key::EraseLine,
            0x17 => Key::EraseWord,
            0x1b => self.escape(),
            b if b < 0x20 => Key::Other,
            b => self.char(b).await?,
        })
    }

    /// One key by itself. Several at once are pasted or typed blindly and are no choice; a line end after a key is let pass.
    pub async fn alone(&mut self) -> Result<Key, String> {
        let key = self.key().await?;
        let more = self.pending.drain(..).any(|byte| !matches!(byte, b'\r' | b'\n'));
        Ok(if more && !matches!(key, Key::Interrupt | Key::Redraw) { Key::Other } else { key })
    }

    /// None: the process was stopped, and what was typed meanwhile was not meant for it.
    async fn byte(&mut self) -> Result<Option<u8>, String> {
        loop {
            if let Some(byte) = self.pending.pop_front() {
                return Ok(Some(byte));
            }
            let resumed = GOES_ON.notified();
            tokio::select! {
                biased;
                () = resumed => {}
                read = self.read() => read?,
            }
            let stops = STOPS.load(Ordering::Relaxed);
            if stops != self.stops {
                self.stops = stops;
                self.pending.clear();
                let _ = tcflush(self.fd.get_ref(), QueueSelector::IFlush);
                return Ok(None);
            }
        }
    }

    async fn read(&mut self) -> Result<(), String> {
        let lost = |why: &dyn std::fmt::Display| format!("the terminal is gone: {why}");
        loop {
            let mut ready = self.fd.readable().await.map_err(|why| lost(&why))?;
            let mut bytes = [0; 1024];
            match ready.try_io(|fd| rustix::io::read(fd, &mut bytes).map_err(io::Error::from)) {
                Ok(Ok(0)) => return Err("the terminal is gone: end of input".into()),
                Ok(Ok(count)) => {
                    self.pending.extend(&bytes[..count]);
                    return Ok(());
                }
                Ok(Err(why)) if why.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(why)) => return Err(lost(&why)),
                Err(_would_block) => {}
            }
        }
    }

    /// What follows an escape character. A terminal sends its sequences in one piece, so that one alone is the key.
    fn escape(&mut self) -> Key {
        match self.pending.pop_front() {
            None => Key::Escape,
            Some(b'[' | b'O') => {
                while let Some(byte) = self.pending.pop_front() {
                    if (0x40..=0x7e).contains(&byte) {
                        break;
                    }
                }
                Key::Other
            }
            Some(0x1b) => Key::Escape,
            Some(_) => Key::Other,
        }
    }

    async fn char(&mut self, first: u8) -> Result<Key, String> {
        let length = match first {
            0x00..=0x7f => 1,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return Ok(Key::Other),
        };
        let mut bytes = vec![first];
        while bytes.len() < length {
            let Some(byte) = self.byte().await? else { return Ok(Key::Redraw) };
            bytes.push(byte);
        }
        let c = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next());
        Ok(c.map_or(Key::Other, Key::Char))
    }

    /// Ctrl-Z: the terminal is the shell's until we go on. False where somebody else sees to that, and says when.
    fn suspend(&mut self) -> Result<bool, String> {
        self.pending.clear();
        if STOPS_ARE_HANDLED.load(Ordering::Relaxed) {
            // A group that cannot be signalled is not stopped, and that is all.
            let _ = kill_current_process_group(Signal::TSTP);
            return Ok(false);
        }
        let tty = *self.fd.get_ref();
        self.raw.leave();
        let result =
            kill_current_process_group(Signal::TSTP).map_err(io::Error::from).and_then(|()| RawMode::enter(tty));
        self.raw = result.map_err(|why| format!("the terminal is gone: {why}"))?;
        Ok(true)
    }
}

/// What terminals were before somebody took them, so that a panic anywhere can put them back.
static TAKEN: Mutex<Vec<Taken>> = Mutex::new(Vec::new());
/// How often this process was stopped and went on.
static STOPS: AtomicU64 = AtomicU64::new(0);
static GOES_ON: Notify = Notify::const_new();
/// Somebody puts the terminals back before a stop, and takes them again after it.
static STOPS_ARE_HANDLED: AtomicBool = AtomicBool::new(false);

struct Taken {
    id: u64,
    tty: OwnedFd,
    before: Termios,
    raw: Termios,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

struct RawMode(u64);

impl RawMode {
    fn enter(tty: impl AsFd) -> io::Result<RawMode> {
        use rustix::termios::{InputModes, LocalModes};
        let before = tcgetattr(&tty)?;
        let mut raw = before.clone();
        // Output stays as it is, so that lines that others print meanwhile begin at the left.
        raw.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
        raw.input_modes &= !(InputModes::IXON | InputModes::ICRNL | InputModes::INLCR | InputModes::IGNCR);
        raw.special_codes[rustix::termios::SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[rustix::termios::SpecialCodeIndex::VTIME] = 0;
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let copy = tty.as_fd().try_clone_to_owned()?;
        // On record before the change, so that no moment is left in which nobody would restore it.
        TAKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(Taken {
            id,
            tty: copy,
            before,
            raw: raw.clone(),
        });
        let mode = RawMode(id);
        tcsetattr(&tty, OptionalActions::Flush, &raw)?;
        Ok(mode)
    }

    fn leave(&self) {
        let mut taken = TAKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(index) = taken.iter().position(|taken| taken.id == self.0) {
            let Taken { tty, before, .. } = taken.remove(index);
            // A terminal that is gone needs no restoring.
            let _ = tcsetattr(&tty, OptionalActions::Now, &before);
        }
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Puts every terminal back that a question has taken; for a panic hook and for an exit that drops nothing.
pub fn restore_terminal() {
    // A lock that is held belongs to somebody who restores, too, perhaps to the very thread that panics: never wait.
    if let Ok(mut taken) = TAKEN.try_lock() {
        for Taken { tty, before, .. } in taken.drain(..) {
            let _ = tcsetattr(&tty, OptionalActions::Now, &before);
        }
    }
}

/// The process was stopped and goes on. To be called by the handler of that signal, ahead of everything: it only counts.
pub fn was_stopped() {
    STOPS.fetch_add(1, Ordering::Relaxed);
}

/// From here on somebody calls [`before_stop`], [`was_stopped`] and [`after_stop`], also where Ctrl-Z was typed.
pub fn stops_are_handled() {
    STOPS_ARE_HANDLED.store(true, Ordering::Relaxed);
}

/// Before the process is stopped: terminals are as they were, for the shell.
pub fn before_stop() {
    for taken in TAKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).iter() {
        let _ = tcsetattr(&taken.tty, OptionalActions::Now, &taken.before);
    }
}

/// After a stop: an open question has its terminal again. Whoever reads the keys throws away those of the time between.
pub fn after_stop() {
    for taken in TAKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).iter() {
        let _ = tcsetattr(&taken.tty, OptionalActions::Now, &taken.raw);
    }
    GOES_ON.notify_waiters();
}
