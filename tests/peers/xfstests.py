# SPDX-License-Identifier: GPL-2.0-or-later
"""xfstests: which tests there are, how its program `check` runs in the guest, and what it prints.

The checkout must be built. Variants are file systems; the names of tests are those of `check`.
"""

import fnmatch
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.peers.batch import Batch
from tests.peers.outcomes import FAILED, PASSED, SKIPPED, Outcome

VARIANTS = ("ext4", "xfs", "btrfs")
GROUP = "quick"
GIB = 1 << 30
# name -> size: two file systems, the log of dm-log-writes, and more devices for btrfs
DISKS = {"test": 4 * GIB, "scratch": 5 * GIB, "log": GIB}
POOL = {f"pool{n}": 5 * GIB for n in range(1, 5)}
NAME = re.compile(r"^(?:generic|ext4|xfs|btrfs|shared|selftest)/\d+", re.MULTILINE)
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"],
        "btrfs": ["mkfs.btrfs", "-q", "-f"]}
WENT_WRONG = re.compile(r"\[failed|output mismatch|_check_\w+:|inconsistent|dumped core|"
                        r"no qualified output")
USERS = (("fsgqa", 6001), ("fsgqa2", 6002), ("123456-fsgqa", 6003))


def disks(variant: str) -> dict[str, int]:
    return DISKS | (POOL if variant == "btrfs" else {})


def missing(source: Path) -> str | None:
    """Why this directory cannot be used."""
    if not (source / "check").is_file():
        return f"{source} has no program 'check': it is no checkout of xfstests"
    if not ((source / "src/lstat64").exists() and (source / "tests/generic/group.list").exists()):
        return f"{source} is not built: its README says how"
    return None


def tests(source: Path, variant: str, words: list[str]) -> list[str]:
    """The tests that WORDS (groups, names, patterns) select, in the order of `check`."""
    found = []
    for folder in ("generic", variant):
        for line in (source / "tests" / folder / "group.list").read_text().splitlines():
            number, *groups = line.split("#")[0].split() or [""]
            name = f"{folder}/{number}"
            if number and any(word in groups or fnmatch.fnmatch(name, word) for word in words):
                found.append(name)
    return found


def judge(name: str, text: str) -> Outcome:
    """What TEXT, all that `check` printed of the test NAME, says."""
    said = text.removeprefix(name).strip()
    if "[not run]" in said or "[expunged]" in said:
        return Outcome(SKIPPED, said.partition("]")[2].strip() or "expunged")
    took = re.search(r"(?:^|\s)(\d+)s$", said)
    if took and not WENT_WRONG.search(said):
        return Outcome(PASSED, seconds=float(took[1]))
    return Outcome(FAILED, " ".join(said.split())[:600])


def split(text: str) -> list[tuple[str, str]]:
    """Names and texts of the tests in the output of `check`, the last one perhaps unfinished."""
    text = re.split(r"^(?:Ran: |Passed all|Interrupted!)", text, flags=re.MULTILINE)[0]
    starts = [match.start() for match in NAME.finditer(text)] + [len(text)]
    pieces = [text[first:end] for first, end in zip(starts, starts[1:], strict=False)]
    return [(NAME.match(piece)[0], piece) for piece in pieces]    # type: ignore[index]


def _users() -> None:
    for path, line in (("/etc/passwd", "{0}:x:{1}:{1}::/tmp:/bin/bash\n"),
                       ("/etc/shadow", "{0}:*:20000:0:99999:7:::\n"),    # or su(1) refuses
                       ("/etc/group", "{0}:x:{1}:\n")):
        with open(path, "a", encoding="ascii") as file:
            file.writelines(line.format(*user) for user in USERS)


def run(batch: Batch) -> Iterator[tuple[str, Outcome]]:
    """In the guest."""
    _users()
    variant, devices = batch.variant, batch.devices
    subprocess.run([*MAKE[variant], devices["test"]], check=True)
    places = {"TEST_DIR": "/tmp/test", "SCRATCH_MNT": "/tmp/scratch"}
    for place in places.values():
        os.makedirs(place)
    pool = [devices["scratch"], *(devices[name] for name in POOL if name in devices)]
    environment = {**os.environ, **places, "FSTYP": variant, "TEST_DEV": devices["test"],
                   "LOGWRITES_DEV": devices["log"], "RESULT_BASE": str(batch.results / "full"),
                   **({"SCRATCH_DEV_POOL": " ".join(pool)} if len(pool) > 1
                      else {"SCRATCH_DEV": pool[0]})}
    yield from batch.follow(["./check", "-E", "/dev/null", *batch.tests], environment, split, judge)
