//! Two RabbitMQ servers on the machines `rabbit-a` and `rabbit-b`: real ones, or a stand-in for `rabbitmqctl` with the
//! nodes behind it. One test asks both the same and compares what they answer. Knows no runbook.
//!
//! Faults of the stand-in, by their names: `cookie`, `version`, `unreachable` (the other node), `forgets-user`,
//! `forgets-password`, `forgets-rights` (success without an effect), `join-refused` (before anything is lost),
//! `join-breaks-off` (once, after everything is lost), `join-does-nothing`, `start-fails`, `start-does-nothing`,
//! `partition`, `alarm`; and a member that another does not see.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::machines::Machines;

const CTL: &str = include_str!("machines/rabbitmqctl");

pub const PASSWORD: &str = "it's not\\a $(real) \"password\" é";
pub const NAMES: [&str; 2] = ["rabbit-a", "rabbit-b"];

/// The two servers; real ones end when this is dropped.
pub struct Rabbits {
    pub machines: Machines,
    processes: Vec<Child>,
}

impl Rabbits {
    /// Two fresh nodes that are not real.
    pub fn standins() -> Rabbits {
        let machines = Machines::new();
        let world = machines.folder().join("rabbit");
        for name in NAMES {
            let node = node_of(name);
            machines.add(name, &[], &[("RABBIT", world.to_str().unwrap()), ("RABBIT_NODE", &node)]);
            machines.install(name, "rabbitmqctl", CTL);
            // Its folders are there before any of its commands looks for them.
            fs::create_dir_all(world.join("nodes").join(&node)).unwrap();
        }
        let rabbits = Rabbits { machines, processes: Vec::new() };
        for name in NAMES {
            rabbits.ctl(name, &["new"], "");
        }
        rabbits
    }

    /// Two fresh real nodes that are up. None where RabbitMQ is not installed.
    #[track_caller]
    pub fn real() -> Option<Rabbits> {
        // The other `rabbitmqctl` of Debian becomes a user of its own.
        let [_, epmd, setsid] = crate::parts::programs(["rabbitmq-server", "epmd", "setsid"])?;
        let scripts = Path::new("/usr/lib/rabbitmq/bin");
        let mut rabbits = Rabbits { machines: Machines::new(), processes: Vec::new() };
        let ports: Vec<String> = free_ports(5).iter().map(u16::to_string).collect();
        let mut names = Command::new(epmd);
        names.args(["-port", &ports[0], "-address", "127.0.0.1"]).env_clear();
        rabbits.begin(names);
        for (index, name) in NAMES.iter().enumerate() {
            let own = rabbits.machines.machine(name);
            let path = |below: &str| own.join(below).display().to_string();
            let variables = [
                ("ERL_EPMD_PORT", ports[0].clone()),
                ("RABBITMQ_NODENAME", node_of(name)),
                ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".into()),
                ("RABBITMQ_NODE_PORT", ports[1 + index].clone()),
                ("RABBITMQ_DIST_PORT", ports[3 + index].clone()),
                ("RABBITMQ_MNESIA_BASE", path("data")),
                ("RABBITMQ_LOG_BASE", path("log")),
                ("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins")),
                ("RABBITMQ_CONFIG_FILE", path("none")),
                ("RABBITMQ_CONF_ENV_FILE", path("none.conf")),
                ("RABBITMQ_PID_FILE", path("pid")),
                // Two cores are shared by many tests.
                ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 1:1 +sbwt none +A 4".into()),
                ("ERL_FLAGS", "+S 1:1 +sbwt none".into()),
            ];
            let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
            rabbits.machines.add(name, &[scripts], &variables);
            fs::write(own.join("home/.erlang.cookie"), "NOTAREALCOOKIE").unwrap();
            fs::set_permissions(own.join("home/.erlang.cookie"), std::os::unix::fs::PermissionsExt::from_mode(0o400))
                .unwrap();
            let mut server = Command::new(&setsid);
            server.arg(own.join("bin/sudo")).args(["-n", "rabbitmq-server"]).env_clear();
            server.env("PATH", "/usr/bin:/bin").env("MACHINE", &own);
            rabbits.begin(server);
        }
        for name in NAMES {
            // It answers before it is up; what it says until then is that it is not.
            crate::lab::until("a node of RabbitMQ to be up", || {
                rabbits.ctl(name, &["-q", "await_startup", "--timeout", "30"], "").0 == 0
            });
        }
        Some(rabbits)
    }

    fn begin(&mut self, mut command: Command) {
        // Mnesia writes a dump into the current folder when it is ended, and this one goes with the test.
        let own = self.machines.machine(NAMES[0]);
        command.current_dir(own.ancestors().nth(2).unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        self.processes.push(command.spawn().unwrap());
    }

    /// What `rabbitmqctl` does and says as root on that machine.
    pub fn ctl(&self, machine: &str, args: &[&str], input: &str) -> (i32, String) {
        let mut command = Command::new(self.machines.machine(machine).join("bin/sudo"));
        command.args(["-n", "rabbitmqctl"]).args(args).env("MACHINE", self.machines.machine(machine));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // Who does not read has ended.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
        let said = child.wait_with_output().unwrap();
        (said.status.code().unwrap(), String::from_utf8_lossy(&said.stdout).trim_end().to_owned())
    }

    pub fn gets_in(&self, machine: &str, user: &str, password: &str) -> bool {
        self.ctl(machine, &["-q", "authenticate_user", user], &format!("{password}\n")).0 == 0
    }

    /// The names of the nodes that run, as that one sees it; none if it does not run itself.
    pub fn running(&self, machine: &str) -> Vec<String> {
        let (_, said) = self.ctl(machine, &["-q", "cluster_status", "--formatter", "json"], "");
        let status: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
        let nodes = status["running_nodes"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<String> = nodes.iter().map(|node| node.as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// From now on the stand-in on that machine does not see the other one.
    pub fn unseen(&self, by: &str, node: &str) {
        let file = self.machines.folder().join("rabbit").join(format!("unseen-by-{}", node_of(by)));
        fs::write(file, format!("{}\n", node_of(node))).unwrap();
    }

    /// Puts messages for somebody into the stand-in.
    pub fn add_queue(&self, machine: &str) {
        let world = self.machines.folder().join("rabbit");
        let cluster = fs::read_to_string(world.join("nodes").join(node_of(machine)).join("cluster")).unwrap();
        fs::write(world.join("clusters").join(cluster.trim()).join("queues/socorro.normal"), "").unwrap();
    }
}

impl Drop for Rabbits {
    fn drop(&mut self) {
        for mut child in self.processes.drain(..).rev() {
            let group = rustix::process::Pid::from_child(&child);
            // What has ended by itself is gone already.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = child.wait();
        }
    }
}

/// What the nodes are called.
pub fn node_of(machine: &str) -> String {
    format!("{machine}@localhost")
}

fn free_ports(count: usize) -> Vec<u16> {
    // All of them are held until the last one is found, so that none comes twice.
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// Where a test of the stand-in may look.
pub fn scripts() -> PathBuf {
    PathBuf::from("/usr/lib/rabbitmq/bin")
}

/// Asks a pair everything that the stand-in claims to know; the answers, one after the other.
pub fn interview(rabbits: &Rabbits) -> Vec<String> {
    let [a, b] = NAMES;
    let (node_a, node_b) = (node_of(a), node_of(b));
    let mut answers = Vec::new();
    let mut ask = |machine: &str, args: &[&str], input: &str, words: bool| {
        let (code, said) = rabbits.ctl(machine, &[&["-q"], args].concat(), input);
        let said = if words { said } else { String::new() };
        answers.push(format!("{machine} {}: {code} {said}", args.join(" ")));
    };
    ask(a, &["add_user", "socorro"], "one-password\n", true);
    ask(a, &["add_user", "socorro"], "other-password\n", true);
    ask(a, &["authenticate_user", "socorro"], "one-password\n", false);
    ask(a, &["authenticate_user", "socorro"], "other-password\n", false);
    ask(a, &["authenticate_user", "nobody"], "x\n", false);
    ask(a, &["set_permissions", "-p", "/", "socorro", ".*", ".*", "."], "", true);
    ask(a, &["set_permissions", "-p", "/none", "socorro", ".*", ".*", "."], "", true);
    ask(a, &["list_user_permissions", "socorro", "--formatter", "json"], "", true);
    ask(a, &["add_vhost", "crashes"], "", false);
    ask(a, &["add_vhost", "crashes"], "", false);
    ask(a, &["delete_vhost", "crashes"], "", false);
    ask(a, &["delete_vhost", "crashes"], "", false);
    ask(b, &["add_user", "other"], "one-password\n", true);
    ask(b, &["-n", &node_a, "ping"], "", true);
    ask(b, &["join_cluster", &node_a], "", false);
    ask(b, &["reset"], "", false);
    ask(b, &["stop_app"], "", false);
    ask(b, &["cluster_status", "--formatter", "json"], "", false);
    ask(b, &["join_cluster", a], "", false);
    ask(b, &["join_cluster", &node_a], "", false);
    ask(b, &["start_app"], "", false);
    ask(b, &["start_app"], "", false);
    ask(b, &["authenticate_user", "socorro"], "one-password\n", false);
    // What it held is gone, and nobody has said so.
    ask(b, &["authenticate_user", "other"], "one-password\n", false);
    ask(b, &["list_vhosts", "--no-table-headers"], "", true);
    answers.push(format!("{:?} {:?}", rabbits.running(a), rabbits.running(b)));
    let mut ask = |machine: &str, args: &[&str]| {
        let (code, _) = rabbits.ctl(machine, &[&["-q"], args].concat(), "");
        answers.push(format!("{machine} {}: {code}", args.join(" ")));
    };
    ask(b, &["stop_app"]);
    ask(b, &["reset"]);
    ask(b, &["start_app"]);
    ask(a, &["delete_user", "socorro"]);
    ask(a, &["delete_user", "socorro"]);
    answers.push(format!("{:?} {:?} {node_b}", rabbits.running(a), rabbits.running(b)));
    answers
}
