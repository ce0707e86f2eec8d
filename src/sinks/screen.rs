//! Where lines go: what stands there now, what waits for an answer. Knows nothing of events.

use std::{collections::HashMap, io::Write};

use indexmap::IndexMap;

use super::output::Partial;
use crate::{
    event::{Daemon, RunId, StepId},
    text::one_line,
};

/// While a question is open, so many lines wait to be shown; the log has all.
const WAITING: usize = 500;

/// Bytes of a step that has the terminal which wait in the same way.
const UNSAID: usize = 16 * 1024;

pub(super) struct Screen {
    /// None after a failed write.
    out: Option<Box<dyn Write>>,
    pub run: Option<RunId>,
    pub running: Vec<StepId>,
    /// Those that ran beside another: what they write stands in their name, to the end.
    pub beside: Vec<StepId>,
    pub partial: IndexMap<(StepId, u8), Partial>,
    /// A line that will be written anew is on the screen.
    live: bool,
    /// Steps that only look: their answer is told by one line, and what each look wrote is in the log.
    pub looking: Vec<StepId>,
    /// The last answer of each wait, so that the same one is not told again.
    pub answers: HashMap<StepId, String>,
    /// What the line that is written anew says of each wait.
    pub waits: IndexMap<StepId, String>,
    /// What steps left running.
    pub daemons: Vec<Daemon>,
    /// Lines that wait for an answer, and how many more there were.
    pub held: Option<(Vec<String>, u64)>,
    /// A step that has the terminal to itself, and what it wrote last.
    talking: Option<Talking>,
    /// What it wrote while a question was open; the last of it.
    unsaid: Vec<u8>,
    /// It has the terminal, and everything else waits.
    seated: bool,
}

struct Talking {
    /// The cursor is not at the beginning of a line.
    midway: bool,
    /// It used escapes, so that colours of its own may still be on.
    escapes: bool,
}

impl Screen {
    pub fn on(out: Box<dyn Write>) -> Screen {
        Screen {
            out: Some(out),
            run: None,
            running: Vec::new(),
            beside: Vec::new(),
            partial: IndexMap::new(),
            live: false,
            looking: Vec::new(),
            answers: HashMap::new(),
            waits: IndexMap::new(),
            daemons: Vec::new(),
            held: None,
            talking: None,
            unsaid: Vec::new(),
            seated: false,
        }
    }

    /// A step has the terminal to itself from here on, or gives it back.
    pub fn seat(&mut self, taken: bool) {
        self.seated = taken;
        if taken {
            self.clear();
            self.held.get_or_insert_default();
        } else {
            self.silence();
            self.release();
        }
    }

    /// A question comes up, which somebody else draws.
    pub fn hold(&mut self) {
        self.clear();
        self.held.get_or_insert_default();
        if let Some(Talking { midway, escapes }) = &mut self.talking
            && (*midway || *escapes)
        {
            *midway = false;
            self.put("\x1b[0m\r\n");
        }
    }

    pub fn write(&mut self, lines: Vec<String>) {
        if lines.is_empty() {
            return;
        }
        if let Some((held, more)) = &mut self.held {
            let room = WAITING.saturating_sub(held.len());
            *more += lines.len().saturating_sub(room) as u64;
            held.extend(lines.into_iter().take(room));
            return;
        }
        self.clear();
        let mut text = lines.join("\n");
        text.push('\n');
        self.put(&text);
    }

    /// Writes a line that may wait, and may not be left out.
    pub fn must_write(&mut self, line: String) {
        match &mut self.held {
            Some((held, _)) => held.push(line),
            None => self.write(vec![line]),
        }
    }

    pub fn talk(&mut self, bytes: &[u8]) {
        if self.held.is_some() && !self.seated {
            self.unsaid.extend_from_slice(bytes);
            let over = self.unsaid.len().saturating_sub(UNSAID);
            self.unsaid.drain(..over);
            return;
        }
        let Some(last) = bytes.last() else { return };
        self.clear();
        let talking = self.talking.get_or_insert(Talking { midway: false, escapes: false });
        talking.midway = *last != b'\n';
        talking.escapes |= bytes.contains(&0x1b);
        self.put_bytes(bytes);
    }

    /// The terminal is ours again.
    pub fn silence(&mut self) {
        let Some(Talking { midway, escapes }) = self.talking.take() else { return };
        let reset = if escapes { "\x1b[0m" } else { "" };
        let newline = if midway { "\r\n" } else { "" };
        self.put(&format!("{reset}{newline}"));
    }

    pub fn live(&mut self, line: &str) {
        self.put(&format!("\r\x1b[2K{line}"));
        self.live = true;
    }

    pub fn clear(&mut self) {
        if std::mem::take(&mut self.live) {
            self.put("\r\x1b[2K");
        }
    }

    pub fn still_running(&self) -> Vec<String> {
        let line =
            |of: &Daemon| format!("  still running: step {}: {}", one_line(of.step.as_str()), named(&of.processes));
        self.daemons.iter().map(line).collect()
    }

    pub fn release(&mut self) {
        if self.seated {
            return;
        }
        if let Some((mut lines, more)) = self.held.take() {
            if more > 0 {
                lines.push(format!("  … {more} more lines are in the log"));
            }
            self.write(lines);
        }
        let unsaid = std::mem::take(&mut self.unsaid);
        // What was cut begins in the middle of something.
        let cut = unsaid.len() >= UNSAID;
        let from = if cut { unsaid.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1) } else { 0 };
        self.talk(&unsaid[from..]);
    }

    /// A write failed, and nobody reads any more.
    #[cfg(test)]
    pub fn is_silent(&self) -> bool {
        self.out.is_none()
    }

    fn put(&mut self, text: &str) {
        self.put_bytes(text.as_bytes());
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        if let Some(out) = &mut self.out
            && out.write_all(bytes).and_then(|()| out.flush()).is_err()
        {
            // Nobody reads any more; that is no reason to stop a run.
            self.out = None;
        }
    }
}

/// What was left running, on one line.
pub(super) fn named(processes: &[String]) -> String {
    one_line(&processes.join(", ")).into_owned()
}
