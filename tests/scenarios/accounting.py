# SPDX-License-Identifier: GPL-2.0-only
"""After every scenario: what the target says of its slots is what its media say.

Each slot that status counts as used, bad or lost is named by exactly one committed entry,
and no other is. Called by the rig's fixture, while the devices are still there.
"""

from tests.scenarios import dm
from tests.scenarios.lib import Rig
from tests.scenarios.ondisk import BAD, USED, Spare

# In the other modes the media may hold more, or less, than RAM: that is what they say.
CERTAIN = ("rw", "frozen", "full", "lost-cache")


def _facts(name: str) -> dict[str, str]:
    words = dm.status(name, flush=False)[0].split()[3:]
    pairs = dict(word.split("=", 1) for word in words[2:])
    return {"mode": words[0], "used": words[1].split("/")[0], **pairs}


def _spare_of(rig: Rig, name: str) -> Spare | None:
    lines = dm.table(name)
    words = lines[0].split()
    if len(lines) != 1 or words[2] != "remap":
        return None
    for disk in rig.server.disks():
        number = disk.kernel_path.stat().st_rdev
        if words[4] == f"{number >> 8}:{number & 255}":
            return Spare(rig.media(disk.name), int(words[6]), int(words[5]))
    return None


def check(rig: Rig) -> None:
    """Fails for a device whose slots are not accounted for."""
    if rig.server.process.poll() is not None:
        return
    for name in dm.devices():
        if dm.flags(name) & dm.SUSPEND:
            continue    # it serves nothing, or could not be resumed
        if not dm.table(name) or not (spare := _spare_of(rig, name)):
            continue
        before = _facts(name)
        if before["mode"] not in CERTAIN or before["blocks_in_doubt"] != "0":
            continue
        if not all(any(copy.valid for copy in spare.copies(block).values())
                   for block in spare.table_blocks):
            continue    # the test has wiped it
        entries = spare.entries()
        if _facts(name) != before:
            continue    # something is still going on
        used: dict[int, int] = {}
        for entry in entries:
            if entry.state == USED:
                used[entry.chunk] = entry.lost
        counted = {"used": len(used), "bad_slots": sum(e.state == BAD for e in entries),
                   "lost_sectors": sum(lost.bit_count() for lost in used.values()),
                  "reserved_slots": 0}    # nothing is on its way, so none is taken for it
        told = {key: int(before[key]) for key in counted}
        assert told == counted, f"{name}: status says {told}, the media {counted}"
