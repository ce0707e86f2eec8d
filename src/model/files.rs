//! What a runbook takes along: relative paths, written or made of parameters. Looks at no file.

use super::{Lowering, Names, Runbook, step_references};
use crate::{
    syntax::{Given, Problems, Template},
    text::Diagnostic,
};

impl Lowering {
    pub(super) fn files(&self, given: &Given<'_>) -> Vec<Template> {
        let mut files = Vec::new();
        for item in given.clone().like("[migrate.sql, scripts/]").list().unwrap_or_default() {
            let Some(template) = self.template(&item) else { continue };
            if template.is_literal() {
                let path = template.source().trim_end_matches('\n');
                if path.contains(['*', '?']) {
                    let message = format!("`{path}` is a pattern, and `files` are paths");
                    item.problems().push(
                        Diagnostic::error("wrong-value", item.span(), message)
                            .hint("name the folder, which is taken whole, or each file"),
                    );
                    continue;
                }
                if let Err(why) = relative_path(path) {
                    let message = format!("`{path}` {why}");
                    item.problems().push(Diagnostic::error("wrong-value", item.span(), message).label("not this"));
                    continue;
                }
            }
            files.push(template);
        }
        files
    }
}

/// Where nothing is taken along, there is no folder of it.
pub(super) fn check(runbook: &Runbook, names: &Names, problems: &Problems) {
    if !runbook.files.is_empty() {
        return;
    }
    for reference in runbook.all_steps().flat_map(|step| step_references(step, names)) {
        if reference.name == "run" && reference.path.first().is_some_and(|field| field == "files") {
            let message = "this runbook has no `files`, so there is no `run.files`";
            problems.push(
                Diagnostic::error("no-files", reference.field_span(), message)
                    .hint("say what a run takes along, above `steps`: files: [migrate.sql]"),
            );
        }
    }
}

/// A path below a folder, without `.` and doubled slashes; else what is wrong with it.
pub fn relative_path(written: &str) -> Result<String, &'static str> {
    if written.contains('\0') {
        return Err("holds a NUL character");
    }
    if written.starts_with('/') {
        return Err("is absolute, and other machines have other files there; it must be relative");
    }
    let mut parts = Vec::new();
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err("leads out of its folder; put the file below that of the runbook"),
            part => parts.push(part),
        }
    }
    if parts.is_empty() { Err("names no file") } else { Ok(parts.join("/")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_and_plain() {
        for (written, path) in [
            ("a.sql", Ok("a.sql")),
            ("./sql//a.sql", Ok("sql/a.sql")),
            ("sql/", Ok("sql")),
            (".hidden/..x", Ok(".hidden/..x")),
            ("../a", Err("leads out")),
            ("a/../../b", Err("leads out")),
            ("/etc/passwd", Err("is absolute")),
            ("", Err("names no file")),
            ("./", Err("names no file")),
            ("a\0", Err("holds a NUL")),
        ] {
            match (relative_path(written), path) {
                (Ok(found), Ok(path)) => assert_eq!(found, path),
                (Err(why), Err(begins)) => assert!(why.starts_with(begins), "{written}: {why}"),
                (found, _) => panic!("{written}: {found:?}"),
            }
        }
    }
}
