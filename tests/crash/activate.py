# SPDX-License-Identifier: GPL-2.0-or-later
"""Activates crash states in the real module: it must agree with the resolver.

Runs inside User Mode Linux (run.py starts it there) over directories that the enumerator
wrote: main.img, spare.img, content.img (what the mapped device must give), lost (the
sectors that must fail) and outcome (rw, ro or refused, and which blocks of the spare cannot
be read). It activates each and reads every sector, and cuts the power at
once. What the media then hold of metadata goes to the results directory, for repaired.py
to look at on the host.

    activate.py SHAPE DIRECTORY [DISKS [CACHE]]

User Mode Linux pays for every page fault and system call, so whole files are copied
inside the kernel and read into one buffer.
"""

import mmap
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.crash.geometry import (DEFAULT, MAIN_SECTORS, REGION_START, SHAPES, Shape,  # noqa: E402
                                  Variant)
from tests.crash.stamp import read as read_stamp  # noqa: E402
from tests.scenarios import lib  # noqa: E402

PIECE = 128    # sectors of one read


def copy(source: Path, target: Path, offset: int = 0, nr_bytes: int | None = None) -> None:
    """Put bytes of SOURCE into TARGET at the same offset, leaving the rest as it is."""
    reading = os.open(source, os.O_RDONLY)
    writing = os.open(target, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        left = os.fstat(reading).st_size - offset if nr_bytes is None else nr_bytes
        os.lseek(writing, offset, os.SEEK_SET)
        while left:
            done = os.sendfile(writing, reading, offset, left)
            if not done:
                raise OSError(5, f"{source} ends {left} bytes early")
            offset += done
            left -= done
    finally:
        os.close(reading)
        os.close(writing)


def runs(lost: set[int]) -> list[tuple[int, int]]:
    """Pieces of the device: lost sectors alone, the others together."""
    pieces, first = [], 0
    while first < MAIN_SECTORS:
        end = first + 1
        while first not in lost and end < min(first + PIECE, MAIN_SECTORS) and end not in lost:
            end += 1
        pieces.append((first, end - first))
        first = end
    return pieces


def compare(device: lib.Device, buffer: mmap.mmap, wanted: bytes, lost: set[int]) -> str | None:
    for first, count in runs(lost):
        view = memoryview(buffer)[first * 512:(first + count) * 512]
        try:
            os.preadv(device.fd, [view], first * 512)
        except OSError as error:
            if first not in lost:
                return f"sectors {first}+{count}: {error}"
            continue
        if first in lost:
            return f"sector {first} can be read, but is lost"
        if view != wanted[first * 512:(first + count) * 512]:
            for sector in range(first, first + count):
                here = slice(sector * 512, sector * 512 + 512)
                if buffer[here] != wanted[here]:
                    return f"sector {sector} is {read_stamp(buffer[here])}, " \
                           f"not {read_stamp(wanted[here])}"
    return None


def check(rig: lib.Rig, shape: Shape, state: Path, buffer: mmap.mmap,
          results: Path) -> str | None:
    """One state; None, or what is wrong."""
    wanted = (state / "content.img").read_bytes()
    lost = {int(line) for line in (state / "lost").read_text().split()}
    outcome, *unreadable = (state / "outcome").read_text().split()
    copy(state / "main.img", rig.main.media_path)
    copy(state / "spare.img", rig.spare.media_path)
    for sector in unreadable:
        rig.spare.bad(int(sector), 8, kind="both", action="heal")
    try:
        device = rig.create(spare_start=REGION_START, spare_len=shape.region_sectors)
    except OSError as error:
        rig.powercut()
        rig.spare.clear()
        return None if outcome == "refused" else \
            f"it is not activated ({outcome}): {error}: {rig.log()[-2:]}"
    mode = rig.status()["mode"]
    wrong = compare(device, buffer, wanted, lost)
    rig.powercut()
    rig.spare.clear()
    if mode not in {"rw": ("rw", "full"), "ro": ("ro",), "refused": ()}[outcome]:
        return f"its mode is {mode}, not {outcome}: {rig.log()[-2:]}"
    if mode == "ro":
        return wrong or (None if rig.spare.media_path.read_bytes() ==
                         (state / "spare.img").read_bytes() else "read-only, and written")
    (results / state.name).mkdir()
    for disk, sector, count in shape.written_by_activation:
        media = rig.server.disk(disk).media_path
        copy(media, results / state.name / media.name, sector * 512, count * 512)
    return wrong


def main(shape: Shape, directory: Path, variant: Variant) -> int:
    results = Path(os.environ["DM_REMAP_RESULTS"])
    scratch = Path(tempfile.mkdtemp(prefix="activate", dir="/tmp"))
    states, bad = sorted(directory.iterdir()), 0
    with lib.rig_of(scratch / "disks", variant.disks(shape)) as rig, \
            mmap.mmap(-1, MAIN_SECTORS * 512) as buffer:
        for state in states:
            if wrong := check(rig, shape, state, buffer, results):
                bad += 1
                print(f"state {state.name.replace('-', ':')}: {wrong}")
        repaired = sum("were repaired" in line for line in rig.log())
    shutil.rmtree(scratch)
    print(f"{len(states)} states activated, {repaired} of them repaired, {bad} wrong")
    return 1 if bad or not states else 0


if __name__ == "__main__":
    sys.exit(main(SHAPES[sys.argv[1]], Path(sys.argv[2]),
                  Variant(*sys.argv[3:]) if sys.argv[3:] else DEFAULT))
