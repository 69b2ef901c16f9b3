# SPDX-License-Identifier: GPL-2.0-or-later
"""A set on disks that fail with any error: null_blk under dm-inject.ko (see inject/).

Used by the scenarios about the table of operations.
"""

import contextlib
import fcntl
import mmap
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.scenarios import dm
from tests.scenarios.lib import BLKDISCARD, BLKZEROOUT, SECTOR, Device, pattern, wait_for
from tests.scenarios.uring import polled_read

NULLB = Path("/sys/kernel/config/nullb")
MODULE = Path(os.environ.get("DM_REMAP_RESULTS", ".")) / "dm-inject.ko"


def load_inject() -> None:
    if not Path("/sys/module/dm_inject").exists():
        subprocess.run(["insmod", str(MODULE)], check=True)


def unload_inject() -> None:
    """Not on the debugging kernel: KASAN remembers where a module had its globals, and complains of
    what is put there after it is gone."""
    if "kasan" not in os.uname().release:
        subprocess.run(["rmmod", "dm_inject"], check=True)
BLKSECDISCARD = 0x127D
MAIN_SECTORS = 4096
SLOTS = 16
SPARE_SECTORS = (4 * 16 + SLOTS) * 8    # two replicas, each of two places of 16 blocks
REPLICAS = ((0, 256), (SPARE_SECTORS - 256, 256))
CHUNK = 8


class Lower:
    """A null_blk disk and the inject device on it."""

    def __init__(self, number: int, name: str, sectors: int) -> None:
        self.name, self.sectors = name, sectors
        self.config = NULLB / f"nullb{number}"
        self.config.mkdir()
        for key, value in (("size", 4), ("blocksize", 512), ("memory_backed", 1), ("discard", 1),
                           ("queue_mode", 2), ("cache_size", 1), ("submit_queues", 1),
                           ("poll_queues", 1), ("power", 1)):
            (self.config / key).write_text(str(value))
        disk = f"/dev/nullb{number}"
        self.path = dm.create(name)
        dm.load(name, f"0 {sectors} inject {disk}")
        dm.resume(name)
        self.raw = Device(disk)

    def on(self, operation: str, first: int, count: int, error: int, hold: bool = False) -> None:
        dm.message(self.name, f"on {operation} {first} {count} {error}{' hold' * hold}")

    def release(self) -> None:
        dm.message(self.name, "release")

    def clear(self) -> None:
        dm.message(self.name, "clear")

    def stats(self) -> tuple[int, int]:
        """Bios that met a rule so far, and bios that wait."""
        hits, waiting = dm.message(self.name, "stats").split()
        return int(hits), int(waiting)

    def close(self) -> None:
        self.raw.close()
        dm.remove(self.name)
        (self.config / "power").write_text("0")
        self.config.rmdir()


class Injected:
    """MAIN and SPARE for all tests of a run; create() makes a new, blank set on them."""

    def __init__(self) -> None:
        load_inject()
        self.main = Lower(60, "main", MAIN_SECTORS)
        self.spare = Lower(61, "spare", SPARE_SECTORS)
        self.content = pattern(1, MAIN_SECTORS)
        self.device: Device | None = None

    def table(self) -> str:
        return f"0 {MAIN_SECTORS} remap {self.main.path} {self.spare.path} 0 {SPARE_SECTORS}"

    def activate(self) -> Device:
        path = dm.create("r0")
        dm.load("r0", self.table())
        dm.resume("r0")
        self.device = Device(path)
        return self.device

    def activate_again(self) -> Device:
        """Also where the device exists and has no table."""
        if "r0" in dm.devices():
            dm.remove("r0")
        return self.activate()

    def close_device(self) -> None:
        if self.device:
            self.device.close()
            self.device = None

    def deactivate(self) -> None:
        self.close_device()
        dm.remove("r0")

    def blank(self) -> None:
        """As before the first activation."""
        for start in range(0, MAIN_SECTORS, 1024):
            self.main.raw.pwrite(start, self.content[start * SECTOR:(start + 1024) * SECTOR])
        self.spare.raw.pwrite(0, bytes(SPARE_SECTORS * SECTOR))

    def message(self, text: str) -> str:
        return dm.message("r0", text)

    def status(self) -> dict[str, str]:
        words = dm.status("r0")[0].split()
        return {"mode": words[3], "used": words[4].split("/")[0],
                **dict(word.split("=", 1) for word in words[5:])}

    def slot_of(self, sector: int) -> int | None:
        words = self.message(f"verify {sector}").split()
        return next((int(word[5:]) for word in words if word.startswith("slot=")), None)

    def slot_sector(self, slot: int) -> int:
        return REPLICAS[0][1] + slot * CHUNK

    def fill(self) -> None:
        """Leave no slot free."""
        sector = 3000
        while self.status()["mode"] != "full":
            self.message(f"remap {sector} 8")
            sector += CHUNK

    def close(self) -> None:
        self.main.close()
        self.spare.close()
        unload_inject()


@contextlib.contextmanager
def a_set(injected: Injected) -> Iterator[Injected]:
    injected.blank()
    injected.activate()
    try:
        yield injected
    finally:
        for lower in (injected.main, injected.spare):
            lower.clear()
        with contextlib.suppress(OSError):
            dm.resume("r0")
        end = time.monotonic() + 10
        while "r0" in dm.devices():
            try:
                injected.deactivate()
            except OSError:
                if time.monotonic() > end:
                    raise


def perform(injected: Injected, operation: str, sector: int, data: bytes) -> bytes:
    """Do OPERATION on one chunk; what it read, or nothing. Errors arrive as OSError."""
    device = injected.device
    assert device
    where = struct.pack("QQ", sector * SECTOR, CHUNK * SECTOR)
    if operation in ("read", "NOWAIT read"):
        with mmap.mmap(-1, CHUNK * SECTOR) as buffer:
            flags = os.RWF_NOWAIT if operation == "NOWAIT read" else 0
            done = os.preadv(device.fd, [buffer], sector * SECTOR, flags)
            return buffer[:done]
    if operation == "polled read":
        assert device.queue("io_poll") == "1"
        return polled_read(device.fd, sector, CHUNK)
    if operation in ("write", "FUA write", "NOWAIT write"):
        flags = {"write": 0, "FUA write": os.RWF_DSYNC, "NOWAIT write": os.RWF_NOWAIT}
        with mmap.mmap(-1, len(data)) as buffer:
            buffer[:] = data
            done = os.pwritev(device.fd, [buffer], sector * SECTOR, flags[operation])
        assert done == len(data)
    elif operation == "flush":
        device.fsync()
    elif operation == "read-ahead":
        lowers = (injected.main, injected.spare)
        before = sum(lower.stats()[0] for lower in lowers)
        fd = os.open(device.path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, sector * SECTOR, CHUNK * SECTOR, os.POSIX_FADV_WILLNEED)
            wait_for(lambda: sum(lower.stats()[0] for lower in lowers) > before
                     and not any(lower.stats()[1] for lower in lowers), "the read-ahead")
        finally:
            os.close(fd)
    else:
        request = {"discard": BLKDISCARD, "write zeroes": BLKZEROOUT,
                   "secure erase": BLKSECDISCARD}[operation]
        fcntl.ioctl(device.fd, request, where)
    return b""
