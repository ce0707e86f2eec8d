"""The real AWS command line, kept in memory: each call is a fork of one process that has read its modules and its descriptions of
services once. What runs is `awscli` itself, with the caller's arguments, environment, folder and streams; only the start is
saved. `resident.py serve SOCKET` serves, `resident.py call SOCKET ARGUMENT…` calls. It does not know what is asked for.
"""

import json
import os
import socket
import sys
import traceback


def call(path, arguments):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    said = json.dumps({"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}).encode()
    socket.send_fds(connection, [len(said).to_bytes(4, "big")], [0, 1, 2])
    connection.sendall(said)
    code = connection.recv(4)
    # Without an answer the call has not ended by itself.
    return int.from_bytes(code, "big") if len(code) == 4 else 255


def serve(path):
    import functools

    import awscli.clidriver
    import awscli.customizations.s3.subcommands  # noqa: F401 - read once
    from awscli.botocore import loaders

    loaders.JSONFileLoader.load_file = functools.lru_cache(maxsize=None)(loaders.JSONFileLoader.load_file)
    loaders.JSONFileLoader.__hash__ = lambda self: 0
    loaders.JSONFileLoader.__eq__ = lambda self, other: True
    driver = awscli.clidriver.create_clidriver()
    for service in ("autoscaling", "ec2", "elb", "s3", "sts"):
        driver.session.create_client(service, region_name="us-west-2", aws_access_key_id="x", aws_secret_access_key="x")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            if os.fork() == 0:
                answer(connection)
            os._exit(0)
        os.wait()
        connection.close()


def answer(connection):
    import awscli.clidriver

    head, fds, _, _ = socket.recv_fds(connection, 4, 3)
    said = b""
    while len(said) < int.from_bytes(head, "big"):
        said += connection.recv(65536)
    said = json.loads(said)
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    data = {"AWS_DATA_PATH": os.environ["AWS_DATA_PATH"]} if "AWS_DATA_PATH" in os.environ else {}
    os.environ.clear()
    # Where it finds its descriptions, which it has noted when it was read.
    os.environ.update(said["environment"] | data)
    os.chdir(said["folder"])
    sys.argv = ["aws", *said["arguments"]]
    code = 255
    try:
        code = awscli.clidriver.main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        connection.sendall(int(code).to_bytes(4, "big"))
        os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    sys.exit(call(sys.argv[2], sys.argv[3:]))
