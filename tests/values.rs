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
