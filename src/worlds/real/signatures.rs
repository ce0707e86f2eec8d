//! SSH signatures, through `ssh-keygen` and `ssh-add`. Knows nothing of what is signed.
//!
//! Nothing here asks anybody: the programs run in a session without a terminal and without `SSH_ASKPASS`, so that a key
//! that wants a passphrase fails at once unless an agent holds it. What an agent asks its owner (a touch, a yes) is its
//! own affair, within [`LIMIT`].

use std::{
    cell::RefCell,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    RealWorld,
    launch::{self, Dropped},
    lookup,
};
use crate::{
    event::{Effect, StepId, Stream},
    port::{Cancel, Output, ProcessRequest, Stdin},
    text::one_line,
};

/// Longer than a person needs to touch a key, and short enough not to be stuck.
const LIMIT: Duration = Duration::from_secs(60);
/// For what nobody has to be asked for.
const SHORT: Duration = Duration::from_secs(10);
/// More than any of these programs has to say.
const MOST: usize = 1 << 20;

/// Names of key files that `ssh` itself tries, in its order of preference for new keys.
const USUAL: [&str; 6] = ["id_ed25519", "id_ed25519_sk", "id_ecdsa", "id_ecdsa_sk", "id_rsa", "id_dsa"];

/// Why there is no signature, or why one could not be looked at.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub struct SignatureError {
    pub why: String,
    /// The program itself is not there, or could not be run.
    pub no_tool: bool,
}

/// A key that can sign.
pub struct SshKey {
    /// What `ssh-keygen -f` is given: a private key, or a public one whose private half an agent holds.
    file: PathBuf,
    /// The public key of an agent, for as long as it is needed.
    _public: Option<tempfile::NamedTempFile>,
    shown: String,
}

/// What came of looking at a signature.
#[derive(Clone, Debug, PartialEq)]
pub enum Checked {
    /// It was made over these bytes with this key, shown with its type.
    Good {
        key: String,
    },
    Bad(String),
}

impl SshKey {
    /// The key in this file (private, or public with its private half in an agent); without one, the first key of the
    /// agent, or else the first of the usual files below `~/.ssh`.
    pub async fn choose(world: &RealWorld, file: Option<&Path>) -> Result<SshKey, SignatureError> {
        need("ssh-keygen")?;
        let (file, public) = match file {
            Some(file) => {
                let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
                if let Err(why) = std::fs::File::open(&file) {
                    return Err(refused(format!("the key {}: {}", shown(&file), super::child::plain(&why))));
                }
                (file, None)
            }
            None => match first_of_agent(world).await {
                Some(line) => {
                    let file = keep(&line).map_err(|why| refused(format!("keep the agent's public key: {why}")))?;
                    (file.path().to_owned(), Some(file))
                }
                None => (usual_file()?, None),
            },
        };
        // Its fingerprint is for people; a key that cannot tell it may still sign.
        let described = call(world, &["ssh-keygen", "-l", "-f", &text(&file)?], &[]).await?;
        let shown = match described.exit {
            Some(0) => fingerprint(&described.out),
            _ => format!("the key {}", shown(&file)),
        };
        Ok(SshKey { file, _public: public, shown })
    }

    /// Its type, fingerprint and comment, or its file.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Whether it is on a token, which signs when it is touched.
    pub fn wants_touch(&self) -> bool {
        self.shown.split(' ').next().is_some_and(|kind| kind.ends_with("-SK"))
    }

    /// An armoured signature over these bytes.
    pub async fn sign(&self, world: &RealWorld, namespace: &str, bytes: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let said =
            call(world, &["ssh-keygen", "-q", "-Y", "sign", "-f", &text(&self.file)?, "-n", namespace], bytes).await?;
        if said.exit != Some(0) || !said.out.starts_with(b"-----BEGIN SSH SIGNATURE-----") {
            return Err(refused(format!("{} did not sign: {}", self.shown, said.why())));
        }
        Ok(said.out)
    }
}

/// Whether a signature is one over these bytes, and by which key. Whose key that is, is another question.
pub async fn check_signature(
    world: &RealWorld,
    namespace: &str,
    bytes: &[u8],
    signature: &[u8],
) -> Result<Checked, SignatureError> {
    need("ssh-keygen")?;
    let file = keep(signature).map_err(|why| refused(format!("keep the signature: {why}")))?;
    let args = ["ssh-keygen", "-Y", "check-novalidate", "-n", namespace, "-s", &text(file.path())?];
    let said = call(world, &args, bytes).await?;
    let out = String::from_utf8_lossy(&said.out).into_owned();
    let key = out.trim().rsplit_once(" with ").map(|(_, key)| one_line(key).into_owned());
    Ok(match (said.exit, key) {
        (Some(0), Some(key)) => Checked::Good { key },
        (Some(0), None) => Checked::Bad(format!("`ssh-keygen` said what is not understood: {}", one_line(out.trim()))),
        _ => Checked::Bad(format!("it is no signature over its statement: {}", said.why())),
    })
}

/// Who of a file of allowed signers made a good signature, at a time for which their keys must be valid; none if none of
/// them did.
pub async fn signer(
    world: &RealWorld,
    namespace: &str,
    bytes: &[u8],
    signature: &[u8],
    allowed: &Path,
    time: jiff::Timestamp,
) -> Result<Option<String>, SignatureError> {
    need("ssh-keygen")?;
    let file = keep(signature).map_err(|why| refused(format!("keep the signature: {why}")))?;
    let (signature, allowed) = (text(file.path())?, text(allowed)?);
    // In local time: only later versions than 9.0 know any other.
    let local = time.to_zoned(jiff::tz::TimeZone::system());
    let at = format!("verify-time={}", local.strftime("%Y%m%d%H%M%S"));
    let find = ["ssh-keygen", "-Y", "find-principals", "-O", &at, "-s", &signature, "-f", &allowed];
    let found = call(world, &find, bytes).await?;
    let names = String::from_utf8_lossy(&found.out).into_owned();
    for name in names.lines().flat_map(|line| line.split(',')).filter(|name| !name.is_empty()) {
        let verify =
            ["ssh-keygen", "-Y", "verify", "-O", &at, "-f", &allowed, "-I", name, "-n", namespace, "-s", &signature];
        if call(world, &verify, bytes).await?.exit == Some(0) {
            return Ok(Some(one_line(name).into_owned()));
        }
    }
    Ok(None)
}

fn refused(why: String) -> SignatureError {
    SignatureError { why, no_tool: false }
}

fn need(program: &str) -> Result<(), SignatureError> {
    match lookup::tool(program) {
        Some(_) => Ok(()),
        None => Err(SignatureError {
            why: format!("there is no `{program}`; it comes with OpenSSH (Debian: openssh-client)"),
            no_tool: true,
        }),
    }
}

fn shown(path: &Path) -> String {
    one_line(&path.display().to_string()).into_owned()
}

fn text(path: &Path) -> Result<String, SignatureError> {
    path.to_str().map(str::to_owned).ok_or_else(|| refused(format!("the name {} is not UTF-8 text", shown(path))))
}

fn keep(bytes: &[u8]) -> std::io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("runsheet-").tempfile()?;
    file.write_all(bytes)?;
    file.flush()?;
    Ok(file)
}

/// The first public key that an agent holds; certificates stand beside the key they are of, and are passed over.
async fn first_of_agent(world: &RealWorld) -> Option<Vec<u8>> {
    std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty())?;
    lookup::tool("ssh-add")?;
    let said = call(world, &["ssh-add", "-L"], &[]).await.ok()?;
    let listed = String::from_utf8_lossy(&said.out).into_owned();
    let key = listed.lines().find(|line| {
        let kind = line.split(' ').next().unwrap_or_default();
        (kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-")) && !kind.contains("-cert-")
    });
    key.filter(|_| said.exit == Some(0)).map(|line| format!("{line}\n").into_bytes())
}

fn usual_file() -> Result<PathBuf, SignatureError> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let folder = home.map(|home| home.join(".ssh"));
    let found =
        folder.as_ref().and_then(|folder| USUAL.iter().map(|name| folder.join(name)).find(|file| file.is_file()));
    let below = folder.map_or("~/.ssh".into(), |folder| shown(&folder));
    found.ok_or_else(|| refused(format!("no agent holds a key, and there is none in {below}")))
}

/// `256 SHA256:… comment (ED25519)`, as it is, without its size.
fn fingerprint(said: &[u8]) -> String {
    let line = String::from_utf8_lossy(said).lines().next().unwrap_or_default().to_owned();
    let line = line.split_once(' ').map_or(line.as_str(), |(_, rest)| rest);
    match line.rsplit_once(" (") {
        Some((rest, kind)) => one_line(&format!("{} key {rest}", kind.trim_end_matches(')'))).into_owned(),
        None => one_line(line).into_owned(),
    }
}

/// How a program ended and what it said.
pub(super) struct Said {
    pub(super) exit: Option<i32>,
    /// The limit that it went over.
    timed_out: Option<Duration>,
    pub(super) out: Vec<u8>,
    pub(super) err: Vec<u8>,
}

impl Said {
    fn why(&self) -> String {
        if let Some(limit) = self.timed_out {
            return format!("there was no answer within {}s", limit.as_secs());
        }
        let all = [&self.err[..], b"\n", &self.out[..]].concat();
        let text = String::from_utf8_lossy(&all).into_owned();
        // What it would have asked a terminal is no reason.
        let text = text.replace("Enter passphrase: ", "");
        let said: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(one_line).collect();
        if said.is_empty() { format!("`ssh-keygen` failed ({:?})", self.exit) } else { said.join("; ") }
    }
}

/// Runs a program that asks nobody and has its answer ready.
pub(super) async fn call(world: &RealWorld, argv: &[&str], stdin: &[u8]) -> Result<Said, SignatureError> {
    let mut env: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| {
            !["SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY"].contains(&name.as_str())
        })
        .collect();
    env.push(("SSH_ASKPASS_REQUIRE".into(), "never".into()));
    let limit = if argv.contains(&"sign") { LIMIT } else { SHORT };
    let request = ProcessRequest {
        step: StepId::new("signature"),
        attempt: 1,
        number: 1,
        effect: Effect::Read,
        looks: false,
        argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
        stdin: if stdin.is_empty() { Stdin::Nothing } else { Stdin::Bytes(stdin.to_vec()) },
        env,
        cwd: std::env::current_dir().unwrap_or_else(|_| "/".into()),
        tty: false,
        daemon: false,
        timeout: Some(limit),
        kill_grace: Duration::from_secs(2),
        record_dir: None,
    };
    let heard = Heard::default();
    // A dropped wait means that nobody wants the answer any more.
    let end = launch::run(world, &request, &heard, &Cancel::new(), Dropped::Killed).await.map_err(|error| {
        SignatureError { why: format!("`{}` could not be run: {error}", argv.first().unwrap_or(&"")), no_tool: true }
    })?;
    let (out, err) = heard.0.into_inner();
    Ok(Said { exit: end.exit.filter(|_| !end.timed_out), timed_out: end.timed_out.then_some(limit), out, err })
}

#[derive(Default)]
struct Heard(RefCell<(Vec<u8>, Vec<u8>)>);

impl Output for Heard {
    fn chunk(&self, stream: Stream, bytes: &[u8]) {
        let mut heard = self.0.borrow_mut();
        let kept = if stream == Stream::Stderr { &mut heard.1 } else { &mut heard.0 };
        let room = MOST.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}
