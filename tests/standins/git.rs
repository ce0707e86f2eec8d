//! A world of git: a bare remote, a working clone, a signing key of its own and the tags of a few releases; it does not
//! know what a release is for, and nothing outside its folder (no user's configuration, key ring or agent).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The history of [`GitWorld::new`], oldest first: version, and whether its tag is annotated and signed. `v3.09` is a
/// lightweight tag, as a tag is that GitHub made for a release.
pub const HISTORY: [(&str, bool); 4] = [("3.07", true), ("3.08", true), ("3.09", false), ("3.10", true)];

/// The release whose commit the signed tag `production-ui` carries at the start.
pub const UI_AT: &str = "v3.08";

/// A temporary folder with `remote.git`, `work` and `gnupg`; the agent of that key ring ends when this is dropped.
pub struct GitWorld {
    folder: TempDir,
    fingerprint: String,
}

impl GitWorld {
    /// Makes the key, the history and the remote:
    ///
    /// * one commit per version of [`HISTORY`], `pyproject.toml` holding that version, tagged before the next bump;
    /// * `src/auslib/migrate/versions` gains a file between v3.08 and v3.09 only;
    /// * `production-ui` (signed) at [`UI_AT`];
    /// * `main` one commit further (the bump to 3.11 and an unreleased change), all of it pushed.
    pub fn new() -> GitWorld {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut world = GitWorld { folder, fingerprint: String::new() };
        world.make_key();
        world.make_repositories();
        for (number, (version, signed)) in HISTORY.iter().enumerate() {
            if *version == "3.09" {
                world
                    .write("src/auslib/migrate/versions/036_add_column.py", "def upgrade(migrate_engine):\n    pass\n");
            }
            world.release(version, *signed, number);
        }
        world.git(&["tag", "-s", "-m", "production-ui", "production-ui", &format!("{UI_AT}^{{}}")]);
        world.write("pyproject.toml", &pyproject("3.11"));
        world.write("ui/unreleased.js", "export default 'not released';\n");
        world.commit("Bump the version to 3.11", HISTORY.len());
        world.git(&["push", "--quiet", "--set-upstream", "origin", "main"]);
        world.git(&["push", "--quiet", "--tags"]);
        world
    }

    /// The working clone, on `main`.
    pub fn clone_dir(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The bare repository that is the clone's `origin`.
    pub fn bare(&self) -> PathBuf {
        self.folder.path().join("remote.git")
    }

    /// The key ring that holds the signing key.
    pub fn gnupg_home(&self) -> PathBuf {
        self.folder.path().join("gnupg")
    }

    /// The fingerprint of the signing key.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// A folder that belongs to this world, for whatever else a test needs.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The environment that keeps git and gpg inside this world.
    pub fn env(&self) -> BTreeMap<String, String> {
        let text = |path: PathBuf| path.to_str().expect("temporary paths are UTF-8").to_owned();
        BTreeMap::from([
            ("HOME".into(), text(self.path().to_owned())),
            ("GNUPGHOME".into(), text(self.gnupg_home())),
            ("GIT_CONFIG_GLOBAL".into(), text(self.path().join("gitconfig"))),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
            ("GIT_TERMINAL_PROMPT".into(), "0".into()),
            // An editor that writes nothing, as on a machine where nobody sits: a tag without `-m` has no message.
            ("GIT_EDITOR".into(), ":".into()),
            ("LC_ALL".into(), "C.UTF-8".into()),
        ])
    }

    /// A command in the clone, in this world's environment, without standard input.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.clone_dir()).envs(self.env()).stdin(Stdio::null());
        // What a hook or a test runner of the machine may have set would lead git elsewhere.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GPG_TTY"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs git in the clone and returns its output without the line end.
    ///
    /// # Panics
    /// If git fails.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = self.try_git(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?} failed: {errors}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Runs git in the clone, whatever comes of it.
    pub fn try_git(&self, arguments: &[&str]) -> Output {
        self.command("git").args(arguments).output().expect("git can be started")
    }

    /// Runs git on the bare remote, whatever comes of it.
    pub fn try_remote(&self, arguments: &[&str]) -> Output {
        self.command("git").arg("--git-dir").arg(self.bare()).args(arguments).output().expect("git can be started")
    }

    /// The commit that a revision of the clone stands for; tags are peeled.
    pub fn commit_of(&self, revision: &str) -> String {
        self.git(&["rev-parse", "--verify", &format!("{revision}^{{commit}}")])
    }

    /// The commit that a revision of the remote stands for, or nothing.
    pub fn remote_commit_of(&self, revision: &str) -> Option<String> {
        let output = self.try_remote(&["rev-parse", "--quiet", "--verify", &format!("{revision}^{{commit}}")]);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Writes a file of the clone, making its folders.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.clone_dir().join(path);
        fs::create_dir_all(path.parent().expect("the path lies in the clone")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }

    /// Commits everything in the clone; `number` sets the time, so that the same history has the same commits.
    pub fn commit(&self, message: &str, number: usize) {
        self.git(&["add", "--all"]);
        let date = format!("2025-09-{:02}T12:00:00Z", number + 1);
        let status = self
            .command("git")
            .args(["commit", "--quiet", "--message", message])
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .status();
        assert!(status.expect("git can be started").success(), "could not commit");
    }

    fn release(&self, version: &str, signed: bool, number: usize) {
        self.write("pyproject.toml", &pyproject(version));
        self.write("ui/version.js", &format!("export default '{version}';\n"));
        self.commit(&format!("Work towards {version}"), number);
        let tag = format!("v{version}");
        if signed {
            self.git(&["tag", "-s", "-m", &format!("Release {version}"), &tag]);
        } else {
            self.git(&["tag", &tag]);
        }
    }

    fn make_key(&mut self) {
        let home = self.gnupg_home();
        fs::create_dir_all(self.clone_dir()).expect("a folder can be made");
        fs::create_dir(&home).expect("a folder can be made");
        // gpg warns about, and its agent refuses, a key ring that others may enter.
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("the folder is ours");
        let user = "Release Engineer <release@example.org>";
        let made = self
            .command("gpg")
            .args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""])
            .args(["--quick-generate-key", user, "ed25519", "sign", "never"])
            .output()
            .expect("gpg is installed");
        assert!(made.status.success(), "could not make a key: {}", String::from_utf8_lossy(&made.stderr));
        let listed = self.command("gpg").args(["--batch", "--with-colons", "--list-secret-keys"]).output();
        let listed = String::from_utf8_lossy(&listed.expect("gpg is installed").stdout).into_owned();
        let line = listed.lines().find(|line| line.starts_with("fpr:")).expect("the new key is listed");
        self.fingerprint = line.split(':').nth(9).expect("a fingerprint is the tenth field").to_owned();
        let config = format!(
            "[user]\n\tname = Release Engineer\n\temail = release@example.org\n\tsigningkey = {}\n\
             [init]\n\tdefaultBranch = main\n[tag]\n\tgpgSign = false\n[gpg]\n\tformat = openpgp\n[advice]\n\tdetachedHead = false\n",
            self.fingerprint
        );
        fs::write(self.path().join("gitconfig"), config).expect("a file can be written");
    }

    fn make_repositories(&self) {
        let bare = self.bare();
        let bare = bare.to_str().expect("temporary paths are UTF-8");
        self.git(&["init", "--quiet", "--bare", bare]);
        self.git(&["init", "--quiet"]);
        self.git(&["remote", "add", "origin", bare]);
    }
}

impl Drop for GitWorld {
    fn drop(&mut self) {
        // An agent that outlives its key ring would stay for ever; without one there is nothing to end.
        let _ = self.command("gpgconf").args(["--kill", "all"]).output();
    }
}

fn pyproject(version: &str) -> String {
    format!("[project]\nname = \"balrog\"\nversion = \"{version}\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(output: &Output) -> i32 {
        output.status.code().expect("git is not killed here")
    }

    #[test]
    fn tags_are_signed_lightweight_and_hold_their_version() {
        let world = GitWorld::new();
        for (version, signed) in HISTORY {
            let tag = format!("v{version}");
            let kind = if signed { "tag" } else { "commit" };
            assert_eq!(world.git(&["cat-file", "-t", &tag]), kind);
            assert_eq!(code(&world.try_git(&["verify-tag", &tag])), i32::from(!signed), "{tag}");
            assert!(world.git(&["show", &format!("{tag}:pyproject.toml")]).contains(&format!("\"{version}\"")));
            assert_eq!(world.remote_commit_of(&tag), Some(world.commit_of(&tag)));
        }
        assert!(world.git(&["show", "main:pyproject.toml"]).contains("\"3.11\""));
        assert_eq!(world.git(&["rev-list", "--count", "v3.10..origin/main"]), "1");
        assert_eq!(world.commit_of("production-ui"), world.commit_of(UI_AT));
    }

    #[test]
    fn the_commands_of_the_procedures_end_as_the_facts_say() {
        let world = GitWorld::new();
        let schema = |from: &str, to: &str| {
            let paths = ["src/auslib/alembic", "src/auslib/migrate"];
            code(&world.try_git(&["diff", "--exit-code", "--name-status", from, to, "--", paths[0], paths[1]]))
        };
        assert_eq!((schema("v3.07", "v3.08"), schema("v3.08", "v3.10"), schema("v3.8", "v3.10")), (0, 1, 128));
        let absent = ["ls-remote", "--exit-code", "--tags", "origin", "v3.11"];
        assert_eq!(code(&world.try_git(&absent)), 2);
        // Without an editor and without a message there is no signed tag.
        assert_eq!(code(&world.try_git(&["tag", "-s", "v3.11"])), 128);
        world.git(&["tag", "-d", "production-ui"]);
        world.git(&["tag", "-s", "-m", "back", "production-ui", "v3.07^{}"]);
        let rejected = world.try_git(&["push", "origin", "production-ui"]);
        assert_eq!(code(&rejected), 1);
        assert!(String::from_utf8_lossy(&rejected.stderr).contains("already exists"));
    }

    #[test]
    fn the_agent_ends_with_its_world() {
        let world = GitWorld::new();
        let home = world.gnupg_home();
        let mine = || {
            let mut pids = Vec::new();
            for entry in fs::read_dir("/proc").unwrap().flatten() {
                let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let line = String::from_utf8_lossy(&line).into_owned();
                if line.starts_with("gpg-agent") && line.contains(home.to_str().unwrap()) {
                    pids.push(entry.file_name());
                }
            }
            pids.len()
        };
        assert_eq!(mine(), 1);
        drop(world);
        // The agent has been told to end and does so by itself, a moment after the one who told it.
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while mine() > 0 && std::time::Instant::now() < patience {
            std::thread::yield_now();
        }
        assert_eq!(mine(), 0);
    }
}
