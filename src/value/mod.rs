//! Values that parameters, captures and secrets hold, and the scope that names them. Knows nothing of templates or YAML.

mod duration;
mod scope;
mod secret;
mod shape;
mod types;
#[allow(clippy::module_inception, reason = "the type `Value` is what this room is named for")]
mod value;

pub use duration::{parse_duration, show_duration};
pub use scope::{Listener, Scope, Slot};
pub use secret::Secret;
pub use shape::{Shape, Written};
pub use types::{Type, absolute_url};
pub use value::Value;
