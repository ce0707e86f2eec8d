//! Every fault is met more than once: with the runbook as it is, which notices it, and then without the check that
//! noticed it, one check after the other, until another step stumbles over it or nobody notices it. So each check is
//! known to matter.

use super::*;

/// A check, and how the runbook reads without it.
struct Check {
    step: &'static str,
    says: &'static str,
    without: &'static [(&'static str, &'static str)],
}

const fn check(step: &'static str, says: &'static str, without: &'static [(&'static str, &'static str)]) -> Check {
    Check { step, says, without }
}

/// Runs with all checks, then without the first, the first two, and so on. The last run is the caller's to judge if the
/// last check is taken away as well.
#[track_caller]
fn each_matters(scene: &Scene, args: &[&str], checks: &[Check]) {
    let mut text = runbook();
    for check in checks {
        scene.bed.write("dump.yaml", &text);
        scene.noticed(args, check.step, check.says);
        let _ = fs::remove_file(scene.bed.root().join("bin/aws.count"));
        for (from, to) in check.without {
            assert_eq!(text.matches(from).count(), 1, "{from}");
            text = text.replace(from, to);
        }
    }
    scene.bed.write("dump.yaml", &text);
}

const S3: [&str; 2] = ["--param", "way=s3"];
const NO_MARKS: (&str, &str) = ("if (!began) exit 81", "if (!began) exit 0");
const AGENT: (&str, &str) = ("|map(attribute='lastStatus')|list == ['RUNNING']", "|list != none");

#[test]
fn no_tasks() {
    let scene = Scene::new(None, &[Fault::NoTasks]);
    let checks = [
        check(
            "tasks",
            "taskArns|default([], true) is empty",
            &[("      - not result.json.taskArns|default([], true) is empty\n", "")],
        ),
        check(
            "tasks",
            "taskArns|length == 1",
            &[
                ("      - task != '' or result.json.taskArns|length == 1\n", ""),
                // As the usual one-liner has it: the name of the missing task is "null".
                (
                    "else result.json.taskArns[0]|regex_find('[^/]+$')",
                    "else result.json.taskArns|first|default('null')",
                ),
            ],
        ),
        check("ready", "result.json.failures is empty", &[]),
    ];
    each_matters(&scene, &[], &checks);
    assert!(scene.shell.commands().is_empty());
}

#[test]
fn another_container() {
    let scene = Scene::new(None, &[Fault::WrongContainer]);
    let checks = [
        check("ready", "container in result.json", &[("container in result.json", "container not in result.json")]),
        check(
            "ready",
            "managedAgents",
            &[(
                "(result.json.tasks[0].containers|selectattr('name', 'eq', container)|first)",
                "result.json.tasks[0].containers[0]",
            )],
        ),
        check("jvm", "The specified container name does not exist in the task", &[]),
    ];
    each_matters(&scene, &[], &checks);
}

#[test]
fn a_stopped_agent() {
    let scene = Scene::new(None, &[Fault::AgentStopped]);
    let checks =
        [check("ready", "ExecuteCommandAgent", &[AGENT]), check("jvm", "execute command was not enabled", &[])];
    each_matters(&scene, &[], &checks);
}

#[test]
fn a_task_without_exec() {
    let scene = Scene::new(None, &[Fault::ExecDisabled]);
    let checks = [
        check("ready", "enableExecuteCommand", &[("      - result.json.tasks[0].enableExecuteCommand\n", "")]),
        check("ready", "ExecuteCommandAgent", &[AGENT]),
        check("jvm", "execute command was not enabled", &[]),
    ];
    each_matters(&scene, &[], &checks);
}

#[test]
fn a_missing_plugin() {
    let scene = Scene::new(None, &[Fault::PluginMissing]);
    scene.run(&[]).code(4).stderr_has("the tool `session-manager-plugin` is not on the search path");
    assert!(scene.bed.runs().is_empty() && scene.shell.calls().is_empty());
    scene.bed.write("dump.yaml", &runbook().replace("aws, session-manager-plugin,", "aws,"));
    scene.noticed(&[], "jvm", "SessionManagerPlugin is not found");
}

#[test]
fn expired_credentials() {
    let scene = Scene::new(None, &[Fault::SessionOver]);
    let checks = [
        check(
            "caller",
            "The security token included in the request is expired",
            &[
                ("get-caller-identity --output json", "get-caller-identity --output json || true"),
                ("caller: result.json.Arn", "caller: result.stdout"),
            ],
        ),
        check("tasks", "(ExpiredTokenException)", &[]),
    ];
    each_matters(&scene, &[], &checks);
}

#[test]
fn an_address_that_dies_with_the_credentials() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[]);
    // They expire between the signature and its use.
    let world = scene.shell.world();
    let script = format!("#!/bin/bash\n: >'{}/faults/session_over'\nexec /usr/bin/curl \"$@\"\n", world.display());
    let curl = world.join("container/bin/curl");
    fs::write(&curl, script).unwrap();
    fs::set_permissions(&curl, fs::Permissions::from_mode(0o755)).unwrap();
    scene.noticed(&S3, "upload", "The requested URL returned error: 400");
    fs::remove_file(world.join("faults/session_over")).unwrap();
    scene.bed.write("dump.yaml", &runbook().replace("curl -fsS", "curl -sS"));
    scene.noticed(&S3, "download", "An error occurred (400)");
}

#[test]
fn a_session_that_does_not_come_about() {
    let jvm = start_jvm(false);
    let first = Scene::new(Some(&jvm), &[]).strikes_in(1, "silent_failure");
    let checks = [
        check("jvm", "the session did not come about: Cannot perform start session", &[NO_MARKS]),
        check("jvm", "no such JVM runs", &[]),
    ];
    each_matters(&first, &[], &checks);
    // The last one cleans up: nobody would miss it.
    let last = Scene::new(Some(&jvm), &[]).strikes_in(4, "silent_failure");
    let checks = [check("clean-container", "the session did not come about", &[NO_MARKS])];
    each_matters(&last, &["--param", "output=first.txt"], &checks);
    let left = last.in_container().len();
    last.run(&[]).code(0);
    assert_eq!(last.in_container().len(), left + 1);
}

#[test]
fn an_end_of_input_ends_the_session() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[]);
    scene.bed.write("dump.yaml", &runbook().replace(" 0<>\"$SCRATCH/open\"", ""));
    scene.noticed(&[], "jvm", "the session did not come about: Cannot perform start session: EOF");
}

#[test]
fn a_session_that_breaks_off() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[]).strikes_in(3, "truncated");
    fs::write(scene.shell.world().join("truncated_to"), "20").unwrap();
    let checks = [
        check("fetch", "the session broke off after", &[("exit ended ? code : 82", "exit code")]),
        // What the plugin says at the end is no base64.
        check("fetch", "base64: invalid input", &[("| base64 -d >", "| { base64 -di 2>/dev/null || true; } >")]),
        check(
            "whole",
            "what arrived is not what was dumped",
            &[("if [ \"$bytes ${sum%% *}\" != \"$dump_bytes $dump_sha256\" ]; then", "if false; then")],
        ),
    ];
    each_matters(&scene, &[], &checks);
    scene.run(&[]).code(0);
    // Decoded as far as it goes, the end may be no text.
    let dump = fs::read(scene.bed.path("thread_dump.txt")).unwrap();
    let dump = String::from_utf8_lossy(&dump);
    assert!(dump.contains("Full thread dump") && !is_whole(&dump));
}

#[test]
fn no_jvm() {
    let scene = Scene::new(None, &[Fault::NoJvm]);
    let checks = [
        check("jvm", "no such JVM runs", &[("if [ -z \"$found\" ]; then", "if false; then")]),
        check("jvm", "matches('^[0-9]+( |$)')", &[]),
    ];
    each_matters(&scene, &[], &checks);
}

#[test]
fn process_one_is_not_the_jvm() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[Fault::WrongPid]);
    // It is not asked for the dump at all.
    scene.run(&["--param", "output=first.txt"]).code(0);
    let pid = jvm.pid().to_string();
    assert!(scene.shell.commands().iter().any(|words| words.contains(&pid)));
    assert!(!scene.shell.commands().iter().any(|words| words.iter().any(|word| word == "1")));
    scene.bed.write("dump.yaml", &runbook().replace("$2 == \"--\" || ", ""));
    scene.noticed(&[], "jvm", "choose one of these JVMs");
    scene.bed.write("dump.yaml", &runbook().replace("\"$pid\" \"$RUN\"", "1 \"$RUN\""));
    scene.noticed(&[], "dump", "target process 1 doesn't respond");
}

#[test]
fn a_jvm_that_does_not_answer() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[Fault::NotAttachable]);
    let checks = [
        check(
            "dump",
            "doesn't respond within 10500ms",
            &[("jstack -l \"$1\" >\"$file\";", "jstack -l \"$1\" >\"$file\" 2>/dev/null || true;")],
        ),
        check("dump", "jstack wrote no thread dump", &[("grep -q \"^Full thread dump\" \"$file\" ||", "true ||")]),
        check("dump", "jstack wrote only the beginning", &[("grep -q \"^JNI global ref\" \"$file\" ||", "true ||")]),
    ];
    each_matters(&scene, &[], &checks);
    scene.run(&[]).code(0);
    assert_eq!(scene.bed.read("thread_dump.txt"), "");
}

#[test]
fn a_command_that_fails_in_the_container() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[Fault::NotAttachable]);
    // Without its exit code, brought home by the mark, only a look at the result would tell.
    scene.bed.write("dump.yaml", &runbook().replace("code = $3; ended = 1", "ended = 1"));
    scene.noticed(&[], "dump", "matches('^[0-9]+ [0-9a-f]{64} -$')");
}

#[test]
fn an_upload_that_is_denied() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[Fault::UploadDenied]);
    let checks = [
        check("upload", "The requested URL returned error: 403", &[("curl -fsS", "curl -sS")]),
        check("download", "An error occurred (404)", &[]),
    ];
    each_matters(&scene, &S3, &checks);
    assert_eq!(scene.in_container().len(), 0);
}

#[test]
fn a_signature_of_the_old_kind() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[]);
    scene.bed.write("dump.yaml", &runbook().replace(", config=Config(signature_version=\"s3v4\")", ""));
    scene.noticed(&S3, "upload", "The requested URL returned error: 400");
}

#[test]
fn an_object_that_stays() {
    let jvm = start_jvm(false);
    let scene = Scene::new(Some(&jvm), &[]);
    let kept = runbook().replace("      aws s3 rm \"s3://$bucket/$OBJECT\"\n", "");
    scene.bed.write("dump.yaml", &kept);
    scene.noticed(&S3, "clean-s3", "is still there");
    let looked = "      if answer=$(aws s3api head-object --bucket \"$bucket\" --key \"$OBJECT\" 2>&1); then";
    assert!(kept.contains(looked));
    scene.bed.write("dump.yaml", &kept.replace(looked, "      answer='(404)'\n      if false; then"));
    scene.run(&[&S3[..], &["--param", "output=second.txt"]].concat()).code(0);
    assert_eq!(scene.in_store().len(), 2);
}

#[test]
fn boto3_is_missed_before_anything_is_done() {
    let jvm = start_jvm(false);
    let mut scene = Scene::new(Some(&jvm), &[]);
    scene.bed = scene.bed.env("PYTHONPATH", "/nonexistent");
    scene.noticed(&S3, "signer", "No module named 'boto3'");
    assert!(scene.shell.commands().is_empty());
}
