# SPDX-License-Identifier: GPL-2.0-or-later
"""What a relocation costs in commands to the disks, counted by the block server.

    python3 -m tests.harness.uml tests/bench/relocation.py

Runs in User Mode Linux: a command is a command there as well. One write that fails, and 64 at
once whose entries are in one table block, on disks with and without FUA. Prints JSON. Used by
run.py and by tests/scenarios/test_relocation_cost.py, which guards the figures.
"""

import json
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.scenarios.aio import Aio  # noqa: E402
from tests.scenarios.lib import Rig, pattern, rig_of, wait_for  # noqa: E402
from tests.scenarios.region import Event, Region  # noqa: E402

MANY = 64
FIRST, STRIDE = 8000, 16        # sectors; not adjacent, or the kernel makes one write of them
DISKS = {"with FUA": "vcache=on", "without FUA": "vcache=on,fua=off",
         "no cache": "vcache=off"}


def _name(event: Event, fua_disks: set[str]) -> str:
    name = f"{event.disk}: {event.what}"
    if event.record.kind == "write" and event.disk in fua_disks and event.fua:
        name += ", FUA"
    return name


def count(rig: Rig, mark: str) -> dict[str, int]:
    """Commands since MARK: of each disk, each kind of write and flushes."""
    events = Region(rig).events(mark, fold=False)
    fua_disks = {disk.name for disk in rig.server.disks() if disk.fua}
    return dict(sorted(Counter(_name(event, fua_disks) for event in events
                               if event.record.kind in ("write", "flush")).items()))


def one(rig: Rig) -> dict[str, int]:
    """One write of 4 KiB to a bad chunk."""
    device = rig.create()
    rig.main.bad(FIRST, 8)
    rig.server.mark("one")
    device.pwrite(FIRST, pattern(1, 8))
    counted = count(rig, "one")
    assert rig.status()["relocations"] == 1
    assert device.pread(FIRST, 8) == pattern(1, 8)
    return counted


def many(rig: Rig) -> dict[str, int]:
    """64 such writes that are there when the worker has time for them.

    Until then it waits for its probe of main, which another bad write has made it send; what
    that one costs is counted as well.
    """
    device = rig.create()
    places = [FIRST + n * STRIDE for n in range(MANY + 1)]
    for place in places:
        rig.main.bad(place, 8)
    rig.main.hold("write", Region(rig).probe_chunk * 8, 8)
    rig.server.mark("many")
    with Aio() as aio:
        try:
            aio.pwrite(device.fd, places[-1], pattern(MANY, 8))
            wait_for(lambda: rig.main.held() == 1, "a probe of main")
            for n, place in enumerate(places[:-1]):
                aio.pwrite(device.fd, place, pattern(n, 8))
            if rig.main.fua:    # else it is being confirmed, and they are with the worker
                wait_for(lambda: rig.main.stats()["errors"] > MANY, "all writes to fail")
        finally:
            rig.main.release()
        assert aio.wait() == [4096] * (MANY + 1)
    counted = count(rig, "many")
    assert rig.status()["relocations"] == MANY + 1
    for n, place in enumerate(places):
        assert device.pread(place, 8) == pattern(n, 8), n
    return counted


def main() -> None:
    found: dict[str, dict[str, dict[str, int]]] = {}
    for disk, options in DISKS.items():
        for name, act in (("one", one), (f"{MANY} at once", many)):
            directory = Path(tempfile.mkdtemp(dir="/tmp"))
            try:
                with rig_of(directory, {"main": (64 << 20, options),
                                        "spare": (8 << 20, options)}) as rig:
                    found.setdefault(disk, {})[name] = act(rig)
            finally:
                shutil.rmtree(directory, ignore_errors=True)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
