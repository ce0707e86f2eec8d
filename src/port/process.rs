//! A process to be run, and how it ended. Knows nothing of how it is run.

use std::{path::PathBuf, time::Duration};

use crate::event::{Effect, StepId};

/// Variables of the operator that every step is given.
pub const BASE_ENV: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "TERM", "TMPDIR", "SSH_AUTH_SOCK"];

/// One process, with everything decided: nothing of the caller's environment reaches it but what stands here.
#[derive(Clone)]
pub struct ProcessRequest {
    pub step: StepId,
    pub attempt: u32,
    /// Counts the processes of one attempt from 1.
    pub number: u32,
    /// What it does, as the file says.
    pub effect: Effect,
    /// Started by a `verify`.
    pub looks: bool,
    /// Program and arguments, without a shell.
    pub argv: Vec<String>,
    pub stdin: Stdin,
    /// The whole environment, values of secrets included.
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
    /// Gives it a pseudo-terminal that is relayed to the operator's.
    pub tty: bool,
    /// What is left running when the main process exits by itself is not ended, but watched until somebody ends it.
    pub daemon: bool,
    /// Limit of this process; none for ever.
    pub timeout: Option<Duration>,
    /// Between the polite signal and KILL.
    pub kill_grace: Duration,
    /// Where lock and exit record of this attempt are kept: `<folder>/<step>.<attempt>.{lock,exit}`.
    /// None in worlds without a run folder (probes of `plan --probe`, tests).
    pub record_dir: Option<PathBuf>,
}

#[derive(Clone)]
pub enum Stdin {
    /// Reads end of file at once.
    Nothing,
    Bytes(Vec<u8>),
    /// The program leads to a bash elsewhere, which reads this from it.
    Remote(RemoteScript),
}

/// A script that runs elsewhere, with the values that it is given there.
#[derive(Clone)]
pub struct RemoteScript {
    /// Values of secrets included; none where it is not to be set there.
    pub variables: Vec<(String, Option<String>)>,
    pub script: String,
}

/// What is known of a script that was to run elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteEnd {
    /// It said how it ended: its own exit status is that of the process.
    Ended,
    /// The program ended, or was ended, before it had taken all of the script: nothing of it has run. With the exit
    /// status of the program.
    NotBegun(Option<i32>),
    /// It began, or may have begun, and nobody heard how it ended. With the exit status of the program.
    Lost(Option<i32>),
    /// All of it was taken and nothing was heard of its beginning. There is only the exit status of the program.
    Silent,
}

/// How a process ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessEnd {
    /// The exit status, if it exited by itself.
    pub exit: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Of a script that was to run elsewhere.
    pub remote: Option<RemoteEnd>,
    pub timed_out: bool,
    /// It was ended because the operator or a signal asked for it.
    pub cancelled: bool,
    pub duration: Duration,
    /// What was left of it and had to be ended, as `pid name`.
    pub swept: Vec<String>,
    /// What it left running, as it may: `name (pid)`.
    pub left: Vec<String>,
    /// Bytes of output that nobody could take.
    pub dropped_bytes: u64,
}

/// What a supervisor writes to `steps/<id>.<n>.exit` when its engine is gone, synced: the end of that attempt.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ExecRecord {
    pub exit: Option<i32>,
    pub signal: Option<i32>,
    /// Of a script that was to run elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteEnd>,
    pub timed_out: bool,
    /// It was ended because somebody asked for it; what its exit status says then is not how it would have ended.
    #[serde(default)]
    pub cancelled: bool,
    pub duration_ms: u64,
    /// Bytes of output that came after the engine's death.
    pub lost_bytes: u64,
    pub swept: Vec<String>,
    /// What it left running, as it may. While the lock of the attempt is held, some of that still runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// All that was left has ended. Where the lock is free and this is not said, its supervisor did not live to say it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_ended: bool,
}
