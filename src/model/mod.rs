//! What a runbook is: inputs, steps, the graph they form, and whether it is well made. Knows no particular kind of step
//! and nothing of running one.

mod action;
mod bodies;
mod broken;
mod checks;
mod declare;
pub mod fields;
mod files;
mod graph;
mod handed;
mod hidden;
mod input;
mod inside;
mod link;
mod lower;
mod names;
mod parts;
mod profiles;
mod registry;
mod runbook;
mod shapes;
mod step;
mod triggers;

pub use action::{Action, Block, DefaultExpect, FileUse, Outline, Resolution, Setting, Shown};
pub use bodies::{
    Body, Capture, DurationSpec, Expectations, Verdict, brief, field, mentions_outcome, missed, unknown_fields,
};
pub use fields::{FieldDoc, Keys, Mapping, Rule, Takes};
pub use files::relative_path;
pub use graph::{Cycle, EdgeRule, Graph, body_references, combinations, own_references, step_references};
pub use handed::{ONE_STRING_LIMIT, fits_argument, fits_script, fits_variable};
pub use input::{Param, Profile, SecretPlace, SecretSpec};
pub use inside::{Call, CallValue, Callee, Case, Choose, ForEach, Group, Inside, Items, MOST_ITEMS, item_path};
pub use link::{Linker, Runbooks};
pub use lower::{Loaded, Lowering, Part, load, load_edited, load_from, number};
pub use names::{Declared, Names, without_items};
pub use parts::{Parts, Script, ScriptWord};
pub use registry::{Kind, Registry};
pub use runbook::{Requires, Runbook};
pub use step::{Need, OnFailure, Retry, Step, backoff};
pub use triggers::{EmailPattern, MAIL_NAMES, Trigger};
