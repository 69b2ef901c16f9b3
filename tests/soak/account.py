# SPDX-License-Identifier: GPL-2.0-or-later
"""The account at the end of a soak's life: used + free + bad slots are all, and each entry has a
reason. Caller: life.py, when the disks are good again and nothing else writes.

A free slot is one that a remap gets: chunks are remapped until none is left. What the spare says
must agree in the kernel's status, in the metadata as FORMAT.md alone reads it, in the crash tests'
resolver and in `dmremap check`.
"""

import contextlib
import subprocess
import tempfile
from pathlib import Path

from tests.crash import enumerator, stamp
from tests.scenarios import accounting
from tests.scenarios.lib import SECTOR, Rig
from tests.scenarios.ondisk import BAD, USED
from tests.scenarios.sets import dmremap
from tests.soak.events import NAME, Hardware
from tests.soak.model import Model
from tests.soak.plan import FRESH
from tests.soak.writer import Problem

USABLE = ("rw", "full")


def recover(rig: Rig) -> None:
    """What an administrator does when the disks are good again."""
    if rig.status(NAME)["mode"] not in USABLE:    # perhaps resumed without its spare
        rig.suspend(NAME)
        rig.resume(NAME)
    errors = []
    for text in ("restore", "accept_loss", "thaw", "sync", "save"):
        try:
            rig.message(NAME, text)
        except OSError as error:
            errors.append(str(error))
    if (mode := rig.status(NAME)["mode"]) not in USABLE:
        raise Problem(f"the disks are good, but the mode is {mode}: {errors}, {rig.status(NAME)}")


def _fill(rig: Rig) -> tuple[int, int]:
    """Remap fresh chunks until no slot is left; how many were used before, and how many free, freed
    ones among them. What a request for old chunks remapped of the fresh ones is free."""
    with contextlib.suppress(OSError):    # a spare may be full already
        rig.message(NAME, f"remap {FRESH[0]} 256")
        rig.message(NAME, f"unremap {FRESH[0]} 256")
    before = rig.status(NAME)["used"]
    with contextlib.suppress(OSError):
        rig.message(NAME, f"remap {FRESH[0]} {len(FRESH)}")
    return before, int(rig.status(NAME)["used"] - before)


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Problem(f"account: {what}: {found}, not {expected}")


def check(rig: Rig, hardware: Hardware, model: Model, given: set[int]) -> None:
    """GIVEN: chunks that `create` remapped. Leaves the set deactivated."""
    accounting.check(rig)
    before = rig.status(NAME)
    used_before, free = _fill(rig)
    status = rig.status(NAME)
    if used_before + before["bad_slots"] + free != before["total"]:
        raise Problem(f"account: {used_before} used + {free} free + {before['bad_slots']} bad "
                      f"are not {before['total']} slots: {status}")
    _same("mode without free slots", status["mode"], "full")
    _same("reserved slots", status["reserved_slots"], 0)
    accounting.check(rig)

    region = hardware.region()
    entries = region.entries()
    used = {entry.slot: entry.chunk for entry in entries if entry.state == USED}
    bad = [entry.slot for entry in entries if entry.state == BAD]
    _same("entries in use, bad", (len(used), len(bad)), (status["used"], status["bad_slots"]))
    _same("chunks with more than one slot", len(used) - len(set(used.values())), 0)
    fresh = {sector // 8 for sector in FRESH}
    named = given | fresh | model.named | {region.probe_chunk()}
    _same("chunks that nobody named", sorted(set(used.values()) - named), [])
    told = rig.background(dmremap, "check", str(rig.spare.kernel_path)).result(120)
    if told.returncode:
        raise Problem(f"dmremap check: {told.stdout}{told.stderr}")
    _resolve(rig, hardware, model, {chunk: slot for slot, chunk in used.items()})

    rig.message(NAME, f"unremap {FRESH[0]} {len(FRESH)}")
    with contextlib.suppress(OSError):
        rig.message(NAME, "clear")
    kept = {entry.chunk for entry in region.entries() if entry.state == USED and not entry.lost}
    _same("chunks that clear left", kept - given - {region.probe_chunk()}, set())
    accounting.check(rig)
    rig.close(NAME)
    told = rig.background(dmremap, "deactivate", NAME).result(120)
    _same("exit code of deactivate", (told.returncode, told.stderr), (0, told.stderr))


def _resolve(rig: Rig, hardware: Hardware, model: Model, slots: dict[int, int]) -> None:
    """The resolver's map is SLOTS (chunk -> slot), and what it finds there the model's."""
    region = hardware.region()
    for name in (hardware.main.name, "spare"):
        rig.server.disk(name).destage()
    with tempfile.TemporaryDirectory(dir="/tmp") as scratch:
        content = Path(scratch, "content")
        result = subprocess.run(
            [str(enumerator.RESOLVE), "--main", str(hardware.main.media_path),
             "--spare", str(rig.spare.media_path), "--region", f"{region.start}:{region.sectors}",
             "--content", str(content)], capture_output=True, text=True)
        if result.returncode:
            raise Problem(f"resolver: {result.stdout.splitlines()[:1]} {result.stderr}")
        words = [line.split() for line in result.stdout.splitlines() if line.startswith("chunk ")]
        _same("the resolver's map", {int(word[1]): int(word[3]) for word in words}, slots)
        image = content.read_bytes()
    for sector in model.now:
        found = stamp.read(image[sector * SECTOR:(sector + 1) * SECTOR])
        if found is None or found[0] != sector or model.problem(sector, found[1]):
            raise Problem(f"resolver: sector {sector} is {found}")
