# SPDX-License-Identifier: GPL-2.0-or-later
"""What a remapped device must return: its content byte by byte, what is bad and what is
mapped, kept in Python. Callers: test_data_path.py, test_stacking.py.

The model also predicts *which* sectors get remapped: of a write, in each chunk, the runs
of sectors that main serves; a run with a sector that main does not take goes to the spare.
"""

import errno
import mmap
import os
import random
from pathlib import Path

from tests.scenarios.lib import SECTOR, Device, Rig

CHUNK = 8
# The debugging kernel is ten times slower: there a part of each exhaustive test is enough.
THOROUGH = not Path("/sys/kernel/debug/kmemleak").exists()
LARGEST = 2048    # sectors: 1 MiB


def noise(rng: random.Random, sectors: int) -> bytes:
    return rng.randbytes(sectors * SECTOR)


class Model:
    """Sectors FIRST... of DEVICE. Every method does I/O and compares."""

    def __init__(self, rig: Rig, device: Device, first: int, count: int,
                 content: bytes, target_start: int = 0) -> None:
        assert len(content) == count * SECTOR
        self.rig, self.device, self.first, self.count = rig, device, first, count
        self.content = bytearray(content)
        self.bad: set[int] = set()       # main neither reads nor writes them
        self.mapped: set[int] = set()    # served by the spare
        self.lost: set[int] = set()
        self.start = target_start        # of the target in its device's table
        self._buffer = mmap.mmap(-1, LARGEST * SECTOR)

    def close(self) -> None:
        self._buffer.close()

    def _slice(self, sector: int, count: int) -> slice:
        at = (sector - self.first) * SECTOR
        return slice(at, at + count * SECTOR)

    def read(self, sector: int, count: int) -> None:
        """Read and compare; a sector that cannot be served must make it an error."""
        gone = [s for s in self.unreadable() if sector <= s < sector + count]
        view = memoryview(self._buffer)[:count * SECTOR]
        try:
            done = os.preadv(self.device.fd, [view], (sector + self.start) * SECTOR)
        except OSError as error:
            assert gone, f"reading {sector}+{count}: {error}"
            assert error.errno in (errno.EIO, errno.ENODATA)
            return
        finally:
            view.release()
        assert not gone, f"reading {sector}+{count} succeeded, but {gone} cannot be read"
        assert done == count * SECTOR, f"reading {sector}+{count}: {done} bytes"
        expected = self.content[self._slice(sector, count)]
        if self._buffer[:done] != expected:
            wrong = [sector + i for i in range(count)
                     if self._buffer[i * SECTOR:(i + 1) * SECTOR]
                     != expected[i * SECTOR:(i + 1) * SECTOR]]
            raise AssertionError(f"reading {sector}+{count}: sectors {wrong} are wrong")

    def unreadable(self) -> set[int]:
        return self.lost | (self.bad - self.mapped)

    def write(self, sector: int, data: bytes) -> None:
        count = len(data) // SECTOR
        self._buffer[:len(data)] = data
        view = memoryview(self._buffer)[:len(data)]
        try:
            done = os.pwritev(self.device.fd, [view], (sector + self.start) * SECTOR)
        finally:
            view.release()
        assert done == len(data), f"writing {sector}+{count}: {done} bytes"
        self.content[self._slice(sector, count)] = data
        self._settle(sector, count)

    def _settle(self, sector: int, count: int) -> None:
        """Move the runs with a bad sector to the spare; what was written is not lost."""
        written = range(sector, sector + count)
        for bad in self.bad.intersection(written) - self.mapped:
            first = last = bad
            while first > max(sector, bad - bad % CHUNK) and first - 1 not in self.mapped:
                first -= 1
            while last + 1 < min(sector + count, bad - bad % CHUNK + CHUNK) and \
                    last + 1 not in self.mapped:
                last += 1
            self.mapped.update(range(first, last + 1))
        self.lost.difference_update(written)

    def make_bad(self, sector: int, count: int = 1) -> None:
        self.rig.main.bad(sector, count, kind="both")
        self.bad.update(range(sector, sector + count))

    def remap(self, sector: int, count: int = 1, name: str = "r0") -> None:
        """The message; what main cannot read becomes lost."""
        self.rig.message(name, f"remap {sector} {count}")
        fresh = set(range(sector, sector + count)) - self.mapped
        self.lost |= fresh & self.bad
        self.mapped |= fresh

    def used(self) -> int:
        """Slots in use: one a chunk, and one for the probe chunk."""
        return 1 + len({s // CHUNK for s in self.mapped})

    def check_all(self, first: int | None = None, count: int | None = None) -> None:
        """Read everything (or a range), in pieces that avoid what cannot be read."""
        at = self.first if first is None else first
        end = at + (self.count if count is None else count)
        gone = self.unreadable()
        while at < end:
            length = 1
            while at not in gone and at + length < min(end, at + LARGEST) and \
                    at + length not in gone:
                length += 1
            self.read(at, length)
            at += length
