//! One record a line, for programs. Knows nothing of people.

use std::{
    cell::RefCell,
    io::{ErrorKind, Write},
};

use super::Anchors;
use crate::{event::Record, port::Sink};

/// Writes every record as a flat JSON object on a line of its own. A reader that has gone silences it.
pub struct JsonLines {
    out: RefCell<Option<Box<dyn Write>>>,
    anchors: Option<Anchors>,
}

impl JsonLines {
    pub fn new(out: Box<dyn Write>) -> JsonLines {
        JsonLines { out: RefCell::new(Some(out)), anchors: None }
    }

    /// Also tells the hashes of some records, as their member `head`.
    pub fn anchored(mut self, anchors: Anchors) -> JsonLines {
        self.anchors = Some(anchors);
        self
    }
}

impl Sink for JsonLines {
    fn accept(&self, record: &Record) {
        let anchor = self.anchors.as_ref().and_then(|anchors| anchors.of(record));
        let mut slot = self.out.borrow_mut();
        let Some(out) = slot.as_mut() else { return };
        // A record is maps of texts and numbers; that it cannot be written as JSON cannot happen, and a sink must not end a run.
        let Ok(mut line) = serde_json::to_vec(record) else { return };
        if let Some(anchor) = anchor {
            // A record is an object with members, so that its text ends in `}` and a comma may follow what is before it.
            line.pop();
            line.extend_from_slice(format!(",\"head\":\"{}\"}}", anchor.hash).as_bytes());
        }
        line.push(b'\n');
        if let Err(why) = out.write_all(&line).and_then(|()| out.flush()) {
            *slot = None;
            // A reader that has gone knows it; of a disk that is full nobody would hear.
            if why.kind() != ErrorKind::BrokenPipe {
                let _ = writeln!(
                    std::io::stderr(),
                    "runsheet: events from record {} on could not be written to standard output: {why}; the run goes on, and its journal has them",
                    record.seq
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, rc::Rc};

    use super::*;
    use crate::event::Event;

    struct Pipe(Rc<RefCell<Vec<u8>>>, usize);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.borrow().len() >= self.1 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn record(seq: u64, reason: &str) -> Record {
        let event = Event::RunPaused { reason: reason.into() };
        Record { seq, time: jiff::Timestamp::UNIX_EPOCH, elapsed_ms: 7, event }
    }

    #[test]
    fn one_flat_object_a_line() {
        let out = Rc::new(RefCell::new(Vec::new()));
        let sink = JsonLines::new(Box::new(Pipe(out.clone(), usize::MAX)));
        sink.accept(&record(1, "two\nlines"));
        sink.accept(&record(2, "ü"));
        assert_eq!(
            String::from_utf8(out.take()).unwrap(),
            "{\"seq\":1,\"time\":\"1970-01-01T00:00:00Z\",\"elapsed_ms\":7,\"event\":\"run_paused\",\"reason\":\"two\\nlines\"}\n\
             {\"seq\":2,\"time\":\"1970-01-01T00:00:00Z\",\"elapsed_ms\":7,\"event\":\"run_paused\",\"reason\":\"ü\"}\n"
        );
    }

    #[test]
    fn a_closed_pipe_silences_it() {
        let out = Rc::new(RefCell::new(Vec::new()));
        let sink = JsonLines::new(Box::new(Pipe(out.clone(), 1)));
        for seq in 1..5 {
            sink.accept(&record(seq, "r"));
        }
        assert_eq!(out.borrow().iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
