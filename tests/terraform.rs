//! `lib/terraform/apply`, run against the real Terraform with its built-in resource and a local state. Needs no network and
//! knows no provider.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    bench::{Bench, Ran},
    parts,
};

const NAME: &str = "lib/terraform/apply";
const YES: [(&str, &str); 1] = [("go", "yes")];

/// A root module whose one object writes a line down whenever it is made or made anew.
struct Root {
    bench: Bench,
    terraform: PathBuf,
}

impl Root {
    fn new(edits: &[(&str, &str)]) -> Option<Root> {
        let [terraform] = parts::programs(["terraform"])?;
        let bench = Bench::new(NAME, edits).param("folder", "in fra").param("what", "try $(id) 'it'");
        let bench = bench.param("lock_timeout", "0s").path_first(terraform.parent().unwrap());
        let root = Root { bench, terraform };
        fs::create_dir(root.folder()).unwrap();
        root.configure("0.2.7");
        Some(root)
    }

    fn folder(&self) -> PathBuf {
        self.bench.folder().join("in fra")
    }

    fn configure(&self, version: &str) {
        self.write(&format!(
            "resource \"terraform_data\" \"service\" {{\n  triggers_replace = \"{version}\"\n  \
             provisioner \"local-exec\" {{ command = \"echo {version} >>'{}'\" }}\n}}\n",
            self.bench.folder().join("made").display()
        ));
    }

    fn write(&self, text: &str) {
        fs::write(self.folder().join("main.tf"), text).unwrap();
    }

    /// What was made, in order.
    fn made(&self) -> String {
        fs::read_to_string(self.bench.folder().join("made")).unwrap_or_default()
    }

    /// What somebody else does with it, past the runbook.
    fn elsewhere(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.terraform);
        command.arg(format!("-chdir={}", self.folder().display())).args(args).arg("-no-color");
        command.env("CHECKPOINT_DISABLE", "1").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn applied_elsewhere(&self) {
        assert!(self.elsewhere(&["apply", "-auto-approve", "-input=false"]).status().unwrap().success());
    }

    fn run(&self) -> Ran {
        self.bench.run(&YES)
    }

    /// The plan that a paused run keeps.
    fn kept_plan(&self) -> PathBuf {
        found(&self.bench.folder().join("state"), "terraform.plan").expect("a plan is kept")
    }
}

fn found(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()? {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if let Some(inside) = found(&path, name) {
                return Some(inside);
            }
        } else if path.file_name().is_some_and(|own| own == name) {
            return Some(path);
        }
    }
    None
}

/// A command that holds the lock of the state until it is let go.
struct Holder {
    child: Child,
    gate: PathBuf,
}

impl Holder {
    /// `root` is configured with something that takes until the gate is opened.
    fn start(root: &Root, args: &[&str]) -> Holder {
        let holder = Holder { child: root.elsewhere(args).spawn().unwrap(), gate: root.bench.folder().join("gate") };
        let begun = root.bench.folder().join("begun");
        while !begun.exists() {
            std::thread::yield_now();
        }
        holder
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = fs::write(&self.gate, "");
        let _ = self.child.wait();
    }
}

/// An object that says when its making has begun, and is made when the gate is open.
fn slow(root: &Root) {
    let folder = root.bench.folder().display();
    root.write(&format!(
        "resource \"terraform_data\" \"slow\" {{\n  provisioner \"local-exec\" {{\n    command = \"touch \
         '{folder}/begun'; until [ -e '{folder}/gate' ]; do sleep 0.02; done; echo slow >>'{folder}/made'\"\n  }}\n}}\n"
    ));
}

#[test]
fn what_was_shown_is_applied_and_then_nothing_changes() {
    let Some(root) = Root::new(&[]) else { return };
    let first = root.run();
    first.succeeded();
    assert!(first.told.contains("terraform_data.service will be created"), "{}", first.told);
    assert!(first.told.contains("1 to add, 0 to change, 0 to destroy"), "{}", first.told);
    assert_eq!(root.made(), "0.2.7\n");
    let second = root.bench.run(&[]);
    assert_eq!((second.succeeded().status("apply"), second.status("go")), (Some("skipped"), Some("skipped")));
    // What is replaced would be destroyed: refused, unless it is allowed, and then said in the question.
    root.configure("0.2.8");
    root.run().stopped_at("counted", "may_destroy");
    assert_eq!(root.made(), "0.2.7\n");
    let Root { bench, terraform } = root;
    let root = Root { bench: bench.param("may_destroy", "terraform_data"), terraform };
    let third = root.run();
    assert!(third.succeeded().told.contains("It destroys or replaces: terraform_data.service"), "{}", third.told);
    assert_eq!(root.made(), "0.2.7\n0.2.8\n");
    // A plan holds values in the clear: nothing of it is left.
    assert_eq!(found(&root.bench.folder().join("state"), "terraform.plan"), None);
}

#[test]
fn after_a_no_nothing_is_applied() {
    let Some(root) = Root::new(&[]) else { return };
    let no = root.bench.run(&[("go", "no")]);
    assert_eq!((no.code, root.made().as_str()), (5, ""), "{}", no.told);
}

#[test]
fn a_state_that_changed_while_somebody_thought_refuses_the_plan() {
    let Some(root) = Root::new(&[]) else { return };
    assert_eq!(root.bench.run(&[]).code, 11);
    root.applied_elsewhere();
    let ran = root.bench.resume(&YES);
    ran.stopped_at("apply", "Somebody has changed the state since this plan was made, and nothing was applied");
    assert_eq!(root.made(), "0.2.7\n");
    // And there is a way on: a new run.
    root.bench.run(&[]).succeeded();
}

#[test]
fn another_plan_in_its_place_is_not_applied() {
    let without = ("if [ \"$(sha256sum <\"$PLAN\" | cut -d' ' -f1)\" != \"$plan_sum\" ]; then", "if false; then");
    for (edits, harmed) in [(&[][..], false), (&[without][..], true)] {
        let Some(root) = Root::new(edits) else { return };
        assert_eq!(root.bench.run(&[]).code, 11);
        root.configure("9.9.9");
        let plan = root.kept_plan();
        assert!(root.elsewhere(&["plan", "-out", plan.to_str().unwrap()]).status().unwrap().success());
        let ran = root.bench.resume(&YES);
        if harmed {
            assert_eq!((ran.succeeded().code, root.made().as_str()), (0, "9.9.9\n"));
        } else {
            ran.stopped_at("apply", "not the one that was shown");
            assert_eq!(root.made(), "");
        }
    }
}

#[test]
fn what_would_be_destroyed_goes_unnoticed_without_the_check() {
    let check = "- result.json.destroyed|rejectattr('type', 'in', may_destroy)|map(attribute='address')|list == []";
    let Some(root) = Root::new(&[(check, "- result.json.destroyed is defined")]) else { return };
    root.applied_elsewhere();
    root.configure("0.2.8");
    root.run().succeeded();
    assert_eq!(root.made(), "0.2.7\n0.2.8\n");
}

#[test]
fn what_never_comes_to_rest_is_told() {
    let text = "resource \"terraform_data\" \"clock\" {\n  input = timestamp()\n}\n";
    let Some(root) = Root::new(&[]) else { return };
    root.write(text);
    root.run().stopped_at("settled", "Nothing changes");
    let Some(root) = Root::new(&[("- result.lines|last == 'Nothing changes.'", "- result.exit == 0")]) else { return };
    root.write(text);
    root.run().succeeded();
}

#[test]
fn a_lock_that_somebody_holds_is_told_with_what_to_do() {
    let Some(root) = Root::new(&[]) else { return };
    slow(&root);
    let holder = Holder::start(&root, &["apply", "-auto-approve", "-input=false"]);
    let ran = root.bench.run(&YES);
    ran.stopped_at("plan", "Somebody else holds the lock of this state, and nothing was planned");
    assert!(ran.told.contains("terraform -chdir='in fra' force-unlock ID"), "{}", ran.told);
    drop(holder);
    assert_eq!(root.made(), "slow\n");
    // It comes between the plan and the yes as well.
    let Some(root) = Root::new(&[]) else { return };
    assert_eq!(root.bench.run(&[]).code, 11);
    slow(&root);
    let holder = Holder::start(&root, &["apply", "-auto-approve", "-input=false"]);
    root.bench.resume(&YES).stopped_at("apply", "Somebody else holds the lock of this state, and nothing was applied");
    drop(holder);
    assert_eq!(root.made(), "slow\n");
}

#[test]
fn killed_while_it_is_applied_it_is_applied_once() {
    let Some(root) = Root::new(&[]) else { return };
    slow(&root);
    let going = root.bench.start(&YES).until_doing("apply");
    let begun = root.bench.folder().join("begun");
    while !begun.exists() {
        std::thread::yield_now();
    }
    going.kill();
    fs::write(root.bench.folder().join("gate"), "").unwrap();
    let ran = root.bench.resume(&YES);
    ran.succeeded();
    assert_eq!(root.made(), "slow\n");
}

#[test]
fn a_variable_without_a_value_is_no_prompt() {
    let Some(root) = Root::new(&[]) else { return };
    let text = "variable \"key\" { type = string }\nresource \"terraform_data\" \"k\" { input = var.key }\n";
    root.write(text);
    root.run().stopped_at("plan", "Give it in a file of var_files");
    // Values come as they are.
    let Root { bench, terraform } = root;
    let root = Root { bench: bench.param("variables", "[\"key=$(id) \\\"it's\\\" -x\"]"), terraform };
    let ran = root.run();
    assert!(ran.succeeded().told.contains("$(id) \\\"it's\\\" -x"), "{}", ran.told);
    // And from a file, seen from where the operator stands and not from the module.
    let Some(Root { bench, terraform }) = Root::new(&[]) else { return };
    let root = Root { bench: bench.param("var_files", "keys.tfvars"), terraform };
    root.write(text);
    fs::write(root.bench.folder().join("keys.tfvars"), "key = \"from the file\"\n").unwrap();
    assert!(root.run().succeeded().told.contains("from the file"));
}

#[test]
fn half_of_a_plan_is_told_and_the_next_run_does_the_rest() {
    let Some(root) = Root::new(&[]) else { return };
    let folder = root.bench.folder().display().to_string();
    root.write(&format!(
        "resource \"terraform_data\" \"a\" {{}}\nresource \"terraform_data\" \"b\" {{\n  input = \
         terraform_data.a.id\n  provisioner \"local-exec\" {{ command = \"test -e '{folder}/ready'\" }}\n}}\n"
    ));
    root.run().stopped_at("apply", "A part of it may have been done. Start anew");
    fs::write(root.bench.folder().join("ready"), "").unwrap();
    let Root { bench, terraform } = root;
    let root = Root { bench: bench.param("may_destroy", "terraform_data"), terraform };
    // What failed halfway is tainted, and replaced.
    assert!(root.run().succeeded().told.contains("1 to add, 0 to change, 1 to destroy"));
}
