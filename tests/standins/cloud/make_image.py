"""Makes an image in the world of the stand-in, and prints its id: what Packer does at the end."""

import fcntl
import json
import os
import pathlib
import sys

root = pathlib.Path(os.environ["CLOUD"])
lock = open(root / "lock", "a")
fcntl.flock(lock, fcntl.LOCK_EX)
world = json.loads((root / "world.json").read_text())
world["made"] += 1
name = f"ami-{world['made']:017x}"
date = f"2026-02-01T00:{world['made']:02}:00.000Z"
world["images"][name] = {"State": "pending", "CreationDate": date, "Tags": {}, "holds": sys.argv[1]}
(root / "world.json.new").write_text(json.dumps(world, indent=1))
(root / "world.json.new").rename(root / "world.json")
print(name)
