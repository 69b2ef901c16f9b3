# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in User Mode Linux: makes the devices of a stack and runs tests of a suite on them.

    guest.py PLAN    what run.py wants, as JSON

Writes each outcome, when it is known, to the file "outcomes" of the results.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from tests.harness.uml_guest import MS_RDONLY, mount  # noqa: E402
from tests.peers import stacks, suites  # noqa: E402
from tests.peers.batch import Batch  # noqa: E402


def own_etc() -> None:
    """/etc is the host's and read-only; here it can be changed."""
    for name in ("upper", "work"):
        os.makedirs(f"/run/etc/{name}")
    subprocess.run(["mount", "-t", "overlay", "overlay", "/etc", "-o",
                    "lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work"], check=True)


def no_udev() -> None:
    """No udevd runs: what it makes at boot is made here, and the nodes of a device are there before
    dmsetup(8) returns, so there is nothing to wait for."""
    for number, name in enumerate(("fd", "fd/0", "fd/1", "fd/2")):
        link = Path("/dev", ("fd", "stdin", "stdout", "stderr")[number])
        if not link.is_symlink():
            link.symlink_to(f"/proc/self/{name}")
    stub = Path("/run/udevadm")
    stub.write_text("#!/bin/sh\nexit 0\n")
    stub.chmod(0o755)
    if program := shutil.which("udevadm"):
        subprocess.run(["mount", "--bind", str(stub), os.path.realpath(program)], check=True)


def main(text: str) -> int:
    plan = json.loads(text)
    suite = suites.SUITES[plan["suite"]]
    results = Path(os.environ["DM_REMAP_RESULTS"])
    if source := plan["source"]:
        os.makedirs(source, exist_ok=True)    # it may lie below a place that is covered here
        mount("hostfs", source, source, MS_RDONLY)
    own_etc()
    no_udev()
    names = list(suite.disks(plan["variant"]))
    devices = stacks.attach_all(plan["stack"], names)
    batch = Batch(Path(source or "/"), plan["stack"], plan["variant"], plan["tests"], devices,
                  plan["limit_s"], results)
    with open(results / "outcomes", "w", encoding="utf-8") as log:
        for name, outcome in suite.run(batch):
            log.write(json.dumps({"name": name, **asdict(outcome)}) + "\n")
            log.flush()
    if plan["stack"] == stacks.REMAP:
        (results / "sets").write_text(stacks.complaint(names) or "")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
