//! Where Socorro is deployed in these tests: a cloud, a site that says which commit it runs, and a repository to build from.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use crate::{
    bench::{Bench, Ran},
    standins::{
        cloud::{Cloud, GROUPS, OLD_IMAGE, STATE_BUCKET},
        server::{Reply, Server, locked},
    },
};

pub const YES: &[(&str, &str)] =
    &[("source/build/sure", "yes"), ("quiet", "yes"), ("go", "stage"), ("unserved", "yes"), ("enough", "yes")];

/// What the site answers besides the commit that runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Site {
    Fine,
    /// A page of words, with this status.
    Page(u16),
    /// At the first question alone.
    PageFirst,
    /// It says another commit every other time, after it has said the new one.
    FlipsBack,
}

pub struct World {
    pub cloud: Cloud,
    pub site: Server,
    says: Arc<Mutex<Site>>,
    /// What is deployed; one role is quicker than two.
    pub roles: &'static [&'static str],
    /// How long is waited for what may not come.
    pub limit: &'static str,
    pub poll: &'static str,
    /// The commit of the repository.
    pub commit: String,
}

impl World {
    /// A repository of one commit, of which there is no image yet.
    pub fn new() -> World {
        let cloud = Cloud::new();
        let commit = make_source(&cloud.path().join("source"));
        let says = Arc::new(Mutex::new(Site::Fine));
        let (shared, file, wanted) = (says.clone(), cloud.path().join("world.json"), commit.clone());
        let (flipped, asked_first) = (Mutex::new(0), Mutex::new(true));
        let site = Server::start(move |request| {
            if request.path != "/status/revision/" {
                return Reply::of(404, "text/html", "<h1>not found</h1>");
            }
            let world = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            let runs = Cloud::revision(&world).unwrap_or_default();
            match *locked(&shared) {
                Site::Page(status) => Reply::of(status, "text/html", "<h1>Something went wrong</h1>"),
                Site::PageFirst if std::mem::take(&mut *locked(&asked_first)) => {
                    Reply::of(200, "text/html", "<h1>Something went wrong</h1>")
                }
                Site::FlipsBack if runs == wanted => {
                    let mut asked = locked(&flipped);
                    *asked += 1;
                    let page = if *asked % 2 == 0 { "0".repeat(40) } else { runs };
                    Reply::of(200, "text/plain", format!("{page}\n"))
                }
                _ => Reply::of(200, "text/plain", format!("{runs}\n")),
            }
        });
        World { cloud, site, says, roles: &["webapp", "processor"], limit: "1m", poll: "10ms", commit }
    }

    /// With an image of the commit.
    pub fn with_image() -> World {
        let world = World::new();
        world.cloud.add_image(NEW_IMAGE, &world.commit, &world.commit, "2026-02-01T00:00:00.000Z");
        world
    }

    /// Of the web application alone, and with little patience: something will not come.
    pub fn in_vain() -> World {
        World { roles: &["webapp"], limit: "3s", poll: "300ms", ..World::with_image() }
    }

    /// Of the web application alone.
    pub fn small() -> World {
        World { roles: &["webapp"], ..World::with_image() }
    }

    pub fn says(&self, site: Site) {
        *locked(&self.says) = site;
    }

    pub fn bench(&self, edits: &[(&str, &str)]) -> Bench {
        let root = self.cloud.path();
        let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
        Bench::new("socorro/deploy", edits)
            .path_first(&self.cloud.bin())
            .env("AWS_MAX_ATTEMPTS", "1")
            .param("environment", "stage")
            .param("commit", &self.commit)
            .param("site", self.site.url())
            .param("state_bucket", STATE_BUCKET)
            .param("infra", path("infra"))
            .param("source", path("source"))
            .param("workspace", path("data"))
            .param("signing_key", path("signing-key"))
            .param("manage_repo", path("bin/manage_repo.sh"))
            .param("packages", path("packages"))
            .param("python", "/usr/bin/python3")
            .param("poll", self.poll)
            .param("settle", "30ms")
            .param("roles", self.roles.join(","))
            .param("health_limit", self.limit)
            .param("drain_limit", self.limit)
            .param("resize_limit", self.limit)
    }

    pub fn run(&self, edits: &[(&str, &str)]) -> Ran {
        self.bench(edits).run(YES)
    }

    /// Each group has as many machines as before, all of this image, at rest and free, with the sizes of before.
    pub fn all_run(&self, image: &str) {
        let wrong = self.wrong(image);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// What is not as it should be when all machines should run this image.
    pub fn wrong(&self, image: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let world = self.cloud.world();
        for group in &GROUPS {
            let image = if self.roles.contains(&group.role) { image } else { OLD_IMAGE };
            let machines = self.cloud.machines(group.name);
            if machines.len() != group.size || machines.iter().any(|(_, runs)| runs != image) {
                wrong.push(format!("{}: {machines:?}", group.name));
            }
            let own = &world["groups"][group.name];
            if (&own["MinSize"], &own["DesiredCapacity"]) != (&group.least.into(), &group.size.into()) {
                wrong.push(format!("{}: {} {}", group.name, own["MinSize"], own["DesiredCapacity"]));
            }
            let members = own["Instances"].as_array().unwrap();
            if members.iter().any(|member| member["ProtectedFromScaleIn"] != false) {
                wrong.push(format!("{}: some are protected", group.name));
            }
            if !group.balancer.is_empty() {
                let serving = world["elbs"][group.balancer]["machines"].as_array().unwrap();
                let names: Vec<&str> = serving.iter().map(|name| name.as_str().unwrap()).collect();
                if names.len() != machines.len() || machines.iter().any(|(name, _)| !names.contains(&name.as_str())) {
                    wrong.push(format!("{}: sends to {names:?}", group.balancer));
                }
            }
            let state = self.state(group.role);
            if state["now"]["image"] != image {
                wrong.push(format!("{}: Terraform has {state}", group.role));
            }
        }
        wrong
    }

    /// Nothing is as the deployment would have it; all is as it was.
    pub fn as_before(&self) {
        self.all_run(OLD_IMAGE);
    }

    pub fn state(&self, role: &str) -> serde_json::Value {
        let text = self.cloud.object(&format!("{STATE_BUCKET}/tfstate/stage/{role}/terraform.tfstate")).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// The image of the commit, where the test has made one.
pub const NEW_IMAGE: &str = "ami-00000000000000bbb";

/// A repository with a Makefile that packages as Socorro's does; its commit.
fn make_source(folder: &PathBuf) -> String {
    fs::create_dir_all(folder).unwrap();
    let makefile = "package:\n\ttest \"$(BUILD_TYPE)\" = rpm\n\ttest -x \"$$PYTHON\"\n\
                    \t{ echo 'an rpm'; echo \"commit $$(git rev-parse HEAD)\"; } >socorro-1.noarch.rpm\n";
    fs::write(folder.join("Makefile"), makefile).unwrap();
    fs::write(folder.join(".gitignore"), "*.rpm\n").unwrap();
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(args).current_dir(folder);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet", "--initial-branch=master"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "the commit to deploy"]);
    let commit = git(&["rev-parse", "HEAD"]);
    // The tip of the branch is not what is deployed.
    fs::write(folder.join("later"), "").unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "a later one"]);
    commit
}
