//! The program itself with every notation of a secret: printed by steps, given as parameters, quoted by failures, requests
//! and questions, with diagnostics on; and what expressions make of secrets, in loops and in what is called.

use std::fmt::Write as _;

use super::{
    files,
    forms::{self, Form},
    matrix::Needles,
};
use crate::support::{Bed, Ended};

/// Neither what was said nor anything that is kept, nor anything that can be asked about it, holds what must not be seen.
#[track_caller]
fn clean(bed: &Bed, needles: &Needles, what: &str, ended: &Ended<'_>) {
    for (stream, text) in [("output", &ended.stdout), ("error", &ended.stderr)] {
        if let Some(found) = needles.in_bytes(text.as_bytes()) {
            panic!("standard {stream} of {what}: {found}");
        }
    }
    let mut kept = Vec::new();
    files(&bed.state(), &mut kept);
    for path in kept {
        if let Some(found) = needles.in_bytes(&std::fs::read(&path).unwrap()) {
            panic!("{} after {what}: {found}", path.display());
        }
    }
}

/// A bed with both secrets in variables, and each form in a file that steps print.
fn bed(forms: &[Form], runbook: &str) -> Bed {
    let bed = Bed::new().env("ODD", forms::ODD).env("KEY", forms::KEY);
    let shelf = bed.root().join("bin/forms");
    std::fs::create_dir(&shelf).unwrap();
    for (at, form) in forms.iter().enumerate() {
        std::fs::write(shelf.join(at.to_string()), &form.shown).unwrap();
    }
    let tool = format!("#!/bin/sh\nprintf 'before: '; cat {}/$1; echo ' :after'\n", shelf.display());
    bed.file("x.yaml", runbook).tool("form", &tool)
}

const HEAD: &str = "title: X\nsecrets: {odd: {env: ODD}, key: {env: KEY}}\n";

#[test]
fn every_form_in_every_place_of_the_program() {
    let all = forms::all();
    let needles = Needles::new(&all);
    // The others are the same of other texts, and tried where that takes no processes.
    let forms: Vec<Form> = all.into_iter().filter(|form| form.name.starts_with("odd")).collect();
    let mut book = format!("{HEAD}params:\n");
    // A parameter has no control characters.
    let given: Vec<usize> =
        (0..forms.len()).filter(|at| !forms[*at].shown.contains(|c: char| c.is_control())).collect();
    for at in &given {
        writeln!(book, "  p{at}: {{type: string, default: ''}}").unwrap();
    }
    book.push_str("steps:\n  - {id: first, shell: ': \"$odd\" \"$key\"'}\n");
    for at in 0..forms.len() {
        writeln!(
            book,
            "  - {{id: s{at}, shell: form {at}; form {at} >&2, capture: {{c{at}: result.stdout}}}}\n  \
               - {{id: f{at}, shell: form {at}, expect: result.stdout == 'nothing', on_failure: continue}}\n  \
               - {{id: h{at}, http: {{url: 'http://127.0.0.1:1/{{{{ c{at} }}}}'}}, on_failure: continue}}"
        )
        .unwrap();
    }
    for at in &given {
        writeln!(
            book,
            "  - {{id: t{at}, title: 'See {{{{ p{at} }}}}', shell: {{exec: [echo, '--p={{{{ p{at} }}}}']}}}}\n  \
               - {{id: i{at}, set: {{n{at}: p{at}|int}}, on_failure: continue}}\n  \
               - {{id: w{at}, when: \"p{at} != ''\", http: {{url: 'http://127.0.0.1:1/{{{{ p{at} }}}}', query: {{q: '{{{{ p{at} }}}}'}}}}, on_failure: continue}}"
        )
        .unwrap();
    }
    let asked: String = given.iter().map(|at| format!("{{{{ p{at} }}}} and {{{{ c{at} }}}} ")).collect();
    writeln!(book, "  - {{id: gate, confirm: \"{asked}?\"}}").unwrap();
    let bed = bed(&forms, &book);
    let values: serde_json::Map<String, serde_json::Value> =
        given.iter().map(|at| (format!("p{at}"), forms[*at].shown.clone().into())).collect();
    let params = bed.root().join("bin/params.yaml");
    std::fs::write(&params, serde_json::Value::from(values).to_string()).unwrap();
    let with = ["--params-file", params.to_str().unwrap()];
    for args in [&["plan", "./x.yaml", "--json"][..], &["plan", "./x.yaml"], &["plan", "./x.yaml", "--explain-params"]]
    {
        let ended = bed.run(args).args(&with).env("RUNSHEET_LOG", "trace").end();
        assert!(ended.stdout.contains("***"), "{}", ended.stdout);
        clean(&bed, &needles, &args.join(" "), &ended);
    }
    let ended = bed.run(&["run", "./x.yaml", "--json", "--verbose"]).args(&with).env("RUNSHEET_LOG", "trace").end();
    clean(&bed, &needles, "the run", &ended);
    let ended = ended.code(11);
    // All of them came that far, and diagnostics were on.
    let events = ended.events();
    let withheld = |at: usize| events.iter().any(|event| event["withheld"] == serde_json::json!([format!("c{at}")]));
    let missing: Vec<&str> = (0..forms.len()).filter(|at| !withheld(*at)).map(|at| forms[at].name.as_str()).collect();
    assert!(missing.is_empty(), "what is kept of these? {missing:?}");
    assert!(ended.stderr.contains(" DEBUG ") || ended.stderr.contains(" TRACE "), "{}", ended.stderr);
    for args in [
        &["report", "last"][..],
        &["report", "last", "--format", "json"],
        &["history"],
        &["history", "--json"],
        &["verify", "last"],
        &["undo", "last", "--dry-run"],
        &["show", "./x.yaml"],
        &["render", "./x.yaml"],
        &["check", "x.yaml"],
    ] {
        clean(&bed, &needles, &args.join(" "), &bed.run(args).env("RUNSHEET_LOG", "trace").end());
    }
}

#[test]
fn what_expressions_make_of_secrets_is_masked_in_loops_calls_and_outputs() {
    let creds =
        r#"{"user": "somebody-else", "password": "CANARYinner55aa77", "list": ["CANARYitem0001", "CANARYitem0002"]}"#;
    let token = "CANARYtoken7f3d9b2c51";
    let book = r#"
title: X
secrets: {creds: {env: CREDS}, token: {env: TOKEN}}
steps:
  - {id: first, shell: ': "$creds" "$token"'}
  - id: made
    set:
      password: (creds|fromjson).password
      loud: token|upper
      part: "token[3:17]"
      digest: token|sha256
      coded: token|b64encode
      twice: token|b64encode|b64encode
      back: token|b64encode|b64decode|lower
      pair: "[token[:12], {'k': token[9:]}]"
      spelt: "(creds|fromjson).list|join('+')"
  - {id: said, shell: 'printf "%s\n" "$password" "$loud" "$part" "$digest" "$coded" "$twice" "$back" "$pair" "$spelt"'}
  - id: each
    foreach: {as: i, in: [0, 1]}
    group:
      steps:
        - {id: item, set: {mine: "(creds|fromjson).list[i]|upper"}}
        - {id: say, shell: 'echo "<$mine>"', env: {ALSO: "{{ token[i:14 + i] }}"}}
        - {id: also, shell: 'echo "$X"', env: {X: "{{ token[i + 2:15 + i]|lower }}"}}
  - {id: sub, call: {runbook: lib/sub, params: {given: "{{ part }}", n: 4}}}
  - {id: of, shell: 'echo "$X"; echo "$Y"', env: {X: "{{ steps['sub'].outputs.made }}", Y: "{{ steps['sub'].outputs.made|upper|sha256 }}"}}
  - {id: gate, confirm: "{{ loud }} {{ steps['sub'].outputs.made|replace('n', 'NN') }}?"}
"#;
    let sub = r#"
title: Sub
params: {given: {type: string}, n: {type: integer}}
steps:
  - {id: made, set: {low: given|lower, cut: "given[n:]"}}
  - {id: say, shell: 'echo "$low $cut"'}
  - {id: loop, foreach: {as: k, in: [1, 2]}, shell: 'echo "$V"', env: {V: "{{ given[k:]|upper }}"}}
outputs: {made: "low ~ '-' ~ cut"}
"#;
    let bed = Bed::with(book).file("runbooks/lib/sub.yaml", sub).env("CREDS", creds).env("TOKEN", token);
    let ended = bed.run(&["run", "./x.yaml", "--json", "--verbose"]).env("RUNSHEET_LOG", "trace").end();
    let ended = ended.code(11);
    let mut said = format!("{}{}", ended.stdout, ended.stderr);
    let mut kept = Vec::new();
    files(&bed.state(), &mut kept);
    for path in kept {
        said.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
    }
    for args in [&["report", "last"][..], &["report", "last", "--format", "json"]] {
        said.push_str(&bed.run(args).end().stdout);
    }
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let once = STANDARD.encode(token);
    let twice = STANDARD.encode(&once);
    let sub = &token[3..17];
    let made = format!("{}-{}", sub.to_lowercase(), &sub[4..]);
    let wanted = [
        "CANARYinner55aa77",
        "CANARYitem0001",
        "CANARYITEM0002",
        token,
        &token.to_uppercase(),
        &token[3..17],
        &once[..20],
        &twice[..24],
        &token.to_lowercase(),
        &token[..12],
        &token[9..],
        &token[1..15],
        &token[3..16].to_lowercase(),
        &sub[4..],
        &sub[1..].to_uppercase(),
        &made,
        &made.replace('n', "NN"),
    ];
    for text in wanted {
        let at = said.find(text).map(|at| said.floor_char_boundary(at.saturating_sub(300)));
        assert!(at.is_none(), "`{text}` is seen: {}", &said[at.unwrap()..said.len().min(at.unwrap() + 500)]);
    }
    assert!(said.matches("<***>").count() >= 4, "{said}");
}
