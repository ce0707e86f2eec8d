//! Pull requests of the stand-in for GitHub: made, found, read, closed. It merges none and knows no reviews.

use serde_json::{Value, json};

use super::{State, invalid, missing, not_found, problem};
use crate::standins::server::{Recorded, Reply};

/// One pull request within the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    pub number: u64,
    pub title: String,
    /// The name of a branch.
    pub head: String,
    pub base: String,
    pub open: bool,
}

impl State {
    pub(super) fn list_pulls(&self, request: &Recorded) -> Reply {
        let owner = self.full_name.split('/').next().unwrap_or_default().to_owned();
        let state = request.query("state").unwrap_or("open");
        let mut found = Vec::new();
        for pull in &self.pulls {
            // Without an owner before it, `head` is not understood, and every pull request is listed.
            let head = request.query("head").filter(|head| head.contains(':'));
            let meant = head.is_none_or(|head| head == format!("{owner}:{}", pull.head));
            let state = state == "all" || (state == "open") == pull.open;
            if meant && state && request.query("base").is_none_or(|base| base == pull.base) {
                found.push(self.pull_body(pull));
            }
        }
        Reply::json(200, &Value::Array(found))
    }

    pub(super) fn get_pull(&self, number: &str) -> Reply {
        match self.pulls.iter().find(|pull| pull.number.to_string() == number) {
            Some(pull) => Reply::json(200, &self.pull_body(pull)),
            None => not_found(),
        }
    }

    pub(super) fn create_pull(&mut self, body: &Value) -> Reply {
        let text = |field: &str| body[field].as_str().map(str::to_owned);
        let (Some(head), Some(base)) = (text("head"), text("base")) else { return missing("head") };
        let Some(title) = text("title") else { return missing("title") };
        let owner = self.full_name.split('/').next().unwrap_or_default();
        let head = head.strip_prefix(&format!("{owner}:")).unwrap_or(&head).to_owned();
        let Some(tip) = self.repo.commit(&format!("refs/heads/{head}")) else {
            return invalid("PullRequest", "head", "invalid");
        };
        let Some(onto) = self.repo.commit(&format!("refs/heads/{base}")) else {
            return invalid("PullRequest", "base", "invalid");
        };
        if self.pulls.iter().any(|pull| pull.open && pull.head == head && pull.base == base) {
            return problem(422, &format!("A pull request already exists for {owner}:{head}."));
        }
        if self.repo.git(&["merge-base", "--is-ancestor", &tip, &onto]).is_some() {
            return problem(422, &format!("No commits between {base} and {head}"));
        }
        let pull = Pull { number: self.fresh_id(), title, head, base, open: true };
        self.pulls.push(pull.clone());
        Reply::json(201, &self.pull_body(&pull))
    }

    pub(super) fn edit_pull(&mut self, number: &str, body: &Value) -> Reply {
        let Some(at) = self.pulls.iter().position(|pull| pull.number.to_string() == number) else {
            return not_found();
        };
        match body["state"].as_str() {
            Some("open") => self.pulls[at].open = true,
            Some("closed") => self.pulls[at].open = false,
            _ => {}
        }
        Reply::json(200, &self.pull_body(&self.pulls[at]))
    }

    fn pull_body(&self, pull: &Pull) -> Value {
        let sha = |branch: &str| self.repo.commit(&format!("refs/heads/{branch}"));
        json!({"id": pull.number + 1000, "number": pull.number, "title": pull.title, "draft": false, "merged": false,
            "state": if pull.open { "open" } else { "closed" },
            "url": self.link(&format!("pulls/{}", pull.number)),
            "html_url": format!("https://github.com/{}/pull/{}", self.full_name, pull.number),
            "head": {"ref": pull.head, "sha": sha(&pull.head)}, "base": {"ref": pull.base, "sha": sha(&pull.base)}})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::standins::github::GitHub;

    #[test]
    fn a_pull_request_is_made_once_found_and_closed() {
        let github = GitHub::start("octo", "cat", None, vec![]);
        let tip = github.state().repo.tip().unwrap();
        let client = github.client();
        let pulls = github.path("pulls");
        let body = json!({"title": "Bump", "head": "bump", "base": "main"});
        let post = |body: &serde_json::Value| client.post(&pulls, &body.to_string()).unwrap();
        assert_eq!(post(&body).status, 422);
        github.state().repo.create_ref("refs/heads/bump", &tip);
        assert!(post(&body).text().contains("No commits between"));
        let commit = {
            let state = github.state();
            let tree = state.repo.git(&["rev-parse", "main^{tree}"]).unwrap();
            let commit = state.repo.git(&[
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@example.org",
                "commit-tree",
                tree.trim(),
                "-p",
                &tip,
                "-m",
                "x",
            ]);
            commit.unwrap().trim().to_owned()
        };
        github.state().repo.set("refs/heads/bump", &commit);
        let made = post(&body);
        assert_eq!((made.status, made.json()["head"]["sha"].as_str()), (201, Some(commit.as_str())));
        assert!(post(&body).text().contains("already exists"));
        let listed = |query: &str| client.get(&format!("{pulls}?{query}")).unwrap().json().as_array().unwrap().len();
        assert_eq!((listed("head=octo:bump"), listed("head=octo:other"), listed("state=closed")), (1, 0, 0));
        let one = format!("{pulls}/{}", made.json()["number"]);
        assert_eq!(client.send("PATCH", &one, json!({"state": "closed"}).to_string().as_str()).unwrap().status, 200);
        assert_eq!((listed("head=octo:bump"), listed("state=closed")), (0, 1));
        assert_eq!(client.get(&one).unwrap().json()["state"], "closed");
    }
}
