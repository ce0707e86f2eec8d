"""Stands in for the part of the AWS command line that looks at instances of EC2, stops them and starts them.

It answers as the real one does with a real account: forms of answers, exit codes and what is on standard error. The world
is a file, `$INSTANCES/world.json`; time passes by looks: what AWS does a little later happens here after a number of calls
that ask for it. It knows no runbook.
"""

import fcntl
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(os.environ["INSTANCES"])
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


class Refused(Exception):
    """What AWS answers with an error, with the operation."""


def refuse(code, operation, words):
    raise Refused(f"An error occurred ({code}) when calling the {operation} operation: {words}")


def state(name):
    return {"Code": CODES[name], "Name": name}


class World:
    def __init__(self):
        self.lock = open(ROOT / "lock", "a")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.data = json.loads((ROOT / "world.json").read_text())
        self.faults = self.data["faults"]

    def save(self):
        path = ROOT / "world.json.new"
        path.write_text(json.dumps(self.data, indent=1))
        path.rename(ROOT / "world.json")

    def strikes(self, fault):
        """Whether it strikes now; one with a number strikes so often."""
        left = self.faults.get(fault, 0)
        if left and left is not True:
            self.faults[fault] = left - 1
        return bool(left)

    def one(self, options, operation):
        name = options["instance-ids"][0]
        if name not in self.data["instances"]:
            refuse("InvalidInstanceID.NotFound", operation, f"The instance ID '{name}' does not exist")
        return name, self.data["instances"][name]

    def look(self, machine):
        """Time passes for a machine by one look at it."""
        machine["looks"] += 1
        late = self.faults.get("late", 0)
        if machine["looks"] <= late:
            return
        if machine["state"] == "stopping" and not self.faults.get("stays-stopping"):
            # A scaling group takes a member that is down for an ill one, and replaces it.
            machine["state"], machine["looks"] = "terminated" if machine.get("group") else "stopped", 0
        elif machine["state"] == "pending":
            machine["state"], machine["looks"] = "running", 0
        elif machine["state"] == "running" and machine["checks"] == "initializing":
            machine["checks"], machine["looks"] = "impaired" if self.faults.get("impaired") else "ok", 0
        elif machine["state"] == "running" and machine["moved"] and self.strikes("flips-back"):
            machine["state"], machine["looks"] = "stopped", 0
        elif machine["state"] == "running" and machine["moved"] and machine["event"] and not self.faults.get("same-hardware"):
            if not machine["event"].startswith("[Completed]"):
                machine["event"] = "[Completed] " + machine["event"]

    def get_caller_identity(self, _):
        return {"UserId": "AIDASTANDIN", "Account": self.data["account"], "Arn": f"arn:aws:iam::{self.data['account']}:user/operator"}

    def describe_instances(self, options):
        name, machine = self.one(options, "DescribeInstances")
        self.look(machine)
        if self.strikes("describes-other"):
            name = self.data["other"]
            machine = self.data["instances"][name]
        entry = {
            "InstanceId": name, "State": state(machine["state"]), "RootDeviceType": machine["root"],
            "PrivateIpAddress": machine["private"], "PrivateDnsName": machine["dns"],
        }
        if machine["state"] == "running":
            entry["PublicIpAddress"] = machine["public"]
        tags = [{"Key": "Name", "Value": machine["name"]}]
        if machine.get("group"):
            tags.append({"Key": "aws:autoscaling:groupName", "Value": machine["group"]})
        entry["Tags"] = tags
        if machine.get("spot"):
            entry["InstanceLifecycle"] = "spot"
        return {"Reservations": [{"Instances": [entry]}]}

    def describe_instance_status(self, options):
        name, machine = self.one(options, "DescribeInstanceStatus")
        self.look(machine)
        if self.strikes("status-of-other"):
            name = self.data["other"]
            machine = self.data["instances"][name]
        if machine["state"] != "running" and "include-all-instances" not in options:
            return {"InstanceStatuses": []}
        checks = machine["checks"] if machine["state"] == "running" else "not-applicable"
        entry = {
            "InstanceId": name, "InstanceState": state(machine["state"]),
            "SystemStatus": {"Status": "ok" if checks == "impaired" else checks}, "InstanceStatus": {"Status": checks},
        }
        if machine["event"]:
            entry["Events"] = [{"Code": "instance-retirement", "Description": machine["event"], "NotBefore": "2013-10-22T00:00:00+00:00"}]
        return {"InstanceStatuses": [entry]}

    def change(self, name, machine, after):
        before = machine["state"]
        machine["state"], machine["looks"] = after, 0
        return {"InstanceId": name, "CurrentState": state(after), "PreviousState": state(before)}

    def stop_instances(self, options):
        name, machine = self.one(options, "StopInstances")
        if machine["root"] != "ebs":
            refuse("UnsupportedOperation", "StopInstances", "The instance does not have an 'ebs' root device type and cannot be stopped")
        self.data["asked"].append(f"stop {name}")
        if self.strikes("stop-ignored"):
            return {"StoppingInstances": [{"InstanceId": name, "CurrentState": state("stopping"), "PreviousState": state("running")}]}
        answer = [self.change(name, machine, "stopping" if machine["state"] == "running" else machine["state"])]
        if self.strikes("stops-other-too"):
            answer.append(self.change(self.data["other"], self.data["instances"][self.data["other"]], "stopping"))
        return {"StoppingInstances": answer}

    def start_instances(self, options):
        name, machine = self.one(options, "StartInstances")
        if machine["state"] in ("stopping", "shutting-down", "terminated"):
            refuse("IncorrectInstanceState", "StartInstances", f"The instance '{name}' is not in a state from which it can be started.")
        self.data["asked"].append(f"start {name}")
        if self.strikes("no-capacity"):
            refuse("InsufficientInstanceCapacity", "StartInstances", "We currently do not have sufficient capacity.")
        answer = [self.change(name, machine, "pending" if machine["state"] == "stopped" else machine["state"])]
        if machine["state"] == "pending":
            machine["checks"], machine["moved"], machine["public"] = "initializing", True, "54.9.9.9"
        if self.strikes("starts-other-too"):
            answer.append(self.change(self.data["other"], self.data["instances"][self.data["other"]], "pending"))
        return {"StartingInstances": answer}


def main():
    options, words, current = {}, [], None
    for arg in sys.argv[1:]:
        if arg.startswith("--"):
            current = arg[2:]
            options[current] = []
        elif current is None:
            words.append(arg)
        else:
            options[current].append(arg)
    world = World()
    operation = words[1]
    try:
        answer = getattr(world, operation.replace("-", "_"))(options)
    except Refused as why:
        world.save()
        print(f"\n{why}", file=sys.stderr)
        return 255
    world.save()
    if world.strikes(f"{operation}-reply-lost"):
        world.save()
        print("\nConnection was closed before we received a valid response from endpoint URL: \"https://ec2.us-east-1.amazonaws.com/\".", file=sys.stderr)
        return 255
    print(json.dumps(answer, indent=4))
    return 0


sys.exit(main())
