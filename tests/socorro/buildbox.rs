//! `socorro/setup-buildbox` with a folder as the system: what is there afterwards, what is noticed, and that it may be run
//! again.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    bench::{Bench, Ran},
    standins::{
        cloud::Cloud,
        server::{Reply, Server},
    },
};

const USER_ARN: &str = "arn:aws:iam::123456789012:user/jenkins";
const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const YES: &[(&str, &str)] = &[("iam", "{iam_user: 'arn:aws:iam::123456789012:user/jenkins'}"), ("trust", "yes")];

struct Machine {
    cloud: Cloud,
    keys: Server,
    user: String,
    fingerprint: String,
}

impl Machine {
    fn new() -> Machine {
        let cloud = Cloud::new();
        let top = cloud.path().to_owned();
        for folder in ["root/etc", "root/home/centos"] {
            fs::create_dir_all(top.join(folder)).unwrap();
        }
        fs::write(top.join("root/home/centos/.rpmsign"), "a passphrase\n").unwrap();
        fs::write(top.join("root/home/centos/manage_repo.sh"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(top.join("root/home/centos/manage_repo.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standins/cloud/packages.sh");
        for name in ["yum", "rpm", "systemctl"] {
            cloud.tool(name, &format!("export CALLED={name}\nexec bash '{}' \"$@\"", script.display()));
        }
        for file in [
            "packer/socorro_base.json",
            "terraform/wrapper.sh",
            "terraform/webapp/main.tf",
            "terraform/processor/main.tf",
        ] {
            cloud.put_file(&format!("socorro-infra/{file}"), "{}\n");
        }
        let infra = top.join("socorro-infra");
        run("git", &["init", "--quiet"], &infra);
        run("git", &["add", "."], &infra);
        run("git", &["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "all"], &infra);
        let (key, fingerprint) = make_key(&top);
        let keys = Server::start(move |request| match request.path.as_str() {
            "/jenkins.key" => Reply::of(200, "text/plain", key.clone()),
            "/two.key" => Reply::of(200, "text/plain", two_keys(&key)),
            "/page" => Reply::of(200, "text/html", "<h1>Moved</h1>"),
            _ => Reply::empty(404),
        });
        let user = run("id", &["-un"], &top);
        Machine { cloud, keys, user, fingerprint }
    }

    fn root(&self, below: &str) -> PathBuf {
        self.cloud.path().join("root").join(below)
    }

    fn read(&self, below: &str) -> String {
        fs::read_to_string(self.root(below)).unwrap_or_else(|error| panic!("{below}: {error}"))
    }

    fn mode(&self, below: &str) -> u32 {
        fs::metadata(self.root(below)).unwrap().permissions().mode() & 0o777
    }

    fn bench(&self, edits: &[(&str, &str)]) -> Bench {
        Bench::new("socorro/setup-buildbox", edits)
            .path_first(&self.cloud.bin())
            .param("root", self.root("").to_str().unwrap().trim_end_matches('/'))
            .param("user", &self.user)
            .param("account", "123456789012")
            .param("private_bucket", "socorro-private")
            .param("jenkins_key", format!("{}/jenkins.key", self.keys.url()))
            .param("socorro_repo", "https://packages.example/x86_64")
            .param("socorro_key", "https://packages.example/key")
            .param("infra", self.cloud.path().join("socorro-infra").to_str().unwrap())
            .param("poll", "10ms")
            .param("patience", "20s")
            .env("BUILDBOX_ACCESS_KEY_ID", KEY_ID)
            .env("BUILDBOX_SECRET_ACCESS_KEY", SECRET)
            .secret(SECRET)
    }

    fn run(&self, edits: &[(&str, &str)]) -> Ran {
        self.bench(edits).run(YES)
    }
}

fn run(program: &str, args: &[&str], folder: &Path) -> String {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).stdin(Stdio::null());
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A key as a project publishes one, and its fingerprint.
fn make_key(top: &Path) -> (String, String) {
    let home = top.join("gnupg");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    let home_text = home.to_str().unwrap();
    let gpg = |args: &[&str]| run("gpg", &[&["--batch", "--no-options", "--homedir", home_text], args].concat(), top);
    gpg(&["--passphrase", "", "--quick-gen-key", "Jenkins <jenkins@example.org>", "ed25519", "sign", "never"]);
    let listed = gpg(&["--list-keys", "--with-colons"]);
    let fingerprint =
        listed.lines().find(|line| line.starts_with("fpr:")).unwrap().split(':').nth(9).unwrap().to_owned();
    let key = gpg(&["--armor", "--export"]);
    // Its agent has nothing to do any more.
    run("gpgconf", &["--homedir", home_text, "--kill", "all"], top);
    (key, fingerprint)
}

/// The same block twice stands for two keys under one address only if the second is another one.
fn two_keys(key: &str) -> String {
    let other = tempfile::tempdir().unwrap();
    format!("{key}\n{}", make_key(other.path()).0)
}

#[test]
fn a_machine_is_set_up_and_may_be_set_up_again() {
    let machine = Machine::new();
    fs::create_dir_all(machine.root("etc/yum.repos.d")).unwrap();
    fs::write(machine.root("etc/yum.repos.d/Jenkins.repo"), "[Jenkins]\n").unwrap();
    fs::create_dir_all(machine.root("home/centos/.aws")).unwrap();
    fs::write(machine.root("home/centos/.aws/credentials"), "[default]\naws_access_key_id = AKIAOTHER\n[x]\na = 1\n")
        .unwrap();
    // Somebody has made this one by hand.
    fs::create_dir_all(machine.root("etc/profile.d")).unwrap();
    fs::write(machine.root("etc/profile.d/socorro-buildbox.sh"), "PATH=/by/hand\n").unwrap();
    machine.cloud.machine_fault("late-start");
    let earlier = machine.bench(&[]);
    let first = earlier.run(YES);
    first.succeeded();
    let question = first.events.iter().find(|event| event["event"] == "question_asked" && event["step"] == "trust");
    assert!(question.unwrap()["message"].as_str().unwrap().contains(&machine.fingerprint));
    let policy =
        first.events.iter().find(|event| event["event"] == "question_asked" && event["step"] == "iam").unwrap();
    let message = policy["message"].as_str().unwrap();
    let (from, to) = (message.find("\n{").unwrap(), message.rfind("}\n").unwrap());
    let policy: Value = serde_json::from_str(&message[from..=to]).unwrap();
    let pass = policy["Statement"].as_array().unwrap().iter().find(|one| one["Action"] == "iam:PassRole").unwrap();
    assert_eq!(pass["Resource"], "arn:aws:iam::123456789012:role/generic");
    assert!(!policy.to_string().contains("\"*:*\"") && !policy.to_string().contains("\"ec2:*\""));

    let look = || {
        let repo = machine.read("etc/yum.repos.d/jenkins.repo");
        assert!(
            repo.contains("baseurl=https://pkg.jenkins.io/redhat-stable\n") && repo.contains("gpgcheck=1"),
            "{repo}"
        );
        assert!(!machine.root("etc/yum.repos.d/Jenkins.repo").exists());
        let sysconfig = machine.read("etc/sysconfig/jenkins");
        let users: Vec<&str> = sysconfig.lines().filter(|line| line.starts_with("JENKINS_USER")).collect();
        assert_eq!(users, [format!("JENKINS_USER=\"{}\"", machine.user)]);
        assert!(sysconfig.contains("JENKINS_PORT=\"8080\""), "{sysconfig}");
        let unit = machine.read("etc/systemd/system/jenkins.service.d/buildbox.conf");
        assert!(
            unit.contains(&format!("User={}\n", machine.user))
                && unit.contains("PATH=/home/centos/terraform:/usr/local/bin")
        );
        let credentials = machine.read("home/centos/.aws/credentials");
        let wanted = format!(
            "[default]\naws_access_key_id = AKIAOTHER\n[x]\na = 1\n[socorro-buildbox]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"
        );
        assert_eq!(credentials, wanted);
        assert_eq!((machine.mode("home/centos/.aws"), machine.mode("home/centos/.aws/credentials")), (0o700, 0o600));
        assert_eq!(machine.mode("home/centos/.rpmsign"), 0o600);
        assert!(machine.root("home/centos/socorro-infra/terraform/wrapper.sh").is_file());
        assert!(machine.root("home/centos/org.mozilla.crash-stats.packages-public/x86_64").is_dir());
    };
    look();
    // The secret is nowhere but in its file.
    let bench = machine.bench(&[]);
    bench.run(YES).succeeded();
    look();
    let found = Command::new("grep").args(["-rlF", SECRET]).arg(bench.folder()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    // Each of the two takes back what it has written, and nothing that the other has.
    let undone = bench.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    look();
    assert!(machine.read("etc/profile.d/socorro-buildbox.sh").contains("/usr/local/bin"));
    let undone = earlier.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    assert!(machine.read("etc/sysconfig/jenkins").contains("JENKINS_USER=\"jenkins\""));
    assert_eq!(machine.read("etc/yum.repos.d/Jenkins.repo"), "[Jenkins]\n");
    assert_eq!(machine.read("etc/profile.d/socorro-buildbox.sh"), "PATH=/by/hand\n");
    for folder in ["etc/yum.repos.d", "etc/sysconfig", "etc/profile.d", "etc/systemd/system/jenkins.service.d"] {
        let left: Vec<_> =
            fs::read_dir(machine.root(folder)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let ours = |name: &str| name.contains(".before-") || name.contains(".absent-") || name == "buildbox.conf";
        assert!(!left.iter().any(|name| ours(name.to_str().unwrap()) || name == "jenkins.repo"), "{folder}: {left:?}");
    }
}

#[test]
fn what_only_a_person_can_do_is_waited_for() {
    let machine = Machine::new();
    fs::remove_file(machine.root("home/centos/.rpmsign")).unwrap();
    let bench = machine.bench(&[]);
    assert_eq!(bench.run(&[]).code, 11);
    assert!(!machine.root("etc/yum.repos.d").exists());
    let waiting = bench.resume(YES);
    assert_eq!(waiting.code, 11, "{}", waiting.told);
    // Said to be done, and not done.
    let ran = bench.resume(&[YES, &[("bring", "done")]].concat());
    ran.stopped_at("protect", "");
    // The fingerprint is another one than the person expects.
    let machine = Machine::new();
    let declined = machine.bench(&[]).run(&[YES[0], ("trust", "no")]);
    assert_eq!(declined.code, 5, "{}", declined.told);
    assert!(!machine.root("var/lib/rpm/key").exists());
}

/// What may be wrong on the machine.
type Prepare = fn(&Machine);

const CASES: [(&str, Prepare); 7] = [
    ("import", |m| m.cloud.machine_fault("import-nothing")),
    ("installed", |m| m.cloud.machine_fault("no-packer")),
    ("identity", |m| {
        // The key is somebody else's.
        m.cloud
            .tool("aws", "echo '{\"Account\": \"123456789012\", \"Arn\": \"arn:aws:iam::123456789012:user/other\"}'");
    }),
    ("protect", |m| {
        let file = m.root("home/centos/.rpmsign");
        fs::rename(&file, m.root("home/centos/elsewhere")).unwrap();
        symlink("elsewhere", &file).unwrap();
    }),
    ("infra", |m| {
        let clone = m.root("home/centos/socorro-infra");
        fs::create_dir(&clone).unwrap();
        run("git", &["init", "--quiet"], &clone);
        run("git", &["remote", "add", "origin", "https://example.org/another.git"], &clone);
    }),
    ("whole", |m| {
        let infra = m.cloud.path().join("socorro-infra");
        run("git", &["rm", "--quiet", "packer/socorro_base.json"], &infra);
        run("git", &["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "less"], &infra);
    }),
    ("runs-as", |m| m.cloud.machine_fault("stays-down")),
];

#[test]
fn it_notices() {
    for (step, prepare) in CASES {
        eprintln!("{step}");
        let machine = Machine::new();
        prepare(&machine);
        machine.run(&[]).stopped_at(step, "");
    }
    for (path, step) in [("page", "fingerprint"), ("two.key", "fingerprint"), ("none", "key")] {
        eprintln!("{path}");
        let machine = Machine::new();
        let mut bench = machine.bench(&[]);
        bench.replace("jenkins_key", &format!("{}/{path}", machine.keys.url()));
        bench.run(YES).stopped_at(step, "");
        assert!(!machine.root("var/lib/rpm/key").exists());
    }
}

/// Each check, and that without it the machine would be called ready and would not be.
#[test]
fn without_a_check_something_is_wrong_unseen() {
    let edits: [(&str, &[(&str, &str)]); 7] = [
        (
            "import",
            &[
                ("    expect: fingerprint[-8:]|lower in result.lines\n", ""),
                ("-q gpg-pubkey --queryformat '%{version}\\n'", "-q gpg-pubkey --queryformat '%{version}\\n' || true"),
            ],
        ),
        ("installed", &[("|| echo \"$name\"", "|| true")]),
        ("identity", &[("      - result.json.Arn == iam_user\n", "")]),
        (
            "protect",
            &[
                ("    expect: result.stdout == '600 ' ~ user ~ ' regular file'\n", ""),
                ("[ \"$(stat -c %a -- \"$root/$home/.rpmsign\")\" = 600 ]", "true"),
            ],
        ),
        ("infra", &[("    expect: result.lines == [infra, user]\n", ""), ("|| echo \"$file\"", "|| true")]),
        ("whole", &[("|| echo \"$file\"", "|| true")]),
        (
            "runs-as",
            &[
                ("'ActiveState=active' in result.lines and 'User=' ~ user in result.lines", "true"),
                ("'ActiveState=failed' in result.lines", "false"),
            ],
        ),
    ];
    for ((step, prepare), (name, edits)) in CASES.into_iter().zip(edits) {
        assert_eq!(step, name);
        eprintln!("{step}");
        let machine = Machine::new();
        prepare(&machine);
        machine.run(edits).succeeded();
    }
}

/// It dies while yum works; what yum does is done once.
#[test]
fn while_packages_are_installed() {
    let machine = Machine::new();
    let gate = machine.cloud.path().join("machine/gate");
    run("mkfifo", &[gate.to_str().unwrap()], machine.cloud.path());
    let bench = machine.bench(&[]);
    let going = bench.start(YES).until_doing("install");
    let open = fs::OpenOptions::new().write(true).open(&gate).unwrap();
    going.kill();
    fs::remove_file(&gate).unwrap();
    drop(open);
    bench.resume(YES).succeeded();
    let calls = fs::read_to_string(machine.cloud.path().join("machine/calls")).unwrap();
    assert_eq!(calls.lines().filter(|line| line.starts_with("yum")).count(), 1);
}

#[test]
fn the_arn_of_the_user_is_the_one_of_the_cloud() {
    // The two stand-ins speak of the same user.
    let machine = Machine::new();
    let mut command = Command::new(machine.cloud.bin().join("aws"));
    let output = command.args(["sts", "get-caller-identity"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains(USER_ARN));
}
