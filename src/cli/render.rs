//! `render`: runbooks as documents, and whether committed documents are still what would be written.
use super::{CliError, Context, args::Render};
pub fn render(_: &Context, _: &Render) -> Result<u8, CliError> {
    Ok(0)
}
