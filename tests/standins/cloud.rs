//! A cloud on this machine, as far as a deployment to groups of machines sees it: the AWS command line, Terraform, Packer and
//! rpm as programs that share one world. Written from the facts about those programs; it knows no runbook. What AWS does
//! a little later happens after a number of looks, so nothing here waits.

#[cfg(test)]
mod tests;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// The commit whose image the machines run at the beginning.
pub const OLD_COMMIT: &str = "00000000000000000000000000000000000000aa";
/// The image of that commit.
pub const OLD_IMAGE: &str = "ami-00000000000000aaa";
/// Where the state of Terraform lies.
pub const STATE_BUCKET: &str = "socorro-private";

/// A folder with `bin` (the programs), `world.json`, `s3` (objects) and `machine` (what a build machine has besides).
pub struct Cloud {
    folder: tempfile::TempDir,
}

/// A group of machines.
pub struct Group {
    pub name: &'static str,
    pub balancer: &'static str,
    pub role: &'static str,
    pub variable: &'static str,
    pub size: usize,
    pub least: usize,
}

/// The two groups of Socorro in stage; an odd size, and a least size of its own.
pub const GROUPS: [Group; 2] = [
    Group {
        name: "as-stage-socorroweb",
        balancer: "elb-stage-socorroweb",
        role: "webapp",
        variable: "socorroweb_num",
        size: 3,
        least: 2,
    },
    Group { name: "as-stage-processor", balancer: "", role: "processor", variable: "processor_num", size: 5, least: 5 },
];

impl Cloud {
    /// Groups at rest, all of whose machines run [`OLD_IMAGE`], and a state of Terraform that says so.
    pub fn new() -> Cloud {
        let cloud = Cloud { folder: tempfile::Builder::new().prefix("cloud").tempdir().unwrap() };
        let root = cloud.folder.path();
        for folder in ["bin", "s3", "machine/published", "infra/packer", "data", "packages/x86_64"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let (mut groups, mut machines, mut balancers, mut old) = (json!({}), json!({}), json!({}), Vec::new());
        for (number, group) in GROUPS.iter().enumerate() {
            let names: Vec<String> =
                (0..group.size).map(|at| format!("i-{:017x}", 0xa000 + number * 16 + at)).collect();
            let members: Vec<Value> = names.iter().map(|name| member(name)).collect();
            for name in &names {
                machines[name] = json!({"ImageId": OLD_IMAGE, "State": "running", "looks": 0, "asks": 0});
            }
            groups[group.name] = json!({
                "MinSize": group.least, "MaxSize": 10, "DesiredCapacity": group.size, "launches": OLD_IMAGE,
                "elb": if group.balancer.is_empty() { Value::Null } else { json!(group.balancer) },
                "suspended": [], "Instances": members,
            });
            if !group.balancer.is_empty() {
                balancers[group.balancer] = json!({"machines": names, "leaving": {}});
            }
            old.extend(names);
            let folder = root.join("infra/terraform").join(group.role);
            fs::create_dir_all(&folder).unwrap();
            let role = json!({"group": group.name.replace("stage", "ENV"), "variable": group.variable});
            fs::write(folder.join("role.json"), role.to_string()).unwrap();
            let state = json!({"serial": 7, "now": {"image": OLD_IMAGE, "size": group.size}});
            cloud.put(&format!("{STATE_BUCKET}/tfstate/stage/{}/terraform.tfstate", group.role), &state.to_string());
        }
        let images = json!({OLD_IMAGE: {"State": "available", "CreationDate": "2026-01-01T00:00:00.000Z",
            "Tags": {"apphash": OLD_COMMIT, "Name": "before"}, "holds": OLD_COMMIT}});
        cloud.write_world(&json!({
            "faults": {}, "made": 0, "terraform": "0.7.13", "images": images, "groups": groups, "elbs": balancers,
            "instances": machines, "old": old,
        }));
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standins/cloud");
        // Python that a version manager finds anew at each call takes ten times as long to start.
        let python = if Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" };
        for (name, program) in [("aws", "aws.py"), ("terraform", "terraform.py")] {
            cloud.tool(name, &format!("exec {python} -S -I '{}' \"$@\"", own.join(program).display()));
        }
        let machine = own.join("machine.sh");
        let packages = root.join("packages");
        for name in ["rpm", "packer", "manage_repo.sh", "git"] {
            // A script that is read by bash does not know under which name it was called.
            let called = format!("export PACKAGES='{}' CALLED={name}", packages.display());
            let script = format!("{called}\nexec bash '{}' \"$@\"", machine.display());
            cloud.tool(name, &script);
        }
        let script = format!("exec {python} -S -I '{}' \"$1\"", own.join("make_image.py").display());
        cloud.tool("../machine/make-image", &script);
        cloud.put_file("signing-key", "a passphrase\n");
        fs::set_permissions(root.join("signing-key"), fs::Permissions::from_mode(0o600)).unwrap();
        cloud
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn bin(&self) -> PathBuf {
        self.path().join("bin")
    }

    /// A program of the cloud: a script that finds the world.
    pub fn tool(&self, name: &str, script: &str) {
        let path = self.bin().join(name);
        fs::write(&path, format!("#!/bin/bash\nexport CLOUD='{}'\n{script}\n", self.path().display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Lets something go wrong from now on.
    pub fn fault(&self, name: &str, value: impl Into<Value>) {
        self.change(|world| world["faults"][name] = value.into());
    }

    /// Lets something go wrong on the build machine.
    pub fn machine_fault(&self, name: &str) {
        fs::write(self.path().join("machine").join(name), "").unwrap();
    }

    pub fn world(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path().join("world.json")).unwrap()).unwrap()
    }

    pub fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut world = self.world();
        change(&mut world);
        self.write_world(&world);
    }

    fn write_world(&self, world: &Value) {
        // As its programs do it: whoever reads sees the old one or the new one.
        fs::write(self.path().join("world.json.new"), world.to_string()).unwrap();
        fs::rename(self.path().join("world.json.new"), self.path().join("world.json")).unwrap();
    }

    /// An image of a commit that can be started.
    pub fn add_image(&self, image: &str, commit: &str, holds: &str, date: &str) {
        self.change(|world| {
            world["images"][image] = json!({"State": "available", "CreationDate": date,
                "Tags": {"apphash": commit, "Name": "made before"}, "holds": holds});
        });
    }

    pub fn put(&self, object: &str, text: &str) {
        self.put_file(&format!("s3/{object}"), text);
    }

    pub fn put_file(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn object(&self, object: &str) -> Option<String> {
        fs::read_to_string(self.path().join("s3").join(object)).ok()
    }

    /// What the programs were called with, one call each.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let text = fs::read_to_string(self.path().join("calls")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How often an operation was called.
    pub fn called(&self, operation: &str) -> usize {
        self.calls().iter().filter(|call| call.iter().any(|word| word == operation)).count()
    }

    /// The machines of a group that are there to stay, with the image of each.
    pub fn machines(&self, group: &str) -> Vec<(String, String)> {
        let world = self.world();
        let members = world["groups"][group]["Instances"].as_array().unwrap().clone();
        let here = members.iter().filter(|member| member["LifecycleState"] != "Terminating");
        here.map(|member| {
            let name = member["InstanceId"].as_str().unwrap();
            (name.to_owned(), world["instances"][name]["ImageId"].as_str().unwrap().to_owned())
        })
        .collect()
    }

    /// Which commit the site says: that which the image of the first machine holds that the load balancer sends to.
    pub fn revision(world: &Value) -> Option<String> {
        let serving = world["elbs"][GROUPS[0].balancer]["machines"].as_array()?;
        let image = &world["instances"][serving.last()?.as_str()?]["ImageId"];
        Some(world["images"][image.as_str()?]["holds"].as_str()?.to_owned())
    }
}

fn member(name: &str) -> Value {
    json!({"InstanceId": name, "LifecycleState": "InService", "HealthStatus": "Healthy", "ProtectedFromScaleIn": false})
}
