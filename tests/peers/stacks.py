# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in the guest: the devices that a suite gets, on dm-linear or on dm-remap.

Disk N of the suite is /dev/mapper/NAME; below it are two of the guest's disks, which are files of
the host: main and spare. With dm-linear the spare is there, and is not used. A set gets 300 remaps
before the suite sees it: 100 of them in its first 64 MiB, where file systems have their metadata.
"""

import os
import random
from pathlib import Path

from tests.scenarios import dm

LINEAR, REMAP = "linear", "remap"
STACKS = (LINEAR, REMAP)
REMAPS, IN_FRONT, FRONT_SECTORS = 300, 100, 64 << 11
CHUNK = 8
SPARE_BYTES = 32 << 20


def ubd(index: int) -> str:
    return f"/dev/ubd{chr(ord('a') + index)}"


def files(directory: Path, sizes: dict[str, int]) -> list[str]:
    """On the host: fresh sparse files for the guest's disks, as words of its command line."""
    words = []
    for number, size in enumerate(size for main in sizes.values() for size in (main, SPARE_BYTES)):
        path = directory / f"disk{number}"
        path.unlink(missing_ok=True)
        with open(path, "wb") as file:
            file.truncate(size)
        words.append(f"ubd{number}={path}")
    return words


def places(sectors: int, seed: int = 1) -> list[tuple[int, int]]:
    """Where the remaps are: first sector and count, each in a chunk of its own."""
    rng = random.Random(seed)
    front = min(FRONT_SECTORS, sectors // 4) // CHUNK
    last = sectors // CHUNK - 1024    # not dm-remap's own chunk, which is near the end
    chunks = rng.sample(range(front), IN_FRONT) + rng.sample(range(front, last), REMAPS - IN_FRONT)
    found = []
    for chunk in sorted(chunks):
        first = rng.randrange(CHUNK)
        found.append((chunk * CHUNK + first, rng.randrange(1, CHUNK - first + 1)))
    return found


def _sectors(path: str) -> int:
    with open(path, "rb") as file:
        return os.lseek(file.fileno(), 0, os.SEEK_END) // 512


def _remap(name: str, sectors: int) -> None:
    ranges = [f"{first}:{count}" for first, count in places(sectors)]
    for at in range(0, len(ranges), 100):
        dm.message(name, "remap_list import " + " ".join(ranges[at:at + 100]))


def facts(name: str) -> dict[str, str]:
    words = dm.status(name)[0].split()[3:]
    return {"mode": words[0], "used": words[1].split("/")[0],
            **dict(word.split("=", 1) for word in words[2:])}


def attach(name: str, stack: str, main: str, spare: str, remaps: bool = True) -> str:
    """The path of a new device NAME, as udev would name it."""
    sectors = _sectors(main)
    target = f"linear {main} 0" if stack == LINEAR else \
        f"remap {main} {spare} 0 {_sectors(spare)}"
    node = dm.create(name)
    dm.load(name, f"0 {sectors} {target}")
    dm.resume(name)
    path = Path("/dev/mapper", name)
    path.unlink(missing_ok=True)
    path.symlink_to(f"../{Path(node).name}")
    if stack == REMAP and remaps:
        _remap(name, sectors)
        assert int(facts(name)["used"]) >= REMAPS, facts(name)
    return str(path)


def attach_all(stack: str, names: list[str]) -> dict[str, str]:
    return {name: attach(name, stack, ubd(2 * index), ubd(2 * index + 1))
            for index, name in enumerate(names)}


def complaint(names: list[str]) -> str | None:
    """What is wrong with the sets after a suite: the disks are good, so nothing may be."""
    for name in names:
        told = facts(name)
        if told["mode"] != "rw" or int(told["used"]) < REMAPS or told["lost_sectors"] != "0":
            return f"{name}: {told}"
    return None
