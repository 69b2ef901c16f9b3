# SPDX-License-Identifier: GPL-2.0-or-later
"""lvm2's shell tests, with their physical volumes on the devices of the stack.

The suite puts a dm-linear device, for each physical volume, over one device that it is given, and
makes a device fail by reloading that table.
"""

import fnmatch
import os
from collections.abc import Iterator
from pathlib import Path

from tests.peers.batch import Batch
from tests.peers.outcomes import FAILED, PASSED, SKIPPED, Outcome

VARIANTS = ("volumes",)
SKIP_CODE = 200
BYTES = 512 << 20    # the suite zeroes all of it before each test


def disks(_variant: str) -> dict[str, int]:
    return {"volumes": BYTES}


def missing(source: Path) -> str | None:
    if not (source / "test/shell").is_dir():
        return f"{source} has no test/shell: it is no source tree of lvm2"
    if not (source / "test/lib/paths").exists() or not (source / "tools/lvm").exists():
        return f"{source} is not built, or not its directory test: its TESTING says how"
    return None


def tests(source: Path, _variant: str, words: list[str]) -> list[str]:
    names = [path.stem for path in sorted((source / "test/shell").glob("*.sh"))]
    return [name for name in names
            if any(word == "all" or fnmatch.fnmatch(name, word) for word in words)]


def judge(_name: str, code: int, text: str) -> Outcome:
    lines = text.splitlines()
    if code == SKIP_CODE:
        said = [line for line in lines if line.startswith("TEST SKIPPED")]
        return Outcome(SKIPPED, said[-1].partition(":")[2].strip() if said else "")
    if code:
        said = [line for line in lines if line.startswith("## ") and "teardown" not in line]
        return Outcome(FAILED, (said or lines or [""])[-1][:300])
    return Outcome(PASSED)


def run(batch: Batch) -> Iterator[tuple[str, Outcome]]:
    """In the guest."""
    os.makedirs("/tmp/lvm")
    environment = {**os.environ, "LVM_TEST_BACKING_DEVICE": batch.devices["volumes"],
                   "LVM_TEST_DIR": "/tmp/lvm", "TMPDIR": "/tmp", "LVM_TEST_NODEBUG": "1",
                   "LVM_TEST_FLAVOUR": "ndev-vanilla", "LVM_TEST_PREFER_BRD": "0"}
    environment.pop("DM_DISABLE_UDEV", None)
    here = Batch(**{**vars(batch), "source": batch.source / "test"})
    yield from here.each(lambda name: ["bash", f"shell/{name}.sh"], environment, judge)
