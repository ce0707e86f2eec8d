//! Exit codes: what each number means to whoever called. Decides none of them; `docs/reference/exit-codes.md` is made
//! from this table.

pub const SUCCEEDED: u8 = 0;
pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
pub const INVALID: u8 = 3;
pub const REQUIREMENT: u8 = 4;
pub const DECLINED: u8 = 5;
pub const UNKNOWN: u8 = 7;
pub const LOCKED: u8 = 8;
pub const JOURNAL: u8 = 9;
pub const NOT_VERIFIED: u8 = 10;
pub const PAUSED: u8 = 11;
pub const NO_MATCH: u8 = 13;
pub const FAULT: u8 = 70;
/// What a shell says of a program that the closing of a pipe ended.
pub const PIPE: u8 = 141;

/// One exit code, in the words of its page.
pub struct ExitCode {
    pub code: u8,
    pub meaning: &'static str,
    /// What to do about it, in Markdown; empty where there is nothing to do.
    pub then: &'static str,
}

const fn exit(code: u8, meaning: &'static str, then: &'static str) -> ExitCode {
    ExitCode { code, meaning, then }
}

/// Every code that the program may end with, by its number. Those that nothing answers with yet are promised to be used
/// for this and for nothing else.
pub const ALL: &[ExitCode] = &[
    exit(SUCCEEDED, "succeeded", ""),
    exit(
        FAILED,
        "a step failed, a document is not what would be rendered, or there is a difference that `--fail-on` names; for \
         `plan --probe`: a run would fail now at a step that reads",
        "read the error; `runsheet report RUN`",
    ),
    exit(USAGE, "usage: a flag, a name or a value that cannot be", "the message says which"),
    exit(
        INVALID,
        "the runbook is not well made; for `check --deny warnings`: or something is warned of",
        "`runsheet check` draws every mistake; [lints](lints.md) says what a warning is about and how one is allowed",
    ),
    exit(
        REQUIREMENT,
        "something that is required is missing: a tool, a secret, a parameter, a folder, a key that can sign, a version of \
         runsheet that knows the journal; for `plan`: it could not be run here; for `doctor`: this machine is \
         not ready",
        "give it; nothing was run",
    ),
    exit(
        DECLINED,
        "a person declined or stopped it; for `prune`: nothing was removed; for `plan --probe`: not everything was looked at",
        "",
    ),
    exit(6, "it was undone", "what has no undo stays: `runsheet report RUN` names it"),
    exit(
        UNKNOWN,
        "nobody knows whether a step took effect, or what the run goes by has changed since; a decision is needed",
        "look, then `runsheet resume RUN`, or `--step ID --as done|not-done --reason …`",
    ),
    exit(
        LOCKED,
        "another run holds the lock, or the run is going on elsewhere",
        "the message names it, who, where and since when: wait, end that one, or resume it",
    ),
    exit(
        JOURNAL,
        "the journal could not be written, or locks do not hold where it would stand; nothing new was started",
        "put the disk right, then `runsheet resume RUN`; or keep runs elsewhere: `--state-dir`",
    ),
    exit(
        NOT_VERIFIED,
        "verification failed: a record, an output or a frozen file is not as it was written, an anchor is nowhere in it, a \
         signature is wrong, or with `--allowed-signers` none is there that would do",
        "[what a record proves](../trust.md)",
    ),
    exit(PAUSED, "paused: a question that nobody answered, or somebody paused it", "`runsheet resume RUN`"),
    exit(
        12,
        "undoing it failed, or was not finished",
        "`runsheet report RUN` says what is left; `runsheet undo RUN` takes it up again",
    ),
    exit(
        NO_MATCH,
        "`triage`: no runbook knows the mail; of several: one of them",
        "read it, and give the runbook a trigger",
    ),
    exit(FAULT, "our own fault", "please report the line it printed"),
    exit(
        PIPE,
        "whoever read the output of `list`, `plan` and their like went away; a run goes on, and its code is its own",
        "",
    ),
];
