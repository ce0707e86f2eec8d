//! `balrog/check-schema` against real histories: migrations in the forms that Balrog's have, in both layouts, and all that
//! must not be taken for one, or for the wrong kind of one.

use super::{Bench, Ran};
use crate::standins::git::GitWorld;

/// Where the migrations of today lie, and those of before.
const TODAY: &str = "src/auslib/alembic/versions/0002_change.py";
const BEFORE: &str = "src/auslib/migrate/versions/037_change.py";

/// A migration of today with this body of `upgrade`.
fn today(body: &str) -> String {
    format!(
        "\"\"\"change\n\nRevision ID: 0002\n\"\"\"\n\nimport sqlalchemy as sa\nfrom alembic import op\n\nrevision = \"0002\"\n\
         down_revision = \"0001\"\n\n\ndef upgrade() -> None:\n    \"\"\"Drop nothing.\"\"\"\n{body}\n\n\ndef downgrade() -> None:\n    \
         op.drop_table(\"never\")\n    op.create_table(\"never\")\n    op.execute(\"DELETE FROM never\")\n"
    )
}

/// A migration of before.
fn before(body: &str) -> String {
    format!(
        "from sqlalchemy import Column, Index, Integer, MetaData, String, Table\n\n\ndef upgrade(migrate_engine):\n    \
         metadata = MetaData(bind=migrate_engine)\n{body}\n\n\ndef downgrade(migrate_engine):\n    \
         Table(\"never\", MetaData(bind=migrate_engine), autoload=True).drop()\n"
    )
}

struct World {
    git: GitWorld,
}

impl World {
    /// The history of before, and on top of it the layout of today, as `base`.
    fn new() -> World {
        let git = GitWorld::new();
        git.write("src/auslib/alembic/versions/0001_initial.py", &today("    op.create_table(\"rules\")"));
        git.write("src/auslib/alembic/env.py", "run()\n");
        git.commit("Another layout", 10);
        git.git(&["tag", "base"]);
        World { git }
    }

    /// A commit on top of `base`, as `next`; an empty text removes the file.
    fn next(&self, files: &[(&str, &str)]) {
        self.git.git(&["checkout", "--quiet", "-B", "next", "base"]);
        for (path, text) in files {
            if text.is_empty() {
                self.git.git(&["rm", "--quiet", path]);
            } else {
                self.git.write(path, text);
            }
        }
        self.git.write("src/auslib/db.py", "tables()\n");
        self.git.commit("Change the schema", 11);
    }

    fn bench(&self, old: &str, new: &str, edits: &[(&str, &str)]) -> Bench {
        let mut bench = Bench::new("balrog/check-schema", edits).param("old", old).param("new", new);
        for (name, value) in self.git.env() {
            bench = bench.env(&name, value);
        }
        bench
    }

    fn run(&self, old: &str, new: &str) -> Ran {
        self.run_edited(old, new, &[])
    }

    fn run_edited(&self, old: &str, new: &str, edits: &[(&str, &str)]) -> Ran {
        self.bench(old, new, edits).param("clone", self.git.clone_dir().to_str().unwrap()).run(&[])
    }
}

#[track_caller]
fn assert_verdict(ran: &Ran, verdict: &str, why: &str) {
    assert_eq!(ran.captured("verdict").and_then(|value| value.as_str()), Some(verdict), "{}", ran.told);
    // What is in doubt pauses, because nobody is there to ask.
    assert_eq!(ran.code, if verdict == "unsure" { 11 } else { 0 }, "{}", ran.told);
    let reasons = ran.captured("reasons").unwrap().as_str().unwrap();
    assert!(reasons.contains(why), "it does not say «{why}»: {reasons}");
}

/// (where, the body of `upgrade`, what it is, what a reason says)
const READ: &[(&str, &str, &str, &str)] = &[
    (TODAY, "    op.add_column(\"rules\", sa.Column(\"memory\", sa.String(100)))", "additive", ""),
    (TODAY, "    op.create_table(\"x\", sa.Column(\"n\", sa.Integer(), nullable=False))", "additive", ""),
    (TODAY, "    op.create_index(\"i\", \"rules\", [\"memory\"])", "additive", ""),
    (TODAY, "    for t in (\"a\", \"b\"):\n        op.drop_column(t, \"memory\")", "destructive", ""),
    (
        TODAY,
        "    with op.batch_alter_table(\"rules\") as batch:\n        batch.drop_column(\"memory\")",
        "destructive",
        "",
    ),
    (
        TODAY,
        "    op.add_column(\"rules\", sa.Column(\"a\", sa.Integer(), nullable=False, server_default=\"0\"))",
        "additive",
        "",
    ),
    (TODAY, "    op.drop_table(\"rules\")\n    op.create_table(\"rules\")", "mixed", ""),
    (TODAY, "    pass", "none", ""),
    (TODAY, "    op.add_column(\"rules\", sa.Column(\"a\", sa.Integer(), nullable=False))", "unsure", "must be filled"),
    (TODAY, "    op.add_column(\"rules\", sa.Column(\"a\", sa.Integer(), unique=True))", "unsure", "constraint"),
    (
        TODAY,
        "    op.add_column(\"rules\", sa.Column(\"a\", sa.Integer(), nullable=False, server_default=None))",
        "unsure",
        "must be filled",
    ),
    (
        TODAY,
        "    op.add_column(\"rules\", sa.Column(\"a\", sa.Integer(), sa.CheckConstraint(\"a > 0\")))",
        "unsure",
        "constraint",
    ),
    (TODAY, "    op.add_column(\"rules\", sa.Column(\"a\", sa.Integer, sa.Identity()))", "unsure", "constraint"),
    (TODAY, "    op.add_column(\"rules\", sa.Column(\"a\", sa.Computed(\"b + 1\")))", "unsure", "constraint"),
    (TODAY, "    op.add_column(\"rules\", sa.Column(\"a\", sa.ForeignKey(\"b.id\")))", "unsure", "constraint"),
    (TODAY, "    op.create_index(\"i\", \"rules\", [\"memory\"], unique=True)", "unsure", "unique index"),
    (TODAY, "    op.alter_column(\"rules\", \"memory\", new_column_name=\"m\")", "unsure", "op.alter_column(…)"),
    (TODAY, "    op.execute(\"ALTER TABLE rules DROP COLUMN memory\")", "unsure", "op.execute(…)"),
    (TODAY, "    drop = op.drop_table\n    drop(\"rules\")", "unsure", "drop(…)"),
    (TODAY, "    if today():\n        op.create_table(\"x\")", "unsure", "only under some condition"),
    (
        TODAY,
        "    try:\n        op.create_table(\"x\")\n    except sa.exc.OperationalError:\n        pass",
        "unsure",
        "only under some condition",
    ),
    (TODAY, "    op.create_table(", "unsure", "it cannot be read"),
    (BEFORE, "    Column(\"a\", String(9)).create(Table(\"rules\", metadata, autoload=True))", "additive", ""),
    (
        BEFORE,
        "    Table(\"x\", metadata, Column(\"n\", Integer, nullable=False))\n    metadata.create_all()",
        "additive",
        "",
    ),
    (BEFORE, "    Table(\"rules\", metadata, autoload=True).c.memory.drop()", "destructive", ""),
    (BEFORE, "    old = Table(\"rules\", metadata, autoload=True)\n    old.drop()", "destructive", ""),
    (BEFORE, "    Table(\"rules\", metadata, autoload=True).c.memory.alter(name=\"m\")", "unsure", "alter(…)"),
    (
        BEFORE,
        "    if migrate_engine.name == \"mysql\":\n        migrate_engine.execute(\"ALTER\")",
        "unsure",
        "execute(…)",
    ),
    (BEFORE, "    Index(\"i\", \"a\").drop()", "unsure", "drop(…)"),
];

/// They are read one by one; what they are together is another test.
#[test]
fn a_migration_is_what_its_upgrade_does() {
    let world = World::new();
    for several in READ.chunks(READ.len().div_ceil(2)) {
        let mut files = Vec::new();
        for (number, (place, body, ..)) in several.iter().enumerate() {
            let text = if *place == TODAY { today(body) } else { before(body) };
            files.push((place.replace("_change", &format!("_change_{number}")), text));
        }
        let given: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        world.next(&given);
        let ran = world.run("base", "next");
        assert_verdict(&ran, "mixed", "");
        let told = ran.captured("told").unwrap().as_str().unwrap();
        let reasons = ran.captured("reasons").unwrap().as_str().unwrap();
        for ((path, _), (_, body, what, why)) in files.iter().zip(several) {
            let what = match *what {
                "mixed" => "additive and destructive",
                "none" => "nothing",
                other => other,
            };
            assert!(told.lines().any(|line| line == format!("- {path}: {what}")), "{body}\n{told}");
            let found = reasons.lines().any(|line| line.starts_with(&format!("- {path}:")) && line.contains(why));
            assert_eq!(found, !why.is_empty(), "{body}\n{reasons}");
        }
    }
    world.next(&[(TODAY, &today("    pass"))]);
    assert_verdict(&world.run("base", "next"), "none", "");
}

#[test]
fn it_says_which_order_that_is() {
    let world = World::new();
    world.next(&[(TODAY, &today("    op.execute(\"SELECT 1\")"))]);
    let bench = world.bench("base", "next", &[]).param("clone", world.git.clone_dir().to_str().unwrap());
    for (judged, order) in
        [("none", "any"), ("additive", "admin-first"), ("destructive", "public-first"), ("mixed", "split")]
    {
        let answer = format!("{{judged: {judged}}}");
        let ran = bench.run(&[("judge", &answer)]);
        ran.succeeded();
        assert_eq!(ran.captured("order").unwrap(), order);
        assert_eq!(ran.captured("decided_by").unwrap(), "a person");
    }
    let wrong = bench.run(&[("judge", "{judged: harmless}")]);
    assert_eq!(wrong.code, 2, "{}", wrong.told);
}

#[test]
fn several_migrations_are_read_as_one_change() {
    let world = World::new();
    let (adds, drops) = ("    op.create_table(\"x\")", "    op.drop_table(\"y\")");
    let third = "src/auslib/alembic/versions/0003_change.py";
    world.next(&[(TODAY, &today(adds)), (third, &today(drops))]);
    assert_verdict(&world.run("base", "next"), "mixed", "");
    world.next(&[(TODAY, &today(adds)), (third, &today("    op.execute(\"SELECT 1\")"))]);
    assert_verdict(&world.run("base", "next"), "unsure", "0003_change.py");
}

/// Nothing of what is not committed, or checked out, or elsewhere in the tree, makes a difference.
#[test]
fn only_the_two_commits_and_only_the_places_of_migrations_count() {
    let world = World::new();
    world.next(&[("src/auslib/web/drop_table.py", "op.drop_table(\"x\")\n"), ("alembic/versions/0009.py", "drop()\n")]);
    world.git.git(&["checkout", "--quiet", "-b", "other", "v3.07"]);
    world.git.write(TODAY, &today("    op.drop_table(\"rules\")"));
    world.git.git(&["add", "--all"]);
    world.git.write(BEFORE, &before("    metadata.drop_all()"));
    assert_verdict(&world.run("base", "next"), "none", "");
    // From below the top of the clone it is the same.
    let below = world.git.clone_dir().join("src/auslib");
    let bench = world.bench("v3.10", "base", &[]).param("clone", below.to_str().unwrap());
    assert_verdict(&bench.run(&[]), "unsure", "env.py");
    assert_verdict(&world.bench("base", "next", &[]).param("clone", below.to_str().unwrap()).run(&[]), "none", "");
    // Nothing was touched.
    assert!(world.git.git(&["status", "--porcelain"]).contains("A  src/auslib/alembic/versions/0002_change.py"));
}

#[test]
fn a_tag_counts_before_a_branch_of_its_name() {
    let world = World::new();
    world.next(&[(TODAY, &today("    op.create_table(\"x\")"))]);
    world.git.git(&["tag", "v3.20", "next"]);
    world.git.git(&["branch", "v3.20", "base"]);
    assert_verdict(&world.run("base", "v3.20"), "additive", "");
}

#[test]
fn what_moved_or_was_formatted_anew_is_no_migration() {
    let world = World::new();
    let path = "src/auslib/migrate/versions/036_add_column.py";
    world
        .next(&[(path, ""), ("auslib/migrate/versions/036_add_column.py", "def upgrade(migrate_engine):\n    pass\n")]);
    assert_verdict(&world.run("base", "next"), "none", "");
    world.next(&[(path, "# Why: no reason.\ndef upgrade(  migrate_engine ):\n        pass\n")]);
    assert_verdict(&world.run("base", "next"), "none", "");
    world.next(&[(path, "def upgrade(migrate_engine):\n    migrate_engine.upgrade()\n")]);
    assert_verdict(&world.run("base", "next"), "unsure", "was changed");
    world.next(&[(path, "")]);
    assert_verdict(&world.run("base", "next"), "unsure", "no longer there");
    world.next(&[("src/auslib/alembic/env.py", "run(twice=True)\n")]);
    assert_verdict(&world.run("base", "next"), "unsure", "env.py: it steers the upgrade");
}

#[test]
fn a_migration_that_does_more_than_it_says_is_in_doubt() {
    let world = World::new();
    let usual = today("    op.create_table(\"x\")");
    let cases = [
        (format!("{usual}\n\nsetup()\n"), "when it is loaded"),
        (format!("{usual}\n\nTABLES = tables()\n"), "when it is loaded"),
        (format!("from auslib.db import Rules\n{usual}"), "code from elsewhere"),
        (format!("import os\n{usual}"), "code from elsewhere"),
        (format!("{usual}\n\n@twice\ndef other():\n    pass\n"), "more than it says"),
        (format!("{usual}\n\ndef upgrade():\n    pass\n"), "no `upgrade`, or more than one"),
        ("revision = \"0002\"\n".to_owned(), "no `upgrade`, or more than one"),
    ];
    let path = |number: usize| format!("src/auslib/alembic/versions/000{number}_change.py");
    let files: Vec<(String, &str)> =
        cases.iter().enumerate().map(|(number, (text, _))| (path(number + 2), text.as_str())).collect();
    world.next(&files.iter().map(|(path, text)| (path.as_str(), *text)).collect::<Vec<_>>());
    let ran = world.run("base", "next");
    assert_verdict(&ran, "unsure", "");
    let reasons = ran.captured("reasons").unwrap().as_str().unwrap();
    for ((path, _), (_, why)) in files.iter().zip(&cases) {
        let found = reasons.lines().any(|line| line.starts_with(&format!("- {path}:")) && line.contains(why));
        assert!(found, "{path}: {why}\n{reasons}");
    }
}

#[test]
fn versions_that_will_not_do_are_told() {
    let world = World::new();
    world.run("v3.8", "v3.10").stopped_at("commits", "this clone has no v3.8");
    world.run("v3.08", "v9.9").stopped_at("commits", "this clone has no v9.9");
    world.run("v3.10", "v3.08").stopped_at("direction", "v3.08 is older than v3.10");
    assert_verdict(&world.run("v3.10", "v3.10"), "none", "");
    for bad in ["--all", "v3.08..v3.10", "HEAD~1", "@{upstream}", ":/Bump", "$(id)", "a b", ""] {
        let ran = world.run("v3.08", bad);
        assert_eq!(ran.code, 2, "{bad}: {}", ran.told);
    }
    // Of two that went apart neither knows the other's migrations.
    world.next(&[(TODAY, &today("    op.create_table(\"x\")"))]);
    world.git.git(&["tag", "one"]);
    world.next(&[("src/auslib/alembic/versions/0003_change.py", &today("    op.create_table(\"y\")"))]);
    assert_verdict(&world.run("one", "next"), "unsure", "neither version comes after the other");
    // A clone in which nothing is where it is looked for was not compared at all.
    assert_verdict(&world.run("v3.07", "v3.08"), "unsure", "no migrations at all");
    let nowhere = world.bench("v3.07", "v3.08", &[]).param("clone", world.git.path().to_str().unwrap());
    nowhere.run(&[]).stopped_at("commits", "this clone has no v3.07");
}

#[test]
fn killed_while_it_asks_it_asks_again() {
    let world = World::new();
    world.next(&[(TODAY, &today("    op.execute(\"SELECT 1\")"))]);
    let bench = world.bench("base", "next", &[]).param("clone", world.git.clone_dir().to_str().unwrap());
    bench.start(&[]).until_doing("read").kill();
    let ran = bench.resume(&[("judge", "{judged: none}")]);
    ran.succeeded();
    assert_eq!(ran.captured("change").unwrap(), "none");
}

/// Each check, a history, and the wrong answer that the check averts.
#[test]
fn without_a_check_a_wrong_order_would_be_told() {
    let world = World::new();
    let dropped = today("    op.drop_table(\"x\")");
    let added = |line: &str| today(&format!("    op.create_table(\"x\")\n{line}"));
    let path = "src/auslib/migrate/versions/036_add_column.py";
    let below = Some("src/auslib");
    struct Case<'a> {
        files: Vec<(&'a str, String)>,
        clone: Option<&'a str>,
        with_it: &'a str,
        edits: Vec<(&'a str, &'a str)>,
        without: &'a str,
    }
    let case = |files, with_it, edits, without| Case { files, clone: None, with_it, edits, without };
    let cases = [
        case(
            vec![(TODAY, added("    op.execute(\"DROP\")"))],
            "unsure",
            vec![("self.doubt(call, f\"{ast.unparse(call.func)}(…) may be anything\")", "pass")],
            "additive",
        ),
        case(
            vec![(TODAY, added("    op.add_column(\"x\", sa.Column(\"a\", sa.Integer(), nullable=False))"))],
            "unsure",
            vec![("if key is not None or (not empty and not given):", "if False:")],
            "additive",
        ),
        case(
            vec![(
                TODAY,
                added("    op.add_column(\"x\", sa.Column(\"a\", sa.Integer(), nullable=False, server_default=None))"),
            )],
            "unsure",
            vec![(" and default.value is not None", "")],
            "additive",
        ),
        case(
            vec![(
                TODAY,
                added("    op.add_column(\"x\", sa.Column(\"a\", sa.Integer(), sa.CheckConstraint(\"a > 0\")))"),
            )],
            "unsure",
            vec![("is not None or beside or no_type:", "is not None:")],
            "additive",
        ),
        case(
            vec![(TODAY, added("    op.create_index(\"i\", \"x\", [\"a\"], unique=True)"))],
            "unsure",
            vec![("if unique is None or (isinstance(unique, ast.Constant) and unique.value is False):", "if True:")],
            "additive",
        ),
        case(
            vec![(TODAY, added("    if x:\n        op.create_table(\"y\")"))],
            "unsure",
            vec![("self.doubt(child, \"only under some condition\")", "pass")],
            "additive",
        ),
        case(
            vec![(TODAY, format!("{dropped}\n\ncreate()\n"))],
            "unsure",
            vec![("elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):", "elif False:")],
            "destructive",
        ),
        case(
            vec![(TODAY, format!("from auslib import op\n{dropped}"))],
            "unsure",
            vec![(
                "(node.module or \"\").split(\".\")[0] not in (\"sqlalchemy\", \"alembic\", \"migrate\", \"typing\", \"__future__\")",
                "False",
            )],
            "destructive",
        ),
        case(
            vec![(path, "def upgrade(migrate_engine):\n    migrate_engine.execute(\"DROP\")\n".into())],
            "unsure",
            vec![("elif not same_code(was[2], now[2]):", "elif False:")],
            "none",
        ),
        case(vec![(path, String::new())], "unsure", vec![("if gone:", "if False:")], "none"),
        case(
            vec![("src/auslib/alembic/env.py", "other()\n".into())],
            "unsure",
            vec![("reasons.append(f\"{path}: it steers the upgrade, and is another one than before\")", "pass")],
            "none",
        ),
        Case {
            files: vec![(TODAY, dropped.clone())],
            clone: below,
            with_it: "destructive",
            edits: vec![
                ("\"--full-tree\", ", ""),
                ("if not any(\"/versions/\" in name for name in files):", "if False:"),
            ],
            without: "none",
        },
        Case {
            files: vec![(TODAY, dropped.clone())],
            clone: below,
            with_it: "destructive",
            edits: vec![("\"--full-tree\", ", "")],
            without: "unsure",
        },
    ];
    for case in cases {
        let files: Vec<(&str, &str)> = case.files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        world.next(&files);
        let clone = world.git.clone_dir().join(case.clone.unwrap_or("."));
        let run = |edits: &[(&str, &str)]| {
            world.bench("base", "next", edits).param("clone", clone.to_str().unwrap()).run(&[])
        };
        eprintln!("{:?}", case.edits);
        assert_verdict(&run(&[]), case.with_it, "");
        assert_verdict(&run(&case.edits), case.without, "");
    }
    // Going back would be told as no change at all.
    let backwards = (
        "echo \"$new is older than $old, and no deployment takes the database back; ask the other way round\" >&2\n        exit 1",
        "echo ahead",
    );
    world.next(&[(TODAY, &dropped)]);
    world.run("next", "base").stopped_at("direction", "is older than");
    assert_verdict(&world.run_edited("next", "base", &[backwards, ("if gone:", "if False:")]), "none", "");
}
