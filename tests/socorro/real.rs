//! `socorro/deploy` with the real AWS command line against a local AWS API, and with the real Terraform where there is one:
//! that what the stand-ins take for AWS is AWS.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use serde_json::Value;

use super::world::{World, YES};
use crate::{
    bench::Bench,
    parts,
    standins::{
        aws::Moto,
        cloud::{Cloud, OLD_COMMIT},
        server::{Reply, Server, locked},
    },
};

/// The AWS command line, kept in memory, because each start of it reads for half a second; ends with this.
struct Resident {
    child: Child,
    /// What calls it, as a shell writes it.
    call: String,
}

impl Resident {
    fn start(aws: &Path, folder: &Path) -> Resident {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standins/cloud/resident.py");
        let (python, socket) = (aws.with_file_name("python3"), folder.join("aws.socket"));
        let mut command = Command::new(&python);
        command.arg(&script).arg("serve").arg(&socket).stdin(Stdio::null()).stdout(Stdio::piped());
        command.env_remove("PYTHONPATH").env("HOME", folder);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let call = format!("'{}' -S -I '{}' call '{}'", python.display(), script.display(), socket.display());
        Resident { child, call }
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A group of three machines behind a load balancer, an image of the old commit, and a state of Terraform that says so.
struct Real {
    world: World,
    moto: Moto,
    _resident: Option<Resident>,
    site: Server,
    version: String,
    old_image: String,
}

impl Real {
    fn new() -> Option<Real> {
        let [aws] = parts::programs(["aws"])?;
        let terraform = parts::program("terraform");
        let world = World::new();
        let moto = Moto::start()?;
        let top = world.cloud.path().to_owned();
        // One of an environment of Python's own can be kept; another is called as it is.
        let resident = aws.with_file_name("python3").is_file().then(|| Resident::start(&aws, &top));
        let call = resident.as_ref().map_or_else(|| format!("'{}'", aws.display()), |resident| resident.call.clone());
        // moto goes on listing machines of a group that were taken out of its load balancer; AWS does not.
        let script = format!(
            "set -o pipefail\nreal() {{ {call} \"$@\"; }}\ncase \"$1 $2\" in\n\
             'elb deregister-instances-from-load-balancer')\n  printf '%s\\n' \"$@\" | grep ^i- >>\"$CLOUD/out\" ;;\n\
             'elb register-instances-with-load-balancer')\n  : >\"$CLOUD/out\" ;;\n\
             'elb describe-instance-health')\n  touch \"$CLOUD/out\"\n  real \"$@\" |\n    \
             jq --rawfile out \"$CLOUD/out\" '.InstanceStates |= map(select(.InstanceId | IN($out | split(\"\\n\")[]) | not))'\n  exit ;;\n\
             esac\nprintf '%s\\n' \"$1 $2\" >>\"$CLOUD/real\"\nreal \"$@\""
        );
        world.cloud.tool("aws", &script);
        let version = match &terraform {
            Some(real) => {
                fs::remove_file(world.cloud.bin().join("terraform")).unwrap();
                std::os::unix::fs::symlink(real, world.cloud.bin().join("terraform")).unwrap();
                let said =
                    Command::new(real).args(["version", "-json"]).env("CHECKPOINT_DISABLE", "1").output().unwrap();
                let said: Value = serde_json::from_slice(&said.stdout).unwrap();
                said["terraform_version"].as_str().unwrap().to_owned()
            }
            None => "0.7.13".into(),
        };
        let wanted = world.commit.clone();
        let asked = Mutex::new(0);
        let site = Server::start(move |_| {
            let mut asked = locked(&asked); // Two runs ask which commit runs before they begin.
            *asked += 1;
            Reply::of(200, "text/plain", if *asked <= 2 { OLD_COMMIT.to_owned() } else { format!("{wanted}\n") })
        });
        let mut real = Real { world, moto, _resident: resident, site, version, old_image: String::new() };
        let images = real.aws(&["ec2", "describe-images", "--owners", "amazon"]);
        let base = images["Images"][0]["ImageId"].as_str().unwrap().to_owned();
        real.old_image = base;
        for bucket in ["socorro-private", "org.mozilla.crash-stats.packages-public"] {
            real.aws(&[
                "s3api",
                "create-bucket",
                "--bucket",
                bucket,
                "--create-bucket-configuration",
                "LocationConstraint=us-west-2",
            ]);
        }
        real.aws(&[
            "elb",
            "create-load-balancer",
            "--load-balancer-name",
            "elb-stage-socorroweb",
            "--listeners",
            "Protocol=HTTP,LoadBalancerPort=80,InstanceProtocol=HTTP,InstancePort=80",
            "--availability-zones",
            "us-west-2a",
        ]);
        real.aws(&[
            "autoscaling",
            "create-launch-configuration",
            "--launch-configuration-name",
            &format!("lc-{}", real.old_image),
            "--image-id",
            &real.old_image,
            "--instance-type",
            "t2.micro",
        ]);
        real.aws(&[
            "autoscaling",
            "create-auto-scaling-group",
            "--auto-scaling-group-name",
            "as-stage-socorroweb",
            "--launch-configuration-name",
            &format!("lc-{}", real.old_image),
            "--min-size",
            "2",
            "--max-size",
            "10",
            "--desired-capacity",
            "3",
            "--availability-zones",
            "us-west-2a",
            "--load-balancer-names",
            "elb-stage-socorroweb",
        ]);
        let machine = real.machines()[0].0.clone();
        real.world.cloud.tool("../machine/make-image", &format!(
            "exec '{}/bin/aws' ec2 create-image --instance-id {machine} --name \"socorro_$1\" --query ImageId --output text",
            top.display()
        ));
        real.configuration(&top.join("infra/terraform/webapp"), terraform.is_some());
        Some(real)
    }

    /// The role as Terraform has it, and its state in the bucket.
    fn configuration(&self, folder: &Path, terraform: bool) {
        let launch = "#!/bin/bash\nset -eu\naws autoscaling create-launch-configuration --launch-configuration-name \"lc-$1\" \
                      --image-id \"$1\" --instance-type t2.micro 2>/dev/null || true\n\
                      aws autoscaling update-auto-scaling-group --auto-scaling-group-name as-stage-socorroweb \
                      --launch-configuration-name \"lc-$1\" --min-size \"$2\" --desired-capacity \"$2\"\n";
        fs::write(folder.join("launch.sh"), launch).unwrap();
        fs::set_permissions(folder.join("launch.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        let state = self.world.cloud.path().join("first.tfstate");
        if terraform {
            let text = r#"
variable "environment" {}
variable "access_key" {}
variable "secret_bucket" {}
variable "region" { default = "us-west-2" }
variable "base_ami" { default = { us-west-2 = "ami-none" } }
variable "socorroweb_num" { default = { stage = "2", prod = "8" } }
locals {
  image = lookup(var.base_ami, var.region)
  size  = lookup(var.socorroweb_num, var.environment)
}
resource "terraform_data" "lc-socorroweb" {
  triggers_replace = [local.image, local.size]
  provisioner "local-exec" {
    command = "${path.module}/launch.sh ${local.image} ${local.size}"
  }
}
"#;
            fs::write(folder.join("main.tf"), text).unwrap();
            let run = |args: &[&str]| {
                let mut command = self.command(&self.world.cloud.bin().join("terraform"));
                command.args(args).current_dir(folder).env("TF_DATA_DIR", self.world.cloud.path().join("tfdata"));
                command.env("TF_VAR_access_key", "x").env("TF_VAR_secret_bucket", "x");
                let output = command.output().unwrap();
                assert!(output.status.success(), "{args:?}: {output:?}");
            };
            run(&["init", "-input=false"]);

            run(&[
                "apply",
                "-auto-approve",
                "-input=false",
                &format!("-state={}", state.display()),
                "-var-file",
                self.variables().to_str().unwrap(),
            ]);
        } else {
            // A few lines of it: what is planned is the file of values, and applying it launches.
            let script = "case $1 in\nversion) echo 'Terraform v0.7.13' ;;\nplan)\n  for word; do case $word in\n    \
                          -out=*) out=${word#-out=} ;; -state=*) state=${word#-state=} ;; -var-file=*) values=${word#-var-file=} ;;\n  \
                          esac; done\n  jq -r '[.base_ami[], .socorroweb_num[]] | join(\" \")' \"$values\" >\"$out\"\n  \
                          if cmp -s \"$out\" \"$state\"; then echo 'No changes.'; exit 0; fi\n  echo 'Plan: 1 to add, 0 to change, 1 to destroy.'; exit 2 ;;\n\
                          apply)\n  for word; do case $word in -state=*) state=${word#-state=} ;; esac; done\n  \
                          read -r image size <\"${!#}\"; ./launch.sh \"$image\" \"$size\"; cp \"${!#}\" \"$state\" ;;\nesac";
            self.world.cloud.tool("terraform", script);
            fs::write(&state, format!("{} 3\n", self.old_image)).unwrap();
        }
        self.aws(&[
            "s3",
            "cp",
            state.to_str().unwrap(),
            "s3://socorro-private/tfstate/stage/webapp/terraform.tfstate",
            "--quiet",
        ]);
        // Terraform has set the least size to the wanted one; somebody has changed it since.
        self.aws(&[
            "autoscaling",
            "update-auto-scaling-group",
            "--auto-scaling-group-name",
            "as-stage-socorroweb",
            "--min-size",
            "2",
        ]);
    }

    fn variables(&self) -> PathBuf {
        let path = self.world.cloud.path().join("first.tfvars.json");
        let values = serde_json::json!({"environment": "stage", "region": "us-west-2",
            "base_ami": {"us-west-2": self.old_image}, "socorroweb_num": {"stage": "3"}});
        fs::write(&path, values.to_string()).unwrap();
        path
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.moto.url().to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".into()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI".into()),
            ("AWS_MAX_ATTEMPTS", "1".into()),
        ]
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let search = format!("{}:{}", self.world.cloud.bin().display(), std::env::var("PATH").unwrap());
        command.env_clear().envs(self.env()).env("AWS_DEFAULT_REGION", "us-west-2").env("PATH", search);
        command.env("HOME", self.world.cloud.path()).env("CHECKPOINT_DISABLE", "1").stdin(Stdio::null());
        command
    }

    fn aws(&self, args: &[&str]) -> Value {
        let output = self.command(&self.world.cloud.bin().join("aws")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    fn group(&self) -> Value {
        let args = ["autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", "as-stage-socorroweb"];
        self.aws(&args)["AutoScalingGroups"][0].clone()
    }

    /// The machines of the group, with the image of each.
    fn machines(&self) -> Vec<(String, String)> {
        let members = self.group()["Instances"].as_array().unwrap().clone();
        let names: Vec<String> =
            members.iter().map(|member| member["InstanceId"].as_str().unwrap().to_owned()).collect();
        let mut args = vec!["ec2", "describe-instances", "--instance-ids"];
        args.extend(names.iter().map(String::as_str));
        let answer = self.aws(&args);
        let found =
            answer["Reservations"].as_array().unwrap().iter().flat_map(|one| one["Instances"].as_array().unwrap());
        found.map(|one| (one["InstanceId"].as_str().unwrap().into(), one["ImageId"].as_str().unwrap().into())).collect()
    }

    fn bench(&self) -> Bench {
        let mut bench = self.world.bench(&[]).param("terraform_version", &self.version).env("TF_VAR_access_key", "x");
        for (name, value) in self.env() {
            bench = bench.env(name, value);
        }
        bench.replace("site", &self.site.url());
        bench.replace("roles", "webapp");
        bench.replace("settle", "0s");
        bench
    }
}

#[test]
fn a_commit_is_built_and_deployed_by_the_real_programs() {
    let Some(real) = Real::new() else { return };
    let before = real.machines();
    the_stand_in_answers_as_aws_does(&real, &before[0].0);
    let bench = real.bench();
    // First up to the question whether the old machines may go, killed while the group is doubled; then all of it back.
    let going = bench.start(&[YES[0], YES[1], YES[2]]).until_doing("forward/double[webapp]");
    going.kill();
    let waiting = bench.resume(&[YES[2]]);
    assert_eq!(waiting.code, 11, "{}", waiting.told);
    assert_eq!(real.machines().len(), 6);
    let declined = bench.resume(&[("enough", "no")]);
    assert_eq!(declined.code, 5, "{}", declined.told);
    let undone = bench.undo(&[]);
    assert_eq!(undone.code, 6, "{}", undone.told);
    let (mut now, mut then) = (real.machines(), before.clone());
    now.sort();
    then.sort();
    assert_eq!(now, then);
    let group = real.group();
    assert_eq!((&group["MinSize"], &group["DesiredCapacity"]), (&2.into(), &3.into()));
    assert_eq!(group["LaunchConfigurationName"], format!("lc-{}", real.old_image));

    // The image is there now: it is found and not built again.
    let bench = real.bench();
    bench.run(&YES[1..]).succeeded();
    let after = real.machines();
    assert!(
        after.len() == 3
            && after.iter().all(|(name, image)| *image != real.old_image && !before.iter().any(|(old, _)| old == name)),
        "{after:?}"
    );
    let group = real.group();
    assert_eq!((&group["MinSize"], &group["DesiredCapacity"]), (&2.into(), &3.into()));
    let images = real.aws(&[
        "ec2",
        "describe-images",
        "--owners",
        "self",
        "--filters",
        &format!("Name=tag:apphash,Values={}", real.world.commit),
    ]);
    assert_eq!(images["Images"].as_array().unwrap().len(), 1);
    assert_eq!(images["Images"][0]["ImageId"], after[0].1);
}

/// What the cloud of our own answers has the form of what AWS answers, and fails where that fails.
fn the_stand_in_answers_as_aws_does(real: &Real, machine: &str) {
    let cloud = Cloud::new();
    let own_machine = cloud.machines("as-stage-socorroweb")[0].0.clone();
    let calls: [&[&str]; 14] = [
        &["sts", "get-caller-identity"],
        &["ec2", "describe-images", "--owners", "self", "--filters", "Name=tag:apphash,Values=none"],
        &["ec2", "describe-images", "--image-ids", "ami-00000000000000fff"],
        &["ec2", "create-tags", "--resources", "ami-00000000000000fff", "--tags", "Key=a,Value=b"],
        &["ec2", "describe-instances", "--instance-ids", "MACHINE"],
        &["ec2", "describe-instances", "--instance-ids", "i-00000000000000fff"],
        &["autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", "as-stage-socorroweb"],
        &["autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", "as-stage-none"],
        &[
            "autoscaling",
            "set-instance-protection",
            "--auto-scaling-group-name",
            "as-stage-socorroweb",
            "--instance-ids",
            "MACHINE",
            "--no-protected-from-scale-in",
        ],
        &[
            "autoscaling",
            "update-auto-scaling-group",
            "--auto-scaling-group-name",
            "as-stage-socorroweb",
            "--min-size",
            "2",
            "--desired-capacity",
            "3",
        ],
        &["elb", "describe-instance-health", "--load-balancer-name", "elb-stage-socorroweb"],
        &["elb", "describe-instance-health", "--load-balancer-name", "none"],
        &["s3", "cp", "--no-progress", "s3://socorro-private/tfstate/stage/none/terraform.tfstate", "-"],
        &["dynamo", "list-tables"],
    ];
    for call in calls {
        let with = |name: &str| -> Vec<String> { call.iter().map(|word| word.replace("MACHINE", name)).collect() };
        let theirs = real.command(&real.world.cloud.bin().join("aws")).args(with(machine)).output().unwrap();
        let own = Command::new(cloud.bin().join("aws")).args(with(&own_machine)).output().unwrap();
        let (own_ended, ended) = (own.status.success(), theirs.status.success());
        assert_eq!(own_ended, ended, "{call:?}: {}", String::from_utf8_lossy(&theirs.stderr));
        let [own, theirs] = [own.stdout, theirs.stdout].map(|said| serde_json::from_slice::<Value>(&said).ok());
        match (own, theirs) {
            (Some(own), Some(theirs)) => assert_has_form("", &own, &theirs),
            (own, theirs) => assert_eq!(own, theirs, "{call:?}"),
        }
    }
}

/// Everything that the first has, the second has as well, of the same type.
fn assert_has_form(at: &str, own: &Value, theirs: &Value) {
    match (own, theirs) {
        (Value::Object(own), Value::Object(theirs)) => {
            for (key, value) in own {
                let other = theirs.get(key).unwrap_or_else(|| panic!("AWS has no {at}/{key}"));
                assert_has_form(&format!("{at}/{key}"), value, other);
            }
        }
        (Value::Array(own), Value::Array(theirs)) => {
            assert_eq!(own.is_empty(), theirs.is_empty(), "{at}");
            if let (Some(own), Some(theirs)) = (own.first(), theirs.first()) {
                assert_has_form(at, own, theirs);
            }
        }
        _ => assert_eq!(std::mem::discriminant(own), std::mem::discriminant(theirs), "{at}: {own} {theirs}"),
    }
}
