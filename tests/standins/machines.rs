//! Machines that are reached by `ssh` and on which `sudo` may do everything: folders of this one, each with variables of
//! its own. Knows neither the services on them nor any runbook.
//!
//! What may go wrong with a machine: it cannot be reached, `sudo` asks for a password, and a connection is lost before a
//! script has begun or after it has ended. Arguments of `ssh` and `sudo` are kept, because everybody can read them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

const SSH: &str = include_str!("machines/ssh");
const SUDO: &str = include_str!("machines/sudo");

/// What is not as it should be with a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing listens there.
    Refused,
    /// `sudo` asks for a password.
    Password,
    /// The connection is lost, once, before the script that contains this text has begun.
    LostBefore(&'static str),
    /// The connection is lost, once, after the script that contains this text has ended.
    LostAfter(&'static str),
    /// A fault of something that is installed there, by its name.
    Own(&'static str),
}

/// All machines of a test.
pub struct Machines {
    folder: TempDir,
}

impl Machines {
    pub fn new() -> Machines {
        let folder = tempfile::Builder::new().prefix("machines").tempdir().unwrap();
        // Servers among what runs here are somebody else than root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(folder.path().join("machines")).unwrap();
        program(&folder.path().join("bin/ssh"), SSH);
        Machines { folder }
    }

    /// To be put in front of the search path of whoever calls `ssh`.
    pub fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    /// A folder for whatever the machines need besides.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// One machine more: its programs come from `path` and the system, and its variables are these.
    pub fn add(&self, name: &str, path: &[&Path], variables: &[(&str, &str)]) {
        let here = self.machine(name);
        for below in ["bin", "faults", "home"] {
            fs::create_dir_all(here.join(below)).unwrap();
        }
        program(&here.join("bin/sudo"), SUDO);
        let mut search = here.join("bin").display().to_string();
        for folder in path {
            search.push_str(&format!(":{}", folder.display()));
        }
        let mut env = format!(
            "MACHINE={here}\nPATH={search}:/usr/sbin:/usr/bin:/sbin:/bin\nHOME={here}/home\nUSER=somebody\nLANG=C.UTF-8\n",
            here = here.display()
        );
        for (name, value) in variables {
            env.push_str(&format!("{name}='{value}'\n"));
        }
        fs::write(here.join("env"), env).unwrap();
    }

    /// Gives a machine one variable more, or another value of one.
    pub fn set(&self, machine: &str, name: &str, value: &str) {
        let file = self.machine(machine).join("env");
        let env = fs::read_to_string(&file).unwrap();
        fs::write(file, format!("{env}{name}='{value}'\n")).unwrap();
    }

    /// Installs a program on a machine.
    pub fn install(&self, machine: &str, name: &str, text: &str) {
        program(&self.machine(machine).join("bin").join(name), text);
    }

    pub fn machine(&self, name: &str) -> PathBuf {
        self.folder.path().join("machines").join(name)
    }

    pub fn fault(&self, machine: &str, fault: Fault) {
        let (name, text) = named(fault);
        fs::write(self.machine(machine).join("faults").join(name), text).unwrap();
    }

    pub fn mend(&self, machine: &str, fault: Fault) {
        // One that strikes once may have struck.
        let _ = fs::remove_file(self.machine(machine).join("faults").join(named(fault).0));
    }

    /// What everybody could read: the arguments of every `ssh` here and of every `sudo` there.
    pub fn arguments(&self) -> String {
        let mut all = fs::read_to_string(self.folder.path().join("machines/calls")).unwrap_or_default();
        for entry in fs::read_dir(self.folder.path().join("machines")).unwrap() {
            all.push_str(&fs::read_to_string(entry.unwrap().path().join("sudo")).unwrap_or_default());
        }
        all
    }
}

fn named(fault: Fault) -> (&'static str, &'static str) {
    match fault {
        Fault::Refused => ("refused", ""),
        Fault::Password => ("password", ""),
        Fault::LostBefore(text) => ("lost-before", text),
        Fault::LostAfter(text) => ("lost-after", text),
        Fault::Own(name) => (name, ""),
    }
}

fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output, Stdio};

    use super::*;

    fn ssh(machines: &Machines, host: &str, script: &str) -> Output {
        let mut command = Command::new(machines.bin().join("ssh"));
        command.args(["-T", "-o", "BatchMode=yes", host, "--", "bash", "-euo", "pipefail", "-s"]);
        command.env("FROM_HERE", "yes").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), script.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn a_machine_has_its_own_variables_and_sudo_brings_none_along() {
        let machines = Machines::new();
        machines.add("one", &[], &[("OWN", "it is mine")]);
        let script = "export HERE=x; echo \"$OWN ${FROM_HERE-nothing}\"; sudo -n sh -c 'echo \"$AS $OWN ${HERE-gone}\"'; \
                      sudo -n -u other sh -c 'echo $AS'; exit 7";
        let said = ssh(&machines, "me@one", script);
        assert_eq!(
            (said.status.code(), text(&said.stdout).as_str()),
            (Some(7), "it is mine nothing\nroot it is mine gone\nother\n")
        );
        assert!(
            machines.arguments().contains("one bash -euo pipefail -s") && machines.arguments().contains("other: sh -c")
        );
    }

    #[test]
    fn what_may_go_wrong_with_a_machine() {
        let machines = Machines::new();
        machines.add("one", &[], &[]);
        let nowhere = ssh(&machines, "two", "true");
        assert!(nowhere.status.code() == Some(255) && text(&nowhere.stderr).contains("Could not resolve hostname"));
        machines.fault("one", Fault::Password);
        let asked = ssh(&machines, "one", "sudo -n true");
        assert!(asked.status.code() == Some(1) && text(&asked.stderr).contains("a password is required"));
        for (fault, done) in [(Fault::LostBefore("mkdir"), false), (Fault::LostAfter("mkdir"), true)] {
            machines.fault("one", fault);
            assert_eq!(ssh(&machines, "one", "true").status.code(), Some(0));
            let lost = ssh(&machines, "one", "mkdir \"$HOME/made\"; echo made");
            assert_eq!((lost.status.code(), lost.stdout.is_empty()), (Some(255), true));
            assert_eq!(machines.machine("one").join("home/made").exists(), done);
        }
        machines.fault("one", Fault::Refused);
        assert_eq!(ssh(&machines, "one", "true").status.code(), Some(255));
    }
}
