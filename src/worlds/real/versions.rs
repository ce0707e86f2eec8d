//! Which version of a tool there is, and whether a process can be started at all. Knows nothing of who wants to know.

use super::{RealWorld, signatures::call};

/// Tools that tell their version and do nothing else when they are asked like this: no network, no file, no question. Any
/// other program might take `--version` for something to be done.
const KNOWN: &[(&str, &str)] = &[
    ("ansible", "--version"),
    ("bash", "--version"),
    ("curl", "--version"),
    ("docker", "--version"),
    ("git", "--version"),
    ("gpg", "--version"),
    ("java", "-version"),
    ("jq", "--version"),
    ("make", "--version"),
    ("mysql", "--version"),
    ("node", "--version"),
    ("openssl", "version"),
    ("perl", "--version"),
    ("podman", "--version"),
    ("psql", "--version"),
    ("python3", "--version"),
    ("rsync", "--version"),
    ("ruby", "--version"),
    ("shellcheck", "--version"),
    ("ssh", "-V"),
    ("tar", "--version"),
    ("wget", "--version"),
];

/// The version of a tool on the search path, as it tells it; none of a tool that is not known to tell it safely.
pub async fn tool_version(world: &RealWorld, tool: &str) -> Option<String> {
    let (_, flag) = KNOWN.iter().find(|(known, _)| *known == tool)?;
    let said = call(world, &[tool, flag], &[]).await.ok().filter(|said| said.exit == Some(0))?;
    version_in(&String::from_utf8_lossy(&said.out)).or_else(|| version_in(&String::from_utf8_lossy(&said.err)))
}

/// Whether a process can be started under a supervisor; it does nothing. The error says why not.
pub async fn try_a_process(world: &RealWorld) -> Result<(), String> {
    match call(world, &["true"], &[]).await {
        Ok(said) if said.exit == Some(0) => Ok(()),
        Ok(said) => Err(format!("`true` ended with {:?}", said.exit)),
        Err(why) => Err(why.to_string()),
    }
}

/// The first word that has the form of a version.
fn version_in(text: &str) -> Option<String> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '"'));
    words.filter_map(|word| word.find(|c: char| c.is_ascii_digit()).map(|at| &word[at..])).find_map(|word| {
        let end = word.find(|c: char| !c.is_ascii_alphanumeric() && !"._-+".contains(c)).unwrap_or(word.len());
        let word = &word[..end];
        (word.contains('.') && word.len() <= 40).then(|| word.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn finds_a_version_in_what_tools_say() {
        for (said, version) in [
            ("git version 2.39.5\n", Some("2.39.5")),
            ("jq-1.6\n", Some("1.6")),
            ("GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)\n", Some("5.2.15")),
            ("openjdk version \"17.0.12\" 2024-07-16\n", Some("17.0.12")),
            ("OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.14 4 Jun 2024\n", Some("9.2p1")),
            ("gpg (GnuPG) 2.2.40\nlibgcrypt 1.10.1\n", Some("2.2.40")),
            ("ShellCheck - shell script analysis tool\nversion: 0.9.0\n", Some("0.9.0")),
            ("no version", None),
            ("", None),
        ] {
            assert_eq!(version_in(said).as_deref(), version, "{said}");
        }
    }
}
