"""Stands in for the part of the AWS command line that a deployment to groups of machines uses: images and their tags,
scaling groups, classic load balancers, objects in a store, and who calls.

It answers as the real one does against a real account (tests/standins/cloud.rs holds it against `aws` with moto): forms of
answers, exit codes and what is on standard error. The world is a file, `$CLOUD/world.json`; time passes by looks: what AWS
does a little later happens here after a number of calls that ask for it. It knows no runbook.
"""

import fcntl
import json
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(os.environ["CLOUD"])


class Refused(Exception):
    """What AWS answers with an error: its code, the operation and its words."""


def refuse(code, operation, words):
    raise Refused(f"An error occurred ({code}) when calling the {operation} operation: {words}")


def options(args):
    """`--name value…` as a mapping to lists, and what stands alone."""
    named, alone, current = {}, [], None
    for arg in args:
        if arg.startswith("--"):
            current = arg[2:]
            named[current] = []
        elif current is None:
            alone.append(arg)
        else:
            named[current].append(arg)
    return named, alone


class World:
    def __init__(self):
        self.lock = open(ROOT / "lock", "a")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.data = json.loads((ROOT / "world.json").read_text())

    def save(self):
        path = ROOT / "world.json.new"
        path.write_text(json.dumps(self.data, indent=1))
        path.rename(ROOT / "world.json")

    def fault(self, name, times=True):
        """Whether a fault strikes now; one with a number strikes so often."""
        left = self.data["faults"].get(name)
        if not left:
            return False
        if times and isinstance(left, int) and not isinstance(left, bool):
            self.data["faults"][name] = left - 1
        return left

    def instance(self, image):
        self.data["made"] += 1
        name = f"i-{self.data['made']:017x}"
        self.data["instances"][name] = {"ImageId": image, "State": "pending", "looks": 0, "asks": 0}
        return name

    # --- what happens by itself

    def pass_time(self, name):
        """One look at a group: machines come up, and those that must go, go."""
        group = self.data["groups"][name]
        late = self.data["faults"].get("late", 0)
        for member in list(group["Instances"]):
            machine = self.data["instances"][member["InstanceId"]]
            if member["LifecycleState"] == "Pending":
                machine["looks"] += 1
                if machine["looks"] > late and not self.data["faults"].get("never-in-service"):
                    member["LifecycleState"], machine["State"] = "InService", "running"
            elif member["LifecycleState"] == "Terminating":
                machine["looks"] += 1
                if machine["looks"] > late:
                    group["Instances"].remove(member)
                    machine["State"] = "terminated"
        here = [m for m in group["Instances"] if m["LifecycleState"] != "Terminating"]
        wanted = group["DesiredCapacity"]
        if wanted > len(here):
            missing = wanted - len(here)
            if self.data["faults"].get("half-launched"):
                missing = max(0, (wanted + 1) // 2 + 1 - len(here))
            image = self.data["faults"].get("launches-image") or group["launches"]
            for _ in range(missing):
                machine = self.instance(image)
                group["Instances"].append({
                    "InstanceId": machine, "LifecycleState": "Pending", "HealthStatus": "Healthy",
                    "ProtectedFromScaleIn": False,
                })
                if group["elb"]:
                    self.data["elbs"][group["elb"]]["machines"].append(machine)
        elif wanted < len(here) and not self.data["faults"].get("stays-large"):
            # The oldest go first, unless they are protected.
            free = [m for m in here if self.data["faults"].get("protection-ignored") or not m["ProtectedFromScaleIn"]]
            if self.data["faults"].get("ends-newest"):
                free = list(reversed(here))
            for member in free[: len(here) - wanted]:
                self.end(group, member)

    def end(self, group, member):
        member["LifecycleState"] = "Terminating"
        self.data["instances"][member["InstanceId"]]["looks"] = 0
        if group["elb"]:
            machines = self.data["elbs"][group["elb"]]["machines"]
            if member["InstanceId"] in machines:
                machines.remove(member["InstanceId"])

    # --- sts, ec2

    def get_caller_identity(self, _):
        return {"UserId": "AIDASTANDIN", "Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/jenkins"}

    def describe_images(self, o):
        images = self.data["images"]
        if "image-ids" in o:
            for name in o["image-ids"]:
                if name not in images:
                    refuse("InvalidAMIID.NotFound", "DescribeImages", f"The image id '[{name}]' does not exist")
            images = {name: images[name] for name in o["image-ids"]}
        for text in o.get("filters", []):
            name, values = re.fullmatch(r"Name=tag:(\w+),Values=(.*)", text).groups()
            images = {k: v for k, v in images.items() if v["Tags"].get(name) in values.split(",")}
        found = []
        for name, image in images.items():
            if image["State"] == "pending" and not self.data["faults"].get("image-pending"):
                image["looks"] = image.get("looks", 0) + 1
                if image["looks"] > self.data["faults"].get("late", 0):
                    image["State"] = "failed" if self.data["faults"].get("image-fails") else "available"
            entry = {"ImageId": name, "State": image["State"], "CreationDate": image["CreationDate"]}
            # An image without tags has no such list.
            if image["Tags"]:
                entry["Tags"] = [{"Key": k, "Value": v} for k, v in image["Tags"].items()]
            found.append(entry)
        return {"Images": found}

    def create_tags(self, o):
        for name in o["resources"]:
            if name not in self.data["images"]:
                refuse("InvalidAMIID.NotFound", "CreateTags", f"The image id '[{name}]' does not exist")
            for text in o["tags"]:
                key, value = re.fullmatch(r"Key=([^,]+),Value=(.*)", text).groups()
                if not self.data["faults"].get("tags-lost"):
                    self.data["images"][name]["Tags"][key] = value

    def describe_instances(self, o):
        found = []
        for name in o["instance-ids"]:
            if name not in self.data["instances"]:
                refuse("InvalidInstanceID.NotFound", "DescribeInstances", f"The instance ID '{name}' does not exist")
            machine = self.data["instances"][name]
            found.append({"Instances": [{"InstanceId": name, "ImageId": machine["ImageId"],
                                         "State": {"Name": machine["State"]}}]})
        return {"Reservations": found}

    # --- autoscaling

    def describe_auto_scaling_groups(self, o):
        found = []
        for name in o["auto-scaling-group-names"]:
            # A group that is not there is no error.
            if name not in self.data["groups"]:
                continue
            self.pass_time(name)
            group = self.data["groups"][name]
            members = [dict(m) for m in group["Instances"]]
            if self.fault("forgets-machines"):
                members = members[: len(members) // 2]
            found.append({
                "AutoScalingGroupName": name, "MinSize": group["MinSize"], "MaxSize": group["MaxSize"],
                "DesiredCapacity": group["DesiredCapacity"], "LoadBalancerNames": [group["elb"]] if group["elb"] else [],
                "Instances": members,
                "SuspendedProcesses": [{"ProcessName": p, "SuspensionReason": ""} for p in group["suspended"]],
            })
        return {"AutoScalingGroups": found}

    def group(self, o, operation):
        name = o["auto-scaling-group-name"][0]
        if name not in self.data["groups"]:
            refuse("ValidationError", operation, "AutoScalingGroup name not found - null")
        return self.data["groups"][name]

    def update_auto_scaling_group(self, o):
        group = self.group(o, "UpdateAutoScalingGroup")
        least = int(o.get("min-size", [group["MinSize"]])[0])
        most = int(o.get("max-size", [group["MaxSize"]])[0])
        wanted = int(o.get("desired-capacity", [group["DesiredCapacity"]])[0])
        if not least <= wanted <= most:
            refuse("ValidationError", "UpdateAutoScalingGroup",
                   f"Desired capacity:{wanted} must be between the specified min size:{least} and max size:{most}")
        if self.fault("update-without-effect"):
            return
        if "launch-image" in o:
            group["launches"] = o["launch-image"][0]
        group["MinSize"], group["MaxSize"], group["DesiredCapacity"] = least, most, wanted

    def set_instance_protection(self, o):
        group = self.group(o, "SetInstanceProtection")
        members = {m["InstanceId"]: m for m in group["Instances"]}
        for name in o["instance-ids"]:
            if name not in members:
                refuse("ValidationError", "SetInstanceProtection",
                       f"The instance {name} is not part of Auto Scaling group {o['auto-scaling-group-name'][0]}.")
            if "protected-from-scale-in" in o or not self.data["faults"].get("protection-stays"):
                members[name]["ProtectedFromScaleIn"] = "protected-from-scale-in" in o

    # --- elb

    def elb(self, o, operation):
        name = o["load-balancer-name"][0]
        if name not in self.data["elbs"]:
            refuse("LoadBalancerNotFound", operation, f"There is no ACTIVE Load Balancer named '{name}'")
        return self.data["elbs"][name]

    def describe_instance_health(self, o):
        elb = self.elb(o, "DescribeInstanceHealth")
        states = []
        for name in list(elb["machines"]) + list(elb["leaving"]):
            machine = self.data["instances"][name]
            state, why = "InService", "N/A"
            if name in elb["leaving"]:
                # It still serves what it has begun with.
                why = "Instance deregistration currently in progress."
                elb["leaving"][name] -= 1
                if elb["leaving"][name] <= 0 and not self.data["faults"].get("never-drained"):
                    del elb["leaving"][name]
            else:
                machine["asks"] += machine["State"] == "running"
                new = name not in self.data["old"]
                if machine["State"] != "running" or machine["asks"] <= self.data["faults"].get("late", 0) and new:
                    state, why = "OutOfService", "Instance registration is still in progress."
                elif new and self.data["faults"].get("unhealthy"):
                    state, why = "OutOfService", "Instance has failed at least the UnhealthyThreshold number of health checks consecutively."
                elif new and machine["asks"] > 1 and self.fault("flips-back"):
                    state, why = "OutOfService", "Instance has failed at least the UnhealthyThreshold number of health checks consecutively."
            states.append({"InstanceId": name, "State": state, "ReasonCode": "N/A" if state == "InService" else "Instance",
                           "Description": why})
        return {"InstanceStates": states}

    def deregister_instances_from_load_balancer(self, o):
        elb = self.elb(o, "DeregisterInstancesFromLoadBalancer")
        for name in o["instances"]:
            if name not in elb["machines"]:
                refuse("InvalidInstance", "DeregisterInstancesFromLoadBalancer", f"Could not find EC2 instance {name}.")
            if self.data["faults"].get("not-deregistered"):
                continue
            elb["machines"].remove(name)
            elb["leaving"][name] = 1 + self.data["faults"].get("late", 0)
        return {"Instances": [{"InstanceId": name} for name in elb["machines"]]}

    def register_instances_with_load_balancer(self, o):
        elb = self.elb(o, "RegisterInstancesWithLoadBalancer")
        for name in o["instances"]:
            elb["leaving"].pop(name, None)
            if name not in elb["machines"]:
                elb["machines"].append(name)
        return {"Instances": [{"InstanceId": name} for name in elb["machines"]]}

    # --- s3

    def object(self, address):
        return ROOT / "s3" / address.removeprefix("s3://")

    def cp(self, _, source, target):
        if target.startswith("s3://"):
            path = self.object(target)
            path.parent.mkdir(parents=True, exist_ok=True)
            data = pathlib.Path(source).read_bytes() if source != "-" else sys.stdin.buffer.read()
            if not self.fault("upload-lost"):
                path.write_bytes(data)
            return
        path = self.object(source)
        if not path.exists():
            refuse("404", "HeadObject", 'Key "' + source.split("/", 3)[3] + '" does not exist')
        data = path.read_bytes()
        if target == "-":
            sys.stdout.buffer.write(data)
        else:
            pathlib.Path(target).write_bytes(data)


def main():
    arguments = sys.argv[1:]
    with open(ROOT / "calls", "a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    service, operation, rest = arguments[0], arguments[1], arguments[2:]
    world = World()
    name = operation.replace("-", "_")
    act = getattr(world, name, None)
    if service not in ("sts", "ec2", "autoscaling", "elb", "s3") or act is None:
        print(f"aws: error: argument operation: Invalid choice: {service} {operation}", file=sys.stderr)
        return 252
    if world.fault("refused:" + operation):
        world.save()
        print(f"An error occurred (AccessDenied) when calling {operation}: not authorized", file=sys.stderr)
        return 254
    try:
        named, alone = options(rest)
        if service == "s3":
            # Options without values stand before the two addresses here.
            alone = [arg for arg in rest if not arg.startswith("--")]
            answer = act(named, *alone)
        else:
            answer = act(named)
    except Refused as refused:
        world.save()
        # The pages of `s3` say it in their own way.
        if service == "s3":
            print(f"fatal error: {refused}", file=sys.stderr)
            return 1
        print(f"\n{refused}", file=sys.stderr)
        return 254
    lost = world.fault("lost:" + operation)
    world.save()
    gate = ROOT / ("gate-" + operation)
    if gate.exists():
        # The effect is there and the answer is on its way, until the test lets it go.
        world.lock.close()
        gate.read_text()
    if lost:
        print('Connection was closed before we received a valid response from endpoint URL', file=sys.stderr)
        return 255
    if answer is not None:
        print(json.dumps(answer, indent=4))
    return 0


sys.exit(main())
