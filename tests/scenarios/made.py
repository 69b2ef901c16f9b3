# SPDX-License-Identifier: GPL-2.0-or-later
"""Sets with a history: one that is made once and put back as often as a scenario damages it,
and one whose spare is older than what it knows.

Used by the scenarios about metadata: Made.make() leaves images of main and spare from
three moments, and knows what every sector of the device must read as.
"""

import mmap
import os
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.scenarios.lib import Device, Rig, drop_page_cache, pattern

FILL = Path(__file__).resolve().parents[1] / "bench" / "fill_spare.py"

# SPARE has two table blocks: 272 slots beside 4 * 16 blocks of metadata
MAIN, SPARE = "1536K", "1344K"
BULK = range(0, 2072)           # sectors written while all of them were bad: 259 chunks
LATE = range(2080, 2084)        # and four of another chunk, in the last session
LOST = 2096


@dataclass
class Made:
    """IMAGES: (main, spare) when just formatted, after the bulk, and at the end."""

    rig: Rig
    images: list[tuple[bytes, bytes]]
    data: bytearray
    _history: ClassVar[list["Made"]] = []

    @classmethod
    def make(cls, rig: Rig) -> "Made":
        """On disks of MAIN and SPARE bytes; the same set for every test of a run."""
        if not cls._history:
            cls._history.append(cls._live(rig))
        history = cls._history[0]
        made = cls(rig, history.images, bytearray(history.data))
        made.put_back()
        return made

    @classmethod
    def _live(cls, rig: Rig) -> "Made":
        sectors = rig.main.size_bytes // 512
        data = bytearray(pattern(1, sectors))
        rig.media("main").write(0, bytes(data))
        made = cls(rig, [], data)
        rig.create()
        made._take()
        made._write(rig.create(), BULK[0], pattern(2, len(BULK)))
        made._take()
        made._write(rig.create(), LATE[0], pattern(3, len(LATE)))
        rig.main.bad(LOST, kind="read")
        rig.message("r0", f"remap {LOST}")
        rig.main.clear()
        made._take()
        return made

    def _take(self) -> None:
        self.rig.remove()
        self.images.append((self.rig.media("main").whole(), self.rig.media("spare").whole()))

    def _write(self, device: Device, sector: int, data: bytes) -> None:
        count = len(data) // 512
        self.rig.main.bad(sector, count)
        device.pwrite(sector, data)
        self.rig.main.clear()
        self.data[sector * 512:sector * 512 + len(data)] = data

    @property
    def main(self) -> bytes:
        return self.images[-1][0]

    @property
    def spare(self) -> bytes:
        return self.images[-1][1]

    def put_back(self, at: int = -1) -> None:
        """Both disks as they were at the end, or at another of the moments."""
        self.rig.media("main").write(0, self.images[at][0])
        self.rig.media("spare").write(0, self.images[at][1])

    def untouched(self) -> bool:
        """Whether the media are as put_back() leaves them."""
        return self.rig.media("spare").whole() == self.spare and \
            self.rig.media("main").whole() == self.main

    def check(self, device: Device) -> None:
        """Every sector is right, and the lost one is an error."""
        check_data(device, bytes(self.data), {LOST})

    def check_some(self, device: Device) -> None:
        """The same of sectors from each session and table block, in a tenth of the time."""
        for first, end in ((0, 64), (BULK[-1] - 63, LOST + 9)):
            check_data(device, bytes(self.data[:end * 512]), {LOST} & {*range(first, end)}, first)


def with_many_remaps(rig: Rig, count: int) -> Device:
    """Of chunks 0 to COUNT - 1, written into the table by bench/fill_spare.py."""
    rig.create()
    rig.remove()
    spare = str(rig.spare.kernel_path)
    subprocess.run([sys.executable, str(FILL), spare, "0", str(count), "1"], check=True)
    drop_page_cache(spare)
    return rig.create()


def older_spare_put_in(rig: Rig) -> tuple[Device, bytes]:
    """A set that was active all the time, with its spare as it was before the last commits: the
    device, in mode fail, and what is on the spare."""
    device = rig.create()
    old = rig.media("spare").whole()
    rig.main.bad(100)
    device.pwrite(100, pattern(1))
    device.fsync()
    rig.message("r0", "remap 800 8")
    rig.spare.fail()
    rig.suspend()
    rig.resume()
    rig.media("spare").write(0, old)
    rig.spare.back()
    rig.wait_for_mode("fail")
    return device, old


PIECE = 128    # sectors: a page of memory touched for the first time is what is slow here
BUFFER = mmap.mmap(-1, PIECE * 512)


def check_data(device: Device, expected: bytes, lost: Collection[int] = (),
               start: int = 0) -> None:
    """From START on DEVICE holds EXPECTED, but for the sectors in LOST, which fail."""
    end = len(expected) // 512
    edges = [start - 1, *sorted(lost), end]
    for before, after in zip(edges, edges[1:], strict=False):
        for first in range(before + 1, after, PIECE):
            count = min(PIECE, after - first)
            done = os.preadv(device.fd, [memoryview(BUFFER)[:count * 512]], first * 512)
            assert done == count * 512, f"{done} of {count} sectors read at sector {first}"
            if BUFFER[:done] != expected[first * 512:(first + count) * 512]:
                bad = [first + i for i in range(count) if BUFFER[i * 512:i * 512 + 512]
                       != expected[(first + i) * 512:(first + i + 1) * 512]]
                raise AssertionError(f"{len(bad)} of {count} sectors differ: {bad[:8]}")
        if after < end:
            try:
                device.pread(after)
            except OSError:
                continue
            raise AssertionError(f"lost sector {after} was read")
