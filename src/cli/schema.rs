//! `schema`: the language as JSON Schema, for editors. Knows nothing of what is in it.

use std::path::Path;

use super::{
    CliError, Context,
    args::{Schema, SchemaKind},
    error::code,
    place, print,
};

pub fn schema(context: &Context, flags: &Schema) -> Result<u8, CliError> {
    let text = match flags.kind {
        SchemaKind::Runbook => runbook(),
        SchemaKind::Scenarios => scenarios(),
    };
    match &flags.out {
        None => print(context, &text)?,
        Some(path) => {
            write(path, &text)?;
            if !context.global.quiet {
                print(context, &format!("{} is written\n", path.display()))?;
            }
        }
    }
    Ok(0)
}

/// The schema of a runbook, as a file.
pub fn runbook() -> String {
    format!("{:#}\n", crate::render::schema(crate::kinds::registry()))
}

/// The schema of a file of scenarios, as a file.
pub fn scenarios() -> String {
    let about = "Scenarios of a runbook of Runsheet: a simulated world, answers, and what must come out.";
    let root = &crate::scenarios::fields::FILE;
    format!("{:#}\n", crate::render::schema_of(root, "Scenarios", about, crate::kinds::registry()))
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let failed =
        |why: std::io::Error| CliError::new(code::FAILED, format!("could not write {}: {why}", path.display()));
    // An editor may be reading it: it is there whole, or as it was.
    place::replace(path, text.as_bytes()).map_err(failed)
}
