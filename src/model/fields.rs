//! The fields of the language: what each mapping of a runbook may hold, what each field takes and what it means. Reads no
//! file; the loader's keys, the reference pages and the schema come from these tables.

use super::Names;

/// One field of a mapping.
pub struct FieldDoc {
    pub name: &'static str,
    pub takes: Takes,
    /// A fragment of Markdown.
    pub summary: &'static str,
}

/// The form of what stands under a key, as far as it can be told without the rest of the file.
pub enum Takes {
    /// Part of the language, refused as "not supported yet".
    Later,
    /// One line of text that is not blank.
    Line,
    /// Text that is not blank.
    Filled,
    /// Text, also of several lines; where people read it, it may be a template. A bare number is none.
    Text,
    /// A template, also a bare number or boolean.
    Template,
    /// A template that begins with an absolute URL.
    Url,
    /// A bare expression.
    Expression,
    /// Such as `1h30m`, written out.
    FixedDuration,
    /// A duration, or a template that makes one.
    Duration,
    /// A number of bytes, bare or with a unit.
    Bytes,
    Boolean,
    /// `true`, and nothing else.
    True,
    /// A whole number.
    Integer {
        least: i64,
        most: i64,
    },
    /// A number with or without a fraction.
    Number {
        least: i64,
    },
    /// A text, a number or a boolean.
    Scalar,
    /// Whatever JSON can say.
    Anything,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The name of a value.
    Name,
    /// The id of a step.
    Id,
    /// A list with at least so many entries.
    List {
        of: &'static Takes,
        least: usize,
    },
    /// A list with exactly these entries.
    Tuple(&'static [Takes]),
    /// One, or a list.
    OneOrMany(&'static Takes),
    /// A mapping whose keys are the author's.
    Entries {
        keys: Keys,
        of: &'static Takes,
        least: usize,
    },
    /// A mapping whose keys are the language's.
    Fields(&'static Mapping),
    Either(&'static [Takes]),
}

/// What the author's keys of a mapping may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    Any,
    /// Names of values.
    Names,
    /// Ids, as steps have them.
    Ids,
    /// Names of variables of a process.
    Variables,
    /// Names of headers of a request.
    Headers,
}

/// A mapping whose keys are the language's.
pub struct Mapping {
    /// As the schema calls it.
    pub name: &'static str,
    pub fields: &'static [FieldDoc],
    pub rules: &'static [Rule],
}

/// What holds between the fields of one mapping.
pub enum Rule {
    Needs(&'static str),
    AtLeastOne(&'static [&'static str]),
    ExactlyOne(&'static [&'static str]),
    AtMostOne(&'static [&'static str]),
    /// The first is there only together with the second.
    Goes(&'static str, &'static str),
    /// It also holds exactly one of these kinds, or of all there are if none is named, with what every body may have.
    Holds(&'static [&'static str]),
}

impl FieldDoc {
    pub const fn new(name: &'static str, takes: Takes, summary: &'static str) -> FieldDoc {
        FieldDoc { name, takes, summary }
    }
}

const fn field(name: &'static str, takes: Takes, summary: &'static str) -> FieldDoc {
    FieldDoc::new(name, takes, summary)
}

pub const RUNBOOK: Mapping =
    Mapping { name: "runbook", fields: RUNBOOK_FIELDS, rules: &[Rule::Needs("title"), Rule::Needs("steps")] };
const RUNBOOK_FIELDS: &[FieldDoc] = &[
    field("title", Takes::Line, "what it does, on one line"),
    field("summary", Takes::Text, "Markdown: what it does and when to use it"),
    field("owner", Takes::Text, "who answers for it"),
    field("tags", Takes::List { of: &Takes::Scalar, least: 0 }, "words to find it by"),
    field("links", Takes::Entries { keys: Keys::Any, of: &Takes::Text, least: 0 }, "`{label: url}`"),
    field(
        "params",
        Takes::Entries { keys: Keys::Names, of: &Takes::Fields(&PARAM), least: 0 },
        "what it is given, by name",
    ),
    field(
        "secrets",
        Takes::Entries { keys: Keys::Names, of: &Takes::Fields(&SECRET), least: 0 },
        "what must not be seen, by name; read when the first step that uses it starts, and masked everywhere",
    ),
    field(
        "profiles",
        Takes::Entries { keys: Keys::Ids, of: &Takes::Fields(&PROFILE), least: 0 },
        "values of parameters that go together, by the name that `--profile` takes",
    ),
    field("requires", Takes::Fields(&REQUIRES), "what the machine must have"),
    field("lock", Takes::Template, "two live runs with the same lock never overlap; a template over parameters"),
    field("cwd", Takes::Template, "where steps run; where the operator started it if absent"),
    field(
        "files",
        Takes::List { of: &Takes::Template, least: 0 },
        "files and folders that the steps use: a run keeps a copy, which steps find below `run.files`",
    ),
    field(
        "triggers",
        Takes::List { of: &Takes::Fields(&TRIGGER), least: 0 },
        "which mails lead here; `runsheet triage` finds the runbook of a mail",
    ),
    field(
        "steps",
        Takes::List { of: &Takes::Fields(&STEP), least: 1 },
        "what is done, in this order unless `needs` says otherwise",
    ),
    field(
        "finally",
        Takes::List { of: &Takes::Fields(&STEP), least: 0 },
        "steps that run once, last, when the run closes, however it went; each is tried",
    ),
    field(
        "outputs",
        Takes::Entries { keys: Keys::Names, of: &Takes::Expression, least: 0 },
        "what a caller gets, by name: `steps[\"call-id\"].outputs.name`",
    ),
];

pub const STEP: Mapping = Mapping { name: "step", fields: STEP_FIELDS, rules: &[Rule::Needs("id"), Rule::Holds(&[])] };
const STEP_FIELDS: &[FieldDoc] = &[
    field("id", Takes::Id, "its name among its siblings"),
    field("title", Takes::Text, "its heading; the id if absent"),
    field("text", Takes::Text, "Markdown: instructions for people"),
    field(
        "needs",
        Takes::OneOrMany(&Takes::Either(&[Takes::Text, Takes::Fields(&NEED)])),
        "siblings that must be over before it; `[]` for none; the step before it if absent",
    ),
    field("when", Takes::Expression, "it is skipped unless this holds"),
    field("retry", Takes::Fields(&RETRY), "tries again after a failure; one attempt if absent"),
    field("idempotent", Takes::Boolean, "it may safely run twice; true for what only reads, else false if absent"),
    field(
        "verify",
        Takes::Fields(&PROBE),
        "a look that only reads, asked after an unknown outcome: is the effect in place?",
    ),
    field("critical", Takes::Boolean, "the operator cannot skip it"),
    field(
        "on_failure",
        Takes::OneOf(&["ask", "stop", "continue", "undo"]),
        "what follows when it fails for good; what a container around it says, or `ask`, if absent",
    ),
    field("foreach", Takes::Fields(&FOREACH), "once for each item"),
    field("undo", Takes::Fields(&PROBE), "takes the effect back"),
    field("irreversible", Takes::Boolean, "a point of no return: nothing before it is undone once it ran"),
];

pub const FOREACH: Mapping =
    Mapping { name: "foreach", fields: FOREACH_FIELDS, rules: &[Rule::Needs("as"), Rule::Needs("in")] };
const FOREACH_FIELDS: &[FieldDoc] = &[
    field("as", Takes::Name, "the name of the item inside of the step"),
    field(
        "in",
        Takes::Either(&[Takes::List { of: &Takes::Scalar, least: 0 }, Takes::Expression]),
        "the items: a list, or an expression that gives one; evaluated once, and no two alike",
    ),
    field(
        "parallel",
        Takes::Integer { least: 1, most: 1000 },
        "how many items at a time; one after the other if absent",
    ),
];

/// A list of steps.
pub const STEPS: Takes = Takes::List { of: &Takes::Fields(&STEP), least: 1 };

/// One way of a choice.
pub const CASE: Mapping = Mapping {
    name: "case",
    fields: CASE_FIELDS,
    rules: &[Rule::Needs("id"), Rule::Needs("steps"), Rule::AtMostOne(&["when", "else"])],
};
const CASE_FIELDS: &[FieldDoc] = &[
    field("id", Takes::Id, "its name, which is the answer that takes it"),
    field("title", Takes::Text, "what it means, for who chooses"),
    field("when", Takes::Expression, "it can be taken only if this holds"),
    field("else", Takes::Boolean, "it is taken where no other one is"),
    field("steps", STEPS, "what is done then"),
];

/// A value that a call hands over.
pub const HANDED: Takes = Takes::Either(&[Takes::Scalar, Takes::List { of: &Takes::Scalar, least: 0 }]);

/// What every body may have, besides its kind.
pub const BODY: &[FieldDoc] = &[
    field(
        "effect",
        Takes::OneOf(&["read", "change", "destroy"]),
        "what it does to the world; the kind's own if absent",
    ),
    field(
        "expect",
        Takes::OneOrMany(&Takes::Expression),
        "expressions over `result` that must all hold; exit 0 or a status 2xx if absent",
    ),
    field(
        "capture",
        Takes::Entries {
            keys: Keys::Names,
            of: &Takes::Either(&[Takes::Expression, Takes::Fields(&CAPTURE)]),
            least: 0,
        },
        "values for later steps: `name: expression` over `result`",
    ),
    field(
        "timeout",
        Takes::Duration,
        "limit of one attempt, such as `10m`; of a step that holds others, of all that is in it",
    ),
    field(
        "env",
        Takes::Entries { keys: Keys::Variables, of: &Takes::Template, least: 0 },
        "variables of its process, by name",
    ),
    field("cwd", Takes::Template, "where its process runs; the runbook's if absent"),
];

pub const PARAM: Mapping = Mapping { name: "param", fields: PARAM_FIELDS, rules: &[Rule::Needs("type")] };
const PARAM_FIELDS: &[FieldDoc] = &[
    field("type", Takes::OneOf(TYPES), "what kind of value it is"),
    PATTERN,
    CHOICES,
    field(
        "default",
        Takes::Either(&[Takes::Scalar, Takes::List { of: &Takes::Scalar, least: 0 }]),
        "its value where none is given; without one it is required",
    ),
    field("prompt", Takes::Text, "how it is asked for"),
    field("help", Takes::Text, "more about it, for who is asked"),
    field(
        "example",
        Takes::Either(&[Takes::Scalar, Takes::List { of: &Takes::Scalar, least: 0 }]),
        "used where a value is needed and none may be asked for, as in a plan",
    ),
    MIN,
    MAX,
    MIN_LENGTH,
    MAX_LENGTH,
    field("items", Takes::Fields(&ITEM), "what each item of a list is"),
];

/// A value that a person is asked for: a parameter, or a secret.
pub const ASKED: Mapping = Mapping { name: "asked", fields: ASKED_FIELDS, rules: &[Rule::Needs("type")] };
const ASKED_FIELDS: &[FieldDoc] = &[
    field("type", Takes::OneOf(ASKED_TYPES), "what kind of value it is; a `secret` is typed without echo"),
    PATTERN,
    CHOICES,
    field(
        "default",
        Takes::Either(&[Takes::Scalar, Takes::List { of: &Takes::Scalar, least: 0 }]),
        "what is taken where nothing is typed",
    ),
    field("prompt", Takes::Text, "how it is asked for"),
    field("help", Takes::Text, "more about it, for who is asked"),
    field(
        "example",
        Takes::Either(&[Takes::Scalar, Takes::List { of: &Takes::Scalar, least: 0 }]),
        "a value that would do",
    ),
    MIN,
    MAX,
    MIN_LENGTH,
    MAX_LENGTH,
    field("items", Takes::Fields(&ITEM), "what each item of a list is"),
];

/// An item of a parameter that is a list.
pub const ITEM: Mapping = Mapping { name: "item", fields: ITEM_FIELDS, rules: &[Rule::Needs("type")] };
const ITEM_FIELDS: &[FieldDoc] = &[
    field("type", Takes::OneOf(ITEM_TYPES), "what kind of value it is"),
    PATTERN,
    CHOICES,
    MIN,
    MAX,
    MIN_LENGTH,
    MAX_LENGTH,
];

const TYPES: &[&str] = &["string", "integer", "number", "boolean", "enum", "url", "path", "duration", "list"];
const ASKED_TYPES: &[&str] =
    &["string", "integer", "number", "boolean", "enum", "url", "path", "duration", "list", "secret"];
const ITEM_TYPES: &[&str] = &["string", "integer", "number", "boolean", "enum", "url", "path", "duration"];
const PATTERN: FieldDoc = field("pattern", Takes::Text, "a regular expression that the whole value must match");
const CHOICES: FieldDoc = field("choices", Takes::List { of: &Takes::Scalar, least: 1 }, "the values there are");
const MIN: FieldDoc = field("min", Takes::Scalar, "the least value");
const MAX: FieldDoc = field("max", Takes::Scalar, "the largest value");
const MIN_LENGTH: FieldDoc =
    field("min_length", Takes::Integer { least: 0, most: i64::MAX }, "the least number of characters, or of items");
const MAX_LENGTH: FieldDoc =
    field("max_length", Takes::Integer { least: 0, most: i64::MAX }, "the largest number of characters, or of items");

/// Where a secret may come from.
pub const SOURCES: &[&str] = &["env", "file", "command", "prompt"];

pub const SECRET: Mapping = Mapping { name: "secret", fields: SECRET_FIELDS, rules: &[Rule::ExactlyOne(SOURCES)] };
const SECRET_FIELDS: &[FieldDoc] = &[
    field("env", Takes::Template, "the variable that holds it"),
    field("file", Takes::Template, "the file that holds it"),
    field("command", Takes::List { of: &Takes::Template, least: 1 }, "the program that prints it, and its arguments"),
    field("prompt", Takes::True, "it is asked for before the first step"),
    field("allow_short", Takes::Boolean, "it may be shorter than 8 bytes, which masks too much or too little"),
    field(
        "origins",
        Takes::List { of: &Takes::Text, least: 0 },
        "where it may be sent although only a captured value names the place, such as `https://ci.example:8443`",
    ),
];

pub const PROFILE: Mapping = Mapping { name: "profile", fields: PROFILE_FIELDS, rules: &[] };
const PROFILE_FIELDS: &[FieldDoc] = &[
    field(
        "params",
        Takes::Entries {
            keys: Keys::Names,
            of: &Takes::Either(&[Takes::Scalar, Takes::List { of: &Takes::Scalar, least: 0 }]),
            least: 0,
        },
        "values of parameters",
    ),
    field("protected", Takes::Boolean, "its name must be typed before a run under it begins"),
];

pub const REQUIRES: Mapping = Mapping { name: "requires", fields: REQUIRES_FIELDS, rules: &[] };
const REQUIRES_FIELDS: &[FieldDoc] = &[
    field("tools", Takes::List { of: &Takes::Line, least: 0 }, "programs that are looked for before the first step"),
    field("env", Takes::List { of: &Takes::Line, least: 0 }, "variables that scripts are handed"),
];

pub const TRIGGER: Mapping = Mapping { name: "trigger", fields: TRIGGER_FIELDS, rules: &[Rule::Needs("email")] };
const TRIGGER_FIELDS: &[FieldDoc] = &[
    field("email", Takes::Fields(&EMAIL), "what the mail looks like"),
    field("means", Takes::Text, "Markdown: why such a mail comes, and what it means"),
    field("sent_by", Takes::Text, "Markdown: who or what sends it"),
    field("silence", Takes::Text, "Markdown: how to make it stop"),
    field("filter", Takes::Text, "Markdown: where to put such mails, and by what"),
    field("ignore", Takes::Boolean, "such a mail asks for nothing, so that no run is offered"),
    field("when", Takes::Expression, "an expression over the mail: only if this holds"),
    field(
        "params",
        Takes::Entries { keys: Keys::Names, of: &Takes::Expression, least: 0 },
        "values of parameters: `name: expression` over the mail",
    ),
];

/// Patterns over a mail.
pub const EMAIL: Mapping = Mapping { name: "email", fields: EMAIL_FIELDS, rules: &[Rule::AtLeastOne(EMAIL_PATTERNS)] };
const EMAIL_PATTERNS: &[&str] = &["to", "from", "subject"];
const EMAIL_FIELDS: &[FieldDoc] = &[
    field("to", Takes::Line, "an address it was sent to, all of it; `*` is any text"),
    field("from", Takes::Line, "the sender's address, all of it; `*` is any text"),
    field("subject", Takes::Line, "its subject, all of it; `*` is any text"),
];

pub const NEED: Mapping = Mapping { name: "need", fields: NEED_FIELDS, rules: &[Rule::Needs("step")] };
const NEED_FIELDS: &[FieldDoc] = &[
    field("step", Takes::Text, "the id of a sibling"),
    field("when", Takes::Expression, "an expression over parameters; without it the need always holds"),
];

pub const CAPTURE: Mapping = Mapping { name: "capture", fields: CAPTURE_FIELDS, rules: &[Rule::Needs("value")] };
const CAPTURE_FIELDS: &[FieldDoc] = &[
    field("value", Takes::Expression, "an expression over `result`"),
    field("secret", Takes::Boolean, "it is masked and never written down"),
];

pub const RETRY: Mapping = Mapping { name: "retry", fields: RETRY_FIELDS, rules: &[Rule::Needs("attempts")] };
const RETRY_FIELDS: &[FieldDoc] = &[
    field("attempts", Takes::Integer { least: 1, most: 1000 }, "how often it is tried, all in all"),
    field("interval", Takes::FixedDuration, "between attempts; 1s if absent"),
    field("backoff", Takes::Number { least: 1 }, "the interval grows by this factor; 1 if absent"),
    field("max_interval", Takes::FixedDuration, "the longest interval; 5m if absent"),
    field("when", Takes::Expression, "an expression over `result`; it is tried again only if this holds"),
];

/// A kind with its settings, without an id.
pub const PROBE: Mapping = Mapping { name: "probe", fields: &[], rules: &[Rule::Holds(&[])] };

/// How many of these fields there are that are not only part of the language, but supported.
const fn supported(fields: &[FieldDoc]) -> usize {
    fields.len() - later_count(fields)
}

/// How many of these fields are not supported yet.
pub(super) const fn later_count(fields: &[FieldDoc]) -> usize {
    let (mut at, mut count) = (0, 0);
    while at < fields.len() {
        if matches!(fields[at].takes, Takes::Later) {
            count += 1;
        }
        at += 1;
    }
    count
}

/// The keys of these fields; `N` is how many there are, and anything else does not compile.
pub(super) const fn keys<const N: usize>(fields: &[FieldDoc]) -> [&'static str; N] {
    assert!(N == fields.len());
    let mut keys = [""; N];
    let mut at = 0;
    while at < N {
        keys[at] = fields[at].name;
        at += 1;
    }
    keys
}

/// The keys of those that are not supported yet.
pub(super) const fn later<const N: usize>(fields: &[FieldDoc]) -> [&'static str; N] {
    assert!(N == later_count(fields));
    let mut keys = [""; N];
    let (mut at, mut next) = (0, 0);
    while at < fields.len() {
        if matches!(fields[at].takes, Takes::Later) {
            keys[next] = fields[at].name;
            next += 1;
        }
        at += 1;
    }
    keys
}

/// How many keys [`AROUND`] has.
const AROUND_COUNT: usize = supported(STEP_FIELDS) + BODY.len();

/// Keys of the step around a kind.
pub(super) const AROUND: [&str; AROUND_COUNT] = {
    let mut keys = [""; AROUND_COUNT];
    let (mut at, mut next) = (0, 0);
    while at < STEP_FIELDS.len() + BODY.len() {
        let field = if at < STEP_FIELDS.len() { &STEP_FIELDS[at] } else { &BODY[at - STEP_FIELDS.len()] };
        if !matches!(field.takes, Takes::Later) {
            keys[next] = field.name;
            next += 1;
        }
        at += 1;
    }
    keys
};

pub(super) const RUNBOOK_KEYS: [&str; RUNBOOK_FIELDS.len()] = keys(RUNBOOK_FIELDS);
pub(super) const RUNBOOK_LATER: [&str; later_count(RUNBOOK_FIELDS)] = later(RUNBOOK_FIELDS);
pub(super) const STEP_KEYS: [&str; STEP_FIELDS.len()] = keys(STEP_FIELDS);
pub(super) const BODY_KEYS: [&str; BODY.len()] = keys(BODY);
pub(super) const PARAM_KEYS: [&str; PARAM_FIELDS.len()] = keys(PARAM_FIELDS);
pub(super) const ITEM_KEYS: [&str; ITEM_FIELDS.len()] = keys(ITEM_FIELDS);
pub(super) const SECRET_KEYS: [&str; SECRET_FIELDS.len()] = keys(SECRET_FIELDS);
pub(super) const PROFILE_KEYS: [&str; PROFILE_FIELDS.len()] = keys(PROFILE_FIELDS);
pub(super) const REQUIRES_KEYS: [&str; REQUIRES_FIELDS.len()] = keys(REQUIRES_FIELDS);
pub(super) const TRIGGER_KEYS: [&str; TRIGGER_FIELDS.len()] = keys(TRIGGER_FIELDS);
pub(super) const EMAIL_KEYS: [&str; EMAIL_FIELDS.len()] = keys(EMAIL_FIELDS);
pub(super) const NEED_KEYS: [&str; NEED_FIELDS.len()] = keys(NEED_FIELDS);
/// The keys of a way of a choice.
pub const CASE_KEYS: [&str; CASE_FIELDS.len()] = keys(CASE_FIELDS);
pub(super) const FOREACH_KEYS: [&str; FOREACH_FIELDS.len()] = keys(FOREACH_FIELDS);
pub(super) const CAPTURE_KEYS: [&str; CAPTURE_FIELDS.len()] = keys(CAPTURE_FIELDS);
pub(super) const RETRY_KEYS: [&str; RETRY_FIELDS.len()] = keys(RETRY_FIELDS);

impl Takes {
    /// What it takes, in a few words.
    pub fn words(&self) -> String {
        match self {
            Takes::Later => "not supported yet".into(),
            Takes::Line => "a line of text".into(),
            Takes::Filled | Takes::Text => "text".into(),
            Takes::Template => "a template".into(),
            Takes::Url => "a URL as a template".into(),
            Takes::Expression => "an expression".into(),
            Takes::FixedDuration => "a duration".into(),
            Takes::Duration => "a duration, or a template".into(),
            Takes::Bytes => "a size".into(),
            Takes::Boolean => "true or false".into(),
            Takes::True => "true".into(),
            Takes::Integer { least, most: i64::MAX } => format!("a whole number of at least {least}"),
            Takes::Integer { least, most } => format!("a whole number from {least} to {most}"),
            Takes::Number { least } => format!("a number of at least {least}"),
            Takes::Scalar => "a text, a number or a boolean".into(),
            Takes::Anything => "anything".into(),
            Takes::OneOf(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Takes::Name => "a name".into(),
            Takes::Id => "an id".into(),
            Takes::List { of, .. } => format!("a list, each {}", of.words()),
            Takes::Tuple(items) => {
                format!("a list of {}", items.iter().map(Takes::words).collect::<Vec<_>>().join(" and "))
            }
            Takes::OneOrMany(of) => format!("{}; or a list", of.words()),
            Takes::Entries { of, .. } => format!("a mapping, each {}", of.words()),
            Takes::Fields(mapping) => format!("a mapping: {}", mapping.name),
            Takes::Either(ways) => ways.iter().map(Takes::words).collect::<Vec<_>>().join(", or "),
        }
    }
}

impl Keys {
    /// What such a key must look like, as a regular expression; none: anything.
    pub fn pattern(self) -> Option<&'static str> {
        match self {
            Keys::Any => None,
            Keys::Names => Some(NAME),
            Keys::Ids => Some(ID),
            Keys::Variables => Some("^[A-Za-z_][A-Za-z0-9_]*$"),
            Keys::Headers => Some("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"),
        }
    }

    /// Words that such a key must not be.
    pub fn reserved(self) -> &'static [&'static str] {
        if self == Keys::Names { &Names::RESERVED } else { &[] }
    }
}

/// As [`Names::is_name`].
pub const NAME: &str = "^[a-z][a-z0-9_]*$";
/// As [`Names::is_id`].
pub const ID: &str = "^[a-z][a-z0-9-]*$";

#[cfg(test)]
mod tests {
    use super::{ASKED_TYPES, ID, ITEM_TYPES, Keys, NAME, Names, TYPES};
    use crate::{event::Effect, value::Type};

    #[test]
    fn words_of_the_table_are_those_of_the_program() {
        let types: Vec<&str> = Type::ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(TYPES, types);
        let asked: Vec<&str> = types.iter().copied().chain(["secret"]).collect();
        assert_eq!(ASKED_TYPES, asked);
        let items: Vec<&str> = types.into_iter().filter(|name| *name != "list").collect();
        assert_eq!(ITEM_TYPES, items);
        let effects: Vec<&str> = Effect::ALL.iter().map(|(name, _)| *name).collect();
        let super::Takes::OneOf(words) = &super::BODY[0].takes else { panic!("`effect` is one of some words") };
        assert_eq!(*words, effects);
    }

    #[test]
    fn patterns_mean_what_the_loader_means() {
        let name = regex::Regex::new(NAME).unwrap();
        let id = regex::Regex::new(ID).unwrap();
        for word in ["a", "a1", "a_b", "a-b", "A", "1a", "_a", "-a", "", "ä", "a b", "a\n"] {
            assert_eq!(name.is_match(word), Names::is_name(word), "{word:?}");
            assert_eq!(id.is_match(word), Names::is_id(word), "{word:?}");
        }
        assert!(Keys::Names.reserved().contains(&"result"));
    }
}
