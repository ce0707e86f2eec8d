//! Each check of `socorro/deploy`, what goes wrong, and that without the check it would go on and be wrong unseen, or be
//! found only after the old machines are gone.

use serde_json::{Value, json};

use super::world::{NEW_IMAGE, Site, World, YES};
use crate::standins::cloud::OLD_IMAGE;

/// What becomes of a deployment without a check.
#[derive(Clone, Copy, PartialEq)]
enum Harm {
    /// It succeeds, and the groups are not what they should be.
    Wrong,
    /// It succeeds, and something else than the groups is wrong.
    Unseen,
    /// The old machines are gone before anything is noticed.
    Gone,
    /// It has changed something before it notices.
    Late,
}

struct Case {
    check: &'static str,
    edits: &'static [(&'static str, &'static str)],
    set: fn(&World),
    harm: Harm,
}

fn fault(world: &World, name: &str, value: impl Into<Value>) {
    world.cloud.fault(name, value);
}

#[test]
fn without_a_check_something_goes_wrong_unseen() {
    let cases = [
        Case {
            check: "tools",
            edits: &[("[ \"$said\" != \"Terraform v$terraform_version\" ]", "false")],
            set: |w| w.cloud.change(|w| w["terraform"] = json!("0.8.8")),
            harm: Harm::Unseen,
        },
        Case {
            check: "live",
            edits: &[("      - result.body|trim is matches('^[0-9a-f]{40}$')\n", "")],
            set: |w| w.says(Site::PageFirst),
            harm: Harm::Unseen,
        },
        Case {
            check: "live",
            edits: &[("      - result.body|trim != commit\n", "")],
            set: |w| w.cloud.change(|w| w["images"][OLD_IMAGE]["holds"] = w["images"][NEW_IMAGE]["holds"].clone()),
            harm: Harm::Unseen,
        },
        Case {
            check: "look[webapp]/group",
            edits: &[
                (
                    "            - result.json.AutoScalingGroups[0].Instances|length == result.json.AutoScalingGroups[0].DesiredCapacity\n",
                    "",
                ),
                ("\n            == old|sort", " is defined"),
            ],
            set: |w| fault(w, "forgets-machines", 1),
            harm: Harm::Late,
        },
        Case {
            check: "look[webapp]/group",
            edits: &[(
                "            - result.json.AutoScalingGroups[0].MaxSize >= 2 * result.json.AutoScalingGroups[0].DesiredCapacity\n",
                "",
            )],
            set: |w| w.cloud.change(|w| w["groups"]["as-stage-socorroweb"]["MaxSize"] = json!(5)),
            harm: Harm::Late,
        },
        Case {
            check: "look[webapp]/group",
            edits: &[(
                "            - result.json.AutoScalingGroups[0].Instances|map(attribute='ProtectedFromScaleIn')|unique|list == [false]\n",
                "",
            )],
            set: |w| {
                w.cloud.change(|w| {
                    w["groups"]["as-stage-socorroweb"]["Instances"][1]["ProtectedFromScaleIn"] = json!(true);
                })
            },
            harm: Harm::Gone,
        },
        Case {
            check: "look[webapp]/runs",
            edits: &[(
                "          expect: result.lines|length == 1\n          capture:\n            old_ami",
                "          capture:\n            old_ami",
            )],
            set: |w| {
                w.cloud.change(|w| w["instances"]["i-0000000000000a001"]["ImageId"] = json!("ami-00000000000000eee"))
            },
            harm: Harm::Unseen,
        },
        Case {
            check: "forward/apply[webapp]",
            edits: &[("! cmp -s \"$SCRATCH/$ROLE.now\" \"$SCRATCH/$ROLE.planned\"", "false")],
            set: |w| fault(w, "state-moves", "socorro-private/tfstate/stage/webapp/terraform.tfstate"),
            harm: Harm::Unseen,
        },
        Case {
            check: "forward/apply[webapp]",
            edits: &[("\"$STATE\" >&2 && uploaded; }", "\"$STATE\" >&2; }")],
            set: |w| fault(w, "upload-lost", true),
            harm: Harm::Wrong,
        },
        Case {
            check: "forward/healthy[webapp]",
            edits: &[
                (
                    "until: result.json.well|length == size[role] and result.json.new|length == size[role]",
                    "until: result.json.new|length == size[role]",
                ),
                ("result.json.old is empty and result.json.new|length == size[role]", "result.json.old is empty"),
            ],
            set: |w| fault(w, "unhealthy", true),
            harm: Harm::Gone,
        },
        Case {
            check: "forward/healthy[webapp]",
            edits: &[
                (
                    "            held_for: \"{{ settle }}\"\n            timeout: \"{{ health_limit }}\"\n          timeout: 2m\n          capture:",
                    "            timeout: \"{{ health_limit }}\"\n          timeout: 2m\n          capture:",
                ),
                ("result.json.old is empty and result.json.new|length == size[role]", "result.json.old is empty"),
            ],
            set: |w| fault(w, "flips-back", true),
            harm: Harm::Gone,
        },
        Case {
            check: "forward/right-image[webapp]",
            edits: &[("          expect: result.stdout == ami\n", "")],
            set: |w| {
                w.cloud.change(|w| {
                    w["images"]["ami-00000000000000eee"] = w["images"][NEW_IMAGE].clone();
                    w["faults"]["launches-image"] = json!("ami-00000000000000eee");
                })
            },
            harm: Harm::Wrong,
        },
        Case {
            check: "drain[webapp]/drained",
            edits: &[("until: result.json.old is empty and", "until: true and")],
            set: |w| fault(w, "never-drained", true),
            harm: Harm::Unseen,
        },
        Case {
            check: "halve[webapp]/gone",
            edits: &[
                ("until: result.json.old is empty and result.json.all|length == size[role]", "until: true"),
                (
                    "result.json == {'least': least[role], 'wanted': size[role], 'all': size[role], 'well': size[role]}",
                    "true",
                ),
            ],
            set: |w| fault(w, "stays-large", true),
            harm: Harm::Wrong,
        },
        Case {
            check: "complete[webapp]",
            edits: &[(
                "result.json == {'least': least[role], 'wanted': size[role], 'all': size[role], 'well': size[role]}",
                "true",
            )],
            set: |w| fault(w, "protection-stays", true),
            harm: Harm::Wrong,
        },
        Case {
            check: "revision",
            edits: &[("result.status == 200 and result.body|trim == commit", "result.status == 200")],
            set: |w| w.cloud.change(|w| w["images"][NEW_IMAGE]["holds"] = json!("1".repeat(40))),
            harm: Harm::Unseen,
        },
    ];
    for case in cases {
        eprintln!("{}: {:?}", case.check, case.edits[0].0);
        let world = World::in_vain();
        (case.set)(&world);
        let with_it = world.run(&[]);
        let failed =
            with_it.events.iter().find(|event| event["event"] == "step_finished" && event["status"] == "failed");
        let failed = failed.unwrap_or_else(|| panic!("it was not noticed: {}", with_it.told));
        assert_eq!(failed["step"], case.check, "{}", with_it.told);

        let world = World::in_vain();
        (case.set)(&world);
        let without = world.bench(case.edits).run(YES);
        let old_left = world.cloud.machines("as-stage-socorroweb").iter().any(|(_, image)| image == OLD_IMAGE);
        match case.harm {
            Harm::Wrong => {
                without.succeeded();
                assert!(!world.wrong(NEW_IMAGE).is_empty(), "{}: nothing was wrong", case.check);
            }
            Harm::Unseen => drop(without.succeeded()),
            Harm::Gone => assert!(
                without.code != 0 && without.status("halve[webapp]/shrink").is_some(),
                "{} {old_left} {}",
                without.code,
                without.told
            ),
            Harm::Late => assert!(without.code != 0 && world.cloud.called("apply") > 0, "{}", without.told),
        }
    }
}

/// The same for a build.
#[test]
fn without_a_check_of_the_build_something_else_is_deployed() {
    let cases: [(&str, &str, &str, &str); 3] = [
        (
            "checkout-nothing",
            "source/build/cloned",
            "              effect: read\n              expect: result.stdout == commit\n",
            "              effect: read\n",
        ),
        (
            "unsigned",
            "source/build/signed",
            "              expect: result.lines|reject('eq', '(none)')|list|length > 0\n",
            "",
        ),
        ("update-nothing", "source/build/published", "if [ \"$here\" != \"$there\" ]; then", "if false; then"),
    ];
    for (fault, step, check, instead) in cases {
        eprintln!("{fault}");
        let mut world = World::new();
        world.roles = &["webapp"];
        world.limit = "3s";
        world.poll = "300ms";
        world.cloud.machine_fault(fault);
        // Something is published already, of another commit.
        world.cloud.put_file(
            "machine/published/socorro-1.noarch.rpm",
            "an old rpm\ncommit 00000000000000000000000000000000000000aa\n",
        );
        world.cloud.put("org.mozilla.crash-stats.packages-public/x86_64/socorro-1.noarch.rpm", "an old rpm\n");
        let second = ("result.lines|length == 2 and result.lines[0] == commit", "result.lines|length == 2");
        let mut edits = vec![(check, instead)];
        if fault == "checkout-nothing" {
            edits.push(second);
        }
        let ran = world.bench(&edits).run(YES);
        assert_ne!(ran.status(step), Some("failed"), "{}", ran.told);
        let cloud = world.cloud.world();
        let label = cloud["images"]
            .as_object()
            .unwrap()
            .values()
            .find(|image| image["Tags"]["apphash"] == world.commit.as_str());
        let label = label.unwrap_or_else(|| panic!("no image was made: {}", ran.told));
        let rpm = world.cloud.object("org.mozilla.crash-stats.packages-public/x86_64/socorro-1.noarch.rpm").unwrap();
        // An image with the name of the commit that holds another one, or a package that nobody signed.
        assert!(label["holds"] != world.commit.as_str() || !rpm.contains("signed"), "{fault}: nothing was wrong");
    }
}
