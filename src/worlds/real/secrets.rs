//! Reads a secret from where its source says. Knows nothing of masking; nothing it says contains what it read.

use std::{cell::RefCell, path::Path, time::Duration};

use zeroize::Zeroizing;

use super::{
    RealWorld,
    launch::{self, Dropped},
    lookup,
};
use crate::{
    event::{Effect, StepId, Stream},
    port::{Cancel, Output, ProcessRequest, SecretSource, Stdin, WorldError},
    text::one_line,
    value::Secret,
};

/// A command that asks a vault and hangs must not hang a run.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// More than this is no secret but a mistake.
const MOST: usize = 1 << 20;

pub(super) async fn read(world: &RealWorld, source: &SecretSource) -> Result<Secret, WorldError> {
    match source {
        SecretSource::Env(name) => from_env(name),
        SecretSource::File(path) => from_file(path),
        SecretSource::Command(argv) => from_command(world, argv).await,
        SecretSource::Prompt { .. } => Err(failed("a secret that is asked for is never read from a world".into())),
    }
}

fn from_env(name: &str) -> Result<Secret, WorldError> {
    let place = format!("the environment variable {}", one_line(name));
    match lookup::variable(name) {
        Some(text) => checked(&place, Zeroizing::new(text.into_bytes())),
        None if std::env::var_os(name).is_some() => Err(failed(format!("{place} is not UTF-8 text"))),
        None => Err(failed(format!("{place} is not set; export it before the run"))),
    }
}

fn from_file(path: &Path) -> Result<Secret, WorldError> {
    use std::io::Read;
    let place = format!("the file {}", one_line(&path.display().to_string()));
    let unreadable = |error: std::io::Error| failed(format!("{place} cannot be read: {}", super::child::plain(&error)));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    // A reader that grows would leave copies behind; secrets are small.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST + 1));
    file.take(MOST as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    checked(&place, bytes)
}

async fn from_command(world: &RealWorld, argv: &[String]) -> Result<Secret, WorldError> {
    let program = argv.first().map_or("", String::as_str);
    let place = format!("the command {}", one_line(program));
    let request = ProcessRequest {
        step: StepId::new("secret"),
        attempt: 1,
        number: 1,
        effect: Effect::Read,
        looks: false,
        argv: argv.to_vec(),
        stdin: Stdin::Nothing,
        // Tools of vaults and agents find their session in the operator's environment.
        env: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        cwd: std::env::current_dir().unwrap_or_else(|_| "/".into()),
        tty: false,
        daemon: false,
        timeout: Some(COMMAND_LIMIT),
        kill_grace: Duration::from_secs(2),
        record_dir: None,
    };
    let said = Said::default();
    // A dropped wait means that nobody wants the answer any more.
    let end = launch::run(world, &request, &said, &Cancel::new(), Dropped::Killed)
        .await
        .map_err(|error| failed(format!("{place} did not give it: {error}")))?;
    if end.timed_out {
        return Err(failed(format!("{place} gave no answer within {}s", COMMAND_LIMIT.as_secs())));
    }
    if end.exit != Some(0) {
        let how = match (end.exit, end.signal) {
            (Some(code), _) => format!("failed with exit {code}"),
            (_, Some(signal)) => format!("was ended by signal {signal}"),
            _ => "did not end by itself".into(),
        };
        // What it complained about may hold what it was asked for, which nobody can mask yet.
        return Err(failed(format!("{place} {how}; run it by hand to see what it says")));
    }
    checked(&place, said.0.into_inner())
}

/// What a command answered. Its complaints are not kept.
struct Said(RefCell<Zeroizing<Vec<u8>>>);

impl Default for Said {
    fn default() -> Said {
        // Its full size from the start, so that it never moves and leaves a copy behind.
        Said(RefCell::new(Zeroizing::new(Vec::with_capacity(MOST + 1))))
    }
}

impl Output for Said {
    fn chunk(&self, stream: Stream, bytes: &[u8]) {
        if stream != Stream::Stderr {
            let mut answer = self.0.borrow_mut();
            let room = (MOST + 1).saturating_sub(answer.len());
            answer.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }
}

/// The text without one final line end.
fn checked(place: &str, bytes: Zeroizing<Vec<u8>>) -> Result<Secret, WorldError> {
    if bytes.len() > MOST {
        return Err(failed(format!("{place} gave more than {MOST} bytes, which is no secret")));
    }
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Err(failed(format!("{place} does not hold UTF-8 text")));
    };
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() {
        return Err(failed(format!("{place} is empty")));
    }
    if text.contains('\0') {
        return Err(failed(format!("{place} holds a NUL character, which no process can be given")));
    }
    Ok(Secret::new(text.to_owned()))
}

fn failed(why: String) -> WorldError {
    WorldError::NotStarted(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(bytes: &[u8]) -> Result<String, String> {
        checked("it", Zeroizing::new(bytes.to_vec()))
            .map(|secret| secret.expose().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn one_line_end_goes_and_nothing_is_refused_without_a_reason() {
        assert_eq!(outcome(b"abc\n"), Ok("abc".into()));
        assert_eq!(outcome(b"abc\r\n"), Ok("abc".into()));
        assert_eq!(outcome(b"a\nb\n\n"), Ok("a\nb\n".into()));
        assert_eq!(outcome(b" abc "), Ok(" abc ".into()));
        assert_eq!(outcome(b"\n"), Err("it is empty".into()));
        assert_eq!(outcome(b"\xff"), Err("it does not hold UTF-8 text".into()));
        assert!(outcome(b"a\0b").unwrap_err().contains("NUL"));
    }

    #[test]
    fn a_missing_variable_or_file_is_named() {
        let said = from_env("RUNSHEET_TEST_NO_SUCH_SECRET").err().unwrap().to_string();
        assert!(said.contains("RUNSHEET_TEST_NO_SUCH_SECRET is not set"), "{said}");
        let said = from_file(Path::new("/no/such/secret")).err().unwrap().to_string();
        assert!(said.contains("/no/such/secret cannot be read: no such file"), "{said}");
    }
}
