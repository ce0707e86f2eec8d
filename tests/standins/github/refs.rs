//! Refs, tag objects, comparisons and commits of the stand-in for GitHub; it does not know of releases.

use serde_json::{Value, json};

use super::{Deletion, Fault, State, invalid, missing, not_found, problem};
use crate::standins::server::Reply;

const NO_REF: &str = "Reference does not exist";

impl State {
    /// `name` is without `refs/`, as in the addresses of this API: `tags/v1`.
    pub(super) fn get_ref(&mut self, name: &str) -> Reply {
        match self.seen(&format!("refs/{name}")) {
            Some((kind, sha)) => Reply::json(200, &self.ref_body(name, &kind, &sha)),
            None => {
                // A look that finds nothing comes after GitHub has dealt with the deletion.
                if let Some(tag) = name.strip_prefix("tags/") {
                    for deletion in self.deletions.iter_mut().filter(|deletion| deletion.tag == tag) {
                        deletion.left = 0;
                    }
                }
                not_found()
            }
        }
    }

    pub(super) fn matching_refs(&self, name: &str) -> Reply {
        let prefix = format!("refs/{name}");
        let listed = self.repo.git(&["for-each-ref", "--format=%(objecttype) %(objectname) %(refname)"]);
        let mut found = Vec::new();
        for line in listed.unwrap_or_default().lines() {
            let fields: Vec<&str> = line.splitn(3, ' ').collect();
            if let [kind, sha, full] = fields[..]
                && full.starts_with(&prefix)
                && self.seen(full).is_some()
            {
                found.push(self.ref_body(&full["refs/".len()..], kind, sha));
            }
        }
        Reply::json(200, &Value::Array(found))
    }

    pub(super) fn create_ref(&mut self, body: &Value) -> Reply {
        let Some(full) = body["ref"].as_str() else { return missing("ref") };
        let Some(sha) = body["sha"].as_str() else { return missing("sha") };
        if !full.starts_with("refs/") || full.matches('/').count() < 2 {
            return problem(422, "Reference name must start with 'refs/' and have at least two slashes.");
        }
        let Some(kind) = self.object(sha) else { return problem(422, "Object does not exist") };
        if self.seen(full).is_some() {
            return problem(422, "Reference already exists");
        }
        if !self.repo.create_ref(full, sha) {
            return problem(422, "Reference update failed");
        }
        Reply::json(201, &self.ref_body(&full["refs/".len()..], &kind, sha))
    }

    pub(super) fn update_ref(&mut self, name: &str, body: &Value) -> Reply {
        let full = format!("refs/{name}");
        let Some(sha) = body["sha"].as_str() else { return missing("sha") };
        let Some((_, old)) = self.seen(&full) else { return problem(422, NO_REF) };
        let Some(kind) = self.object(sha) else { return problem(422, "Object does not exist") };
        let forward = self.repo.git(&["merge-base", "--is-ancestor", &old, sha]).is_some();
        if !forward && body["force"] != json!(true) {
            return problem(422, "Update is not a fast forward");
        }
        self.repo.set(&full, sha);
        Reply::json(200, &self.ref_body(name, &kind, sha))
    }

    pub(super) fn delete_ref(&mut self, name: &str) -> Reply {
        let full = format!("refs/{name}");
        let Some((_, object)) = self.seen(&full) else { return problem(422, NO_REF) };
        let back = self.faults.iter().find_map(|fault| match fault {
            Fault::TagComesBack { after_looks } => Some(*after_looks),
            _ => None,
        });
        self.coming_back.extend(back.map(|looks| (full.clone(), object, looks)));
        let late = self.faults.iter().find_map(|fault| match fault {
            Fault::Late { looks } => Some(*looks),
            _ => None,
        });
        match (name.strip_prefix("tags/"), late) {
            (Some(tag), Some(looks)) => {
                self.deletions.push(Deletion { tag: tag.into(), left: looks, ref_remains: true });
            }
            (Some(tag), None) => {
                self.repo.delete(&full);
                self.deletions.push(Deletion { tag: tag.into(), left: self.deletion_takes, ref_remains: false });
            }
            (None, _) => {
                self.repo.delete(&full);
            }
        }
        Reply::empty(204)
    }

    /// Makes a tag object, and no ref for it: that is a request of its own.
    pub(super) fn create_tag(&mut self, body: &Value) -> Reply {
        for field in ["tag", "message", "object", "type"] {
            if !body[field].is_string() {
                return missing(field);
            }
        }
        let text = |field: &str| body[field].as_str().unwrap_or_default();
        let (tag, object, kind) = (text("tag"), text("object"), text("type"));
        if self.object(object).as_deref() != Some(kind) {
            return invalid("Tag", "object", "invalid");
        }
        let tagger = "tagger GitHub <noreply@github.com> 1758110400 +0000";
        let source = format!("object {object}\ntype {kind}\ntag {tag}\n{tagger}\n\n{}\n", text("message"));
        match self.repo.feed(&["mktag"], &source) {
            Some(sha) => Reply::json(201, &self.tag_body(&sha)),
            None => invalid("Tag", "tag", "invalid"),
        }
    }

    /// Knows annotated tags only, by the name of the tag object.
    pub(super) fn get_tag(&self, sha: &str) -> Reply {
        match self.object(sha).as_deref() {
            Some("tag") => Reply::json(200, &self.tag_body(sha)),
            _ => not_found(),
        }
    }

    pub(super) fn compare(&self, basehead: &str) -> Reply {
        let Some((base, head)) = basehead.split_once("...") else { return not_found() };
        let (Some(base), Some(head)) = (self.revision(base), self.revision(head)) else { return not_found() };
        let Some(merge_base) = self.repo.git(&["merge-base", &base, &head]) else {
            return problem(404, "No common ancestor between the two commits.");
        };
        let count = |range: String| {
            let counted = self.repo.git(&["rev-list", "--count", &range]);
            counted.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
        };
        let (ahead, behind) = (count(format!("{base}..{head}")), count(format!("{head}..{base}")));
        let status = match (ahead, behind) {
            (0, 0) => "identical",
            (_, 0) => "ahead",
            (0, _) => "behind",
            _ => "diverged",
        };
        let listed = self.repo.git(&["rev-list", "--reverse", "--max-count=250", &format!("{base}..{head}")]);
        let commits: Vec<Value> = listed.unwrap_or_default().lines().map(|sha| self.commit_body(sha)).collect();
        let html = format!("https://github.com/{}/compare/{basehead}", self.full_name);
        let body = json!({
            "url": self.link(&format!("compare/{basehead}")),
            "html_url": html, "diff_url": format!("{html}.diff"), "patch_url": format!("{html}.patch"),
            "permalink_url": format!("https://github.com/{}/compare/{base}...{head}", self.full_name),
            "base_commit": self.commit_body(&base), "merge_base_commit": self.commit_body(&merge_base),
            "status": status, "ahead_by": ahead, "behind_by": behind, "total_commits": ahead,
            "commits": commits, "files": self.files(&merge_base, &head),
        });
        Reply::json(200, &body)
    }

    pub(super) fn get_commit(&self, name: &str, accept: Option<&str>) -> Reply {
        let Some(sha) = self.revision(name) else {
            return problem(422, &format!("No commit found for SHA: {name}"));
        };
        if accept.is_some_and(|kinds| kinds.contains("application/vnd.github.sha")) {
            return Reply::of(200, "application/vnd.github.sha; charset=utf-8", sha);
        }
        let mut body = self.commit_body(&sha);
        let parent = self.repo.commit(&format!("{sha}^"));
        body["files"] = self.files(parent.as_deref().unwrap_or(EMPTY_TREE), &sha);
        Reply::json(200, &body)
    }

    /// A branch, a tag or the name of a commit, as addresses of this API take them; never an expression like `v1^`.
    fn revision(&self, name: &str) -> Option<String> {
        let name = name.strip_prefix("refs/").unwrap_or(name);
        for full in [format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}")] {
            if self.seen(&full).is_some() {
                return self.repo.commit(&full);
            }
        }
        let hexadecimal = name.len() >= 7 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hexadecimal { self.repo.commit(name) } else { None }
    }

    /// The type of an object that is named in full.
    fn object(&self, sha: &str) -> Option<String> {
        let named = sha.len() == 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        if named { self.repo.kind(sha) } else { None }
    }

    fn ref_body(&self, name: &str, kind: &str, sha: &str) -> Value {
        let url = self.link(&format!("git/{kind}s/{sha}"));
        json!({"ref": format!("refs/{name}"), "node_id": format!("REF_{name}"),
            "url": self.link(&format!("git/refs/{name}")), "object": {"sha": sha, "type": kind, "url": url}})
    }

    fn tag_body(&self, sha: &str) -> Value {
        let source = self.repo.git(&["cat-file", "tag", sha]).unwrap_or_default();
        let (head, text) = source.split_once("\n\n").unwrap_or((&source, ""));
        let field = |name: &str| {
            let found = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            found.unwrap_or_default().to_owned()
        };
        let at = ["-----BEGIN PGP SIGNATURE-----", "-----BEGIN SSH SIGNATURE-----"];
        let signature = at.iter().find_map(|mark| text.find(mark));
        let (message, signature) = match signature {
            Some(at) => (&text[..at], Some(&text[at..])),
            None => (text, None),
        };
        let verified = signature.is_some() && self.signed_reason == "valid";
        let reason = if signature.is_some() { self.signed_reason } else { "unsigned" };
        let payload = signature.map(|_| format!("{head}\n\n{message}"));
        let (object, kind) = (field("object"), field("type"));
        let url = self.link(&format!("git/{kind}s/{object}"));
        json!({
            "node_id": format!("TAG_{sha}"), "tag": field("tag"), "sha": sha,
            "url": self.link(&format!("git/tags/{sha}")), "message": message.trim_end(),
            "tagger": person(&field("tagger")),
            "object": {"type": kind, "sha": object, "url": url},
            "verification": {"verified": verified, "reason": reason, "signature": signature, "payload": payload,
                "verified_at": if verified { json!("2025-09-17T12:00:00Z") } else { Value::Null }},
        })
    }

    fn commit_body(&self, sha: &str) -> Value {
        let format = "--format=%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%T%x00%P%x00%B";
        let shown = self.repo.git(&["show", "--no-patch", format, sha]).unwrap_or_default();
        let fields: Vec<&str> = shown.splitn(9, '\0').collect();
        let [an, ae, ad, cn, ce, cd, tree, parents, message] = fields[..] else { return Value::Null };
        let at = self.link(&format!("commits/{sha}"));
        let parents: Vec<Value> = parents
            .split_whitespace()
            .map(|sha| json!({"sha": sha, "url": self.link(&format!("commits/{sha}"))}))
            .collect();
        json!({
            "sha": sha, "node_id": format!("COMMIT_{sha}"), "url": at, "comments_url": format!("{at}/comments"),
            "html_url": format!("https://github.com/{}/commit/{sha}", self.full_name),
            "commit": {
                "author": {"name": an, "email": ae, "date": ad}, "committer": {"name": cn, "email": ce, "date": cd},
                "message": message.trim_end(), "comment_count": 0, "url": self.link(&format!("git/commits/{sha}")),
                "tree": {"sha": tree, "url": self.link(&format!("git/trees/{tree}"))},
            },
            "author": null, "committer": null, "parents": parents,
        })
    }

    /// At most 300 files, as GitHub lists them.
    fn files(&self, from: &str, to: &str) -> Value {
        let listed = self.repo.git(&["diff", "--name-status", "-M", from, to]).unwrap_or_default();
        let mut files = Vec::new();
        for line in listed.lines().take(300) {
            let fields: Vec<&str> = line.split('\t').collect();
            let status = match fields[0].chars().next() {
                Some('A') => "added",
                Some('D') => "removed",
                Some('R') => "renamed",
                Some('C') => "copied",
                Some('T') => "changed",
                _ => "modified",
            };
            let name = *fields.last().expect("a line of git diff names a file");
            let blob = self.repo.git(&["rev-parse", "--verify", "--quiet", &format!("{to}:{name}")]);
            // How much has changed is nothing that anybody here counts.
            let mut file = json!({"filename": name, "status": status, "sha": blob,
                "additions": 1, "deletions": 0, "changes": 1,
                "blob_url": format!("https://github.com/{}/blob/{to}/{name}", self.full_name),
                "raw_url": format!("https://github.com/{}/raw/{to}/{name}", self.full_name),
                "contents_url": self.link(&format!("contents/{name}?ref={to}"))});
            if fields.len() == 3 {
                file["previous_filename"] = json!(fields[1]);
            }
            files.push(file);
        }
        Value::Array(files)
    }
}

const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// `NAME <ADDRESS> SECONDS ZONE` as the API shows it.
fn person(line: &str) -> Value {
    let (name, rest) = line.split_once(" <").unwrap_or((line, ""));
    let (email, when) = rest.split_once("> ").unwrap_or((rest, ""));
    let seconds: i64 = when.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    let date = jiff::Timestamp::from_second(seconds).map(|at| at.to_string()).unwrap_or_default();
    json!({"name": name, "email": email, "date": date})
}
