//! What is said when a run ends or pauses, and the exit code.

use super::{CliError, Context, error::code, say, sign::Signing};
use crate::{engine::RunEnd, journal::OpenRun};

/// Gives up what the run held and answers with its code.
pub async fn finish(
    context: &Context,
    open: OpenRun,
    end: &RunEnd,
    signing: Option<&Signing<'_>>,
) -> Result<u8, CliError> {
    let id = open.id.clone();
    // Of what the disk refused, or what we got wrong, nothing is vouched for.
    if let Some(signing) = signing.filter(|_| !matches!(end.code, code::JOURNAL | code::FAULT)) {
        signing.end(context, &open).await;
    }
    let dir = open.dir();
    let closed = open.close();
    match end.code {
        code::JOURNAL => {
            let reason = end.reason.clone().unwrap_or_default();
            let error = CliError::new(code::JOURNAL, reason);
            if !dir.exists() {
                return Err(error
                    .hint(format!("nothing new was started; the run's folder {} is gone", dir.display()))
                    .hint("what is above is all that is left of its record: it cannot be resumed"));
            }
            return Err(error
                .hint("nothing new was started; put the disk right, then look at what happened")
                .hint(format!("go on with: runsheet resume {id}")));
        }
        code::FAULT => {
            let reason = end.reason.clone().unwrap_or_default();
            return Err(CliError::new(code::FAULT, format!("this is a mistake of ours, not yours: {reason}"))
                .hint("please report this line")
                .hint(format!("the run can be looked at with: runsheet report {id}")));
        }
        _ => {}
    }
    if let Err(error) = closed {
        say(context, &format!("runsheet: could not {error}\n"));
    }
    Ok(end.code)
}
