//! What `check` says beyond mistakes: habits that go wrong at three in the morning. Looks at runbooks that are well made;
//! reads no file and starts nothing.

mod allow;
mod look;
mod never;
mod scripts;
mod shellcheck;
mod steps;
mod table;
mod unused;
mod urls;

pub use look::{Looked, look};
pub use shellcheck::{Handed, handed, heard, silent};
pub use table::{LINTS, Lint};
