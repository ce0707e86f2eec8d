//! The bare repository under the stand-in, reached through `git --git-dir`; it does not know of releases or HTTP.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A bare repository.
pub struct Repo {
    folder: PathBuf,
}

const NOTHING: &str = "0000000000000000000000000000000000000000";

/// Writes down each tag that a push deletes or makes. REST alone would not show a tag that is deleted and pushed again
/// between two requests, and GitHub has its event all the same.
const HOOK: &str = "#!/bin/sh
while read -r old new name; do
  case \"$new $name\" in
    0000000000000000000000000000000000000000*' refs/tags/'*) echo \"-${name#refs/tags/}\" >>\"$GIT_DIR/pushed-tags\" ;;
    *' refs/tags/'*) echo \"+${name#refs/tags/}\" >>\"$GIT_DIR/pushed-tags\" ;;
  esac
done
";

impl Repo {
    /// Opens a bare repository and watches what is pushed to it.
    pub fn open(folder: &Path) -> Repo {
        let hooks = folder.join("hooks");
        fs::create_dir_all(&hooks).expect("the repository can be written to");
        let hook = hooks.join("post-receive");
        fs::write(&hook, HOOK).expect("the repository can be written to");
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("the hook is ours");
        Repo { folder: folder.to_owned() }
    }

    /// Makes a bare repository with one empty commit on `main`.
    pub fn create(folder: &Path) -> Repo {
        fs::create_dir_all(folder).expect("a folder can be made");
        let repo = Repo { folder: folder.to_owned() };
        repo.git(&["init", "--quiet", "--bare", "--initial-branch", "main"]).expect("git can make a repository");
        let tree = repo.feed(&["mktree"], "").expect("git can write a tree");
        let commit = repo.git(&["commit-tree", "-m", "Begin", &tree]).expect("git can write a commit");
        repo.create_ref("refs/heads/main", &commit);
        Repo::open(folder)
    }

    /// The output of git without its last line end, or nothing if it fails.
    pub fn git(&self, arguments: &[&str]) -> Option<String> {
        self.feed(arguments, "")
    }

    /// The same with something on standard input.
    pub fn feed(&self, arguments: &[&str], input: &str) -> Option<String> {
        let mut child = Command::new("git")
            .arg("--git-dir")
            .arg(&self.folder)
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs([("GIT_AUTHOR_NAME", "GitHub"), ("GIT_AUTHOR_EMAIL", "noreply@github.com")])
            .envs([("GIT_COMMITTER_NAME", "GitHub"), ("GIT_COMMITTER_EMAIL", "noreply@github.com")])
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("git can be started");
        let mut pipe = child.stdin.take().expect("standard input is a pipe");
        // A git that does not read its input may close it; its exit status tells whether that mattered.
        let _ = pipe.write_all(input.as_bytes());
        drop(pipe);
        let output = child.wait_with_output().expect("git ends");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())
    }

    /// The object that a full ref name points at: its type and its name.
    pub fn named(&self, full: &str) -> Option<(String, String)> {
        let sha = self.git(&["show-ref", "--verify", "--hash", full])?;
        Some((self.kind(&sha)?, sha))
    }

    /// The type of an object.
    pub fn kind(&self, sha: &str) -> Option<String> {
        self.git(&["cat-file", "-t", sha])
    }

    /// The commit that a revision stands for, through any number of tags.
    pub fn commit(&self, revision: &str) -> Option<String> {
        self.git(&["rev-parse", "--quiet", "--verify", "--end-of-options", &format!("{revision}^{{commit}}")])
    }

    /// The name of the default branch.
    pub fn default_branch(&self) -> String {
        self.git(&["symbolic-ref", "--short", "HEAD"]).unwrap_or_else(|| "main".into())
    }

    /// The commit at the tip of the default branch.
    pub fn tip(&self) -> Option<String> {
        self.commit(&format!("refs/heads/{}", self.default_branch()))
    }

    /// Makes a ref; false if there is one of that name or no such object.
    pub fn create_ref(&self, full: &str, sha: &str) -> bool {
        self.git(&["update-ref", full, sha, NOTHING]).is_some()
    }

    /// Moves a ref, or makes it.
    pub fn set(&self, full: &str, sha: &str) -> bool {
        self.git(&["update-ref", full, sha]).is_some()
    }

    /// Removes a ref; false if there is none of that name.
    pub fn delete(&self, full: &str) -> bool {
        self.named(full).is_some() && self.git(&["update-ref", "-d", full]).is_some()
    }

    /// The version in the `pyproject.toml` of a commit.
    pub fn version_at(&self, commit: &str) -> Option<String> {
        let text = self.git(&["show", &format!("{commit}:pyproject.toml")])?;
        let line = text.lines().find_map(|line| line.strip_prefix("version = "))?;
        Some(line.trim().trim_matches('"').to_owned())
    }

    /// The tags that were deleted, and those that were made or moved, by pushes since the last call.
    pub fn take_pushed(&self) -> (Vec<String>, Vec<String>) {
        let list = self.folder.join("pushed-tags");
        let Ok(text) = fs::read_to_string(&list) else { return Default::default() };
        fs::remove_file(&list).expect("the repository can be written to");
        let of = |sign: char| text.lines().filter_map(|line| line.strip_prefix(sign)).map(str::to_owned).collect();
        (of('-'), of('+'))
    }
}
