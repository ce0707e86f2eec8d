//! `triage`: from a mail to the runbook it calls for. Keeps the mail for rules about later ones, and changes nothing else,
//! unless a person says yes to the run it offers.

mod history;

use std::{
    fs::File,
    io::{IsTerminal, Read},
    num::NonZeroU16,
    path::{Path, PathBuf},
    rc::Rc,
};

use serde_json::{Value, json};

use self::history::History;
use super::{
    CliError, Context,
    args::{Inputs, Run, Triage},
    error::code,
    list::is_within,
    print, run, say, source,
};
use crate::{
    model::Runbook,
    operators::ask_yes,
    text::{draw_all, one_line, without_escapes},
    triage::{Found, Mail, Match, Others, find, mails, sieve},
    value::show_duration,
};

pub fn triage(context: &Context, flags: &Triage) -> Result<u8, CliError> {
    let runbooks = runbooks(context, flags.group.as_deref());
    if runbooks.iter().all(|runbook| runbook.triggers.is_empty()) {
        let whose =
            flags.group.as_deref().map_or("of the library".into(), |group| format!("below {}", one_line(group)));
        let error = CliError::new(code::NO_MATCH, format!("no runbook {whose} has `triggers`"));
        return Err(error.hint("add some to a runbook: triggers: [{email: {subject: \"Alert *\"}, means: …}]"));
    }
    if flags.export.is_some() {
        if flags.folder.is_empty() || flags.folder.contains(char::is_control) {
            return Err(CliError::usage("--folder must be the name of a folder, on one line"));
        }
        print(context, &sieve(&runbooks, &flags.folder))?;
        return Ok(0);
    }
    let given = given(flags)?;
    let mut others: Vec<Mail> =
        flags.mailbox.as_deref().map(|path| mailbox(context, path)).transpose()?.unwrap_or_default();
    others.extend(given.iter().cloned());
    let history = if flags.no_history { None } else { history(context) };
    others.extend(history.iter().flat_map(|history| history.read(context)));
    // What is only described may be described twice, to look; it is no second mail.
    if let Some(history) = history.filter(|_| flags.mail.is_some())
        && let Err(why) = history.note(&given, jiff::Timestamp::now())
    {
        say(context, &format!("runsheet: could not {why}\n"));
    }
    let others = Others::new(&runbooks, &others);
    let mut unmatched = 0;
    for (number, mail) in given.iter().enumerate() {
        let found = find(&runbooks, mail, &others);
        for (runbook, problem) in &found.problems {
            say(context, &format!("in a trigger of {}, which does not match for this:\n", runbook.name));
            say(context, &draw_all(&runbook.source, std::slice::from_ref(problem), context.style()));
        }
        if found.is_limited {
            say(context, "runsheet: there are more mails of these kinds around it than rules look at\n");
        }
        unmatched += usize::from(found.matches.is_empty());
        let text = if flags.json {
            format!("{}\n", as_json(mail, &found))
        } else {
            format!("{}{}", if number == 0 { "" } else { "\n" }, as_text(mail, &found))
        };
        print(context, &text)?;
        if given.len() == 1
            && let Some(first) = found.matches.first().filter(|first| !first.trigger.ignore)
            && let Some(code) = offer(context, flags, first)?
        {
            return Ok(code);
        }
    }
    Ok(if unmatched == 0 { code::SUCCEEDED } else { code::NO_MATCH })
}

/// Where the mails are that were triaged before; without a state folder, nowhere.
fn history(context: &Context) -> Option<History> {
    match context.store() {
        Ok(store) => Some(History::new(store.state_dir())),
        Err(error) => {
            say(
                context,
                &format!(
                    "runsheet: mails are not remembered for rules about later ones: could not {}\n",
                    error.message
                ),
            );
            None
        }
    }
}

/// Every runbook of the library that is well made; of others it is said.
fn runbooks(context: &Context, group: Option<&str>) -> Vec<Rc<Runbook>> {
    let library = context.library();
    let mut runbooks = Vec::new();
    for name in library.names().into_iter().filter(|name| group.is_none_or(|group| is_within(name, group))) {
        match library.find(&name).map(|found| source::read(&library, &found).runbook) {
            Ok(Some(runbook)) => runbooks.push(Rc::new(runbook)),
            Ok(None) => say(
                context,
                &format!("runsheet: {name} is not well made and was passed over; `runsheet check {name}` says why\n"),
            ),
            Err(error) => say(context, &format!("runsheet: {name} was passed over: could not {error}\n")),
        }
    }
    runbooks
}

/// The mails that are asked about.
fn given(flags: &Triage) -> Result<Vec<Mail>, CliError> {
    let Some(path) = &flags.mail else {
        let mail = Mail {
            subject: flags.subject.clone().unwrap_or_default(),
            from: flags.from.clone().unwrap_or_default(),
            to: flags.to.clone(),
            body: String::new(),
            date: Some(jiff::Timestamp::now()),
            id: None,
            is_cut: false,
        };
        return match flags.subject.is_some() || flags.from.is_some() || !flags.to.is_empty() {
            true => Ok(vec![mail]),
            false => Err(CliError::usage("there is no mail")
                .hint("give a file, `-` for standard input, or --subject, --from or --to")),
        };
    };
    let (name, read) = if path.as_os_str() == "-" {
        ("standard input".to_owned(), mails(std::io::stdin().lock()))
    } else {
        (path.display().to_string(), open(path).and_then(mails))
    };
    let read = read.map_err(|why| CliError::usage(format!("could not read {}: {why}", one_line(&name))))?;
    let count = read.len();
    let mails: Vec<Mail> = read.into_iter().flatten().collect();
    if mails.len() < count || mails.is_empty() {
        let what =
            if count > 1 { format!("{} of its {count} parts are", count - mails.len()) } else { "it is".to_owned() };
        let error = CliError::usage(format!("{}: {what} no mail: no From, To or Subject", one_line(&name)));
        return Err(error.hint("give the raw mail with its headers (`.eml`), or an mbox"));
    }
    Ok(mails)
}

/// A file of mails; a pipe or a device would be waited for without end.
fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(std::io::Error::other("it is a folder; --mailbox takes one"));
    }
    Ok(Box::new(file))
}

/// What is in a mailbox: an mbox, or a folder of mails, as Maildir is one. What is no mail is passed over.
fn mailbox(context: &Context, path: &Path) -> Result<Vec<Mail>, CliError> {
    let failed = |path: &Path, why: &dyn std::fmt::Display| {
        CliError::usage(format!("could not read --mailbox {}: {why}", one_line(&path.display().to_string())))
    };
    let meta = std::fs::metadata(path).map_err(|why| failed(path, &why))?;
    let files: Vec<PathBuf> = if meta.is_dir() { newest(path) } else { vec![path.to_owned()] };
    let mut all = Vec::new();
    for file in files {
        match std::fs::File::open(&file).and_then(mails) {
            Ok(mails) => all.extend(mails.into_iter().flatten()),
            Err(why) if file == path => return Err(failed(path, &why)),
            Err(why) => {
                say(context, &format!("runsheet: {} was passed over: {why}\n", one_line(&file.display().to_string())))
            }
        }
    }
    Ok(all)
}

/// Files of a mailbox that are read: the newest. A rule looks at no more than some hundred mails.
const FILES: usize = 2000;

fn newest(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            // Links are not followed, so that this ends; pipes and devices are no mails.
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) if meta.is_file() => found.push((meta.modified().ok(), entry.path())),
                _ => {}
            }
        }
    }
    found.sort_by(|one, two| two.cmp(one));
    found.into_iter().take(FILES).map(|(_, path)| path).collect()
}

/// The command that runs it with what the mail gives.
fn command(found: &Match<'_>) -> String {
    let mut command = format!("runsheet run {}", quoted(&found.runbook.name));
    for (name, value) in &found.params {
        if let Ok(value) = value {
            command.push_str(&format!(" --param {}", quoted(&format!("{name}={value}"))));
        }
    }
    command
}

/// A word as a shell needs it quoted.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c));
    if plain {
        return text.to_owned();
    }
    if !text.contains(char::is_control) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    // As bash, zsh and fish 4 read it: what cannot be seen is spelt.
    let mut word = String::from("$'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => word.extend(['\\', c]),
            '\n' => word.push_str("\\n"),
            '\t' => word.push_str("\\t"),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                word.extend(c.encode_utf8(&mut bytes).bytes().map(|byte| format!("\\x{byte:02x}")));
            }
            c => word.push(c),
        }
    }
    word.push('\'');
    word
}

/// What a mail is known by.
fn known_by(found: &Match<'_>) -> String {
    let fields = found.trigger.email.fields().map(|(field, pattern)| format!("{field} {}", pattern.as_str()));
    one_line(&fields.collect::<Vec<_>>().join(", ")).into_owned()
}

fn as_text(mail: &Mail, found: &Found<'_>) -> String {
    let of = found.matches.first().map_or("", |first| first.to);
    let to = match (mail.to.iter().find(|to| *to == of).or(mail.to.first()), mail.to.len()) {
        (None, _) => String::new(),
        (Some(to), 1) => format!(", to {to}"),
        (Some(to), count) => format!(", to {to} and {} more", count - 1),
    };
    let from = if mail.from.is_empty() { "nobody named" } else { &mail.from };
    let subject = if mail.subject.is_empty() { "(no subject)" } else { &mail.subject };
    let mut text = format!("{subject}\n  from {from}{to}\n");
    if mail.is_cut {
        text.push_str("  it is very long; only its beginning was read\n");
    }
    if mail.date.is_none() {
        text.push_str("  it has no date, so that other mails were not looked at\n");
    }
    let Some(first) = found.matches.first() else {
        text.push_str("  no runbook knows this mail\n");
        return text;
    };
    let title = one_line(&first.runbook.title.value);
    text.push_str(&format!("  runbook: {} ({title})\n", first.runbook.name));
    let mut part = |label: &str, said: &Option<String>| {
        for (number, line) in said.iter().flat_map(|said| said.lines()).enumerate() {
            let label = if number == 0 { format!("{label}: ") } else { "  ".to_owned() };
            text.push_str(&format!("  {label}{}\n", one_line(&without_escapes(line))));
        }
    };
    part("why it came", &first.trigger.means);
    part("sent by", &first.trigger.sent_by);
    part("to make it stop", &first.trigger.silence);
    part("to filter it", &first.trigger.filter);
    if let Some(latest) = first.before.first() {
        let latest = show_duration(std::time::Duration::from_secs(*latest));
        text.push_str(&format!("  before it: {} like it, the latest {latest} earlier\n", first.before.len()));
    }
    text.push_str(&format!("  known by: {}\n", known_by(first)));
    let to_do = if first.trigger.ignore { "nothing".to_owned() } else { command(first) };
    text.push_str(&format!("  to do: {}\n", one_line(&to_do)));
    let steps: Vec<&str> = if first.trigger.ignore { Vec::new() } else { steps(first.runbook) };
    for title in steps.iter().take(STEPS) {
        text.push_str(&format!("    - {}\n", one_line(title)));
    }
    if steps.len() > STEPS {
        text.push_str(&format!("    and {} more steps\n", steps.len() - STEPS));
    }
    for (name, value) in first.params.iter().filter(|_| !first.trigger.ignore) {
        if let Err(why) = value {
            text.push_str(&format!("    {name} is not taken from this mail: {}\n", one_line(why)));
        }
    }
    for other in others(found) {
        let name = one_line(&other.runbook.name);
        text.push_str(&format!("  less likely: {name}, known by {}\n", known_by(other)));
    }
    text
}

/// Steps that are shown of a runbook.
const STEPS: usize = 5;

/// What the runbook does, step by step, as far as it is known from outside.
fn steps(runbook: &Runbook) -> Vec<&str> {
    runbook.steps.iter().map(|step| step.title.as_ref().map_or(step.id.as_str(), |title| title.source())).collect()
}

/// What else matches, other runbooks than the first, each once.
fn others<'f, 'a>(found: &'f Found<'a>) -> Vec<&'f Match<'a>> {
    let mut others: Vec<&Match<'_>> = Vec::new();
    for other in found.matches.iter().skip(1) {
        let is_new = |known: &&Match<'_>| known.runbook.name != other.runbook.name;
        if found.matches.first().iter().all(is_new) && others.iter().all(is_new) {
            others.push(other);
        }
    }
    others
}

fn as_json(mail: &Mail, found: &Found<'_>) -> Value {
    let of = |found: &Match<'_>| {
        let (mut params, mut problems) = (serde_json::Map::new(), serde_json::Map::new());
        for (name, value) in &found.params {
            match value {
                Ok(value) => params.insert(name.clone(), value.as_str().into()),
                Err(why) => problems.insert(name.clone(), why.as_str().into()),
            };
        }
        let patterns: serde_json::Map<String, Value> =
            found.trigger.email.fields().map(|(field, pattern)| (field.to_owned(), pattern.as_str().into())).collect();
        json!({
            "runbook": found.runbook.name, "title": found.runbook.title.value, "email": patterns,
            "means": found.trigger.means, "sent_by": found.trigger.sent_by, "silence": found.trigger.silence,
            "filter": found.trigger.filter,
            "steps": steps(found.runbook), "params": params, "problems": problems, "ignore": found.trigger.ignore,
            "command": if found.trigger.ignore { Value::Null } else { command(found).into() }, "before": found.before,
        })
    };
    json!({
        "mail": {
            "subject": mail.subject, "from": mail.from, "to": mail.to, "date": mail.date.map(|date| date.to_string()),
        },
        "match": found.matches.first().map(of),
        "others": others(found).into_iter().map(of).collect::<Vec<_>>(),
    })
}

/// Runs it, if a person who is there says yes. None where nobody was asked or wanted it.
fn offer(context: &Context, flags: &Triage, found: &Match<'_>) -> Result<Option<u8>, CliError> {
    let there = std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    if !there || flags.json || context.global.quiet {
        return Ok(None);
    }
    match ask_yes(&format!("Run {} now?", found.runbook.name)) {
        Ok(true) => {}
        // Not wanting it is no mistake: what the mail means was the question.
        Ok(false) | Err(_) => return Ok(None),
    }
    let params = found.params.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref().ok()?)));
    let inputs =
        Inputs { runbook: found.runbook.name.clone(), params: params.collect(), params_file: None, profile: None };
    let flags = Run {
        inputs,
        mode: None,
        jobs: NonZeroU16::new(4).unwrap_or(NonZeroU16::MIN),
        yes: false,
        answers: None,
        dry_run: false,
        sign: None,
        anchor: false,
        json: false,
    };
    run::run(context, &flags).map(Some)
}
