//! Releases of the stand-in for GitHub: drafts, publication, the latest one, and what they do to tags.

use serde_json::{Value, json};

use super::{Deployment, Fault, State, invalid, missing, not_found};
use crate::standins::server::{Recorded, Reply};

/// One release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub id: u64,
    pub tag_name: String,
    pub target_commitish: String,
    pub name: Option<String>,
    pub body: Option<String>,
    pub draft: bool,
    pub prerelease: bool,
    /// Whether it was ever published; the counter stands for the time.
    pub published: Option<u64>,
    pub author: &'static str,
    flips_in: Option<u32>,
    gone_in: Option<u32>,
}

impl State {
    pub(super) fn new_release(&mut self, tag: &str) -> Release {
        let id = self.fresh_id();
        Release {
            id,
            tag_name: tag.into(),
            target_commitish: self.repo.default_branch(),
            name: Some(tag.into()),
            body: None,
            draft: false,
            prerelease: false,
            published: Some(id),
            author: "standin",
            flips_in: None,
            gone_in: None,
        }
    }

    /// What has become of releases since the last request.
    pub(super) fn settle_releases(&mut self) {
        for release in &mut self.releases {
            match release.flips_in {
                Some(0) => {
                    release.draft = true;
                    release.flips_in = None;
                }
                Some(looks) => release.flips_in = Some(looks - 1),
                None => {}
            }
        }
        self.releases.retain(|release| release.gone_in != Some(0));
        for release in &mut self.releases {
            release.gone_in = release.gone_in.map(|looks| looks - 1);
        }
    }

    /// Everything, newest first; drafts too, because whoever asks has shown a token.
    pub(super) fn list_releases(&self, request: &Recorded) -> Reply {
        let number = |name: &str, default: usize| {
            request.query(name).and_then(|text| text.parse().ok()).filter(|number| *number > 0).unwrap_or(default)
        };
        let (size, page) = (number("per_page", 30).min(100), number("page", 1));
        let bodies = self.releases.iter().rev().skip(size * (page - 1)).take(size);
        let bodies: Vec<Value> = bodies.map(|release| self.release_body(release)).collect();
        let reply = Reply::json(200, &Value::Array(bodies));
        if self.releases.len() > size * page {
            let next = self.link(&format!("releases?per_page={size}&page={}", page + 1));
            return reply.with("link", format!("<{next}>; rel=\"next\""));
        }
        reply
    }

    /// The one that was marked as the latest, or else the newest; never a draft or a prerelease.
    pub(super) fn latest_release(&self) -> Reply {
        let full = || self.releases.iter().filter(|release| !release.draft && !release.prerelease);
        let marked = full().find(|release| Some(release.id) == self.latest);
        match marked.or_else(|| full().max_by_key(|release| release.published)) {
            Some(release) => Reply::json(200, &self.release_body(release)),
            None => not_found(),
        }
    }

    /// A draft never matches: it has no tag yet, whatever it says.
    pub(super) fn release_of_tag(&self, tag: &str) -> Reply {
        match self.releases.iter().find(|release| release.tag_name == tag && !release.draft) {
            Some(release) => Reply::json(200, &self.release_body(release)),
            None => not_found(),
        }
    }

    pub(super) fn with_release(&mut self, id: &str, act: impl FnOnce(&mut State, usize) -> Reply) -> Reply {
        match self.releases.iter().position(|release| release.id.to_string() == id) {
            Some(at) => act(self, at),
            None => not_found(),
        }
    }

    pub(super) fn get_release(&mut self, at: usize) -> Reply {
        Reply::json(200, &self.release_body(&self.releases[at]))
    }

    /// Leaves the tag alone.
    pub(super) fn delete_release(&mut self, at: usize) -> Reply {
        self.releases.remove(at);
        Reply::empty(204)
    }

    pub(super) fn create_release(&mut self, body: &Value) -> Reply {
        let Some(tag) = body["tag_name"].as_str() else { return missing("tag_name") };
        self.somebody_else_publishes(tag);
        let mut release = self.new_release(tag);
        release.name = None;
        release.published = None;
        release.draft = true;
        release.gone_in = self.faults.iter().find_map(|fault| match fault {
            Fault::ItemGone { after_looks } => Some(*after_looks),
            _ => None,
        });
        apply(&mut release, body);
        if body["draft"] != json!(true)
            && let Err(refusal) = self.publish(&mut release, &body["make_latest"])
        {
            return refusal;
        }
        let reply = Reply::json(201, &self.release_body(&release))
            .with("location", self.link(&format!("releases/{}", release.id)));
        self.releases.push(release);
        reply
    }

    pub(super) fn edit_release(&mut self, at: usize, body: &Value) -> Reply {
        let mut release = self.releases[at].clone();
        apply(&mut release, body);
        if let Some(tag) = body["tag_name"].as_str() {
            release.tag_name = tag.into();
        }
        match body["draft"].as_bool() {
            Some(true) => release.draft = true,
            Some(false) if release.draft => {
                if let Err(refusal) = self.publish(&mut release, &body["make_latest"]) {
                    return refusal;
                }
            }
            _ if body["make_latest"] == json!("true") && !release.draft => self.latest = Some(release.id),
            _ => {}
        }
        let reply = Reply::json(200, &self.release_body(&release));
        self.releases[at] = release;
        reply
    }

    /// Makes a draft public. A tag that exists is taken as it is, and `target_commitish` is ignored; one that does not
    /// is made there.
    fn publish(&mut self, release: &mut Release, make_latest: &Value) -> Result<(), Reply> {
        let tag = release.tag_name.clone();
        let full = format!("refs/tags/{tag}");
        let taken = |other: &Release| other.tag_name == tag && !other.draft && other.id != release.id;
        if self.releases.iter().any(taken) {
            return Err(invalid("Release", "tag_name", "already_exists"));
        }
        if self.seen(&full).is_none() {
            let Some(commit) = self.target(&release.target_commitish) else {
                return Err(invalid("Release", "target_commitish", "invalid"));
            };
            // What was pushed and is not seen yet loses its place.
            let hidden = self.hidden.iter().any(|(hidden, _)| *hidden == tag);
            self.hidden.retain(|(hidden, _)| *hidden != tag);
            if !(self.repo.create_ref(&full, &commit) || hidden && self.repo.set(&full, &commit)) {
                return Err(invalid("Release", "tag_name", "invalid"));
            }
        }
        if self.faults.iter().any(|fault| matches!(fault, Fault::WrongCommit)) {
            let tip = self.repo.tip().expect("the default branch has a commit");
            self.repo.set(&full, &tip);
        }
        release.draft = false;
        release.published = Some(self.fresh_id());
        let lasting = !release.prerelease && make_latest.as_str().unwrap_or("true") == "true";
        if lasting {
            self.latest = Some(release.id);
        }
        let pending = self.deletions.iter().any(|deletion| deletion.tag == tag);
        release.flips_in = self.flip();
        if !pending && release.flips_in.is_none() {
            let commit = self.repo.commit(&full).expect("a tag of a release leads to a commit");
            let version = self.repo.version_at(&commit);
            self.deployments.push(Deployment { tag, commit, version });
        }
        Ok(())
    }

    /// A branch, or a commit by its whole name; the default branch is what a request without one means.
    fn target(&self, commitish: &str) -> Option<String> {
        let branch = format!("refs/heads/{}", commitish.trim_start_matches("refs/heads/"));
        if self.repo.named(&branch).is_some() {
            return self.repo.commit(&branch);
        }
        let named = commitish.len() == 40 && commitish.bytes().all(|byte| byte.is_ascii_hexdigit());
        let commit = named && self.repo.kind(commitish).as_deref() == Some("commit");
        commit.then(|| commitish.to_owned())
    }

    fn flip(&mut self) -> Option<u32> {
        self.faults.iter_mut().find_map(|fault| match fault {
            Fault::DraftFlipsBack { times, after_looks } if *times > 0 => {
                *times -= 1;
                Some(*after_looks)
            }
            _ => None,
        })
    }

    fn somebody_else_publishes(&mut self, tag: &str) {
        let fault = |fault: &Fault| matches!(fault, Fault::SecondaryAlreadyExists);
        let Some(at) = self.faults.iter().position(fault) else { return };
        self.faults.remove(at);
        let mut release = self.new_release(tag);
        release.author = "somebody-else";
        if self.publish(&mut release, &Value::Null).is_ok() {
            self.releases.push(release);
        }
    }

    fn release_body(&self, release: &Release) -> Value {
        let (id, tag) = (release.id, &release.tag_name);
        let ball = |kind: &str| if release.draft { Value::Null } else { json!(self.link(&format!("{kind}/{tag}"))) };
        // A draft has no address by its tag.
        let shown = if release.draft { format!("untagged-{id:020x}") } else { tag.clone() };
        let at = |number: u64| format!("2025-09-17T{:02}:{:02}:00Z", 12 + number / 60, number % 60);
        json!({
            "url": self.link(&format!("releases/{id}")),
            "html_url": format!("https://github.com/{}/releases/tag/{shown}", self.full_name),
            "assets_url": self.link(&format!("releases/{id}/assets")),
            "upload_url": self.link(&format!("releases/{id}/assets{{?name,label}}")),
            "tarball_url": ball("tarball"), "zipball_url": ball("zipball"),
            "id": id, "node_id": format!("RE_{id}"),
            "tag_name": tag, "target_commitish": release.target_commitish,
            "name": release.name, "body": release.body,
            "draft": release.draft, "prerelease": release.prerelease, "immutable": false,
            "created_at": at(id), "published_at": release.published.map(at),
            "author": self.user(release.author),
            "assets": [],
        })
    }
}

/// The fields that a creation and an edit treat alike.
fn apply(release: &mut Release, body: &Value) {
    let text = |field: &str| body[field].as_str().map(str::to_owned);
    release.name = text("name").or(release.name.take());
    release.body = text("body").or(release.body.take());
    release.prerelease = body["prerelease"].as_bool().unwrap_or(release.prerelease);
    if let Some(commitish) = text("target_commitish").filter(|commitish| !commitish.is_empty()) {
        release.target_commitish = commitish;
    }
}
