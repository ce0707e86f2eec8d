//! The mails that were triaged before, for rules that look back: one private file each below the state folder, so that two
//! at once are in nobody's way and a kill loses one mail at most. Knows no rule.

use std::{
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    cli::{Context, say},
    journal::DiskStorage,
    port::Storage,
    text::{one_line, sha256_hex},
    triage::Mail,
};

/// Mails that are kept: the last ones that were triaged.
const KEPT: usize = 1000;
/// Seconds after which a mail is forgotten: 31 days.
const MEMORY: i64 = 31 * 86_400;
/// Characters of a mail's text that are kept. A mailbox has all of it.
const TEXT: usize = 4000;
/// Changes with the form of the files; others are passed over.
const VERSION: u64 = 1;

/// A folder of mails.
pub struct History {
    folder: PathBuf,
    disk: DiskStorage,
}

impl History {
    /// Below the state folder; nothing is made there yet.
    pub fn new(state: &Path) -> History {
        History { folder: state.join("triage"), disk: DiskStorage }
    }

    /// What is known, in no order. What cannot be read is said and passed over: a mail is answered all the same.
    pub fn read(&self, context: &Context) -> Vec<Mail> {
        let names = match self.names() {
            Ok(names) => names,
            Err(why) => {
                let folder = one_line(&self.folder.display().to_string()).into_owned();
                say(context, &format!("runsheet: earlier mails in {folder} are not known: {why}\n"));
                return Vec::new();
            }
        };
        let mut strange = 0;
        let mut mails = Vec::new();
        for name in &names {
            let read = self.disk.read(&self.folder.join(name)).ok();
            match read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).as_ref().and_then(mail) {
                Some(mail) => mails.push(mail),
                // Another one at work may just have forgotten it.
                None if !self.disk.exists(&self.folder.join(name)) => {}
                None => strange += 1,
            }
        }
        if strange > 0 {
            let folder = one_line(&self.folder.display().to_string()).into_owned();
            say(context, &format!("runsheet: {strange} of the files in {folder} cannot be read and are passed over\n"));
        }
        mails
    }

    /// Keeps these mails, and forgets what is too old or too much.
    ///
    /// # Errors
    ///
    /// Why nothing could be written, behind "could not".
    pub fn note(&self, mails: &[Mail], now: jiff::Timestamp) -> Result<(), String> {
        let failed = |why: std::io::Error| {
            format!(
                "keep this mail for rules about later ones in {}: {why}",
                one_line(&self.folder.display().to_string())
            )
        };
        let state = self.folder.parent().unwrap_or(&self.folder);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(failed)?;
        match self.disk.create_dir(&self.folder) {
            Ok(()) => {}
            Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(why) => return Err(failed(why)),
        }
        let mut names = self.names().map_err(failed)?;
        for mail in &mails[mails.len().saturating_sub(KEPT)..] {
            let digest = &sha256_hex(mail.key().as_bytes())[..16];
            if names.iter().any(|name| name.contains(digest)) {
                continue;
            }
            let name = format!("{:012}-{digest}.json", now.as_second().max(0));
            let mut file = tempfile::NamedTempFile::with_prefix_in(".new-", &self.folder).map_err(failed)?;
            std::io::Write::write_all(&mut file, as_json(mail, now).to_string().as_bytes()).map_err(failed)?;
            file.persist(self.folder.join(&name)).map_err(|error| failed(error.error))?;
            names.push(name);
        }
        names.sort();
        let surplus = names.len().saturating_sub(KEPT);
        let oldest = format!("{:012}", (now.as_second() - MEMORY).max(0));
        for (number, name) in names.iter().enumerate() {
            if number < surplus || *name < oldest {
                // What cannot be forgotten now is forgotten the next time.
                let _ = self.disk.remove_file(&self.folder.join(name));
            }
        }
        Ok(())
    }

    /// The files of mails there are; none where there is no folder.
    fn names(&self) -> std::io::Result<Vec<String>> {
        if !self.disk.exists(&self.folder) {
            return Ok(Vec::new());
        }
        self.disk.guard(&self.folder)?;
        let names = self.disk.list(&self.folder)?;
        Ok(names.into_iter().filter(|name| !name.starts_with('.') && name.ends_with(".json")).collect())
    }
}

fn as_json(mail: &Mail, now: jiff::Timestamp) -> Value {
    let text: String = mail.body.chars().take(TEXT).collect();
    // One that does not say when it was sent is from when it was seen.
    let date = mail.date.unwrap_or(now);
    json!({
        "version": VERSION, "subject": mail.subject, "from": mail.from, "to": mail.to, "body": text,
        "date": date.to_string(), "id": mail.id,
    })
}

fn mail(value: &Value) -> Option<Mail> {
    if value["version"] != VERSION {
        return None;
    }
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    Some(Mail {
        subject: text("subject")?,
        from: text("from")?,
        to: value["to"].as_array()?.iter().map(|to| to.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        body: text("body")?,
        date: Some(value["date"].as_str()?.parse().ok()?),
        id: text("id"),
        is_cut: false,
    })
}
