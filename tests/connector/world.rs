//! The connector's surroundings: its repository with Terraform for two stages, and two services of ECS for each. Terraform
//! has no network here, so that its built-in resource deploys with the AWS command line; it knows no runbook.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;

use crate::{
    bench::Bench,
    parts,
    standins::aws::{Aws, Moment},
};

pub const REGISTRY: &str = "123456789012.dkr.ecr.us-east-1.amazonaws.com/narrative-facebook-connector";

/// A stage's `main.tf`, in the form of the real one.
fn main_tf(stage: &str, version: &str, state: &Path) -> String {
    let part = |part: &str| {
        let name = format!("facebook-connector-{part}-${{local.stage}}");
        format!(
            r#"
resource "terraform_data" "fargate_{part}" {{
  triggers_replace = [local.{part}_image_tag]
  provisioner "local-exec" {{
    interpreter = ["bash", "-euo", "pipefail", "-c"]
    command = <<EOT
      definition=$(aws ecs register-task-definition --family {name} --query taskDefinition.taskDefinitionArn --output text \
        --container-definitions '[{{"name": "{name}", "image": "{REGISTRY}/{part}:${{local.{part}_image_tag}}", "memory": 128}}]')
      aws ecs update-service --cluster {name} --service facebook-connector-{part}-service-${{local.stage}} \
        --task-definition "$definition" --output json >/dev/null
    EOT
  }}
}}
"#
        )
    };
    format!(
        r#"terraform {{
  backend "local" {{ path = "{state}" }}
}}

locals {{
  app_port         = 8080
  version          = "{version}"
  api_image_tag    = local.version
  name_prefix      = "facebook-connector"
  worker_image_tag = local.version
  stage            = "{stage}"
}}

output "version" {{
  value = local.version
}}
{api}{worker}"#,
        state = state.display(),
        api = part("api"),
        worker = part("worker"),
    )
}

/// Both stages at 0.2.7, applied and committed.
pub struct World<'a> {
    pub aws: &'a Aws,
    pub folder: tempfile::TempDir,
    terraform: PathBuf,
    kept: tempfile::TempDir,
    moment: Moment,
}

impl World<'_> {
    /// None where Terraform is missing.
    pub fn new(aws: &Aws) -> Option<World<'_>> {
        let [terraform] = parts::programs(["terraform"])?;
        let folder = tempfile::Builder::new().prefix("connector").tempdir().unwrap();
        let kept = tempfile::tempdir().unwrap();
        let mut world = World { aws, folder, terraform, kept, moment: aws.moment() };
        aws.faults(&[]);
        fs::create_dir(world.path("work")).unwrap();
        fs::write(world.path("gitconfig"), "[user]\n  name = Tester\n  email = tester@example.org\n").unwrap();
        for stage in ["dev", "prod"] {
            let main = world.path(&format!("work/infra/{stage}/main.tf"));
            fs::create_dir_all(main.parent().unwrap()).unwrap();
            fs::write(&main, main_tf(stage, "0.2.7", &world.path(&format!("{stage}.tfstate")))).unwrap();
            for part in ["api", "worker"] {
                world.service(stage, part);
            }
            world.terraform(stage, &["init"]);
            world.terraform(stage, &["apply", "-auto-approve"]);
            fs::remove_dir_all(main.parent().unwrap().join(".terraform")).unwrap();
        }
        world.git(&["init", "--quiet", "--initial-branch=main", "."]);
        world.git(&["add", "."]);
        world.git(&["commit", "--quiet", "-m", "chore: deploy 0.2.7 to prod [skip ci]"]);
        world.git(&["clone", "--quiet", "--bare", ".", "../remote.git"]);
        world.git(&["remote", "add", "origin", "../remote.git"]);
        aws.settle();
        world.moment = aws.moment();
        copy(world.folder.path(), world.kept.path());
        Some(world)
    }

    /// Everything is as it was at the beginning.
    pub fn again(&self) {
        self.aws.back_to(&self.moment);
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
        copy(self.kept.path(), self.folder.path());
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn service(&self, stage: &str, part: &str) {
        let (name, service) =
            (format!("facebook-connector-{part}-{stage}"), format!("facebook-connector-{part}-service-{stage}"));
        let (least, most) = if part == "worker" { (0, 100) } else { (100, 200) };
        let image = json!([{"name": name, "image": format!("{REGISTRY}/{part}:0.2.6"), "memory": 128}]);
        self.aws.ecs("CreateCluster", &json!({"clusterName": name}));
        self.aws.ecs("RegisterTaskDefinition", &json!({"family": name, "containerDefinitions": image}));
        let configuration = json!({"minimumHealthyPercent": least, "maximumPercent": most});
        let input = json!({"cluster": name, "serviceName": service, "taskDefinition": name, "desiredCount": 1,
            "deploymentConfiguration": configuration});
        self.aws.ecs("CreateService", &input);
    }

    /// What somebody does with Terraform past the runbook, in the working copy.
    pub fn terraform(&self, stage: &str, args: &[&str]) {
        let mut command = Command::new(&self.terraform);
        command.arg(format!("-chdir={}", self.path(&format!("work/infra/{stage}")).display())).args(args);
        command.arg("-input=false").env("CHECKPOINT_DISABLE", "1").envs(self.aws.env());
        let mut search = self.aws.quick().into_os_string();
        search.push(":");
        search.push(std::env::var_os("PATH").unwrap());
        let output = command.env("PATH", search).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// git in the working copy of somebody else.
    pub fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(args).current_dir(self.path("work")).stdin(Stdio::null());
        command.env("GIT_CONFIG_GLOBAL", self.path("gitconfig")).env("GIT_CONFIG_NOSYSTEM", "1");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Somebody else pushes this in a stage's file.
    pub fn pushed(&self, stage: &str, from: &str, to: &str) {
        self.git(&["pull", "--quiet", "--rebase", "origin", "main"]);
        let main = self.path(&format!("work/infra/{stage}/main.tf"));
        let text = fs::read_to_string(&main).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&main, text.replace(from, to)).unwrap();
        self.git(&["commit", "--quiet", "--all", "-m", "another change"]);
        self.git(&["push", "--quiet", "origin", "HEAD:main"]);
    }

    /// The version that the repository names for a stage, and what its last commit says.
    pub fn said(&self, stage: &str) -> (String, String) {
        self.git(&["fetch", "--quiet", "origin", "main"]);
        let text = self.git(&["show", &format!("FETCH_HEAD:infra/{stage}/main.tf")]);
        let line = text.lines().find(|line| line.trim_start().starts_with("version ")).unwrap().to_owned();
        (
            line.split('"').nth(1).unwrap().to_owned(),
            self.git(&["log", "-1", "--format=%s", "FETCH_HEAD"]).trim().to_owned(),
        )
    }

    /// The tags that a stage runs, of the API and of the worker.
    pub fn runs(&self, stage: &str) -> [String; 2] {
        ["api", "worker"].map(|part| {
            let image = self.aws.image(&format!("facebook-connector-{part}-service-{stage}"));
            image.rsplit(':').next().unwrap().to_owned()
        })
    }

    pub fn bench(&self, stage: &str, version: &str, edits: &[(&str, &str)]) -> Bench {
        let bench = Bench::new("facebook-connector/deploy", edits);
        let mut bench = bench.param("stage", stage).param("version", version);
        for (name, value) in [
            ("repository", self.path("remote.git").to_str().unwrap()),
            ("may_destroy", "terraform_data"),
            ("poll", "10ms"),
            ("held_for", "0s"),
            ("patience", "60s"),
            ("look", "60s"),
        ] {
            bench = bench.param(name, value);
        }
        for (name, value) in self.aws.env() {
            bench = bench.env(name, value);
        }
        let bench = bench.env("GIT_CONFIG_GLOBAL", self.path("gitconfig")).env("GIT_CONFIG_NOSYSTEM", "1");
        bench.path_first(self.terraform.parent().unwrap()).path_first(&self.aws.quick())
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(status.success());
}
