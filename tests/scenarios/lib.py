# SPDX-License-Identifier: GPL-2.0-or-later
"""The rig of a scenario: two disks on remap-blockd, dm devices on top, the kernel's log.

    def test_it(rig):
        r0 = rig.create()                      # remap over all of main and spare
        rig.main.bad(100, kind="both")         # see harness/blockd.py, class Disk
        r0.pwrite(100, pattern(1))
        rig.powercut()                         # everything unflushed is gone, r0 too
        assert rig.create().pread(100) == pattern(1)

Sectors are of 512 bytes throughout. Errors of I/O, messages and tables arrive as
OSError with the kernel's errno; rig.log() has what the kernel said meanwhile.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.harness import blockd
from tests.scenarios import dm

SECTOR = 512
BLKFLSBUF, BLKDISCARD, BLKZEROOUT = 0x1261, 0x1277, 0x127F
BLKROSET, BLKPG = 0x125D, 0x1269


def pattern(number: int, sectors: int = 1) -> bytes:
    """Data that tell what they are: NUMBER and the sector's index within them."""
    return b"".join(b"%08d.%06d|" % (number, s) * 32 for s in range(sectors))


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
    """The first true value of CONDITION; fails, naming WHAT, when there is none in time."""
    end = time.monotonic() + timeout_s
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s:.0f} s in vain for: {what}")
        time.sleep(0.002)


class KernelLog:
    """What the kernel says from now on."""

    def __init__(self) -> None:
        self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._fd, 0, os.SEEK_END)
        self._lines: list[str] = []

    def lines(self) -> list[str]:
        while True:
            try:
                record = os.read(self._fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return self._lines
            except BrokenPipeError:    # the ring buffer went round: some lines are lost
                continue
            self._lines.append(record.split(";", 1)[1].splitlines()[0])

    def close(self) -> None:
        os.close(self._fd)


def partition(disk: str, operation: int, number: int, sector: int = 0, count: int = 0) -> None:
    """Add (1) or delete (2) partition NUMBER of DISK for the kernel, without a table."""
    what = ctypes.create_string_buffer(
        struct.pack("qqi64s64s4x", sector * SECTOR, count * SECTOR, number, b"", b""))
    with open(disk, "rb") as file:
        fcntl.ioctl(file, BLKPG, struct.pack("iiiP", operation, 0, len(what),
                                             ctypes.addressof(what)))


class Device:
    """A block device opened for direct I/O."""

    def __init__(self, path: str, name: str = "", read_only: bool = False) -> None:
        self.path = path
        self.name = name
        self.fd = os.open(path, (os.O_RDONLY if read_only else os.O_RDWR) | os.O_DIRECT)

    def pread(self, sector: int, count: int = 1) -> bytes:
        with mmap.mmap(-1, count * SECTOR) as buffer:
            done = os.preadv(self.fd, [buffer], sector * SECTOR)
            return buffer[:done]

    def pwrite(self, sector: int, data: bytes, fua: bool = False) -> None:
        """Write; with FUA the kernel also flushes the device afterwards (RWF_DSYNC)."""
        with mmap.mmap(-1, len(data)) as buffer:
            buffer[:] = data
            done = os.pwritev(self.fd, [buffer], sector * SECTOR, os.RWF_DSYNC if fua else 0)
        if done != len(data):
            raise OSError(5, f"{done} of {len(data)} bytes written to {self.path}")

    def fsync(self) -> None:
        os.fsync(self.fd)

    def discard(self, sector: int, count: int) -> None:
        fcntl.ioctl(self.fd, BLKDISCARD, struct.pack("QQ", sector * SECTOR, count * SECTOR))

    def zeroout(self, sector: int, count: int) -> None:
        fcntl.ioctl(self.fd, BLKZEROOUT, struct.pack("QQ", sector * SECTOR, count * SECTOR))

    def sectors(self) -> int:
        return os.lseek(self.fd, 0, os.SEEK_END) // SECTOR

    def queue(self, attribute: str) -> str:
        """A value from the device's request queue directory in sysfs."""
        return Path(f"/sys/block/{os.path.basename(self.path)}/queue/{attribute}") \
            .read_text().strip()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Media:
    """The content of a disk itself, past faults, cache and the kernel under test."""

    def __init__(self, disk: blockd.Disk) -> None:
        self._disk = disk

    def read(self, sector: int, count: int = 1) -> bytes:
        self._disk.destage()
        with open(self._disk.media_path, "rb") as image:
            image.seek(sector * SECTOR)
            return image.read(count * SECTOR)

    def write(self, sector: int, data: bytes) -> None:
        self._disk.destage()
        with open(self._disk.media_path, "r+b") as image:
            image.seek(sector * SECTOR)
            image.write(data)
        drop_page_cache(str(self._disk.kernel_path))

    def whole(self) -> bytes:
        self._disk.destage()
        return self._disk.media_path.read_bytes()


def drop_page_cache(path: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, BLKFLSBUF)
    finally:
        os.close(fd)


class Rig:
    def __init__(self, directory: Path, disks: dict[str, int | tuple[int, str]]) -> None:
        self.kernel_log = KernelLog()
        self.server = blockd.BlockServer(directory, disks, kernel=True)
        self.main = self.server.disk("main")
        self.spare = self.server.disk("spare")
        self._open: dict[str, Device] = {}
        self._raw: list[Device] = []
        self._mounts: list[Path] = []
        self._directory = directory
        self._threads = ThreadPoolExecutor(max_workers=32)

    # devices

    def table(self, main: str | None = None, spare: str | None = None, spare_start: int = 0,
              spare_len: int | None = None, length: int | None = None, more: str = "") -> str:
        """The table line of a remap target over (by default) all of both disks."""
        main = main or str(self.main.kernel_path)
        spare = spare or str(self.spare.kernel_path)
        if spare_len is None:
            spare_len = self.spare.size_bytes // SECTOR - spare_start
        if length is None:
            length = self.main.size_bytes // SECTOR
        return f"0 {length} remap {main} {spare} {spare_start} {spare_len} {more}".rstrip()

    def create(self, name: str = "r0", table: str | None = None, read_only: bool = False,
               **arguments: Any) -> Device:
        """A dm device with TABLE (default: self.table(**arguments)), opened."""
        path = dm.create(name)
        try:
            dm.load(name, table or self.table(**arguments), read_only)
            dm.resume(name)
        except BaseException:
            dm.remove(name)
            raise
        self._open[name] = Device(path, name, read_only)
        return self._open[name]

    def device(self, name: str = "r0") -> Device:
        """The one that create() opened."""
        return self._open[name]

    def close(self, name: str = "r0") -> None:
        """Close our handle, as a reload that changes nothing else may need."""
        self._open.pop(name).close()

    def remove(self, name: str = "r0") -> None:
        if name in self._open:
            self.close(name)
        dm.remove(name)

    def reload(self, name: str = "r0", table: str | None = None, flush: bool = True,
               **arguments: Any) -> None:
        dm.load(name, table or self.table(**arguments))
        dm.suspend(name, flush)
        dm.resume(name)

    def suspend(self, name: str = "r0", flush: bool = True) -> None:
        dm.suspend(name, flush)

    def resume(self, name: str = "r0") -> None:
        dm.resume(name)

    def raw(self, disk: str) -> Device:
        """The disk itself ("main" or "spare"), through the kernel."""
        device = Device(str(self.server.disk(disk).kernel_path), disk)
        self._raw.append(device)
        return device

    def media(self, disk: str) -> Media:
        return Media(self.server.disk(disk))

    # what the target tells

    def message(self, name: str, text: str) -> str:
        try:
            return dm.message(name, text)
        except OSError as error:
            tail = " | ".join(self.log()[-3:])
            raise OSError(error.errno, f"{os.strerror(error.errno or 0)}: message '{text}' to "
                                       f"{name}; the kernel's last lines: {tail}") from None

    def status(self, name: str = "r0") -> dict[str, Any]:
        """Mode, used, total, and each key=value; numbers as int."""
        words = dm.status(name)[0].split()[3:]
        used, total = words[1].split("/")
        result: dict[str, Any] = {"mode": words[0], "used": int(used), "total": int(total)}
        for word in words[2:]:
            key, _, value = word.partition("=")
            result[key] = int(value) if value.isdigit() else value
        return result

    def wait_for_mode(self, mode: str, name: str = "r0") -> None:
        wait_for(lambda: self.status(name)["mode"] == mode, f"mode {mode} of {name}")

    def log(self) -> list[str]:
        """The kernel's lines since the test began."""
        return self.kernel_log.lines()

    def dmsetup(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["dmsetup", *arguments], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)

    # time and power

    def background(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run FUNCTION in a thread: I/O that is to wait, or several at once."""
        return self._threads.submit(function, *arguments)

    def powercut(self, seed: int | None = None) -> None:
        """Cut the power and put it on again. No dm device, mount or handle is left.

        The volatile caches lose everything unflushed, or (SEED) a random half of it.
        """
        self.server.powercut(seed)
        for disk in self.server.disks():
            disk.release()    # a hold would catch what is retried, too
        self._forget_everything()
        self.server.power_on()
        for disk in self.server.disks():
            drop_page_cache(str(disk.kernel_path))

    def mount(self, device: Device, kind: str, options: str = "") -> Path:
        place = self._directory / f"mnt{len(self._mounts)}"
        place.mkdir(exist_ok=True)
        command = ["mount", "-t", kind, *(["-o", options] if options else []), device.path,
                   str(place)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise OSError(5, f"{' '.join(command)}: {result.stderr.strip()}")
        self._mounts.append(place)
        return place

    def umount(self, place: Path) -> None:
        subprocess.run(["umount", str(place)], check=True, capture_output=True)
        self._mounts.remove(place)

    def _forget_everything(self) -> None:
        for place in reversed(self._mounts):
            subprocess.run(["umount", str(place)], capture_output=True)
        self._mounts.clear()
        for device in [*self._open.values(), *self._raw]:
            device.close()
        self._open.clear()
        self._raw.clear()
        end = time.monotonic() + 20.0
        while dm.devices() and time.monotonic() < end:    # those below others go after them
            for name in dm.devices():
                with contextlib.suppress(OSError):
                    dm.resume(name)    # a suspended device would hold its I/O for ever
                with contextlib.suppress(OSError):
                    dm.remove(name)
            time.sleep(0.002)          # I/O of a background thread may be about to end
        if left := dm.devices():
            raise AssertionError(f"dm devices that cannot be removed: {', '.join(left)}")

    def tear_down(self) -> None:
        """Leave nothing: no mount, no dm device, no server; whatever state we are in."""
        try:
            if self.server.process.poll() is not None:
                raise AssertionError("remap-blockd ended during the test")
            for disk in self.server.disks():
                disk.release()
                disk.back()
            self._forget_everything()
            self._threads.shutdown()
        finally:
            self.server.close()
            self.kernel_log.close()
        if self.server.process.returncode:
            raise AssertionError(f"remap-blockd exited with {self.server.process.returncode}")


def resume_one_of_two(rig: Rig) -> None:
    """r1 and r2 get the same table while its disks have no owner: r1 is resumed, r2 refused."""
    for name in ("r1", "r2"):
        dm.create(name)
        dm.load(name, rig.table())
    dm.resume("r1")
    try:
        dm.resume("r2")
    except OSError as error:
        assert error.errno == errno.EBUSY, error
    else:
        raise AssertionError("r2 was resumed on the disks of r1")


@contextlib.contextmanager
def rig_of(directory: Path, disks: dict[str, int | tuple[int, str]]) -> Iterator[Rig]:
    rig = Rig(directory, disks)
    try:
        yield rig
    finally:
        rig.tear_down()
