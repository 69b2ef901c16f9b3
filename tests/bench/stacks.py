# SPDX-License-Identifier: GPL-2.0-or-later
"""The disks and what lies on them, of a guest that counts the cost of an I/O.

Owns the layout: remaps lie in the first half of main, at equal distances, and clean I/O is done
in the second half. All disks have one size and the spare's region is at the end of its disk, so
that what null_blk needs to find a page of its own is the same everywhere. Caller: fast_path.py.
"""

import random

from tests.bench.guest import (CACHED, COMMAND_TIMEOUT_S, KEEPS, BenchError, add_null_blk,
                               dmsetup)
from tests.harness.qemu import Machine

DISK_MIB = 32768
CHUNK = 4096
CHUNK_SECTORS = CHUNK // 512
SECTORS = DISK_MIB * 2048
HALF = DISK_MIB * (1 << 20) // CHUNK // 2      # chunks
SPARE_SECTORS = 4096 * 2048                    # slots for 1,000,000 remaps, and their table
SPARE_START = SECTORS - SPARE_SECTORS
CACHED_MIB, CACHED_SPARE_MIB = 1024, 64        # of the disks with a volatile cache
# A segment for each remap and one after it: device-mapper allows 1,048,576, and dmsetup refuses
# to load a table that needs more than 50,000,000 bytes of arguments (69 for such a segment).
MOST_IN_TABLE = 350_000

# Bytes of an I/O, and at how many places it is done.
PLACES = {512: 1000, 4096: 1000, 128 << 10: 50, 1 << 20: 8}


def stride(remaps: int) -> int:
    """Chunks from one remap to the next."""
    return HALF // remaps


def offsets(remaps: int, kind: str, size: int, sequential: bool) -> list[int]:
    """Where I/O is done, in bytes; nothing where there is no room for such.

    clean: far from all remaps. miss: in no remapped chunk, right behind one. hit: from the
    start of a remapped chunk on; larger I/O, and sequential I/O, goes on across what comes.
    """
    order = random.Random(1)
    nr = PLACES[size]
    if kind == "clean":
        if sequential:
            return [HALF * CHUNK + n * size for n in range(nr)]
        each = max(size, CHUNK)
        return [HALF * CHUNK + n * each for n in order.sample(range(HALF * CHUNK // each), nr)]
    if not remaps:
        return []
    if sequential:
        return [n * size for n in range(nr)] if kind == "hit" else []
    if kind == "miss" and (stride(remaps) - 1) * CHUNK < size:
        return []
    numbers = order.sample(range(remaps), nr) if remaps >= nr else \
        order.choices(range(remaps), k=nr)
    beside = 1 if kind == "miss" else 0
    return [(n * stride(remaps) + beside) * CHUNK for n in numbers]


class Stacks:
    """null_blk by itself, and dm-linear, the empty target and remap on it."""

    def __init__(self, vm: Machine) -> None:
        self.vm = vm
        plain = add_null_blk(vm, "nullb0", DISK_MIB)
        self.main = add_null_blk(vm, "nullb1", DISK_MIB, KEEPS)
        self.spare = add_null_blk(vm, "nullb2", DISK_MIB, KEEPS)
        cached = add_null_blk(vm, "nullb3", CACHED_MIB, CACHED)
        cached_spare = add_null_blk(vm, "nullb4", CACHED_SPARE_MIB, CACHED)
        self.paths = {"null_blk": self.main, "null_blk, plain": plain,
                      "null_blk, cached": cached}
        # formatted first: the mark at the end of main is there for all that measure on main
        self.activate(0)
        self.deactivate()
        dmsetup(vm, f"create remap-cached --table '0 {CACHED_MIB * 2048} remap {cached} "
                    f"{cached_spare} 0 {CACHED_SPARE_MIB * 2048}'")
        for tail, disk, mib in (("", self.main, DISK_MIB), (", plain", plain, DISK_MIB),
                                (", cached", cached, CACHED_MIB)):
            for stack, kind, more in (("dm-linear", "linear", " 0"), ("floor", "floor", "")):
                name = f"{kind}{tail.replace(', ', '-')}"
                dmsetup(vm, f"create {name} --table '0 {mib * 2048} {kind} {disk}{more}'")
                self.paths[stack + tail] = f"/dev/mapper/{name}"
        self.paths["remap"] = "/dev/mapper/remap"
        self.paths["remap, cached"] = "/dev/mapper/remap-cached"
        self.paths["dm-linear table"] = "/dev/mapper/table"

    def fill(self, remaps: int) -> None:
        """Give the spare that many remaps; more than it has now."""
        self.vm.run(f"python3 /run/fill_spare.py {self.spare} {SPARE_START} {remaps} "
                    f"{stride(remaps)}", COMMAND_TIMEOUT_S)
        self.remaps = remaps

    def activate(self, remaps: int) -> None:
        dmsetup(self.vm, f"create remap --table '0 {SECTORS} remap {self.main} {self.spare} "
                         f"{SPARE_START} {SPARE_SECTORS}'")
        status = dmsetup(self.vm, "status remap").split()
        if status[3] != "rw" or status[4].split("/")[0] != str(remaps + 1):
            raise BenchError(f"the set with {remaps} remaps is: {' '.join(status)}")

    def deactivate(self) -> None:
        dmsetup(self.vm, "remove remap")

    def create_table(self, remaps: int) -> None:
        """The alternative: dm-linear with a segment for each remap and one after it."""
        if remaps > MOST_IN_TABLE:
            raise BenchError(f"{remaps} remaps need more segments than a table may have")
        self.vm.run(f"python3 /run/linear_table.py {remaps} {stride(remaps) * CHUNK_SECTORS} "
                    f"{SECTORS} {self.main} {self.spare} {SPARE_START - SPARE_SECTORS} "
                    ">/run/table", COMMAND_TIMEOUT_S)
        dmsetup(self.vm, "create table /run/table")
        self.vm.run("rm /run/table")

    def remove_table(self) -> None:
        dmsetup(self.vm, "remove table")
