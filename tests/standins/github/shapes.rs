//! The parts of GitHub's replies that nobody here looks at, but without which they are not GitHub's replies.

use serde_json::{Map, Value, json};

use super::State;

/// What a repository has an address for, each with what stands behind the repository's own.
const BELOW: &[(&str, &str)] = &[
    ("archive_url", "{archive_format}{/ref}"),
    ("assignees_url", "assignees{/user}"),
    ("blobs_url", "git/blobs{/sha}"),
    ("branches_url", "branches{/branch}"),
    ("collaborators_url", "collaborators{/collaborator}"),
    ("comments_url", "comments{/number}"),
    ("commits_url", "commits{/sha}"),
    ("compare_url", "compare/{base}...{head}"),
    ("contents_url", "contents/{+path}"),
    ("contributors_url", "contributors"),
    ("deployments_url", "deployments"),
    ("downloads_url", "downloads"),
    ("events_url", "events"),
    ("forks_url", "forks"),
    ("git_commits_url", "git/commits{/sha}"),
    ("git_refs_url", "git/refs{/sha}"),
    ("git_tags_url", "git/tags{/sha}"),
    ("hooks_url", "hooks"),
    ("issue_comment_url", "issues/comments{/number}"),
    ("issue_events_url", "issues/events{/number}"),
    ("issues_url", "issues{/number}"),
    ("keys_url", "keys{/key_id}"),
    ("labels_url", "labels{/name}"),
    ("languages_url", "languages"),
    ("merges_url", "merges"),
    ("milestones_url", "milestones{/number}"),
    ("notifications_url", "notifications{?since,all,participating}"),
    ("pulls_url", "pulls{/number}"),
    ("releases_url", "releases{/id}"),
    ("stargazers_url", "stargazers"),
    ("statuses_url", "statuses/{sha}"),
    ("subscribers_url", "subscribers"),
    ("subscription_url", "subscription"),
    ("tags_url", "tags"),
    ("teams_url", "teams"),
    ("trees_url", "git/trees{/sha}"),
];

impl State {
    /// An account.
    pub(super) fn user(&self, login: &str) -> Value {
        let own = format!("{}/users/{login}", self.root);
        let at = |rest: &str| format!("{own}/{rest}");
        json!({
            "login": login, "id": 1, "node_id": "U_1", "gravatar_id": "", "type": "User", "site_admin": false,
            "avatar_url": format!("https://github.com/images/{login}.gif"), "html_url": format!("https://github.com/{login}"),
            "url": own, "followers_url": at("followers"), "following_url": at("following{/other_user}"),
            "gists_url": at("gists{/gist_id}"), "starred_url": at("starred{/owner}{/repo}"),
            "subscriptions_url": at("subscriptions"), "organizations_url": at("orgs"), "repos_url": at("repos"),
            "events_url": at("events{/privacy}"), "received_events_url": at("received_events"),
        })
    }

    /// The repository, as a run of a workflow shows it.
    pub(super) fn repository(&self) -> Value {
        let (owner, name) = self.full_name.split_once('/').unwrap_or_default();
        let mut body: Map<String, Value> =
            BELOW.iter().map(|(key, rest)| ((*key).to_owned(), json!(self.link(rest)))).collect();
        body.insert("url".into(), json!(format!("{}/repos/{}", self.root, self.full_name)));
        for (key, value) in [
            ("id", json!(1)),
            ("node_id", json!("R_1")),
            ("name", json!(name)),
            ("full_name", json!(self.full_name)),
            ("owner", self.user(owner)),
            ("html_url", json!(format!("https://github.com/{}", self.full_name))),
            ("description", Value::Null),
            ("private", json!(false)),
            ("fork", json!(false)),
        ] {
            body.insert(key.into(), value);
        }
        Value::Object(body)
    }
}
