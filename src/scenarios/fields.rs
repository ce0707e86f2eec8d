//! The fields of a file of scenarios: what each mapping may hold, what each field takes and what it means. Reads no file;
//! the loader's keys, the reference page and the schema come from these tables.

use crate::model::{FieldDoc, Keys, Mapping, Rule, Takes};

const fn field(name: &'static str, takes: Takes, summary: &'static str) -> FieldDoc {
    FieldDoc::new(name, takes, summary)
}

const TEXTS: Takes = Takes::Entries { keys: Keys::Any, of: &Takes::Scalar, least: 0 };
const WRITTEN: Takes = Takes::Either(&[Takes::Scalar, Takes::List { of: &Takes::Scalar, least: 0 }]);
const TIMES: FieldDoc = field(
    "times",
    Takes::Integer { least: 0, most: 1_000_000 },
    "how often, exactly; at least once if absent, and `0` for never",
);

pub const FILE: Mapping = Mapping { name: "scenarios", fields: FILE_FIELDS, rules: &[Rule::Needs("scenarios")] };
const FILE_FIELDS: &[FieldDoc] = &[field(
    "scenarios",
    Takes::List { of: &Takes::Fields(&SCENARIO), least: 1 },
    "what is tried, each in a world of its own",
)];

pub const SCENARIO: Mapping =
    Mapping { name: "scenario", fields: SCENARIO_FIELDS, rules: &[Rule::Needs("name"), Rule::Needs("expect")] };
const SCENARIO_FIELDS: &[FieldDoc] = &[
    field("name", Takes::Line, "what happens, in words; no two of a file alike"),
    field("params", Takes::Entries { keys: Keys::Names, of: &WRITTEN, least: 0 }, "values of parameters"),
    field("profile", Takes::Line, "the profile whose values it takes"),
    field(
        "secrets",
        Takes::Entries { keys: Keys::Names, of: &Takes::Text, least: 0 },
        "what stands for a secret, by name, of this runbook or one that it calls; one that is not named has a made-up \
         value",
    ),
    field(
        "answers",
        Takes::Entries {
            keys: Keys::Any,
            of: &Takes::Either(&[ANSWER, Takes::List { of: &ANSWER, least: 1 }]),
            least: 0,
        },
        "by full step id: what a file for `--answers` says, or a list of such answers, which are given in turn. A question \
         about the run and not about a step is answered under what it is about, such as `undo: go`. What has no answer is \
         a question that nobody answers",
    ),
    field("world", Takes::Fields(&WORLD), "what commands and requests are answered with"),
    field(
        "crash_after",
        Takes::OneOrMany(&Takes::Text),
        "the engine dies when the end of this step is on record, and is resumed; of several one after the other",
    ),
    field(
        "crash_during",
        Takes::OneOrMany(&Takes::Text),
        "the engine dies when a command or request of this step was answered and before it hears of it, and is resumed",
    ),
    field(
        "surprises",
        Takes::List { of: &Takes::Fields(&SURPRISE), least: 0 },
        "what may go wrong besides: `rehearse --surprise SEED` lets one of them happen, and `test` none",
    ),
    field("expect", Takes::Fields(&EXPECT), "what must come out"),
];

const ANSWER: Takes = Takes::Either(&[Takes::Scalar, Takes::Entries { keys: Keys::Any, of: &WRITTEN, least: 1 }]);

pub const WORLD: Mapping = Mapping { name: "world", fields: WORLD_FIELDS, rules: &[] };
const WORLD_FIELDS: &[FieldDoc] = &[
    field(
        "shell",
        Takes::List { of: &Takes::Fields(&SHELL_RULE), least: 0 },
        "commands: the first rule that fits answers",
    ),
    field(
        "http",
        Takes::List { of: &Takes::Fields(&HTTP_RULE), least: 0 },
        "requests: the first rule that fits answers",
    ),
    field("files", TEXTS, "files that are there from the beginning, with their text; relative to where the run stands"),
    field(
        "env",
        Takes::Entries { keys: Keys::Variables, of: &Takes::Scalar, least: 0 },
        "variables of who starts the run",
    ),
    field("now", Takes::Text, "the moment at which it begins, such as `2026-01-05T09:30:00Z`, which it is if absent"),
];

/// What tells one command from another.
const COMMAND: [FieldDoc; 3] = [
    field(
        "step",
        Takes::Text,
        "the full id of the step, such as `admin/trigger` or `scale[web]`; with `@verify` or `@undo` behind it, that body \
         of the step; `*` is any text",
    ),
    field(
        "match",
        Takes::Text,
        "the command: the program with its arguments, the whole script, or one line of it, as written or with the values \
         in place of `$name` and without `\"`; `*` is any text",
    ),
    field(
        "env",
        Takes::Entries { keys: Keys::Variables, of: &Takes::Scalar, least: 0 },
        "variables that it is given, the values of the runbook among them; `*` is any text",
    ),
];

pub const SHELL_RULE: Mapping =
    Mapping { name: "shell-rule", fields: SHELL_RULE_FIELDS, rules: &[Rule::Needs("reply")] };
const SHELL_RULE_FIELDS: &[FieldDoc] = &[
    copy(&COMMAND[0]),
    copy(&COMMAND[1]),
    copy(&COMMAND[2]),
    field(
        "reply",
        Takes::OneOrMany(&Takes::Fields(&SHELL_REPLY)),
        "what comes of it; of a list one after the other, and the last again and again",
    ),
];

pub const SHELL_REPLY: Mapping =
    Mapping { name: "shell-reply", fields: SHELL_REPLY_FIELDS, rules: &[Rule::AtMostOne(&["exit", "signal", "fail"])] };
const SHELL_REPLY_FIELDS: &[FieldDoc] = &[
    field("exit", Takes::Integer { least: 0, most: 255 }, "the exit status; 0 if absent"),
    field(
        "signal",
        Takes::Either(&[Takes::Text, Takes::Integer { least: 1, most: 64 }]),
        "it is killed by this signal, such as `KILL`",
    ),
    field(
        "fail",
        Takes::OneOf(&["not_started", "lost"]),
        "`not_started`: it could not be started, or with `via` not be reached; `lost`: nobody heard how it ended",
    ),
    field("stdout", Takes::Scalar, "what it writes"),
    field("json", Takes::Anything, "what it writes, as JSON"),
    field("stderr", Takes::Scalar, "what it writes on standard error"),
    field("delay", Takes::FixedDuration, "how long it takes"),
    field("files", TEXTS, "files that it makes, with their text; relative to where the step runs"),
    field(
        "left",
        Takes::List { of: &Takes::Text, least: 0 },
        "programs that it leaves running, as one with `daemon` may",
    ),
];

const REQUEST: [FieldDoc; 5] = [
    field(
        "on",
        Takes::Line,
        "method and URL, such as `POST https://ci.example/job/*`; `*` is any text, also as the method; a URL without `?` \
         says nothing about the query",
    ),
    field("step", Takes::Text, "the full id of the step, as for commands"),
    field("body", Takes::Text, "the text that is sent; `*` is any text"),
    field("json", Takes::Anything, "what is sent, as JSON: of a mapping every key that is named"),
    field(
        "headers",
        Takes::Entries { keys: Keys::Headers, of: &Takes::Scalar, least: 0 },
        "headers that it has; `*` is any text",
    ),
];

pub const HTTP_RULE: Mapping =
    Mapping { name: "http-rule", fields: HTTP_RULE_FIELDS, rules: &[Rule::Needs("reply"), Rule::Needs("on")] };
const HTTP_RULE_FIELDS: &[FieldDoc] = &[
    copy(&REQUEST[0]),
    copy(&REQUEST[1]),
    copy(&REQUEST[2]),
    copy(&REQUEST[3]),
    copy(&REQUEST[4]),
    field(
        "reply",
        Takes::OneOrMany(&Takes::Fields(&HTTP_REPLY)),
        "what comes back; of a list one after the other, and the last again and again",
    ),
];

pub const HTTP_REPLY: Mapping = Mapping {
    name: "http-reply",
    fields: HTTP_REPLY_FIELDS,
    rules: &[Rule::AtMostOne(&["body", "json"]), Rule::AtMostOne(&["status", "fail"])],
};
const HTTP_REPLY_FIELDS: &[FieldDoc] = &[
    field("status", Takes::Integer { least: 200, most: 599 }, "the status; 200 if absent"),
    field("headers", Takes::Entries { keys: Keys::Headers, of: &Takes::Scalar, least: 0 }, "headers of the answer"),
    field("body", Takes::Scalar, "the text of the answer, which need not be what it says it is"),
    field("json", Takes::Anything, "the answer as JSON"),
    field("delay", Takes::FixedDuration, "how long it takes; longer than the step's `timeout`, and there is none"),
    field(
        "fail",
        Takes::OneOf(&["refused", "unknown_host", "reset", "timeout", "slow_body"]),
        "there is no answer: `refused` and `unknown_host`, nothing was sent; `reset`, `timeout` and `slow_body`, it was sent",
    ),
];

pub const SURPRISE: Mapping = Mapping {
    name: "surprise",
    fields: SURPRISE_FIELDS,
    rules: &[Rule::Needs("step"), Rule::ExactlyOne(&["shell", "http"])],
};
const SURPRISE_FIELDS: &[FieldDoc] = &[
    field("step", Takes::Text, "the full id of the step, without `*`; as for commands"),
    field("shell", Takes::Fields(&SHELL_REPLY), "what comes of its command instead"),
    field("http", Takes::Fields(&HTTP_REPLY), "what comes back of its request instead"),
];

pub const EXPECT: Mapping = Mapping { name: "expect", fields: EXPECT_FIELDS, rules: &[] };
const EXPECT_FIELDS: &[FieldDoc] = &[
    field("outcome", Takes::OneOf(OUTCOMES), "how the run ends; `succeeded` if absent"),
    field(
        "refused",
        Takes::Entries { keys: Keys::Names, of: &Takes::Text, least: 1 },
        "parameters that are refused, so that nothing begins, each with a text that the reason holds; `*` is any text. \
         Nothing else is expected then",
    ),
    field("code", Takes::Integer { least: 0, most: 255 }, "the exit code"),
    field("reason", Takes::Text, "a text that the reason of the end holds; `*` is any text"),
    field(
        "order",
        Takes::List { of: &Takes::Text, least: 1 },
        "each of these steps ran, and began when the one before it was over",
    ),
    field(
        "status",
        Takes::Entries { keys: Keys::Any, of: &Takes::OneOf(STATUSES), least: 0 },
        "how steps ended, by full id; `not_run` for one that never began",
    ),
    field(
        "failure",
        Takes::Entries { keys: Keys::Any, of: &Takes::Text, least: 0 },
        "by full step id: a text that its error holds; `*` is any text",
    ),
    field("requests", Takes::List { of: &Takes::Fields(&SEEN_REQUEST), least: 0 }, "what was sent"),
    field("commands", Takes::List { of: &Takes::Fields(&SEEN_COMMAND), least: 0 }, "what was run"),
    field(
        "asked",
        Takes::List { of: &Takes::Either(&[Takes::Text, Takes::Fields(&ASKED)]), least: 0 },
        "questions that were put: the full id of the step, or more about it; `[]` for none at all",
    ),
    field(
        "captures",
        Takes::Entries { keys: Keys::Names, of: &Takes::Anything, least: 0 },
        "values of names at the end, exactly; after a loop a map from item to value",
    ),
    field(
        "outputs",
        Takes::Entries { keys: Keys::Names, of: &Takes::Anything, least: 0 },
        "the runbook's outputs, exactly",
    ),
    field(
        "undone",
        Takes::List { of: &Takes::Text, least: 0 },
        "the steps that were taken back, all of them, in this order",
    ),
    field("files", TEXTS, "files at the end, with their text; `*` is any text"),
];

pub const OUTCOMES: &[&str] = &["succeeded", "failed", "declined", "undone", "undo_failed", "paused", "unknown"];
pub const STATUSES: &[&str] = &["succeeded", "failed", "skipped", "done_by_hand", "undone", "unknown", "not_run"];

pub const SEEN_REQUEST: Mapping =
    Mapping { name: "seen-request", fields: SEEN_REQUEST_FIELDS, rules: &[Rule::Needs("on")] };
const SEEN_REQUEST_FIELDS: &[FieldDoc] =
    &[copy(&REQUEST[0]), copy(&REQUEST[1]), copy(&REQUEST[2]), copy(&REQUEST[3]), copy(&REQUEST[4]), TIMES];

pub const SEEN_COMMAND: Mapping = Mapping { name: "seen-command", fields: SEEN_COMMAND_FIELDS, rules: &[] };
const SEEN_COMMAND_FIELDS: &[FieldDoc] = &[copy(&COMMAND[0]), copy(&COMMAND[1]), copy(&COMMAND[2]), TIMES];

pub const ASKED: Mapping = Mapping { name: "asked", fields: ASKED_FIELDS, rules: &[] };
const ASKED_FIELDS: &[FieldDoc] = &[
    field("step", Takes::Text, "the full id of the step; `*` is any text"),
    field("about", Takes::Text, "what it is about, as in `question_asked`: `confirm`, `manual`, `failure` and so on"),
    field("message", Takes::Text, "a text that the question holds; `*` is any text"),
    TIMES,
];

/// Every mapping, as the reference goes through them.
pub const ALL: &[(&str, &Mapping)] = &[
    ("The file", &FILE),
    ("A scenario", &SCENARIO),
    ("`world`", &WORLD),
    ("A rule of `world.shell`", &SHELL_RULE),
    ("A reply to a command", &SHELL_REPLY),
    ("A rule of `world.http`", &HTTP_RULE),
    ("A reply to a request", &HTTP_REPLY),
    ("An entry of `surprises`", &SURPRISE),
    ("`expect`", &EXPECT),
    ("An entry of `requests`", &SEEN_REQUEST),
    ("An entry of `commands`", &SEEN_COMMAND),
    ("An entry of `asked`", &ASKED),
];

/// The same field in another mapping.
const fn copy(of: &'static FieldDoc) -> FieldDoc {
    let takes = match of.takes {
        Takes::Text => Takes::Text,
        Takes::Line => Takes::Line,
        Takes::Anything => Takes::Anything,
        Takes::Entries { keys, of, least } => Takes::Entries { keys, of, least },
        _ => panic!("a field of a pattern"),
    };
    FieldDoc::new(of.name, takes, of.summary)
}
