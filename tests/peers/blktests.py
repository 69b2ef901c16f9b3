# SPDX-License-Identifier: GPL-2.0-or-later
"""blktests: those tests of the groups block and dm that use a device that they are given.

The others make devices of their own, so they would say the same on any stack.
"""

import fnmatch
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tests.peers.batch import Batch
from tests.peers.outcomes import FAILED, PASSED, SKIPPED, Outcome

VARIANTS = ("device",)
GROUPS = ("block", "dm")
CONFIG = Path("/tmp/blktests-config")


def disks(_variant: str) -> dict[str, int]:
    return {"test": 1 << 30}


def missing(source: Path) -> str | None:
    if not (source / "check").is_file() or not (source / "tests/dm").is_dir():
        return f"{source} has no program 'check' and no tests/dm: it is no checkout of blktests"
    if not (source / "src/openclose").exists():
        return f"{source} is not built: its README says how"
    return None


def tests(source: Path, _variant: str, words: list[str]) -> list[str]:
    found = []
    for group in GROUPS:
        for path in sorted((source / "tests" / group).glob("[0-9][0-9][0-9]")):
            name = f"{group}/{path.name}"
            takes_one = re.search(r"^test_device\(\)", path.read_text(), re.MULTILINE)
            if takes_one and any(word in (group, "all") or fnmatch.fnmatch(name, word)
                                 for word in words):
                found.append(name)
    return found


def judge(_name: str, code: int, text: str) -> Outcome:
    """What `check` printed of one test on one device, and its exit code."""
    states = re.findall(r"\[(passed|failed|not run)\]", text)
    if "failed" in states or code:
        return Outcome(FAILED, " ".join(text.split())[:600])
    if "passed" in states:
        return Outcome(PASSED)
    if "not run" in states:
        return Outcome(SKIPPED, " ".join(text.rpartition("[not run]")[2].split()))
    return Outcome(FAILED, "check says nothing of it: " + " ".join(text.split())[:300])


def run(batch: Batch) -> Iterator[tuple[str, Outcome]]:
    """In the guest."""
    CONFIG.write_text(f"TEST_DEVS=({batch.devices['test']})\nTIMEOUT=20\n")
    output = batch.results / "full"
    yield from batch.each(lambda name: ["./check", "-d", "-c", str(CONFIG), "-o", str(output), name],
                          dict(os.environ), judge)
