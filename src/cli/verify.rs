//! `verify`: whether the record of a run is as it was written, and what that proves.

use super::{CliError, Context, args::Verify, error::code, print};

pub fn verify(context: &Context, flags: &Verify) -> Result<u8, CliError> {
    let store = context.store()?;
    let mut good = true;
    for word in &flags.runs {
        let id = store.resolve(word)?;
        let report = crate::journal::verify(&store, &id, flags.anchor.as_deref())?;
        good &= report.ok();
        let mut text = report.lines().join("\n");
        text.push('\n');
        print(context, &text)?;
    }
    Ok(if good { 0 } else { code::NOT_VERIFIED })
}
