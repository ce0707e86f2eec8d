//! How values reach steps in a run: what a step captures itself, and what nothing has set.

use crate::support::Bed;

#[test]
fn a_variable_of_a_script_may_have_the_name_of_its_own_capture() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - id: count\n    shell: |\n      sum=5\n      echo \"$sum\"\n    capture: {sum: result.stdout|int}\n  \
         - id: use\n    shell: echo \"later $((sum + 1)) $sum\"\n",
    );
    bed.run(&["plan", "x.yaml"]).end().code(0).stdout_has("1 step decided later").stdout_has("sum = ‹count.sum›");
    bed.run(&["run", "x.yaml"]).end().code(0).stderr_has("later 6 5");
}

#[test]
fn a_step_that_waits_for_what_nothing_sets_fails() {
    let bed = Bed::with(
        "title: X\nsteps:\n  - id: a\n    when: sum == 1\n    shell: echo 1\n    capture: {sum: result.stdout|int}\n",
    );
    bed.run(&["run", "x.yaml"]).end().code(1).stderr_has("it uses a.sum, which nothing has set");
}
