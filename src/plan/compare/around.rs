//! What a runbook says besides its steps: parameters, secrets, profiles, requirements, the lock, words for people.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::{
    Change, Version, What,
    facts::{self, Facts, shown},
    steps::{another_folder, prose},
};
use crate::{
    model::{Param, Profile, Registry, Runbook, SecretSpec, fields},
    syntax::{Node, yaml},
    value::Value,
};

pub fn changes(old: Version<'_>, new: Version<'_>, registry: Registry, changes: &mut Vec<Change>) {
    let (was, is) = (old.runbook, new.runbook);
    params(was, is, registry, changes);
    profiles(was, is, changes);
    secrets(was, is, changes);
    requirements(was, is, changes);
    outputs(was, is, changes);
    words(was, is, changes);
}

fn put(changes: &mut Vec<Change>, what: What, part: &str, says: String, before: Option<String>, after: Option<String>) {
    changes.push(Change::new(what, None, part, says).values(before, after));
}

fn params(was: &Runbook, is: &Runbook, registry: Registry, changes: &mut Vec<Change>) {
    let (old_facts, new_facts) = (declared(was, registry), declared(is, registry));
    for (name, param) in &is.params {
        let part = format!("params.{name}");
        let Some(before) = was.params.get(name) else {
            let says = match &param.default {
                Some(_) => format!("adds the parameter {name}, by default"),
                None => format!("adds the parameter {name}, which must be given"),
            };
            put(changes, What::ParamAdded, &part, says, None, default(param));
            continue;
        };
        let nothing = Facts::new();
        let (old, new) = (old_facts.get(name).unwrap_or(&nothing), new_facts.get(name).unwrap_or(&nothing));
        let mut keys: Vec<&String> = new.keys().collect();
        keys.extend(old.keys().filter(|key| !new.contains_key(*key)));
        for key in keys {
            let (before, after) = (old.get(key), new.get(key));
            if before == after {
                continue;
            }
            let text = |value: Option<&Json>| value.map(shown);
            let part = format!("{part}.{key}");
            let (before, after) = (text(before), text(after));
            match key.as_str() {
                "default" => {}
                "prompt" | "help" | "example" => {
                    let (before, after) = (before.map(|text| prose(&text)), after.map(|text| prose(&text)));
                    if before != after {
                        let says = format!("{key} of the parameter {name}");
                        changes.push(Change::new(What::WordingChanged, None, &part, says).lines(before, after));
                    }
                }
                "type" | "choices" | "items.type" => {
                    put(changes, What::ParamChanged, &part, format!("parameter {name}: {key}"), before, after);
                }
                _ => {
                    let (what, says) = match (&before, &after) {
                        (Some(_), None) => (What::GuardRemoved, format!("parameter {name}: no longer has {key}")),
                        (None, _) => (What::GuardAdded, format!("parameter {name}: has {key}")),
                        _ => (What::GuardChanged, format!("parameter {name}: {key}")),
                    };
                    let short = key != "pattern";
                    let change = Change::new(what, None, &part, says);
                    changes.push(if short { change.values(before, after) } else { change.lines(before, after) });
                }
            }
        }
        if default(before) != default(param) {
            let says = match (&before.default, &param.default) {
                (None, _) => format!("parameter {name}: has a default now:"),
                (_, None) => format!("parameter {name}: must be given now; its default was"),
                _ => format!("parameter {name}: default"),
            };
            put(changes, What::DefaultChanged, &format!("{part}.default"), says, default(before), default(param));
        }
    }
    for name in was.params.keys().filter(|name| !is.params.contains_key(*name)) {
        let says = format!("removes the parameter {name}");
        put(changes, What::ParamRemoved, &format!("params.{name}"), says, None, None);
    }
}

/// By parameter: what the file says of it.
fn declared(runbook: &Runbook, registry: Registry) -> IndexMap<String, Facts> {
    let Ok(root) = yaml::parse(&runbook.source) else { return IndexMap::new() };
    let of = |name: &String| -> Option<(String, Facts)> {
        let node: &Node = facts::at(facts::at(&root, "params")?, name)?;
        Some((name.clone(), facts::of_fields(fields::PARAM.fields, node, registry)))
    };
    runbook.params.keys().filter_map(of).collect()
}

fn default(param: &Param) -> Option<String> {
    param.default.as_ref().map(|value| param.written(value))
}

fn profiles(was: &Runbook, is: &Runbook, changes: &mut Vec<Change>) {
    for (name, profile) in &is.profiles {
        let part = format!("profiles.{name}");
        let Some(before) = was.profiles.get(name) else {
            put(changes, What::ProfileChanged, &part, format!("adds the profile {name}"), None, None);
            continue;
        };
        match (before.protected, profile.protected) {
            (true, false) => {
                let says = format!("the profile {name} is protected no longer: nobody types its name");
                put(changes, What::GuardRemoved, &format!("{part}.protected"), says, None, None);
            }
            (false, true) => {
                let says = format!("the profile {name} is protected now");
                put(changes, What::GuardAdded, &format!("{part}.protected"), says, None, None);
            }
            _ => {}
        }
        let text = |profile: &Profile, param: &str| profile.params.get(param).map(Value::to_string);
        let mut params: Vec<&String> = profile.params.keys().collect();
        params.extend(before.params.keys().filter(|param| !profile.params.contains_key(*param)));
        for param in params {
            let (old, new) = (text(before, param), text(profile, param));
            if old != new {
                let says = match (&old, &new) {
                    (None, _) => format!("profile {name}: sets {param}"),
                    (_, None) => format!("profile {name}: no longer sets {param}"),
                    _ => format!("profile {name}: {param}"),
                };
                put(changes, What::ProfileChanged, &format!("{part}.params.{param}"), says, old, new);
            }
        }
    }
    for (name, before) in was.profiles.iter().filter(|(name, _)| !is.profiles.contains_key(*name)) {
        let protected = if before.protected { "protected " } else { "" };
        let says = format!("removes the {protected}profile {name}");
        put(changes, What::ProfileChanged, &format!("profiles.{name}"), says, None, None);
    }
}

fn secrets(was: &Runbook, is: &Runbook, changes: &mut Vec<Change>) {
    for (name, secret) in &is.secrets {
        let part = format!("secrets.{name}");
        let Some(before) = was.secrets.get(name) else {
            let says = format!("adds the secret {name}, from");
            put(changes, What::SecretAdded, &part, says, None, Some(secret.describe()));
            continue;
        };
        if before.describe() != secret.describe() {
            let says = format!("secret {name} comes from:");
            put(changes, What::SecretChanged, &part, says, Some(before.describe()), Some(secret.describe()));
        }
        if !before.allow_short && secret.allow_short {
            let says = format!("secret {name} may be short: masking may miss it, or hide too much");
            put(changes, What::SecretChanged, &format!("{part}.allow_short"), says, None, None);
        }
        let origins = |secret: &SecretSpec| {
            let mut origins = secret.origins.clone();
            origins.sort_unstable();
            (!origins.is_empty()).then(|| origins.join(", "))
        };
        if origins(before) != origins(secret) {
            let narrower = secret.origins.iter().all(|origin| before.origins.contains(origin));
            let what = if narrower { What::GuardAdded } else { What::SecretChanged };
            let says = format!("secret {name} may go to:");
            put(changes, what, &format!("{part}.origins"), says, origins(before), origins(secret));
        }
    }
    for name in was.secrets.keys().filter(|name| !is.secrets.contains_key(*name)) {
        put(changes, What::SecretRemoved, &format!("secrets.{name}"), format!("removes the secret {name}"), None, None);
    }
}

fn requirements(was: &Runbook, is: &Runbook, changes: &mut Vec<Change>) {
    let names = |list: &[crate::text::Spanned<String>]| list.iter().map(|name| name.value.clone()).collect::<Vec<_>>();
    for (key, old, new) in [
        ("tools", names(&was.requires.tools), names(&is.requires.tools)),
        ("env", names(&was.requires.env), names(&is.requires.env)),
    ] {
        let part = format!("requires.{key}");
        for gone in old.iter().filter(|name| !new.contains(name)) {
            let (what, says) = match key {
                "tools" => (What::GuardRemoved, format!("no longer looks for the tool {gone} before the first step")),
                _ => (What::CommandChanged, format!("scripts are no longer given the variable {gone}")),
            };
            put(changes, what, &part, says, None, None);
        }
        for came in new.iter().filter(|name| !old.contains(name)) {
            let (what, says) = match key {
                "tools" => (What::GuardAdded, format!("requires the tool {came}")),
                _ => (What::CommandChanged, format!("scripts are given the variable {came} of the operator")),
            };
            put(changes, what, &part, says, None, None);
        }
    }
    let source =
        |template: &Option<crate::syntax::Template>| template.as_ref().map(|one| one.source().trim().to_owned());
    let (old, new) = (source(&was.lock), source(&is.lock));
    if old != new {
        let (what, says) = match (&old, &new) {
            (Some(_), None) => (What::GuardRemoved, "no longer takes the lock"),
            (None, _) => (What::GuardAdded, "takes the lock"),
            _ => (What::GuardChanged, "takes another lock:"),
        };
        put(changes, what, "lock", says.to_owned(), old, new);
    }
    let (old, new) = (source(&was.cwd), source(&is.cwd));
    if old != new {
        let says = another_folder(old.is_some(), new.is_some());
        put(changes, What::CommandChanged, "cwd", says.into(), old, new);
    }
    let files = |runbook: &Runbook| runbook.files.iter().map(|file| file.source().to_owned()).collect::<Vec<_>>();
    let (old, new) = (files(was), files(is));
    for gone in old.iter().filter(|file| !new.contains(file)) {
        put(changes, What::FileChanged, "files", "no longer takes along the file".into(), Some(gone.clone()), None);
    }
    for came in new.iter().filter(|file| !old.contains(file)) {
        put(changes, What::FileChanged, "files", "takes along the file".into(), None, Some(came.clone()));
    }
}

fn outputs(was: &Runbook, is: &Runbook, changes: &mut Vec<Change>) {
    let text = |runbook: &Runbook, name: &str| runbook.outputs.get(name).map(|output| output.on_one_line());
    let mut names: Vec<&String> = is.outputs.keys().collect();
    names.extend(was.outputs.keys().filter(|name| !is.outputs.contains_key(*name)));
    for name in names {
        let (old, new) = (text(was, name), text(is, name));
        if old != new {
            let says = match (&old, &new) {
                (None, _) => format!("callers also get {name} ="),
                (_, None) => format!("callers no longer get {name} ="),
                _ => format!("callers get another {name}:"),
            };
            put(changes, What::CaptureChanged, &format!("outputs.{name}"), says, old, new);
        }
    }
}

fn words(was: &Runbook, is: &Runbook, changes: &mut Vec<Change>) {
    let links = |runbook: &Runbook| {
        let links: Vec<String> = runbook.links.iter().map(|(label, url)| format!("{label}: {url}")).collect();
        (!links.is_empty()).then(|| links.join("\n"))
    };
    let tags = |runbook: &Runbook| (!runbook.tags.is_empty()).then(|| runbook.tags.join(", "));
    for (part, old, new) in [
        ("title", Some(was.title.value.clone()), Some(is.title.value.clone())),
        ("summary", was.summary.clone(), is.summary.clone()),
        ("owner", was.owner.clone(), is.owner.clone()),
        ("tags", tags(was), tags(is)),
        ("links", links(was), links(is)),
    ] {
        let (old, new) = (old.map(|text| prose(&text)), new.map(|text| prose(&text)));
        if old != new {
            let says = format!("{part} of the runbook changed");
            changes.push(Change::new(What::WordingChanged, None, part, says).lines(old, new));
        }
    }
}
