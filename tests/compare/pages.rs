//! `--markdown` of a difference and of a plan: for a comment on a pull request, in which nobody else's text leaves its place.

use crate::support::Bed;

const OLD: &str = r##"
title: "Old </details> # [x](javascript:alert(1))"
steps:
  - {id: sure, confirm: "Ask @everyone?"}
  - id: a
    shell: |
      echo ```
      ```
      # no heading
      <b>bold</b>
"##;

const NEW: &str = r##"
title: "New </details> | [x](javascript:alert(1)) @team #1"
params: {v: {type: string, default: "a|b`d @team"}}
steps:
  - id: a
    title: "one\n\n# two <script> for @team"
    shell: |
      echo ````
      ```
      # no heading
      <i>bold</i>
    expect: result.stdout == '@team|`<b>'
"##;

#[test]
fn a_difference_is_a_comment() {
    let bed = Bed::with(NEW).file("old.yaml", OLD);
    let call = bed.run(&["plan", "./x.yaml", "--against", "./old.yaml", "--markdown", "--fail-on", "guard-removed"]);
    call.end().code(1).stdout(
        r####"## What the runbooks do otherwise

**Fails on:** `guard-removed`.

`./x.yaml` against `./old.yaml`

### `x`

**``removes the confirmation sure before a; a: runs another script; adds the parameter v, by default a|b`d @team; a: also expects result.stdout == '@team|`<b>'``**

#### Guards removed or changed

- removes the confirmation sure before a — `guard-removed`, `step-removed`

  ```diff
  - Ask @everyone?
  ```

#### What is done

- a: runs another script — `command-changed`

  ````diff
  - echo ```
  + echo ```{+`+}
    ```
    # no heading
  - <[-b-]>bold</[-b-]>
  + <{+i+}>bold</{+i+}>
  ````

#### What it is given

- ``adds the parameter v, by default a|b`d @team`` — `param-added`

#### Guards added

- ``a: also expects result.stdout == '@team|`<b>'`` — `guard-added`

#### Wording only

- a: title changed — `wording-changed`

  ```diff
  + one
  + # two <script> for @team
  ```

- title of the runbook changed — `wording-changed`

  ```diff
  - [-Old-] </details> [-#-] [x](javascript:alert(1))
  + {+New+} </details> {+|+} [x](javascript:alert(1)){+ @team #1+}
  ```
"####,
    );
}

#[test]
fn a_plan_is_a_comment() {
    let bed = Bed::with(NEW);
    let said = bed.run(&["plan", "./x.yaml", "--markdown"]).end().code(0);
    said.stdout(
        r####"## Plan of `x`: `New </details> | [x](javascript:alert(1)) @team #1`

**Nothing was run.** 1 step: 0 read, 1 change, 0 destroy.

| parameter | value | from |
| --- | --- | --- |
| `v` | ``a\|b`d @team`` | default |

### 1. `one  # two <script> for @team`

`a` · **changes** · `shell`

- expects ``result.stdout == '@team|`<b>'``

`````text
echo ````
```
# no heading
<i>bold</i>
`````
"####,
    );
    bed.run(&["plan", "./x.yaml", "--markdown", "--json"]).end().code(2);
}

#[test]
fn a_comment_fits_into_its_place() {
    let steps = |from: usize| {
        let line = |n: usize| format!("  - {{id: s{n}, shell: \"echo {} {from}\"}}\n", "word ".repeat(40));
        format!("title: X\nsteps:\n{}", (0..400).map(line).collect::<String>())
    };
    let bed = Bed::with(&steps(1)).file("old.yaml", &steps(2));
    let said = bed.run(&["plan", "./x.yaml", "--against", "./old.yaml", "--markdown"]).end().code(0).stdout;
    assert!(said.len() <= 60_000, "{} bytes", said.len());
    assert!(said.contains("s399: runs another script"), "the end is missing");
    assert!(said.contains("This is too long for a comment"));
}

#[test]
fn items_of_a_loop_come_one_after_the_other_and_their_undo_shows_its_values() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - id: each\n    foreach: {as: host, in: [one, two]}\n    shell: up \"$host\"\n    undo: {shell: down \"$host\"}\n",
    );
    let said = bed.run(&["plan", "./x.yaml"]).end().code(0).stdout;
    assert!(!said.contains("after nothing"), "{said}");
    assert!(said.contains("   ↶ down \"$host\"\n     host = two\n"), "{said}");
    let plan = bed.run(&["plan", "./x.yaml", "--json"]).end().code(0).json();
    assert_eq!(plan["steps"][2]["needs"], serde_json::json!(["each[one]"]));
    bed.run(&["plan", "./x.yaml", "--markdown"]).end().code(0).stdout_has("down \"$host\"\nhost = two\n");
}
