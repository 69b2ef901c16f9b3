# SPDX-License-Identifier: GPL-2.0-or-later
"""Files whose every sector says whose it is, so that the media are the oracle of who owns what.

Callers: test_files.py, test_scrub.py.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenarios.sets import run

KINDS = {"ext4": ["mkfs.ext4", "-q", "-F", "-b4096"], "ext4-1k": ["mkfs.ext4", "-q", "-F", "-b1024"],
         "xfs": ["mkfs.xfs", "-q", "-f", "-mrmapbt=0"],
         "xfs-rmap": ["mkfs.xfs", "-q", "-f", "-mrmapbt=1"]}
MAGIC = b"of file %06d at %010d;"
FILES = {1: "plain", 2: "dir/deep/er/file", 3: "with blank", 4: "new\nline\x1b[31m",
         5: os.fsdecode(b"no utf8 \xff"), 6: "hidden/below", 7: "sparse"}


def sectors_of(number: int, size: int) -> bytes:
    return b"".join((MAGIC % (number, at)).ljust(512, b".") for at in range(0, size, 512))


def make_files(place: Path) -> None:
    for number, name in FILES.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            if name == "sparse":
                file.seek(1 << 20)
            file.write(sectors_of(number, 50_000 * number))
        # apart from each other
        (place / f"filler{number}").write_bytes(bytes(8192))
    os.link(place / "plain", place / "another name")
    os.sync()


@pytest.fixture
def mounted() -> Iterator[Callable[[str, str], Path]]:
    """mount(DEVICE, KIND): where it is; unmounted at the end."""
    places: list[Path] = []

    def mount(device: str, kind: str) -> Path:
        place = Path(f"/tmp/files{len(places)}")
        place.mkdir(exist_ok=True)
        run("mount", "-t", kind.split("-")[0], device, str(place))
        places.append(place)
        return place
    yield mount
    for place in reversed(places):
        subprocess.run(["umount", "-R", str(place)], capture_output=True)


def held(device: str) -> dict[int, tuple[int, int]]:
    """Of each sector that is a file's: its number and the offset there."""
    found = {}
    with open(device, "rb") as file:
        for start in range(0, 1 << 40, 1 << 20):    # a guest has little memory
            if not (content := file.read(1 << 20)):
                break
            for match in re.finditer(rb"of file (\d{6}) at (\d{10});", content):
                found[(start + match.start()) // 512] = (int(match[1]), int(match[2]))
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return found
