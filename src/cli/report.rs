//! `report`: one run as a document.

use super::{
    CliError, Context,
    args::{Report, ReportFormat},
    print, say, source,
};
use crate::journal::later_version;

pub fn report(context: &Context, flags: &Report) -> Result<u8, CliError> {
    let store = context.store()?;
    let id = store.resolve(&flags.run)?;
    let run = store.read(&id)?;
    if let Some(later) = run.state.header.as_ref().and_then(later_version) {
        say(context, &format!("runsheet: {later}; what only that version knows is passed over\n"));
    }
    let text = match flags.format {
        ReportFormat::Json => {
            let records: Vec<serde_json::Value> =
                run.records.iter().filter_map(|record| serde_json::to_value(record).ok()).collect();
            format!("{}\n", serde_json::json!({"run": id.as_str(), "head": run.head, "records": records}))
        }
        ReportFormat::Md => {
            // Titles come from the bytes the run began with; a report is made without them as well.
            let loaded = store.frozen(&id).ok().and_then(|frozen| {
                let header = run.state.header.as_ref()?;
                source::read_frozen(&header.runbook, &frozen)?.runbook
            });
            crate::render::report(&run.records, &run.state, loaded.as_ref())
        }
    };
    print(context, &text)?;
    Ok(0)
}
