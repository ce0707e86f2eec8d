//! The moves of `runbooks/lib/github`, run for real against the stand-in for GitHub, and that stand-in against GitHub's own
//! description of its API.

mod delete;
pub mod described;
mod proxied;
mod publish;

use crate::{
    bench::Bench,
    standins::github::{Fault, GitHub, TOKEN},
};

/// A repository with two commits. The older one has the annotated tag `v3.20`; its release is yet to be made. The latest
/// release is that of `v3.19`.
pub struct World {
    pub github: GitHub,
    /// The older commit.
    pub commit: String,
    /// The tag object of it.
    pub object: String,
}

impl World {
    pub fn new(faults: Vec<Fault>) -> World {
        let github = GitHub::start("octocat", "hello", None, faults);
        let mut state = github.state();
        let commit = state.repo.tip().unwrap();
        let tree = state.repo.git(&["rev-parse", &format!("{commit}^{{tree}}")]).unwrap();
        let tip = state.repo.git(&["commit-tree", "-p", &commit, "-m", "Not released", &tree]).unwrap();
        assert!(state.repo.set("refs/heads/main", &tip) && state.repo.create_ref("refs/tags/v3.19", &commit));
        state.publish_old("v3.19");
        let tagger = "tagger A <a@example.org> 1758110400 +0000";
        let source = format!("object {commit}\ntype commit\ntag v3.20\n{tagger}\n\nv3.20\n");
        let object = state.repo.feed(&["mktag"], &source).unwrap();
        state.pushed("v3.20", &object);
        drop(state);
        World { github, commit, object }
    }

    /// One of the moves, for the tag `v3.20`.
    pub fn bench(&self, name: &str, edits: &[(String, String)]) -> Bench {
        self.bench_at(&self.github.url(), name, edits)
    }

    pub fn bench_at(&self, api: &str, name: &str, edits: &[(String, String)]) -> Bench {
        let edits: Vec<(&str, &str)> = edits.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
        Bench::new(&format!("lib/github/{name}"), &edits)
            .param("api", api)
            .param("repository", "octocat/hello")
            .param("tag", "v3.20")
            .param("poll", "20ms")
            .param("patience", "30s")
            .env("GITHUB_TOKEN", TOKEN)
            .secret(TOKEN)
    }

    /// `publish-release` with the tag object and a short time to settle.
    pub fn publish(&self, edits: &[(String, String)]) -> Bench {
        self.publish_at(&self.github.url(), edits)
    }

    pub fn publish_at(&self, api: &str, edits: &[(String, String)]) -> Bench {
        self.bench_at(api, "publish-release", edits)
            .param("commit", &self.commit)
            .param("tag_object", &self.object)
            .param("name", "v3.20")
            .param("settle", "400ms")
    }

    /// The releases of `v3.20`: how many are published, and how many are drafts.
    pub fn releases(&self) -> (usize, usize) {
        let state = self.github.state();
        let ours = || state.releases.iter().filter(|release| release.tag_name == "v3.20");
        (ours().filter(|release| !release.draft).count(), ours().filter(|release| release.draft).count())
    }

    /// What is not as it should be after the release of `v3.20` was published; it was to be the latest one, or not.
    pub fn wrong(&self, latest: bool) -> Option<&'static str> {
        let shown =
            self.github.client().get(&self.github.path("releases/latest")).unwrap().json()["tag_name"] == "v3.20";
        let releases = self.releases();
        let state = self.github.state();
        let deployed = state.deployments.iter().rfind(|deployed| deployed.tag == "v3.20").map(|it| it.commit.clone());
        if releases.1 > 0 {
            Some("a draft is left")
        } else if releases.0 != 1 {
            Some("no release is published")
        } else if deployed.as_ref() != Some(&self.commit) {
            Some("another commit was deployed")
        } else if state.repo.named("refs/tags/v3.20").map(|(_, object)| object).as_ref() != Some(&self.object) {
            Some("it is another tag")
        } else if shown != latest {
            Some("the latest release is not the one that was meant")
        } else {
            None
        }
    }
}

/// A step of one of the moves, from its id to the next one, as it is written.
pub fn step(name: &str, id: &str) -> String {
    let path = format!("{}/runbooks/lib/github/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let from = text.find(&format!("  - id: {id}\n")).unwrap_or_else(|| panic!("there is no step {id}"));
    let to = text[from + 1..].find("\n  - id: ").map_or(text.len(), |at| from + at + 2);
    text[from..to].to_owned()
}
