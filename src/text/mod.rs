//! Source text, places in it, and what is said about those places. Knows nothing of YAML, runbooks or runs.

mod cut;
mod diagnostic;
mod digest;
mod draw;
mod hidden;
mod sanitise;
mod source;
mod suggest;
mod text_map;
mod wildcard;

pub use cut::{CUT, cut};
pub use diagnostic::{Diagnostic, Severity};
pub use digest::{hex, sha256_hex};
pub use draw::{DrawStyle, draw, draw_all};
pub use hidden::{Hidden, hidden};
pub use sanitise::{one_line, printable, without_escapes};
pub use source::{Position, Source, Span, Spanned};
pub use suggest::{did_you_mean, equally_near, is_slip, nearest, one_of};
pub use text_map::TextMap;
pub use wildcard::Wildcard;
