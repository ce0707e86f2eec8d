//! An `sshd` of the test's own, on loopback: a free port, its own keys, its own configuration, and one `box` to log in to
//! as whoever runs the tests. Knows nothing of runbooks.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Child, Command, Stdio},
};

use crate::lab::until;

const SSHD: &str = "/usr/sbin/sshd";

pub struct Sshd {
    folder: tempfile::TempDir,
    server: Child,
}

impl Sshd {
    pub fn start() -> Sshd {
        let folder = tempfile::Builder::new().prefix("sshd").tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
                .arg(path(key))
                .stdin(Stdio::null())
                .status()
                .unwrap();
            assert!(made.success());
        }
        fs::copy(path("user.pub"), path("authorized")).unwrap();
        if rustix::process::getuid().is_root() {
            // What the service makes at its start: root's server locks itself in there.
            let _ = fs::create_dir("/run/sshd");
            let _ = fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755));
        }
        // Somebody else may take the port before the server does.
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let at = |name: &str| path(name).display().to_string();
            let server = format!(
                "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM \
                 no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no\nMaxStartups 100\n",
                at("host"),
                at("authorized"),
            );
            fs::write(path("server"), server).unwrap();
            let (name, key) = (whoami(), fs::read_to_string(path("host.pub")).unwrap());
            fs::write(path("known"), format!("box {key}")).unwrap();
            let all = format!(
                "  HostName 127.0.0.1\n  HostKeyAlias box\n  User {name}\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
                 UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n  BatchMode yes\n  \
                 ConnectTimeout 20\n",
                at("known"),
            );
            let client = format!(
                "Host box\n  Port {port}\n  IdentityFile {user}\nHost closed\n  Port 1\n  IdentityFile {user}\nHost \
                 stranger\n  Port {port}\n  IdentityFile {}\nHost *\n{all}",
                at("host"),
                user = at("user"),
            );
            fs::write(path("client"), client).unwrap();
            let log = fs::File::create(path("log")).unwrap();
            let mut child = Command::new(SSHD)
                .args(["-D", "-e", "-f"])
                .arg(path("server"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .process_group(0)
                .spawn()
                .unwrap_or_else(|why| panic!("{SSHD} could not be started: {why}"));
            let mut gone = false;
            until("an sshd that listens or has given up", || {
                gone = child.try_wait().unwrap().is_some();
                gone || TcpStream::connect(("127.0.0.1", port)).is_ok()
            });
            if !gone {
                return Sshd { folder, server: child };
            }
        }
        panic!("no sshd: {}", fs::read_to_string(path("log")).unwrap_or_default());
    }

    /// The configuration for a client: `box` is this server, `closed` a port at which nobody listens, `stranger` one with a
    /// key that the server does not take.
    pub fn client(&self) -> String {
        self.folder.path().join("client").display().to_string()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn whoami() -> String {
    let said = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}
