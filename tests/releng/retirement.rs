//! Moving an instance with the real AWS command line against a local AWS API (moto), from the mail to its end.
//!
//! moto knows no scheduled events and makes no ids of eight digits, so a small proxy stands in front of it: it says that
//! hardware is retired until an instance was stopped and started, and gives one instance an old id.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::{mail, triage};
use crate::{
    bench::Bench,
    lab, parts,
    standins::{
        client::Client,
        instances::{ID, Instances},
        server::{Recorded, Reply, Server, locked},
    },
    support::Bed,
};

/// moto as a server of its own; ended when this is dropped.
struct Moto {
    child: Child,
    url: String,
}

impl Moto {
    fn start(program: &PathBuf) -> Moto {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moto = Moto { child, url: format!("http://127.0.0.1:{port}") };
        lab::until("moto to answer", || Client::new(&moto.url).get("/moto-api/").is_ok());
        moto
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the proxy knows of the one instance.
#[derive(Default)]
struct Hardware {
    /// The name that moto has given to the instance whose old id is `ID`.
    real: String,
    stops: u32,
    starts: u32,
    /// Looks since it came up on other hardware.
    looks: u32,
    /// The reply to the next start is lost after its effect.
    lose_start: bool,
}

const EVENT: &str = "<eventsSet><item><code>instance-retirement</code><description>DONEThe instance is running on degraded \
                     hardware</description><notBefore>2013-10-22T00:00:00.000Z</notBefore></item></eventsSet>";

/// The proxy in front of moto.
fn front(moto: &str, hardware: &Arc<Mutex<Hardware>>) -> Server {
    let (moto, hardware) = (moto.to_owned(), hardware.clone());
    Server::start(move |request: &Recorded| {
        let mut known = locked(&hardware);
        let real = if known.real.is_empty() { ID.to_owned() } else { known.real.clone() };
        let body = request.text().replace(ID, &real);
        let mut client = Client::new(&moto);
        for name in ["authorization", "content-type", "x-amz-date"] {
            client = request.header(name).map_or_else(|| client.clone(), |value| client.header(name, value));
        }
        let answer = client.send(&request.method, &request.raw_path, &body).unwrap();
        let mut text = answer.text().replace(&real, ID);
        if answer.status == 200 && body.contains("Action=StopInstances") {
            known.stops += 1;
        }
        if answer.status == 200 && body.contains("Action=StartInstances") {
            known.starts += 1;
            if std::mem::take(&mut known.lose_start) {
                return Reply::Cut;
            }
        }
        if body.contains("Action=DescribeInstanceStatus") {
            known.looks += u32::from(known.stops > 0 && known.starts > 0);
            let done = if known.looks > 2 { "[Completed] " } else { "" };
            let event = EVENT.replace("DONE", done);
            text = text.replace("</systemStatus></item>", &format!("</systemStatus>{event}</item>"));
        }
        Reply::of(answer.status, "text/xml", text)
    })
}

/// A call of the real command line.
fn aws(program: &PathBuf, config: &str, folder: &std::path::Path, args: &[&str]) -> (i32, Value, String) {
    let file = folder.join("aws-config");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(program);
    command
        .args(args)
        .env("AWS_CONFIG_FILE", &file)
        .env("AWS_ACCESS_KEY_ID", "made-up")
        .env("AWS_SECRET_ACCESS_KEY", "made-up");
    answer(command)
}

fn answer(mut command: Command) -> (i32, Value, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    (output.status.code().unwrap(), serde_json::from_str(&text).unwrap_or(Value::Null), told)
}

#[test]
fn a_mail_leads_to_an_instance_that_is_moved() {
    let Some([moto, program]) = parts::programs(["moto_server", "aws"]) else { return };
    let moto = Moto::start(&moto);
    let hardware = Arc::<Mutex<Hardware>>::default();
    let front = front(&moto.url, &hardware);
    let scratch = tempfile::tempdir().unwrap();
    let config = format!("[default]\nendpoint_url = {}\nmax_attempts = 1\ncli_pager =\n", front.url());
    let call = |args: &[&str]| aws(&program, &config, scratch.path(), args);
    let tags = "ResourceType=instance,Tags=[{Key=Name,Value=master71}]";
    let (code, made, told) = call(&[
        "ec2",
        "run-instances",
        "--region",
        "us-east-1",
        "--image-id",
        "ami-12c6146b",
        "--tag-specifications",
        tags,
    ]);
    assert_eq!(code, 0, "{told}");
    locked(&hardware).real = made["Instances"][0]["InstanceId"].as_str().unwrap().to_owned();

    // What stands in for the command line elsewhere says the same in the same words.
    let standin = Instances::start(&[]);
    let missing = "i-0aaaaaaaaaaaaaaaa";
    for args in [
        &["sts", "get-caller-identity"][..],
        &["ec2", "describe-instances", "--instance-ids", ID],
        &["ec2", "describe-instance-status", "--include-all-instances", "--instance-ids", ID],
        &["ec2", "describe-instances", "--instance-ids", missing],
    ] {
        let args: Vec<&str> = args.iter().copied().chain(["--region", "us-east-1", "--output", "json"]).collect();
        let mut other = Command::new(standin.folder().join("aws"));
        other.args(&args);
        let (real, ours) = (call(&args), answer(other));
        assert_eq!((real.0, &real.2), (ours.0, &ours.2), "{args:?}");
        within(&ours.1, &real.1, &format!("{args:?}"));
    }

    // The mail says which instance, and where.
    let bed = Bed::new();
    let found = triage(&bed, &["--json", &mail("ec2-retirement")]).stdin_null().end().code(0).json();
    let mut bench = Bench::new("releng/ec2-retirement", &[])
        .env("AWS_CONFIG_FILE", scratch.path().join("aws-config"))
        .env("AWS_ACCESS_KEY_ID", "made-up")
        .env("AWS_SECRET_ACCESS_KEY", "made-up")
        .path_first(program.parent().unwrap())
        .param("poll", "10ms")
        .param("settle", "0s")
        .param("patience", "2m");
    for (name, value) in found["match"]["params"].as_object().unwrap() {
        bench = bench.param(name, value.as_str().unwrap());
    }
    let step = |name: &str| format!("each[{ID}]/{name}");
    let (free, go, names, back) = (step("free"), step("go"), step("names"), step("back"));
    let answers = [(&*free, "done"), (&*go, "master71"), (&*names, "done"), (&*back, "yes")];
    // Power fails while it is stopped, and the answer to the start is lost on its way.
    locked(&hardware).lose_start = true;
    bench.start(&answers).until_doing(&step("stop")).kill();
    bench.resume(&answers).stopped_at(&step("start"), "");
    {
        let known = locked(&hardware);
        assert_eq!((known.stops, known.starts), (1, 1), "it was stopped twice, or not at all");
    }
    // Run anew it finds the instance running and still retired by AWS, and moves it once more: nothing is believed.
    bench.run(&answers).succeeded();
    let known = locked(&hardware);
    assert!(known.looks > 2, "AWS was not asked whether it still retires the instance");
    drop(known);
    let (_, now, _) = call(&["ec2", "describe-instances", "--region", "us-east-1", "--instance-ids", ID]);
    assert_eq!(now["Reservations"][0]["Instances"][0]["State"]["Name"], "running");
}

/// Every key of the stand-in is one that the real answer has, with a value of the same type.
fn within(ours: &Value, real: &Value, place: &str) {
    match (ours, real) {
        (Value::Object(ours), Value::Object(real)) => {
            for (key, value) in ours {
                let there = real.get(key).unwrap_or_else(|| panic!("{place}: there is no {key} in {}", json!(real)));
                within(value, there, &format!("{place}.{key}"));
            }
        }
        (Value::Array(ours), Value::Array(real)) => {
            for (one, other) in ours.iter().zip(real) {
                within(one, other, place);
            }
            assert_eq!(ours.is_empty(), real.is_empty(), "{place}");
        }
        (ours, real) => {
            assert_eq!(std::mem::discriminant(ours), std::mem::discriminant(real), "{place}: {ours} {real}")
        }
    }
}
