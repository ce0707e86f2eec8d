//! Instances of EC2 behind a small `aws` of our own, with a list of faults; it does not know any runbook.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};

/// What may go wrong. `true`: as long as the world stands; a number: so often.
pub type Fault = (&'static str, Value);

/// The instance that the tests are about, and another one beside it.
pub const ID: &str = "i-02cc2669";
pub const OTHER: &str = "i-0123456789abcdef0";

/// A region with two instances; `aws` is a program in its folder.
pub struct Instances {
    folder: tempfile::TempDir,
}

impl Instances {
    /// `ID` runs on hardware that is retired, `OTHER` does not.
    pub fn start(faults: &[Fault]) -> Instances {
        let folder = tempfile::Builder::new().prefix("instances").tempdir().unwrap();
        let machine = |name: &str, address: u8, event: Value| {
            json!({"name": name, "state": "running", "looks": 0, "checks": "ok", "root": "ebs", "moved": false,
                "private": format!("10.0.0.{address}"), "public": format!("54.1.2.{address}"),
                "dns": format!("ip-10-0-0-{address}.ec2.internal"), "event": event})
        };
        let event = json!("The instance is running on degraded hardware");
        let world = json!({
            "account": "123456789012", "asked": [], "other": OTHER,
            "faults": faults.iter().cloned().map(|(name, value)| (name.to_owned(), value)).collect::<serde_json::Map<_, _>>(),
            "instances": {ID: machine("master71", 71, event), OTHER: machine("db1", 1, Value::Null)},
        });
        let instances = Instances { folder };
        instances.write(&world);
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standins/instances/aws.py");
        let aws = instances.folder().join("aws");
        // The first `python3` of a search path may be a script that looks for the real one, which takes longer than all else.
        let python = crate::parts::program("python3").expect("there is a Python");
        let (world, python, program) = (instances.folder().display(), python.display(), program.display());
        let script = format!("#!/bin/sh\nINSTANCES='{world}' exec '{python}' -S '{program}' \"$@\"\n");
        fs::write(&aws, script).unwrap();
        fs::set_permissions(&aws, fs::Permissions::from_mode(0o755)).unwrap();
        instances
    }

    /// Where its `aws` lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, world: &Value) {
        fs::write(self.folder().join("world.json"), world.to_string()).unwrap();
    }

    fn world(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.folder().join("world.json")).unwrap()).unwrap()
    }

    /// Sets one property of an instance.
    pub fn set(&self, id: &str, key: &str, value: Value) {
        let mut world = self.world();
        world["instances"][id][key] = value;
        self.write(&world);
    }

    /// One property of an instance.
    pub fn get(&self, id: &str, key: &str) -> Value {
        self.world()["instances"][id][key].clone()
    }

    /// What was asked for that changes something.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.world()["asked"].clone();
        asked.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    }
}
