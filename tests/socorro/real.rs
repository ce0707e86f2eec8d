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
        cloud::OLD_COMMIT,
        server::{Reply, Server, locked},
    },
};

/// moto's server; ends with this.
struct Moto {
    child: Child,
    url: String,
}

impl Moto {
    fn start(program: &Path) -> Moto {
        let mut command = Command::new(program);
        command.args(["-p", "0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It says where it listens once it does.
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let url = loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "moto_server has ended");
            if let Some(at) = line.find("http://127.0.0.1:") {
                break line[at..].trim().to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Moto { child, url }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A group of three machines behind a load balancer, an image of the old commit, and a state of Terraform that says so.
struct Real {
    world: World,
    moto: Moto,
    site: Server,
    version: String,
    old_image: String,
}

impl Real {
    fn new() -> Option<Real> {
        let [aws, moto] = parts::programs(["aws", "moto_server"])?;
        let terraform = parts::program("terraform");
        let world = World::new();
        let moto = Moto::start(&moto);
        let top = world.cloud.path().to_owned();
        // moto goes on listing machines of a group that were taken out of its load balancer; AWS does not.
        let script = format!(
            "real='{}'\ncase \"$1 $2\" in\n\
             'elb deregister-instances-from-load-balancer')\n  printf '%s\\n' \"$@\" | grep ^i- >>\"$CLOUD/out\" ;;\n\
             'elb register-instances-with-load-balancer')\n  : >\"$CLOUD/out\" ;;\n\
             'elb describe-instance-health')\n  touch \"$CLOUD/out\"\n  \"$real\" \"$@\" |\n    \
             jq --rawfile out \"$CLOUD/out\" '.InstanceStates |= map(select(.InstanceId | IN($out | split(\"\\n\")[]) | not))'\n  exit ;;\n\
             esac\nprintf '%s\\n' \"$1 $2\" >>\"$CLOUD/real\"\nexec \"$real\" \"$@\"",
            aws.display()
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
            let mut asked = locked(&asked);
            *asked += 1;
            Reply::of(200, "text/plain", if *asked == 1 { OLD_COMMIT.to_owned() } else { format!("{wanted}\n") })
        });
        let mut real = Real { world, moto, site, version, old_image: String::new() };
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
            ("AWS_ENDPOINT_URL", self.moto.url.clone()),
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
