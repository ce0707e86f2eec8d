//! How values reach the steps of a run.

use crate::support::Bed;

#[test]
fn a_variable_of_a_script_may_have_the_name_of_its_own_capture() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - id: count\n    shell: |\n      sum=5\n      echo \"$sum\"\n    capture: {sum: result.stdout|int}\n  \
         - id: use\n    shell: echo \"later $((sum + 1)) $sum\"\n",
    );
    bed.run(&["plan", "x.yaml"])
        .end()
        .code(0)
        .stdout_has("decided later: waits for count.sum")
        .stdout_has("sum = ‹count.sum›");
    bed.run(&["run", "x.yaml"]).end().code(0).stderr_has("later 6 5");
}

#[test]
fn a_plan_says_which_value_of_the_run_is_waited_for() {
    let bed = Bed::with("title: X\nsteps:\n  - id: a\n    env: {DIR: \"{{ run.dir }}\"}\n    shell: echo \"$DIR\"\n");
    bed.run(&["plan", "x.yaml"]).end().code(0).stdout_has("decided later: waits for run.dir");
}

/// The secret occurs neither on the screen nor in the record of the run, however the step ends.
fn keeps_its_secret(script: &str, capture: &str, code: i32, says: &str) {
    let capture = format!("capture: {{token: {{value: \"{capture}\", secret: true}}}}");
    let steps = format!("steps:\n  - id: login\n    shell: |\n      {script}\n    {capture}\n");
    let bed =
        Bed::with(&format!("title: X\n{steps}  - id: use\n    shell: test ${{#token}} = 12 && echo \"<$token>\"\n"));
    bed.run(&["run", "x.yaml"]).end().code(code).stderr_has(says).stderr_lacks("seven-horses");
    bed.run(&["run", "x.yaml", "--json"]).end().code(code).stdout_has("login").stderr_lacks("seven-horses");
    let found = bed.call("grep", &["-rl", "seven-horses", "../state"]).end();
    assert_eq!(found.stdout, "");
}

// The script puts it together, so that its text does not hold it.
const SAY: &str = "a=seven; b=horses; echo \"token: $a-$b\"";

#[test]
fn a_captured_secret_is_masked_in_the_output_that_it_comes_from() {
    let capture = "result.stdout|regex_find('token: (.+)')";
    keeps_its_secret(&format!("{SAY}; echo visible"), capture, 0, "token: ***");
    keeps_its_secret(&format!("{SAY}; echo \"$a-$b\" >&2; exit 3"), capture, 1, "***");
    keeps_its_secret(
        &format!("{SAY}; exit 3"),
        "result.stdout|regex_find('other: (.+)')",
        1,
        "it exited with 3; what it said",
    );
    keeps_its_secret(SAY, "result.stdout|regex_find('other: (.+)')", 1, "left out");
}
