//! The files that steps name: what they hold when a run begins, and which of them are others when it goes on. Never a
//! secret's file, and nothing that the run itself writes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Read,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    engine::secret_sources,
    event::{NotedFile, Redactor, RunState, StepId, StepStatus},
    model::FileUse,
    plan::Plan,
    port::SecretSource,
    text::hex,
};

/// Of a larger file only the length is noted.
const HASHED: u64 = 64 << 20;
/// And of those that come when so much has been looked into: nobody waits for a start for minutes.
const ALTOGETHER: u64 = 256 << 20;
/// More files than this are not noted: whoever names so many has a tree of them, and a tool for it.
const FILES: usize = 256;

/// A file that is not as it was noted.
pub struct Changed {
    pub path: String,
    pub before: NotedFile,
    /// None: it is gone, or no file any more.
    pub now: Option<NotedFile>,
}

/// Every file that a step names and that is there, by its path below `cwd`.
pub fn noted(plan: &Plan, cwd: &Path, redactor: &Redactor) -> BTreeMap<String, NotedFile> {
    let mut noted = BTreeMap::new();
    let mut left = ALTOGETHER;
    for (path, steps) in named(plan, cwd) {
        if noted.len() == FILES {
            break;
        }
        let shown = path.strip_prefix(cwd).unwrap_or(&path).to_string_lossy().into_owned();
        // A name is on record as it is; one that holds a secret must not be.
        if redactor.holds(&shown) {
            continue;
        }
        if let Some(file) = look(&path, steps, HASHED.min(left)) {
            if file.sha256.is_some() {
                left -= file.bytes.min(left);
            }
            noted.insert(shown, file);
        }
    }
    noted
}

/// The files that each step names and that are there, for a plan: they are looked for and not opened.
pub fn by_step(plan: &Plan, cwd: &Path) -> HashMap<StepId, Vec<String>> {
    let mut found: HashMap<StepId, Vec<String>> = HashMap::new();
    for (path, steps) in named(plan, cwd) {
        let shown = path.strip_prefix(cwd).unwrap_or(&path).to_string_lossy().into_owned();
        for step in steps {
            found.entry(step).or_default().push(shown.clone());
        }
    }
    found
}

/// What is on record of the files of steps that are not over, and is not so any more.
pub fn changed(plan: &Plan, cwd: &Path, state: &RunState) -> Vec<Changed> {
    let left = |id: &StepId| {
        let over = state.steps.get(id).and_then(|step| step.status());
        plan.runbook.all_steps().any(|step| step.path == *id)
            && over.is_none_or(|over| matches!(over, StepStatus::Failed | StepStatus::Unknown | StepStatus::NotRun))
    };
    let mut found = Vec::new();
    for (path, before) in &state.files {
        let steps: Vec<StepId> = before.steps.iter().filter(|step| left(step)).cloned().collect();
        if steps.is_empty() {
            continue;
        }
        let limit = if before.sha256.is_some() { HASHED } else { 0 };
        let now = look(&cwd.join(path), before.steps.clone(), limit);
        let same = now.as_ref().is_some_and(|now| (&now.sha256, now.bytes) == (&before.sha256, before.bytes));
        if !same {
            found.push(Changed { path: path.clone(), before: NotedFile { steps, ..before.clone() }, now });
        }
    }
    found
}

/// Paths of files that are there, in the order of the steps that name them.
fn named(plan: &Plan, cwd: &Path) -> Vec<(PathBuf, Vec<StepId>)> {
    let scope = plan.scope();
    let mut reads: indexmap::IndexMap<PathBuf, Vec<StepId>> = indexmap::IndexMap::new();
    let mut writes: BTreeSet<PathBuf> = BTreeSet::new();
    for step in plan.runbook.all_steps() {
        let sees = step.sees(&scope);
        for body in [Some(&step.body), step.verify.as_ref()].into_iter().flatten() {
            for file in body.files(&sees) {
                let path = plain(&cwd.join(file.path()));
                match file {
                    FileUse::Writes(_) => drop(writes.insert(path)),
                    FileUse::Reads(_) | FileUse::MayRead(_) => {
                        let steps = reads.entry(path).or_default();
                        if !steps.contains(&step.path) {
                            steps.push(step.path.clone());
                        }
                    }
                }
            }
        }
    }
    let secrets: Vec<PathBuf> = secret_sources(plan)
        .into_iter()
        .filter_map(|(_, source)| match source {
            Ok(Some(SecretSource::File(path))) => cwd.join(path).canonicalize().ok(),
            _ => None,
        })
        .collect();
    reads.retain(|path, _| {
        // What the run writes itself is its own, and would be another file at every resume.
        !writes.contains(path)
            && path.metadata().is_ok_and(|about| about.is_file())
            && path.canonicalize().is_ok_and(|path| !secrets.contains(&path))
    });
    reads.into_iter().collect()
}

/// Without `.`; `..` stays, since what it leads to depends on links.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// What a file holds; of one of more bytes than `limit` only how many.
fn look(path: &Path, steps: Vec<StepId>, limit: u64) -> Option<NotedFile> {
    // A pipe that was put in its place meanwhile must not hold us up.
    let file = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    let about = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    if about.len() > limit {
        return Some(NotedFile { sha256: None, bytes: about.len(), steps });
    }
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut file = file.take(limit);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                bytes += count as u64;
                hash.update(&chunk[..count]);
            }
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(NotedFile { sha256: Some(hex(&hash.finalize())), bytes, steps })
}
