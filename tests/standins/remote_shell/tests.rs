//! The stand-in for a shell in a container, driven through its `aws` as a step would drive it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::{Fault, Jvm, MAIN_CLASS, RemoteShell, start_jvm};
use crate::standins::client::{Answer, Client};

const NAME: &str = "facebook-connector-worker-prod";

fn shell(jvm: Option<&Jvm>, faults: &[Fault]) -> RemoteShell {
    RemoteShell::start(NAME, NAME, jvm, faults)
}

fn command(shell: &RemoteShell, arguments: &[&str]) -> Command {
    let mut command = Command::new("aws");
    command.args(arguments).envs(shell.env()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Calls `aws` with nothing on standard input.
fn aws(shell: &RemoteShell, arguments: &[&str]) -> Output {
    command(shell, arguments).output().unwrap()
}

/// A session whose standard input is a pipe that stays open until it ends.
fn session(shell: &RemoteShell, remote: &str) -> Output {
    let mut child = command(shell, &execute(shell, NAME, remote)).stdin(Stdio::piped()).spawn().unwrap();
    let held = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(held);
    output
}

fn execute<'a>(shell: &'a RemoteShell, container: &'a str, remote: &'a str) -> Vec<&'a str> {
    let task = shell.task();
    let fixed =
        ["ecs", "execute-command", "--cluster", NAME, "--task", task, "--container", container, "--interactive"];
    [&fixed[..], &["--command", remote]].concat()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_str(&out(output)).unwrap_or_else(|_| panic!("{}{}", out(output), err(output)))
}

#[test]
fn tasks_are_listed_and_described() {
    let shell = shell(None, &[]);
    let arn = format!("arn:aws:ecs:us-east-1:123456789012:task/{NAME}/{}", shell.task());
    let list = ["ecs", "list-tasks", "--cluster", NAME];
    assert_eq!(json_of(&aws(&shell, &list)), json!({"taskArns": [arn]}));
    let first = [&list[..], &["--query", "taskArns[0]", "--output", "text"]].concat();
    assert_eq!(out(&aws(&shell, &first)), format!("{arn}\n"));
    let elsewhere = [&list[..], &["--service-name", "other"]].concat();
    assert_eq!(json_of(&aws(&shell, &elsewhere)), json!({"taskArns": []}));
    let described = json_of(&aws(&shell, &["ecs", "describe-tasks", "--cluster", NAME, "--tasks", &arn, "gone"]));
    let task = &described["tasks"][0];
    assert_eq!((&task["enableExecuteCommand"], &task["lastStatus"]), (&json!(true), &json!("RUNNING")));
    let container = &task["containers"][0];
    assert_eq!((&container["name"], container["runtimeId"].is_string()), (&json!(NAME), true));
    assert_eq!(container["managedAgents"][0]["name"], "ExecuteCommandAgent");
    assert_eq!(container["managedAgents"][0]["lastStatus"], "RUNNING");
    assert_eq!(described["failures"][0]["reason"], "MISSING");
    let second = shell.add_task(NAME, NAME);
    assert_eq!(json_of(&aws(&shell, &list))["taskArns"].as_array().unwrap().len(), 2);
    assert!(shell.describe(NAME, &second)["taskArn"].as_str().unwrap().ends_with(&second));
    assert_eq!(shell.calls()[0], list);
}

#[test]
fn queries_are_those_of_the_cli() {
    let shell = shell(None, &[]);
    let ask = |query: &str| {
        let arguments = ["ecs", "describe-tasks", "--cluster", NAME, "--tasks", shell.task(), "--output", "text"];
        out(&aws(&shell, &[&arguments[..], &["--query", query]].concat())).trim_end().to_owned()
    };
    assert_eq!(ask("tasks[0].containers[].name"), NAME);
    assert_eq!(ask("tasks[0].enableExecuteCommand"), "True");
    assert_eq!(ask("length(tasks)"), "1");
    assert_eq!(ask("tasks[3].lastStatus"), "None");
    let agent = format!("tasks[0].containers[?name=='{NAME}'].managedAgents[] | [0].lastStatus");
    assert_eq!(ask(&agent), "RUNNING");
    assert_eq!(ask("tasks[0].containers[?name==`other`].name | [0]"), "None");
    let refused = ["ecs", "list-tasks", "--cluster", NAME, "--query", "sort_by(x, &y)"];
    assert_eq!(code(&aws(&shell, &refused)), 252);
}

#[test]
fn errors_of_the_service_have_the_code_of_their_cli() {
    let shell = shell(None, &[]);
    let unknown = ["ecs", "list-tasks", "--cluster", "externalapi-prod"];
    let refused = aws(&shell, &unknown);
    assert_eq!(code(&refused), 254);
    assert!(
        err(&refused).contains("An error occurred (ClusterNotFoundException) when calling the ListTasks operation")
    );
    assert_eq!(code(&aws(&shell, &["ecs", "execute-command"])), 252);
    shell.old_cli();
    assert_eq!(code(&aws(&shell, &unknown)), 255);
    assert_eq!(code(&aws(&shell, &["ecs", "execute-command"])), 2);
    let other = ["ecs", "execute-command", "--cluster", NAME, "--task", "x", "--command", "id", "--interactive"];
    let refused = aws(&shell, &other);
    assert_eq!(code(&refused), 255);
    assert!(err(&refused).contains("(InvalidParameterException) when calling the ExecuteCommand operation"));
    let quiet = ["ecs", "execute-command", "--cluster", NAME, "--task", "x", "--command", "id", "--non-interactive"];
    assert!(err(&aws(&shell, &quiet)).contains("Interactive is the only mode supported currently."));
    assert!(shell.commands().is_empty());
}

#[test]
fn a_session_mixes_its_output_and_hides_the_exit_code() {
    let shell = shell(None, &[]);
    let output = session(&shell, "sh -c 'echo one; echo two >&2; exit 7'");
    assert_eq!((code(&output), err(&output).as_str()), (0, ""));
    let text = out(&output);
    assert!(text.contains("Starting session with SessionId: ecs-execute-command-0"), "{text}");
    assert!(text.contains("one\r\ntwo\r\n"), "{text:?}");
    assert!(text.contains("\n\nExiting session with sessionId: ecs-execute-command-0"), "{text}");
}

#[test]
fn a_command_sees_the_container_and_no_shell() {
    let shell = shell(None, &[]);
    let output = session(&shell, "echo a | cat > \"b $HOME\"");
    assert!(out(&output).contains("a | cat > b $HOME\r\n"), "{}", out(&output));
    assert_eq!(shell.commands()[0], ["echo", "a", "|", "cat", ">", "b $HOME"]);
    session(&shell, "/bin/sh -c 'env > seen; pwd >> seen'");
    let seen = shell.file("seen").unwrap();
    assert!(seen.contains("TERM=xterm-256color") && !seen.contains("STANDIN_AWS"), "{seen}");
    let missing = session(&shell, "no-such-tool");
    assert_eq!(code(&missing), 0);
    assert!(out(&missing).contains("executable file not found in $PATH"));
    assert!(out(&session(&shell, "sh -c 'echo")).contains("EOF found when expecting closing quote"));
}

#[test]
fn the_end_of_standard_input_ends_the_session_but_not_the_command() {
    let shell = shell(None, &[]);
    let remote = "sh -c 'echo visible; echo done > effect'";
    let output = aws(&shell, &execute(&shell, NAME, remote));
    assert_eq!(code(&output), 0);
    assert!(out(&output).ends_with("Cannot perform start session: EOF\n"), "{}", out(&output));
    assert!(!out(&output).contains("visible") && !out(&output).contains("Exiting session"));
    assert_eq!(shell.file("effect").as_deref(), Some("done\n"));
    // A pipe that was closed before is the same as no input at all.
    let mut child = Command::new("bash");
    child.args(["-c", ": | { read -r nothing; \"$@\"; }", "-", "aws"]).args(execute(&shell, NAME, remote));
    let output = child.envs(shell.env()).output().unwrap();
    assert!(out(&output).ends_with("Cannot perform start session: EOF\n"), "{}", out(&output));
}

#[test]
fn a_terminal_has_no_end_of_input() {
    let shell = shell(None, &[]);
    let line = format!("aws {} 'sh -c \"sleep 0; echo seen\"'", execute(&shell, NAME, "")[..10].join(" "));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).envs(shell.env()).stdin(Stdio::null());
    let output = script.output().unwrap();
    assert_eq!(code(&output), 0);
    assert!(out(&output).contains("seen\r") && out(&output).contains("Exiting session"), "{}", out(&output));
}

#[test]
fn what_is_typed_into_an_open_session_reaches_the_command() {
    let shell = shell(None, &[]);
    let mut child = command(&shell, &execute(&shell, NAME, "head -n 1")).stdin(Stdio::piped()).spawn().unwrap();
    let mut held = child.stdin.take().unwrap();
    held.write_all(b"typed\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(out(&output).contains("typed\r\n"), "{}", out(&output));
    drop(held);
}

#[test]
fn the_container_shows_its_own_jvm_and_dumps_it() {
    let jvm = start_jvm(false);
    let other = start_jvm(false);
    let shell = shell(Some(&jvm), &[]);
    let listed = out(&session(&shell, "jps -l"));
    assert!(listed.contains(&format!("{} {MAIN_CLASS}\r\n", jvm.pid())), "{listed}");
    assert!(!listed.contains(&format!("{} ", other.pid())), "{listed}");
    let dump = out(&session(&shell, &format!("jstack -l {}", jvm.pid())));
    assert!(dump.contains("Full thread dump OpenJDK") && dump.contains("\"main\" #1"), "{dump}");
    assert!(!dump.contains("deadlock"), "{dump}");
    let outside = out(&session(&shell, &format!("jstack {}", other.pid())));
    assert!(outside.contains("No such process"), "{outside}");
    let first = session(&shell, "jstack -l 1");
    assert_eq!(code(&first), 0);
    assert!(out(&first).contains("1: target process 1 doesn't respond within 10500ms or HotSpot VM not loaded\r\n"));
}

#[test]
fn a_deadlock_is_in_the_dump_and_not_in_the_exit_code() {
    let jvm = start_jvm(true);
    let shell = shell(Some(&jvm), &[]);
    let remote = format!("sh -c 'jstack -l {} > dump; echo rc=$?; grep -Ec \"Found [0-9]+ deadlock\" dump'", jvm.pid());
    assert!(out(&session(&shell, &remote)).contains("rc=0\r\n1\r\n"));
    assert!(shell.file("dump").unwrap().contains("\"event-writer\""));
}

#[test]
fn a_jvm_that_refuses_to_be_attached_to_says_so() {
    let jvm = Jvm::start(false, &["-XX:+DisableAttachMechanism"]);
    let shell = shell(Some(&jvm), &[]);
    let output = out(&session(&shell, &format!("sh -c 'jstack {}; echo rc=$?'", jvm.pid())));
    assert!(output.contains("rc=1\r\n") && !output.contains("Full thread dump"), "{output}");
}

#[test]
fn objects_are_copied_listed_and_removed() {
    let shell = shell(None, &[]);
    shell.add_bucket("dumps");
    let file = shell.world().join("note.txt");
    std::fs::write(&file, "text").unwrap();
    let file = file.to_str().unwrap();
    let up = aws(&shell, &["s3", "cp", file, "s3://dumps/a/b.txt"]);
    assert_eq!((code(&up), out(&up)), (0, format!("upload: {file} to s3://dumps/a/b.txt\n")));
    assert_eq!(shell.object("dumps", "a/b.txt").as_deref(), Some(&b"text"[..]));
    assert_eq!(out(&aws(&shell, &["s3", "cp", "s3://dumps/a/b.txt", "-"])), "text");
    assert!(out(&aws(&shell, &["s3", "ls", "s3://dumps/a/"])).ends_with("4 b.txt\n"));
    let size = json_of(&aws(&shell, &["s3api", "head-object", "--bucket", "dumps", "--key", "a/b.txt"]));
    assert_eq!(size["ContentLength"], 4);
    assert_eq!(code(&aws(&shell, &["s3", "rm", "s3://dumps/a/b.txt"])), 0);
    assert_eq!(code(&aws(&shell, &["s3", "rm", "s3://dumps/a/b.txt"])), 0);
    assert_eq!(code(&aws(&shell, &["s3", "ls", "s3://dumps/a/"])), 1);
    let gone = aws(&shell, &["s3", "cp", "s3://dumps/a/b.txt", "-"]);
    assert_eq!(code(&gone), 1);
    assert!(err(&gone).contains("An error occurred (404) when calling the HeadObject operation"));
    assert_eq!(code(&aws(&shell, &["s3api", "head-object", "--bucket", "dumps", "--key", "a/b.txt"])), 254);
    let nowhere = aws(&shell, &["s3", "cp", file, "s3://none/x"]);
    assert_eq!(code(&nowhere), 1);
    assert!(err(&nowhere).contains("NoSuchBucket"));
}

#[test]
fn the_caller_is_known() {
    let caller = json_of(&aws(&shell(None, &[]), &["sts", "get-caller-identity"]));
    assert_eq!(caller["Account"], "123456789012");
}

mod presigned {
    use super::*;

    fn send(shell: &RemoteShell, method: &str, url: &str, body: &str) -> Answer {
        Client::new(&shell.store_url()).send(method, url, body).unwrap()
    }

    #[test]
    fn an_upload_answers_200_and_an_etag() {
        let shell = shell(None, &[]);
        shell.add_bucket("dumps");
        let url = shell.presign("PUT", "dumps", "a/dump.txt", 300);
        let put = send(&shell, "PUT", &url, "dump");
        assert_eq!((put.status, put.header("etag").is_some()), (200, true));
        assert_eq!(shell.object("dumps", "a/dump.txt").as_deref(), Some(&b"dump"[..]));
        assert_eq!(shell.store_requests().len(), 1);
        // It is good for one method and one key, and `aws s3 presign` makes those for reading only.
        assert_eq!(send(&shell, "GET", &url, "").status, 403);
        let other = send(&shell, "PUT", &url.replace("dump.txt", "other.txt"), "dump");
        assert_eq!((other.status, other.text().contains("SignatureDoesNotMatch")), (403, true));
        let read = out(&aws(&shell, &["s3", "presign", "s3://dumps/a/dump.txt", "--expires-in", "60"]));
        assert_eq!(send(&shell, "GET", read.trim_end(), "").text(), "dump");
        assert_eq!(send(&shell, "PUT", read.trim_end(), "x").status, 403);
        assert_eq!(send(&shell, "GET", "/dumps/a/dump.txt", "").status, 403);
    }

    #[test]
    fn an_address_expires_with_its_time_or_with_the_session() {
        let shell = shell(None, &[]);
        shell.add_bucket("dumps");
        let url = shell.presign("PUT", "dumps", "k", 300);
        shell.pass(300);
        assert_eq!(send(&shell, "PUT", &url, "x").status, 200);
        shell.pass(1);
        let over = send(&shell, "PUT", &url, "x");
        assert_eq!((over.status, over.text().contains("Request has expired")), (403, true));
        let fresh = shell.presign("PUT", "dumps", "k", 300);
        shell.break_it(&Fault::SessionOver);
        assert!(send(&shell, "PUT", &fresh, "x").text().contains("ExpiredToken"));
        let refused = aws(&shell, &["sts", "get-caller-identity"]);
        assert_eq!((code(&refused), err(&refused).contains("ExpiredToken")), (254, true));
    }

    #[test]
    fn a_bucket_and_a_key_have_to_exist() {
        let shell = shell(None, &[]);
        let put = send(&shell, "PUT", &shell.presign("PUT", "none", "k", 300), "x");
        assert_eq!((put.status, put.text().contains("NoSuchBucket")), (404, true));
        shell.add_bucket("dumps");
        let got = send(&shell, "GET", &shell.presign("GET", "dumps", "k", 300), "");
        assert_eq!((got.status, got.text().contains("NoSuchKey")), (404, true));
    }

    #[test]
    fn curl_ends_well_on_a_refusal_unless_it_is_told_not_to() {
        let shell = shell(None, &[Fault::UploadDenied]);
        shell.add_bucket("dumps");
        let url = shell.presign("PUT", "dumps", "k", 300);
        let curl = |fail: &str| {
            let mut curl = Command::new("curl");
            curl.args([fail, "--silent", "--upload-file", "/etc/hostname", &url]).output().unwrap()
        };
        assert_eq!((code(&curl("--show-error")), code(&curl("--fail"))), (0, 22));
        assert_eq!(shell.object("dumps", "k"), None);
    }

    #[test]
    fn boto3_signs_the_old_way_unless_it_is_told_not_to() {
        let shell = shell(None, &[]);
        shell.add_bucket("dumps");
        let url = |config: &str| {
            let script = format!(
                "import boto3, types\nConfig = types.SimpleNamespace\n\
                 client = boto3.client('s3'{config})\n\
                 print(client.generate_presigned_url('put_object', Params={{'Bucket': 'dumps', 'Key': 'k'}}, ExpiresIn=60))"
            );
            let output = Command::new("python3").args(["-B", "-c", &script]).envs(shell.env()).output().unwrap();
            out(&output).trim_end().to_owned()
        };
        let old = url("");
        assert!(old.contains("AWSAccessKeyId="), "{old}");
        let refused = send(&shell, "PUT", &old, "x");
        assert_eq!((refused.status, refused.text().contains("AWS4-HMAC-SHA256")), (400, true));
        let new = url(", config=Config(signature_version='s3v4')");
        assert_eq!(send(&shell, "PUT", &new, "x").status, 200);
        // The class that the real one documents is there as well.
        let real = url(", config=__import__('botocore.config').config.Config(signature_version='s3v4')");
        assert_eq!(send(&shell, "PUT", &real, "x").status, 200);
    }
}

mod faults {
    use super::*;

    #[test]
    fn a_session_that_does_not_come_about_ends_well() {
        let shell = shell(None, &[Fault::SilentFailure { times: 1 }]);
        let first = session(&shell, "echo here");
        assert_eq!(code(&first), 0);
        assert!(out(&first).contains("Cannot perform start session: "));
        assert!(!out(&first).contains("here") && shell.commands().is_empty());
        assert!(out(&session(&shell, "echo here")).contains("here\r\n"));
    }

    #[test]
    fn a_session_that_dies_halfway_looks_like_any_other() {
        let jvm = start_jvm(false);
        let shell = shell(Some(&jvm), &[Fault::Truncated { times: 1, lines: 3 }]);
        let remote = format!("sh -c 'jstack -l {}; echo END'", jvm.pid());
        let first = session(&shell, &remote);
        assert_eq!(code(&first), 0);
        assert!(out(&first).contains("Full thread dump") && !out(&first).contains("END"));
        assert!(out(&first).contains("Exiting session with sessionId"));
        assert!(out(&session(&shell, &remote)).contains("END\r\n"));
    }

    #[test]
    fn without_tasks_there_is_none_to_name() {
        let shell = shell(None, &[Fault::NoTasks]);
        let list = ["ecs", "list-tasks", "--cluster", NAME];
        assert_eq!(json_of(&aws(&shell, &list)), json!({"taskArns": []}));
        let text = [&list[..], &["--query", "taskArns[0]", "--output", "text"]].concat();
        assert_eq!(out(&aws(&shell, &text)), "None\n");
        let null = [&list[..], &["--query", "taskArns[0]"]].concat();
        assert_eq!(out(&aws(&shell, &null)), "null\n");
        assert_eq!(code(&aws(&shell, &execute(&shell, NAME, "id"))), 254);
    }

    fn refused(fault: Fault) -> String {
        let shell = shell(None, &[fault]);
        let output = session(&shell, "echo here");
        assert_eq!(code(&output), 254);
        assert!(shell.commands().is_empty());
        err(&output)
    }

    #[test]
    fn another_container() {
        assert!(refused(Fault::WrongContainer).contains("(InvalidParameterException)"));
        let shell = shell(None, &[Fault::WrongContainer]);
        let query = ["--query", "tasks[0].containers[].name", "--output", "text"];
        let describe = ["ecs", "describe-tasks", "--cluster", NAME, "--tasks", shell.task()];
        assert_eq!(out(&aws(&shell, &[&describe[..], &query].concat())), "app\n");
    }

    #[test]
    fn a_stopped_agent_and_a_task_without_exec() {
        for fault in [Fault::AgentStopped, Fault::ExecDisabled] {
            assert!(refused(fault).contains("execute command was not enabled"));
        }
    }

    #[test]
    fn a_missing_plugin() {
        let shell = shell(None, &[Fault::PluginMissing]);
        let output = session(&shell, "echo here");
        assert_eq!(code(&output), 255);
        assert!(err(&output).contains("SessionManagerPlugin is not found"));
    }

    #[test]
    fn no_jvm_and_a_wrong_first_process() {
        let jvm = start_jvm(false);
        let nothing = shell(Some(&jvm), &[Fault::NoJvm]);
        let listed = out(&session(&nothing, "jps -l"));
        assert!(!listed.contains(MAIN_CLASS), "{listed}");
        let wrong = shell(Some(&jvm), &[Fault::WrongPid]);
        let listed = out(&session(&wrong, "jps -l"));
        assert!(listed.contains("1 -- process information unavailable\r\n") && listed.contains(MAIN_CLASS), "{listed}");
    }

    #[test]
    fn a_jvm_that_does_not_answer() {
        let jvm = start_jvm(false);
        let shell = shell(Some(&jvm), &[Fault::NotAttachable]);
        let output = out(&session(&shell, &format!("sh -c 'jstack -l {}; echo rc=$?'", jvm.pid())));
        assert!(output.contains("doesn't respond within 10500ms") && output.contains("rc=1\r\n"), "{output}");
    }

    #[test]
    fn an_upload_is_denied() {
        let shell = shell(None, &[Fault::UploadDenied]);
        shell.add_bucket("dumps");
        let output = aws(&shell, &["s3", "cp", "/etc/hostname", "s3://dumps/k"]);
        assert_eq!((code(&output), err(&output).contains("(AccessDenied)")), (1, true));
        let url = shell.presign("PUT", "dumps", "k", 60);
        assert_eq!(Client::new(&shell.store_url()).send("PUT", &url, "x").unwrap().status, 403);
    }
}
