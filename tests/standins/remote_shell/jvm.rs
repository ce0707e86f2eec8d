//! A real JVM to take thread dumps of; it does not know that it stands in a container.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sha2::{Digest, Sha256};

const SOURCE: &str = include_str!("Server.java");
/// The name under which `jps -l` shows it.
pub const MAIN_CLASS: &str = "connector.Server";

/// A running JVM; it ends when this is dropped.
pub struct Jvm {
    child: Child,
}

/// Starts one and waits until it is up; with `deadlock` two of its threads wait for each other by then.
pub fn start_jvm(deadlock: bool) -> Jvm {
    Jvm::start(deadlock, &[])
}

impl Jvm {
    /// The same with options for the JVM, such as `-XX:+DisableAttachMechanism`.
    pub fn start(deadlock: bool, options: &[&str]) -> Jvm {
        let mut child = Command::new(tools().join("java"))
            .args(["-Xmx32m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(options)
            .arg("-cp")
            .arg(classes())
            .arg(MAIN_CLASS)
            .args(if deadlock { vec!["deadlock"] } else { vec![] })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("java is installed");
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("the JVM can be listened to");
        assert_eq!(line.trim_end(), "ready", "the JVM did not come up");
        Jvm { child }
    }

    /// Its process, as this machine numbers it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        // It may have ended by itself; either way there is a process to collect.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the real tools of one JDK, so that `java` and `jstack` are of the same one.
pub fn tools() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let javac = std::env::split_paths(&path).map(|folder| folder.join("javac")).find(|file| file.is_file());
    let javac = javac.expect("a JDK is installed").canonicalize().expect("javac can be followed to its JDK");
    javac.parent().expect("javac lies in a folder").to_owned()
}

/// The compiled class, made once for all tests: the folder is named after the source and appears as a whole.
fn classes() -> PathBuf {
    let digest = Sha256::digest(SOURCE);
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("standin-jvm-{name}"));
    if made.exists() {
        return made;
    }
    // Several tests may come here at once: each compiles aside, and one of the equal results stays.
    let aside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder can be made");
    let built = aside.path().join("built");
    std::fs::create_dir_all(built.join("connector")).expect("a folder can be made");
    let source = built.join("connector/Server.java");
    std::fs::write(&source, SOURCE).expect("a file can be written");
    let compiled = Command::new(tools().join("javac")).args(["--release", "17"]).arg(&source).status();
    assert!(compiled.expect("javac is installed").success(), "could not compile the class of the stand-in");
    let renamed = std::fs::rename(&built, &made);
    assert!(renamed.is_ok() || made.exists(), "could not keep the compiled class: {renamed:?}");
    made
}
