//! The kinds of difference there are, as a table: the word of each, how much it matters, and what it means. Finds none.

/// How much a difference matters to who has to judge it; the first is looked at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    Weakens,
    Raises,
    Does,
    Limits,
    Given,
    Strengthens,
    Wording,
}

impl Weight {
    pub const ALL: [Weight; 7] = [
        Weight::Weakens,
        Weight::Raises,
        Weight::Does,
        Weight::Limits,
        Weight::Given,
        Weight::Strengthens,
        Weight::Wording,
    ];

    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Weight::Weakens => "weakens",
            Weight::Raises => "raises",
            Weight::Does => "does",
            Weight::Limits => "limits",
            Weight::Given => "given",
            Weight::Strengthens => "strengthens",
            Weight::Wording => "wording",
        }
    }

    /// What stands above differences of this weight.
    pub fn heading(self) -> &'static str {
        match self {
            Weight::Weakens => "guards removed or changed",
            Weight::Raises => "effects raised",
            Weight::Does => "what is done",
            Weight::Limits => "limits of time, attempts and failure",
            Weight::Given => "what it is given",
            Weight::Strengthens => "guards added",
            Weight::Wording => "wording only",
        }
    }
}

macro_rules! whats {
    ($($name:ident, $word:literal, $weight:ident, $means:literal;)*) => {
        /// One kind of difference.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum What {
            $($name,)*
        }

        impl What {
            /// In the order in which they matter.
            pub const ALL: &[What] = &[$(What::$name,)*];

            /// Its word, as `--fail-on` takes it and JSON says it.
            pub fn word(self) -> &'static str {
                match self {
                    $(What::$name => $word,)*
                }
            }

            pub fn weight(self) -> Weight {
                match self {
                    $(What::$name => Weight::$weight,)*
                }
            }

            /// A fragment of Markdown for the reference.
            pub fn means(self) -> &'static str {
                match self {
                    $(What::$name => $means,)*
                }
            }
        }
    };
}

whats! {
    GuardRemoved, "guard-removed", Weakens,
        "a guard is gone: a confirm or a check, its `type_back` or window, an `expect`, `when`, `fail_when`, `alarm_when`, `verify`, `undo`, `irreversible`, `critical`, a required tool, the `lock`, `protected` of a profile, a limit of a parameter; or a step no longer waits for a confirm";
    GuardChanged, "guard-changed", Weakens,
        "a guard is another one, or may be skipped now";
    EffectLowered, "effect-lowered", Weakens,
        "a step claims a weaker effect: nobody is asked before it any more";
    SecretChanged, "secret-changed", Weakens,
        "a secret comes from elsewhere, may go elsewhere, or may be short";
    DestroyAdded, "destroy-added", Raises,
        "a step that destroys something was added, or a step destroys now";
    EffectRaised, "effect-raised", Raises,
        "a step has a stronger effect";
    StepAdded, "step-added", Does, "a step was added";
    StepRemoved, "step-removed", Does, "a step is gone";
    StepMoved, "step-moved", Does, "a step runs earlier or later, or waits for others";
    StepRenamed, "step-renamed", Does, "a step that does the same has another id";
    CommandChanged, "command-changed", Does, "a script or program, its variables or its folder";
    RequestChanged, "request-changed", Does, "a request: address, method, headers, body, credentials";
    ActionChanged, "action-changed", Does, "a step is of another kind, or does something else otherwise: `set`, `foreach`, `choose`, `manual`";
    CallChanged, "call-changed", Does, "another runbook is called, or it is given other values";
    FileChanged, "file-changed", Does, "a file that the run takes along has other contents, or is another one";
    CaptureChanged, "capture-changed", Does, "a value that a step gives to others, or an output";
    TimeoutChanged, "timeout-changed", Limits, "a limit of time, or how long is waited";
    RetryChanged, "retry-changed", Limits, "how often and how soon something is tried again, or whether it may run twice";
    FailureChanged, "failure-changed", Limits, "what follows from a failure";
    LimitChanged, "limit-changed", Limits, "how much runs side by side, how much output is kept";
    ParamAdded, "param-added", Given, "a parameter was added";
    ParamRemoved, "param-removed", Given, "a parameter is gone";
    ParamChanged, "param-changed", Given, "a parameter takes other values";
    DefaultChanged, "default-changed", Given, "a parameter has another default, or none, or one now";
    ProfileChanged, "profile-changed", Given, "a profile was added, is gone, or gives other values";
    SecretAdded, "secret-added", Given, "a secret was added";
    SecretRemoved, "secret-removed", Given, "a secret is gone";
    RunbookAdded, "runbook-added", Given, "a runbook was added";
    RunbookRemoved, "runbook-removed", Given, "a runbook is gone";
    RunbookRenamed, "runbook-renamed", Given, "a runbook has another name";
    GuardAdded, "guard-added", Strengthens, "a guard was added";
    WordingChanged, "wording-changed", Wording, "a title, a text, a question: what people read";
}

impl What {
    pub fn of(word: &str) -> Option<What> {
        What::ALL.iter().copied().find(|what| what.word() == word)
    }
}
