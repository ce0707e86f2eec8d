//! Five mistakes that people make, each seeded into a copy of what is built in, and which command catches it.

use super::{commit, git};
use crate::lab::Lab;

struct Mistake {
    name: &'static str,
    book: &'static str,
    /// What stands there, and what stands there instead. Each must stand there.
    edits: &'static [(&'static str, &'static str)],
    /// The exit codes of `check`, `test`, `plan --against HEAD --fail-on guard-removed` and `ci --against HEAD`.
    codes: [i32; 4],
    /// A piece of what is said, by the command of that number.
    says: &'static [(usize, &'static str)],
}

const MISTAKES: &[Mistake] = &[
    Mistake {
        name: "a confirm is gone",
        book: "runbooks/balrog/retag-ui.yaml",
        edits: &[(
            r#"  - id: go
    title: Confirm the two versions
    confirm:
      message: |
        production-ui of {{ repository }} is now at {{ current }}.
        It will be at {{ version }} ({{ version_sha }}).
        The releases of that name, drafts too, and the tag are deleted and made anew.
        To go back afterwards, run this again with the version that stands there now.
      type_back: "{{ version }}"

"#,
            "",
        )],
        codes: [0, 3, 1, 3],
        says: &[(2, "guard-removed")],
    },
    Mistake {
        name: "the pattern of a tag is wrong",
        book: "runbooks/balrog/retag-ui.yaml",
        edits: &[(r"    pattern: ^v\d+\.\d+$", r"    pattern: ^v\d+\.\d+\.\d+$")],
        codes: [3, 3, 3, 3],
        says: &[(0, "`example` of parameter `version`: `v3.20` does not match")],
    },
    Mistake {
        name: "the order of a schema change is the other way round",
        book: "runbooks/balrog/push-production.yaml",
        edits: &[
            (
                "{step: public, when: schema_change == 'destructive'}",
                "{step: public, when: schema_change == 'ADDITIVE'}",
            ),
            ("{step: admin, when: schema_change == 'additive'}", "{step: admin, when: schema_change == 'destructive'}"),
            ("'ADDITIVE'", "'additive'"),
        ],
        codes: [0, 1, 0, 1],
        says: &[(1, "FAIL balrog/push-production: with an additive change"), (2, "admin waits for")],
    },
    Mistake {
        name: "a captured name is misspelt",
        book: "runbooks/balrog/retag-ui.yaml",
        edits: &[("      version_sha: result.lines[1]", "      version_hsa: result.lines[1]")],
        codes: [3, 3, 3, 3],
        says: &[(0, "`version_sha` is not declared")],
    },
    Mistake {
        name: "stage speaks to production",
        book: "runbooks/balrog/push-production.yaml",
        edits: &[("public_service: https://aus5.allizom.org", "public_service: https://aus5.mozilla.org")],
        codes: [0, 1, 0, 1],
        says: &[(1, "FAIL balrog/push-production: on stage"), (2, "profile stage: public_service")],
    },
];

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn each_of_five_mistakes_is_caught() {
    let lab = Lab::new();
    copy(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks"), &lab.path("work/runbooks"));
    git(&lab, &["init", "-q", "-b", "main"]);
    commit(&lab, "as it is built in");
    let mut wrong = Vec::new();
    for mistake in MISTAKES {
        let path = lab.path(&format!("work/{}", mistake.book));
        let whole = std::fs::read_to_string(&path).unwrap();
        let mut text = whole.clone();
        for (from, to) in mistake.edits {
            assert!(text.contains(from), "{}: {} does not say {from}", mistake.name, mistake.book);
            text = text.replacen(from, to, 1);
        }
        std::fs::write(&path, text).unwrap();
        let calls: [&[&str]; 4] = [
            &["check", mistake.book, "--no-shellcheck"],
            &["test", mistake.book],
            &["plan", mistake.book, "--against", "HEAD", "--fail-on", "guard-removed"],
            &["ci", mistake.book, "--against", "HEAD", "--fail-on", "guard-removed", "--no-shellcheck"],
        ];
        let ended = calls.map(|args| lab.call(args));
        let codes = [0, 1, 2, 3].map(|at: usize| ended[at].code.unwrap_or(-1));
        println!(
            "{:55} check {} test {} plan --against {} ci {}",
            mistake.name, codes[0], codes[1], codes[2], codes[3]
        );
        if codes != mistake.codes {
            wrong.push(format!("{}: {codes:?} instead of {:?}", mistake.name, mistake.codes));
        }
        for (at, says) in mistake.says {
            if !ended[*at].out.contains(says) && !ended[*at].err.contains(says) {
                wrong.push(format!("{}: nothing says {says}: {:#?}", mistake.name, ended[*at]));
            }
        }
        std::fs::write(&path, whole).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
