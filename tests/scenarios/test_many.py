# SPDX-License-Identifier: GPL-2.0-or-later
"""A hundred thousand remaps: shown, dumped and backed up in seconds, and in little memory (row
32)."""

import json
import resource
import subprocess
from pathlib import Path

import pytest

from tests.scenarios.lib import Rig
from tests.scenarios.made import with_many_remaps
from tests.scenarios.sets import PROGRAM

COUNT = 100_000
MEMORY = 32 << 20
pytestmark = [pytest.mark.disks(main="420M", spare="420M"), pytest.mark.plain_only]


def cost(*arguments: str) -> tuple[float, str]:
    """Seconds of CPU, and what was printed; in little memory, or it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(["prlimit", f"--data={MEMORY}", str(PROGRAM), *arguments],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, (arguments, result.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{' '.join(arguments)}: {seconds:.1f} s")
    return seconds, result.stdout


def test_many_remaps(rig: Rig, tmp_path: Path) -> None:
    with_many_remaps(rig, COUNT)
    spare = str(rig.spare.kernel_path)
    seconds, text = cost("show", "r0")
    assert len(text.splitlines()) == COUNT + 2
    assert seconds < 20
    seconds, text = cost("show", "r0", "--json")
    assert len(json.loads(text)["remaps"]) == COUNT + 1
    assert seconds < 30
    rig.remove()
    seconds, text = cost("backup", spare, str(tmp_path / "file"))
    assert seconds < 15
    seconds, text = cost("dump", spare)
    rows = [line.split() for line in text[text.index("SLOT"):].splitlines()]
    assert rows[0][0] == "SLOT" and "SLOT" not in text[text.index("SLOT") + 4:]
    slots = [int(row[0]) for row in rows[1:]]
    assert len(slots) == COUNT + 1 and slots == sorted(set(slots))
    assert seconds < 30
