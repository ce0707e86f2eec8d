"""Deploys by the published Python clients for Jenkins, and prints what they saw, as one JSON object.

clients.py python-jenkins|api4jenkins URL USER SECRET IMAGE_TAG

Nobody waits in here: the stand-in moves on with each look at it, and a look that is one too many is a mistake.
"""

import json
import re
import sys

FOLDER = "gcp-pipelines/balrog"
PARAMETERS = {"CloudopsInfraRef": "refs/heads/master", "SopsRef": "refs/heads/master"}


def until(what, look):
    for _ in range(50):
        found = look()
        if found:
            return found
    sys.exit(f"{what}: not after 50 looks")


def by_python_jenkins(url, user, secret, tag):
    import jenkins
    import requests

    server = jenkins.Jenkins(url, username=user, password=secret)

    def send(method, path):
        return server.jenkins_open(requests.Request(method, server._build_url(path)))

    seen = {"who": server.get_whoami()["id"], "version": server.get_version(), "jobs": []}
    seen["jobs"] = sorted(job["fullname"] for job in server.get_all_jobs())
    seen["missing"] = bool(server.job_exists(f"{FOLDER}/nothing"))
    seen["nodes"] = [node["name"] for node in server.get_nodes()]
    for name in ["balrog-admin-production", "balrog-production", "balrog-agent-production"]:
        job = f"{FOLDER}/{name}"
        assert server.job_exists(job) and server.get_job_name(job) == name, job
        expected = server.get_job_info(job)["nextBuildNumber"]
        item = server.build_job(job, {"ImageTag": tag, **PARAMETERS})
        assert item in [one["id"] for one in server.get_queue_info()], "the item is in the queue"
        left = until("the item leaves", lambda: (it := server.get_queue_item(item)).get("executable") and it)
        number = left["executable"]["number"]
        assert number == expected and left["why"] is None, left
        info = server.get_build_info(job, number)
        given = {p["name"]: p["value"] for action in info["actions"] for p in action.get("parameters", [])}
        assert given == {"ImageTag": tag, **PARAMETERS}, given
        # A pipeline sits on a flyweight executor, which this client does not look at.
        assert server.get_running_builds() == []
        paths = "/".join(f"job/{part}" for part in job.split("/")) + f"/{number}"
        inputs = []
        while True:
            stages = until(
                "it asks or ends",
                lambda: (it := server.get_build_stages(job, number))["status"] != "IN_PROGRESS" and it,
            )
            if stages["status"] != "PAUSED_PENDING_INPUT":
                break
            info = server.get_build_info(job, number)
            assert info["building"] and info["result"] is None, info
            pending = json.loads(send("GET", f"{paths}/wfapi/pendingInputActions"))
            assert len(pending) == 1, pending
            assert stages["stages"][-1]["status"] == "PAUSED_PENDING_INPUT", stages
            inputs.append(stages["stages"][-1]["name"])
            send("POST", f"{paths}/input/{pending[0]['id']}/proceedEmpty")
        ended = until("it ends", lambda: (it := server.get_build_info(job, number))["building"] or it)
        ended = until("it has ended", lambda: not (it := server.get_build_info(job, number))["building"] and it)
        log = server.get_build_console_output(job, number)
        assert log.rstrip().endswith("Finished: SUCCESS"), log
        assert log.count("Approved by ") == len(inputs), log
        assert server.get_job_info(job, fetch_all_builds=True)["builds"][0]["number"] == number
        seen[name] = {"number": number, "result": ended["result"], "stages": stages["status"], "inputs": inputs}
    # What is not wanted: cancelled in the queue, stopped while it asks, and without a crumb.
    job = f"{FOLDER}/balrog-admin-production"
    item = server.build_job(job, {"ImageTag": "v0.1"})
    server.cancel_queue(item)
    assert server.get_queue_item(item)["cancelled"] is True
    item = server.build_job(job, {"ImageTag": "v0.2"})
    number = until("it starts", lambda: server.get_queue_item(item).get("executable"))["number"]
    server.stop_build(job, number)
    assert server.get_build_info(job, number)["result"] == "ABORTED"
    try:
        server.get_queue_item(1)
        sys.exit("an item that never was is there")
    except jenkins.JenkinsException:
        pass
    bare = jenkins.Jenkins(url, username=user, password=secret)
    bare.crumb = False
    try:
        bare.build_job(job, {"ImageTag": "v0.3"})
        seen["without_crumb"] = "built"
    except jenkins.JenkinsException as error:
        seen["without_crumb"] = re.search(r"\[(\d+)\]", str(error)).group(1)
    return seen


def by_api4jenkins(url, user, secret, tag):
    import api4jenkins
    from api4jenkins.exceptions import AuthenticationError, BadRequestError, ItemNotFoundError

    server = api4jenkins.Jenkins(url, auth=(user, secret))
    seen = {"version": server.version, "exists": server.exists(), "jobs": [job.full_name for job in server.iter(2)]}
    seen["missing"] = server.get_job(f"{FOLDER}/nothing") is not None
    for name in ["balrog-admin-production", "balrog-production", "balrog-agent-production"]:
        job = server.get_job(f"{FOLDER}/{name}")
        assert type(job).__name__ == "WorkflowJob" and job.full_name == f"{FOLDER}/{name}", job
        defined = {p["name"] for p in job.get_parameters()}
        assert defined == {"ImageTag", *PARAMETERS}, defined
        item = server.build_job(f"{FOLDER}/{name}", ImageTag=tag, **PARAMETERS)
        assert server.queue.get(item.id) == item and item.get_job() == job
        build = until("the build", item.get_build)
        assert type(build).__name__ == "WorkflowRun" and build.queue_id == item.id, build
        given = {p.name: p.value for p in build.get_parameters()}
        assert given == {"ImageTag": tag, **PARAMETERS}, given
        assert [cause["userId"] for cause in build.get_causes()] == [user]
        assert build in list(server.nodes.iter_builds()), "it runs on a node"
        assert build.project == job and job.get(build.number) == build and job.get_last_build() == build
        inputs = []
        while build.building:
            pending = until("it asks or ends", lambda: build.get_pending_input() or not build.building)
            if pending is True:
                break
            inputs.append(pending.message)
            pending.submit()
            try:
                pending.submit()
                sys.exit("one input was answered twice")
            except (BadRequestError, ItemNotFoundError) as error:
                seen["twice"] = str(error)
        log = "\n".join(build.console_text())
        # This one sleeps for a second by itself, so it is not asked three times.
        if len(inputs) == 2:
            assert log == "\n".join(build.progressive_output()), "both logs are one"
        assert log.rstrip().endswith("Finished: SUCCESS"), log
        seen[name] = {"number": build.number, "result": build.result, "inputs": inputs}
    aborted = until("the build", server.build_job(f"{FOLDER}/balrog-agent-production", ImageTag="v0.1").get_build)
    until("it asks", aborted.get_pending_input).abort()
    until("it ends", lambda: not aborted.building)
    seen["aborted"] = aborted.result
    cancelled = server.build_job(f"{FOLDER}/balrog-agent-production", ImageTag="v0.2")
    cancelled.cancel()
    seen["cancelled"] = cancelled.api_json()["cancelled"]
    try:
        api4jenkins.Jenkins(url, auth=(user, "wrong")).get_job(f"{FOLDER}/balrog-production")
    except AuthenticationError:
        seen["wrong_password"] = "401"
    return seen


if __name__ == "__main__":
    client, *rest = sys.argv[1:]
    drive = {"python-jenkins": by_python_jenkins, "api4jenkins": by_api4jenkins}[client]
    print(json.dumps(drive(*rest)))
