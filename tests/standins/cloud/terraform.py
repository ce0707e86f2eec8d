"""Stands in for Terraform with one role's launch configuration and group: plans to a file, applies that file, keeps a state.

It knows the exit codes of `plan -detailed-exitcode`, that a saved plan goes stale with its state, and that the least and the
wanted size of the group are one number of the configuration. The role's folder names the group (`role.json`). The real one is
used by another test of the same runbook.
"""

import fcntl
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(os.environ["CLOUD"])


def main():
    with open(ROOT / "calls", "a") as calls:
        calls.write(json.dumps(["terraform", *sys.argv[1:]]) + "\n")
    lock = open(ROOT / "lock", "a")
    fcntl.flock(lock, fcntl.LOCK_EX)
    world = json.loads((ROOT / "world.json").read_text())
    faults = world["faults"]

    def save():
        (ROOT / "world.json.new").write_text(json.dumps(world, indent=1))
        (ROOT / "world.json.new").rename(ROOT / "world.json")

    verb, options, alone = sys.argv[1], {}, []
    for arg in sys.argv[2:]:
        name, _, value = arg.partition("=")
        if name.startswith("-"):
            options.setdefault(name, []).append(value)
        else:
            alone.append(arg)
    if verb == "version":
        print("Terraform v" + world["terraform"] + "\n\nYour version of Terraform is out of date!")
        return 0
    role = json.loads(pathlib.Path("role.json").read_text())
    state_file = pathlib.Path(options["-state"][0])
    state = json.loads(state_file.read_text()) if state_file.exists() else {"serial": 0}
    if verb == "plan":
        if faults.get("plan-fails"):
            print("Error: error configuring provider", file=sys.stderr)
            return 1
        values = {}
        for path in options["-var-file"]:
            values.update(json.loads(pathlib.Path(path).read_text()))
        environment = values["environment"]
        wanted = {"image": values["base_ami"][values["region"]], "size": int(values[role["variable"]][environment])}
        plan = {"serial": state["serial"], "wanted": wanted, "environment": environment}
        pathlib.Path(options["-out"][0]).write_text(json.dumps(plan))
        if wanted == state.get("now"):
            print("No changes. Infrastructure is up-to-date.")
            return 0
        print("-/+ aws_launch_configuration.lc (new resource required)\n    image_id: => \"" + wanted["image"] + "\"\n")
        print("Plan: 1 to add, 1 to change, 1 to destroy.")
        if faults.get("state-moves"):
            # Somebody else applies at this moment.
            other = ROOT / "s3" / faults.pop("state-moves")
            theirs = json.loads(other.read_text())
            theirs["serial"] += 1
            other.write_text(json.dumps(theirs))
            save()
        return 2
    if verb == "apply":
        plan = json.loads(pathlib.Path(alone[0]).read_text())
        if plan["serial"] != state["serial"]:
            print("Error: Saved plan is stale", file=sys.stderr)
            return 1
        state["serial"] += 1
        if faults.get("apply-fails"):
            faults["apply-fails"] -= 1
            # Half of it: what was made is in the state, the group is as it was.
            state["made"] = plan["wanted"]["image"]
            state_file.write_text(json.dumps(state))
            save()
            print("Error: error modifying group: Throttling", file=sys.stderr)
            return 1
        state["now"] = plan["wanted"]
        state_file.write_text(json.dumps(state))
        group = world["groups"][role["group"].replace("ENV", plan["environment"])]
        if not faults.get("applies-nothing"):
            group["launches"] = plan["wanted"]["image"]
            group["MinSize"] = group["DesiredCapacity"] = plan["wanted"]["size"]
        save()
        print("Apply complete! Resources: 1 added, 1 changed, 1 destroyed.")
        return 0
    print("Usage: terraform [global options] <subcommand> [args]", file=sys.stderr)
    return 127


sys.exit(main())
