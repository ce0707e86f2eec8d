//! The thread dump of the Facebook Connector, run against a stand-in for ECS with a real JVM and a real `jstack`.

mod faults;
mod real;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    standins::remote_shell::{Fault, Jvm, RemoteShell, start_jvm},
    support::{Bed, Ended, lines_of_json},
};

const NAME: &str = "facebook-connector-worker-prod";
const BUCKET: &str = "narrative-tmp";

fn runbook() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/facebook-connector/thread-dump.yaml");
    fs::read_to_string(path).unwrap()
}

/// The runbook in its surroundings.
struct Scene {
    bed: Bed,
    shell: RemoteShell,
}

impl Scene {
    fn new(jvm: Option<&Jvm>, faults: &[Fault]) -> Scene {
        let shell = RemoteShell::start(NAME, NAME, jvm, faults);
        shell.add_bucket(BUCKET);
        let mut bed = Bed::new().file("dump.yaml", &runbook());
        let own = bed.root().join("bin");
        for (name, value) in shell.env() {
            // Tools of a test come first, then those of the stand-in, and then the system's alone.
            let standin = value.split(':').next().unwrap();
            let path = format!("{}:{standin}:/usr/local/bin:/usr/bin:/bin", own.display());
            bed = bed.env(&name, if name == "PATH" { path } else { value });
        }
        Scene { bed, shell }
    }

    /// Lets a fault strike in one session alone, counted from 1.
    fn strikes_in(mut self, session: u32, fault: &str) -> Scene {
        let world = self.shell.world();
        let script = format!(
            "#!/bin/bash\nif [[ \"$*\" == *execute-command* ]]; then\n  n=$(cat \"$0.count\" 2>/dev/null || echo 0)\n  \
             echo $((n + 1)) >\"$0.count\"\n  if [ $n = {before} ]; then echo 1 >'{world}/faults/{fault}'; fi\nfi\n\
             exec '{world}/../bin/aws' \"$@\"\n",
            before = session - 1,
            world = world.display(),
        );
        self.bed = self.bed.tool("aws", &script);
        self
    }

    fn run(&self, args: &[&str]) -> Ended<'_> {
        self.bed.run(&["run", "./dump.yaml", "--yes", "--param", "task_type=worker"]).args(args).end()
    }

    /// The first step of the last run that failed, and why.
    fn failed(&self) -> Option<(String, String)> {
        let run = self.bed.runs().pop()?;
        let journal = lines_of_json(&fs::read_to_string(run.join("journal.jsonl")).unwrap());
        let failed = journal.iter().find(|line| line["event"] == "step_finished" && line["status"] == "failed")?;
        Some((failed["step"].as_str()?.to_owned(), failed["error"].as_str()?.to_owned()))
    }

    /// Fails in this step, with this in its message.
    #[track_caller]
    fn noticed(&self, args: &[&str], step: &str, says: &str) {
        let ended = self.run(args).code(1);
        let (failed, error) = self.failed().expect("a step has failed");
        assert!(failed == step && error.contains(says), "{failed}: {error}\n{}", ended.stderr);
    }

    /// What is left of dumps in the container.
    fn in_container(&self) -> Vec<String> {
        files(&self.shell.world().join("container/tmp"))
    }

    /// What is left in the store.
    fn in_store(&self) -> Vec<String> {
        files(&self.shell.world().join("s3").join(BUCKET))
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path.display().to_string()) }
    }
    found
}

/// A dump that begins and ends as one, with the line ends of one.
fn is_whole(dump: &str) -> bool {
    dump.contains("Full thread dump OpenJDK")
        && dump.contains("\"main\" #1")
        && dump.contains("JNI global ref")
        && !dump.contains('\r')
}

#[test]
fn a_dump_comes_through_the_session_and_nothing_is_left_of_it() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[]);
    scene.run(&[]).code(0).stderr_has("threads, deadlocks: 0").stderr_has("thread_dump.txt: deadlocks: 0");
    assert!(is_whole(&scene.bed.read("thread_dump.txt")));
    let kept = fs::metadata(scene.bed.path("thread_dump.txt")).unwrap();
    assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    assert_eq!((scene.in_container().len(), scene.shell.store_requests().len()), (0, 0));
    // It may hold secrets: nothing of it stands in the record of the run.
    let record = scene.bed.call("grep", &["-rl", "Threads class SMR info", "../state"]).end();
    assert_eq!(record.stdout, "");
    // What is there is not overwritten, and nobody is troubled for nothing.
    let calls = scene.shell.calls().len();
    scene.noticed(&[], "place", "exists already");
    assert_eq!(scene.shell.calls().len(), calls);
}

#[test]
fn a_dump_comes_through_the_store_and_nothing_is_left_of_it() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[]);
    let args = ["--param", "way=s3", "--param", "prefix=dev/o.name/debug", "--param", "output=a b's.txt"];
    scene.run(&args).code(0).stderr_has("signer").stderr_lacks("X-Amz-Signature");
    assert!(is_whole(&scene.bed.read("a b's.txt")));
    assert_eq!((scene.in_container().len(), scene.in_store().len()), (0, 0));
    let asked: Vec<String> =
        scene.shell.store_requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with("PUT /narrative-tmp/dev/o.name/debug/") && asked[0].ends_with("/thread_dump.txt"));
    // The address opens the store: it stands nowhere.
    let record = scene.bed.call("grep", &["-rl", "X-Amz-Signature", "../state", "."]).end();
    assert_eq!(record.stdout, "");
}

#[test]
fn a_deadlock_is_told() {
    let jvm = start_jvm(true);
    let scene = Scene::new(Some(&jvm), &[]);
    scene.run(&[]).code(0).stderr_has("Found one Java-level deadlock").stderr_has("thread_dump.txt: deadlocks: 1");
}

#[test]
fn it_stops_at_the_question_and_goes_on_from_there() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[]);
    scene.bed.run(&["run", "./dump.yaml", "--param", "task_type=worker"]).end().code(11);
    let question = format!("Take a thread dump of process {} in {NAME}", jvm.pid());
    scene.bed.run(&["resume", "last", "--yes"]).end().code(0).stderr_has(&question);
    assert!(is_whole(&scene.bed.read("thread_dump.txt")));
    let looked = scene.bed.journal();
    assert_eq!(looked.iter().filter(|line| line["event"] == "step_started" && line["step"] == "jvm").count(), 1);
}

#[test]
fn of_several_tasks_one_is_chosen() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[]);
    let second = scene.shell.add_task(NAME, NAME);
    scene.noticed(&[], "tasks", "task != '' or");
    scene.noticed(&["--param", "task=4f1c77"], "tasks", "task == '' or");
    scene.run(&["--param", &format!("task={second}")]).code(0);
    let sessions = scene.shell.calls().into_iter().filter(|call| call[1] == "execute-command");
    for call in sessions {
        assert!(call.contains(&second), "{call:?}");
    }
}

#[test]
fn of_several_jvms_one_is_chosen() {
    let (jvm, other) = (start_jvm(false), start_jvm(false));
    let scene = Scene::new(Some(&jvm), &[]);
    let both = format!("{}\n{}\n", jvm.pid(), other.pid());
    fs::write(scene.shell.world().join("container/jvms"), both).unwrap();
    scene.noticed(&[], "jvm", "choose one of these JVMs");
    scene.noticed(&["--param", "main_class=connector.Client"], "jvm", "no such JVM runs");
}

#[test]
fn a_jvm_that_refuses_says_so() {
    let jvm = Jvm::start(false, &["-XX:+DisableAttachMechanism"]);
    let scene = Scene::new(Some(&jvm), &[]);
    scene.noticed(&[], "dump", "exit");
    assert_eq!(scene.in_container().len(), 0);
}

#[test]
fn values_reach_the_container_as_they_are() {
    let scene = Scene::new(None, &[]);
    let text = runbook();
    let (_, rest) = text.split_once("<<'SCRIPT'\n").unwrap();
    let (function, _) = rest.split_once("\n      SCRIPT\n").unwrap();
    let script = format!(
        "{function}\nremote 'printf \"<%s>\" \"$@\"; echo; echo told >&2' \"it's\" 'a  b' '$(id) `id`' '' '\\n\"' '*'\n\
         remote 'exit 7' || echo \"ended with $?\"\nremote 'cat; echo no input'\n"
    );
    let ended = scene
        .bed
        .call("bash", &["-euo", "pipefail", "-c", &script])
        .env("SCRATCH", scene.bed.path("."))
        .env("RUN", "r")
        .env("CONTAINER", NAME)
        .env("TASK", scene.shell.task())
        .end();
    assert_eq!(
        ended.stdout, "<it's><a  b><$(id) `id`><><\\n\"><*>\ntold\nended with 7\nno input\n",
        "{}",
        ended.stderr
    );
}

#[test]
fn its_plan_asks_nobody() {
    let scene = Scene::new(None, &[]);
    scene
        .bed
        .run(&["plan", "./dump.yaml", "--param", "task_type=api"])
        .end()
        .code(0)
        .stdout_has("facebook-connector-api-prod");
    assert!(scene.shell.calls().is_empty());
}
