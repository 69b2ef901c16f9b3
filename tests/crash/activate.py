# SPDX-License-Identifier: GPL-2.0-or-later
"""Activates crash states in the real module: it must agree with the resolver.

Runs inside User Mode Linux (run.py starts it there) over directories that the enumerator
wrote: main.img, spare.img, content.img (what the mapped device must give) and lost (the
sectors that must fail). For each:

  - activate and read every sector;
  - cut the power at once: what activation repaired must be durable by then, so with
    either replica lost the set must still give the same (C5).

    activate.py DIRECTORY
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.crash import enumerator  # noqa: E402
from tests.crash.geometry import MAIN_SECTORS, REGION_SECTORS, REGION_START, \
    SPARE_SECTORS  # noqa: E402
from tests.crash.stamp import read as read_stamp  # noqa: E402
from tests.scenarios import lib  # noqa: E402

PIECE = 128


def read_all(device: lib.Device) -> tuple[bytes, set[int]]:
    """Content, with zeros for the sectors that could not be read; and those."""
    pieces, failed = [], set()
    for first in range(0, MAIN_SECTORS, PIECE):
        try:
            pieces.append(device.pread(first, PIECE))
            continue
        except OSError:
            pass
        for sector in range(first, first + PIECE):
            try:
                pieces.append(device.pread(sector))
            except OSError:
                pieces.append(bytes(512))
                failed.add(sector)
    return b"".join(pieces), failed


def difference(what: str, content: bytes, lost: set[int], wanted: bytes,
               wanted_lost: set[int]) -> str | None:
    if content == wanted and lost == wanted_lost:
        return None
    if lost != wanted_lost:
        return f"{what}: unreadable are {sorted(lost)}, not {sorted(wanted_lost)}"
    for sector in range(MAIN_SECTORS):
        here = slice(sector * 512, sector * 512 + 512)
        if content[here] != wanted[here]:
            return f"{what}: sector {sector} is {read_stamp(content[here])}, " \
                   f"not {read_stamp(wanted[here])}"
    return f"{what}: {len(content)} bytes, not {len(wanted)}"


def resolve(rig: lib.Rig, replica: int, scratch: Path) -> tuple[bytes, set[int]] | str:
    """What the resolver makes of the media without one replica; or its refusal."""
    result = subprocess.run(
        [str(enumerator.RESOLVE), "--main", str(rig.main.media_path),
         "--spare", str(rig.spare.media_path), "--region", f"{REGION_START}:{REGION_SECTORS}",
         "--lose-replica", str(replica), "--content", str(scratch / "content"),
         "--lost", str(scratch / "lost")], capture_output=True, text=True,
        stdin=subprocess.DEVNULL)
    if result.returncode:
        return result.stderr.strip()
    lost = {int(line) for line in (scratch / "lost").read_text().split()}
    return (scratch / "content").read_bytes(), lost


def check(rig: lib.Rig, state: Path, scratch: Path) -> str | None:
    """One state; None, or what is wrong."""
    wanted = (state / "content.img").read_bytes()
    wanted_lost = {int(line) for line in (state / "lost").read_text().split()}
    rig.media("main").write(0, (state / "main.img").read_bytes())
    rig.media("spare").write(0, (state / "spare.img").read_bytes())
    try:
        device = rig.create(spare_start=REGION_START, spare_len=REGION_SECTORS)
    except OSError as error:
        return f"it is not activated: {error}: {rig.log()[-2:]}"
    mode = rig.status()["mode"]
    wrong = difference("active", *read_all(device), wanted, wanted_lost)
    rig.powercut()
    if wrong or mode != "rw":
        return wrong or f"its mode is {mode}: {rig.log()[-2:]}"
    for replica in (0, 1):
        found = resolve(rig, replica, scratch)
        if isinstance(found, str):
            return f"after activation, without replica {replica}: {found}"
        if wrong := difference(f"after activation, without replica {replica}", *found, wanted,
                               wanted_lost):
            return wrong
    return None


def main(directory: Path) -> int:
    scratch = Path(tempfile.mkdtemp(prefix="activate", dir="/tmp"))
    disks: dict[str, int | tuple[int, str]] = {
        "main": (MAIN_SECTORS * 512, "vcache=on"), "spare": (SPARE_SECTORS * 512, "vcache=on")}
    states, bad, repaired = sorted(directory.iterdir()), 0, 0
    with lib.rig_of(scratch / "disks", disks) as rig:
        for state in states:
            if wrong := check(rig, state, scratch):
                bad += 1
                print(f"state {state.name.replace('-', ':')}: {wrong}")
        repaired = sum("were repaired" in line for line in rig.log())
    shutil.rmtree(scratch)
    print(f"{len(states)} states activated, {repaired} of them repaired, {bad} wrong")
    return 1 if bad or not states else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
