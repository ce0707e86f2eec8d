//! `plan --against` of revisions: a real repository, made by the test, in which nothing of the machine's settings counts.

use crate::support::{Bed, Ended};

const OLD: &str = "title: X\nsteps:\n  - {id: sure, confirm: Sure?}\n  - {id: push, shell: git push}\n";
const NEW: &str = "title: X\nsteps:\n  - {id: push, shell: git push --force}\n";

fn git(bed: &Bed, args: &[&str]) -> String {
    let identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "init.defaultBranch=main"];
    bed.call("git", &identity).args(args).end().code(0).stdout
}

fn commit(bed: &Bed, what: &str) {
    git(bed, &["add", "-A"]);
    git(bed, &["commit", "-q", "--no-verify", "-m", what]);
}

/// A repository with these files in one commit, tagged `old`.
fn repository(files: &[(&str, &str)]) -> Bed {
    let bed = Bed::new();
    git(&bed, &["init", "-q"]);
    for (path, text) in files {
        bed.write(path, text);
    }
    commit(&bed, "first");
    git(&bed, &["tag", "old"]);
    bed
}

fn against<'b>(bed: &'b Bed, what: &str, other: &str) -> Ended<'b> {
    bed.run(&["plan", what, "--against", other]).end()
}

#[test]
fn a_revision_is_compared_with_the_file_as_it_is() {
    let bed = repository(&[("runbooks/team/x.yaml", OLD)]);
    against(&bed, "./runbooks/team/x.yaml", "HEAD").code(0).stdout_has("no difference");
    bed.write("runbooks/team/x.yaml", NEW);
    for (what, revision) in [("./runbooks/team/x.yaml", "HEAD"), ("team/x", "old"), ("runbooks/team/x.yaml", ":/first")]
    {
        against(&bed, what, revision)
            .code(0)
            .stdout_has("team/x: removes the confirmation sure before push; push: runs another script\n")
            .stdout_has(&format!("  {revision}:runbooks/team/x.yaml → "))
            .stdout_has("      + git push{+ --force+}\n");
    }
    commit(&bed, "second");
    against(&bed, "team/x", "HEAD").code(0).stdout_has("no difference");
    against(&bed, "team/x", "HEAD~1").code(0).stdout_has("removes the confirmation");
    // From another folder, from a working tree beside it, and under a name of the commit that is short.
    let short = git(&bed, &["rev-parse", "--short", "old"]);
    against(&bed, &bed.path("runbooks/team/x.yaml").to_string_lossy(), short.trim()).code(0).stdout_has("removes the");
    git(&bed, &["worktree", "add", "-q", "../tree"]);
    let beside = bed.root().join("tree/runbooks/team/x.yaml");
    against(&bed, &beside.to_string_lossy(), "old").code(0).stdout_has("removes the confirmation");
}

#[test]
fn what_cannot_be_compared_is_told_in_words() {
    let bed = repository(&[("x.yaml", OLD)]);
    for (revision, why) in [
        ("nowhere", "could not find the revision `nowhere` in "),
        ("old..HEAD", "could not find the revision `old..HEAD` in "),
        ("--output=/tmp/x", "could not take \"--output=/tmp/x\" for a revision"),
        ("", "could not take \"\" for a revision"),
        ("-x", "could not take \"-x\" for a revision"),
        ("old:x.yaml", "could not find the revision `old:x.yaml`"),
    ] {
        against(&bed, "./x.yaml", revision).code(2).stderr_has(why);
    }
    against(&bed, "balrog/rollback", "HEAD").code(2).stderr_has("balrog/rollback is built in, and has no revisions");
    against(&bed, "./x.yaml", "./gone.yaml").code(2).stderr_has("could not find the revision `./gone.yaml`");
    let bare = Bed::with(OLD).env("GIT_CEILING_DIRECTORIES", "/");
    let outside = bare.run(&["plan", "./x.yaml", "--against", "HEAD"]).env("GIT_CEILING_DIRECTORIES", bare.root());
    outside.end().code(2).stderr_has("could not find the git repository of ").stderr_has("not a git repository");
    let without = bare.run(&["plan", "./x.yaml", "--against", "HEAD"]).env("PATH", bare.root().join("bin"));
    without.end().code(4).stderr_has("git is not on the search path");
}

#[test]
fn a_broken_version_is_told_with_its_place() {
    let bed = repository(&[("runbooks/x.yaml", "title: X\nsteps:\n  - {id: a, shel: one}\n")]);
    bed.write("runbooks/x.yaml", OLD);
    against(&bed, "x", "old").code(3).stderr_has("old:runbooks/x.yaml:3:13").stderr_has("nothing was run");
    against(&bed, "runbooks", "old")
        .code(0)
        .stdout_has("the old version could not be read, so all of the new one counts as added: old:runbooks/x.yaml:3:")
        .stdout_has("adds the change step push  [step-added]");
    bed.write("runbooks/x.yaml", "title: X\nsteps: []\n");
    against(&bed, "runbooks", "old").code(3);
}

#[test]
fn a_file_that_was_not_there_counts_as_added_and_a_renamed_one_is_known() {
    let bed = repository(&[("runbooks/x.yaml", OLD)]);
    bed.write("runbooks/new.yaml", "title: N\nsteps:\n  - {id: drop, shell: dropdb x, effect: destroy}\n");
    against(&bed, "new", "HEAD")
        .code(0)
        .stdout_has("new: adds the runbook new with its steps: 1 destroy; adds the destroy step drop\n")
        .stdout_has("HEAD (")
        .stdout_has(") has no such file: all of it counts as added\n");
    std::fs::rename(bed.path("runbooks/x.yaml"), bed.path("runbooks/y.yaml")).unwrap();
    against(&bed, "y", "HEAD").code(0).stdout_has("y: is called y and no longer x\n");
    let said = against(&bed, "runbooks", "HEAD").code(0).stdout;
    assert!(said.contains("y: is called y and no longer x\n"), "{said}");
    assert!(!said.contains("removes the runbook"), "{said}");
    std::fs::remove_file(bed.path("runbooks/y.yaml")).unwrap();
    against(&bed, "runbooks", "HEAD").code(0).stdout_has("removes the runbook x with its steps: 1 read, 1 change");
}

#[test]
fn callees_and_files_are_those_of_the_revision() {
    let caller = "title: C\nfiles: [sql/]\nsteps:\n  - {id: up, call: {runbook: lib/up}}\n  - {id: own, shell: one}\n";
    let outer = "title: O\nsteps:\n  - {id: inner, call: {runbook: caller}}\n";
    let bed = repository(&[
        ("runbooks/caller.yaml", caller),
        ("runbooks/outer.yaml", outer),
        ("runbooks/lib/up.yaml", OLD),
        ("runbooks/other.yaml", OLD),
        ("runbooks/sql/a.sql", "select 1;\nselect 2;\n"),
    ]);
    bed.write("runbooks/lib/up.yaml", NEW);
    bed.write("runbooks/sql/a.sql", "select 1;\ndrop table x;\n");
    bed.write("runbooks/sql/b.sql", "select 3;\n");
    against(&bed, "caller", "old").code(0).stdout(
        "caller: the file sql/a.sql has other contents; the file sql/b.sql is there now
  old:runbooks/caller.yaml → runbooks/caller.yaml

  what is done
  • the file sql/a.sql has other contents  [file-changed]
        select 1;
      - select 2;
      + drop table x;
  • the file sql/b.sql is there now  [file-changed]
      + select 3;

lib/up: removes the confirmation sure before push; push: runs another script
  old:runbooks/lib/up.yaml → runbooks/lib/up.yaml
  called by caller (up)

  guards removed or changed
  • removes the confirmation sure before push  [guard-removed, step-removed]
      - Sure?

  what is done
  • push: runs another script  [command-changed]
      - git push
      + git push{+ --force+}
",
    );
    let whole = against(&bed, "runbooks", "old").code(0).stdout;
    assert!(whole.contains("lib/up: removes the confirmation"), "{whole}");
    assert!(whole.contains("  called by caller (up), outer (through caller)\n"), "{whole}");
    assert!(whole.ends_with("\n2 of 4 runbooks differ, 2 do the same\n"), "{whole}");
    // A callee that is not there any more was there then.
    bed.write("runbooks/caller.yaml", "title: C\nfiles: [sql/]\nsteps:\n  - {id: own, shell: one}\n");
    std::fs::remove_file(bed.path("runbooks/lib/up.yaml")).unwrap();
    against(&bed, "caller", "old").code(0).stdout_has("removes the change call of lib/up as up");
}

#[test]
fn a_path_and_a_revision_of_one_name_are_told_apart_by_how_they_are_written() {
    let bed = repository(&[("runbooks/x.yaml", OLD), ("other/x.yaml", NEW)]);
    git(&bed, &["branch", "other"]);
    against(&bed, "runbooks", "other").code(0).stdout_has("against other (");
    against(&bed, "runbooks", "./other").code(0).stdout_has("adds the confirmation sure");
    against(&bed, "x", "./other").code(0).stdout_has("./other/x.yaml → runbooks/x.yaml");
    against(&bed, "runbooks", "./other/x.yaml").code(2).stderr_has("is a file, and runbooks is a folder");
}

#[test]
fn an_own_copy_is_compared_with_what_it_hides() {
    let bed = Bed::new();
    bed.run(&["eject", "tour/deploy"]).end().code(0);
    let text = bed.read("runbooks/tour/deploy.yaml");
    bed.write("runbooks/tour/deploy.yaml", &text.replacen("title: ", "title: My own ", 1));
    for other in ["tour/deploy", "built-in:tour/deploy"] {
        against(&bed, "tour/deploy", other).code(0).stdout_has("built-in:tour/deploy.yaml → runbooks/tour/deploy.yaml");
    }
}

/// Nothing of a repository's own settings is run, and nothing in it is written.
#[test]
fn a_hostile_repository_starts_nothing() {
    let bed = repository(&[("x.yaml", OLD), (".gitattributes", "*.yaml diff=evil filter=evil\n")]);
    for (key, value) in [
        ("core.fsmonitor", "touch fsmonitor-ran"),
        ("core.pager", "touch pager-ran"),
        ("diff.external", "touch external-ran"),
        ("diff.evil.textconv", "touch textconv-ran"),
        ("filter.evil.smudge", "touch smudge-ran"),
        ("core.hooksPath", "hooks"),
        ("core.sshCommand", "touch ssh-ran"),
        ("alias.rev-parse", "!touch alias-ran"),
    ] {
        git(&bed, &["config", key, value]);
    }
    bed.write("x.yaml", NEW);
    let before = listing(&bed);
    let call = bed.run(&["plan", "./x.yaml", "--against", "HEAD"]);
    let call = call.env("GIT_EXTERNAL_DIFF", "touch variable-ran").env("GIT_TRACE", bed.path("trace"));
    call.env("GIT_DIR", "/nowhere").end().code(0).stdout_has("removes the confirmation");
    against(&bed, ".", "HEAD").code(0).stdout_has("removes the confirmation");
    assert_eq!(listing(&bed), before);
}

/// Every file below the working folder with its length.
fn listing(bed: &Bed) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut open = vec![bed.path(".")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.push((entry.path().display().to_string(), entry.metadata().unwrap().len()));
            }
        }
    }
    found.sort();
    found
}
