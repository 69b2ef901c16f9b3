#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in the guest: random direct I/O on a part of a device, checked against a model.

    guest_io.py run DEVICE FIRST_SECTOR SECTORS SEED STOP_FILE
    guest_io.py flushed DEVICE FIRST_SECTOR SECTORS SEED STOP_FILE
    guest_io.py check DEVICE FIRST_SECTOR SECTORS SEED MODEL_FILE

Writes and reads of 1 to 128 sectors go on until STOP_FILE exists; then every
sector is read and compared.  Each sector's content names its place, its version
and the run.  An I/O error ends the run with exit code 3 after all that was
acknowledged before has been noted; a wrong sector with exit code 4.
The model is printed as JSON: {"operations": N, "versions": {sector: [version…]}}
with more than one version where a write failed and either content is right.
"flushed" writes and flushes all, makes a file STOP_FILE.SEED, and goes on to write, with a
flush now and then. It prints what may be there after a power cut: of each sector what was
last flushed, and whatever was written since.
"check" compares the device with a model that one of them has printed.
"""

import fcntl
import json
import mmap
import os
import random
import struct
import sys

SECTOR = 512
MOST = 128
BLKSSZGET = 0x1268    # size of a logical block, in bytes


def content(seed: int, sector: int, version: int) -> bytes:
    return struct.pack("<QQQQ", 0x50414D4552, seed, sector, version) * (SECTOR // 32)


class Region:
    def __init__(self, device: str, first: int, sectors: int, seed: int) -> None:
        self.fd = os.open(device, os.O_RDWR | os.O_DIRECT)
        answer = fcntl.ioctl(self.fd, BLKSSZGET, bytes(4))
        self.least = struct.unpack("<i", answer)[0] // SECTOR    # sectors of an I/O
        self.first, self.sectors, self.seed = first, sectors, seed
        self.buffer = mmap.mmap(-1, MOST * SECTOR)
        self.versions: dict[int, list[int]] = {}
        self.durable: dict[int, list[int]] = {}    # and what was written since, not flushed
        self.next_version = 1
        self.operations = 0

    def write(self, sector: int, count: int) -> None:
        version = self.next_version
        self.next_version += 1
        self.buffer[:count * SECTOR] = b"".join(
            content(self.seed, sector + i, version) for i in range(count))
        places = range(sector, sector + count)
        for place in places:
            self.durable.setdefault(place, [0]).append(version)
        try:
            with memoryview(self.buffer) as view, view[:count * SECTOR] as part:
                done = os.pwritev(self.fd, [part], sector * SECTOR)
        except OSError:
            for place in places:            # either content is right from now on
                self.versions.setdefault(place, [0]).append(version)
            raise
        assert done == count * SECTOR
        for place in places:
            self.versions[place] = [version]
        self.operations += 1

    def some(self, choice: random.Random) -> tuple[int, int]:
        """Sector and count of any I/O."""
        count = choice.randint(1, MOST // self.least)
        place = choice.randrange(self.sectors // self.least - count)
        return self.first + place * self.least, count * self.least

    def flush(self) -> None:
        os.fsync(self.fd)
        self.durable = {place: list(versions) for place, versions in self.versions.items()}

    def check(self, sector: int, count: int) -> None:
        with memoryview(self.buffer) as view, view[:count * SECTOR] as part:
            done = os.preadv(self.fd, [part], sector * SECTOR)
        assert done == count * SECTOR
        self.operations += 1
        for i in range(count):
            versions = self.versions.get(sector + i, [0])
            data = self.buffer[i * SECTOR:(i + 1) * SECTOR]
            if 0 in versions:
                continue                    # never written in this run
            if data not in (content(self.seed, sector + i, version) for version in versions):
                got = struct.unpack("<QQQQ", data[:32])
                print(f"sector {sector + i}: wanted version {versions}, has {got}",
                      file=sys.stderr)
                sys.exit(4)

    def check_all(self) -> None:
        for sector in range(self.first, self.first + self.sectors, MOST):
            self.check(sector, min(MOST, self.first + self.sectors - sector))


def run(region: Region, stop_file: str) -> int:
    choice = random.Random(region.seed)
    code = 0
    try:
        while not os.path.exists(stop_file):
            sector, count = region.some(choice)
            if choice.random() < 0.7:
                region.write(sector, count)
            else:
                region.check(sector, count)
        region.check_all()
    except OSError as error:
        print(error, file=sys.stderr)
        code = 3
    print(json.dumps({"operations": region.operations, "versions": region.versions}))
    return code


FLUSH_EACH = 16    # operations


def run_flushed(region: Region, stop_file: str) -> int:
    choice = random.Random(region.seed)
    code = 0
    try:
        for sector in range(region.first, region.first + region.sectors, MOST):
            region.write(sector, min(MOST, region.first + region.sectors - sector))
        region.flush()
        with open(f"{stop_file}.{region.seed}", "w", encoding="ascii"):
            pass
        while not os.path.exists(stop_file):
            if region.operations % FLUSH_EACH == 0:
                region.flush()
            count = choice.choice((1, 2, 8, 24, MOST))
            region.write(region.first + choice.randrange(region.sectors - count), count)
    except OSError as error:
        print(error, file=sys.stderr)
        code = 3
    print(json.dumps({"operations": region.operations, "versions": region.durable}))
    return code


def main() -> None:
    verb, device, first, sectors, seed, file = sys.argv[1:]
    region = Region(device, int(first), int(sectors), int(seed))
    if verb == "run":
        sys.exit(run(region, file))
    if verb == "flushed":
        sys.exit(run_flushed(region, file))
    with open(file, encoding="ascii") as model:
        versions = json.load(model)["versions"]
    region.versions = {int(sector): known for sector, known in versions.items()}
    region.check_all()


main()
