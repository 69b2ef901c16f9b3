# SPDX-License-Identifier: GPL-2.0-or-later
"""Lower devices that split, shift and stack; targets that do not begin at sector 0
(P3; rule D1 and "The clone in end_io"; row 1)."""

import contextlib
import ctypes
import fcntl
import mmap
import os
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.lib import SECTOR, Device, Rig, pattern, wait_for
from tests.scenarios.model import CHUNK, LARGEST, Model, noise
from tests.scenarios.region import Region, mapped_sectors, words

BLKPG, ADD_PARTITION, DELETE_PARTITION = 0x1269, 1, 2


def _torture(rig: Rig, model: Model, seed: int, deaths: int = 12, rounds: int = 25) -> None:
    """Random I/O of every size while main dies, then all of it again after a power cut."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    for _ in range(rounds):
        if deaths:
            deaths -= 1
            model.make_bad(model.first + rng.randrange(model.count - 2), rng.choice((1, 2)))
        count = rng.choice((1, 3, 8, 17, 64, 255, 1001, LARGEST))
        sector = model.first + rng.randrange(model.count - count + 1)
        if rng.random() < 0.7:
            model.write(sector, noise(rng, count))
        else:
            model.read(sector, count)
    model.write(model.first, noise(rng, LARGEST))
    model.check_all()
    assert rig.status(model.device.name)["used"] == model.used()


def _blank(rig: Rig, device: Device, sectors: int, seed: int, first: int = 0) -> Model:
    content = random.Random(-seed).randbytes(sectors * SECTOR)
    model = Model(rig, device, first, sectors, bytes(sectors * SECTOR))
    for start in range(0, sectors, LARGEST):
        piece = content[start * SECTOR:(start + LARGEST) * SECTOR]
        model.write(first + start, piece)
    device.fsync()
    return model


@pytest.mark.parametrize("kib", [4, 64])
def test_lower_device_splits(rig: Rig, kib: int) -> None:
    """The clone comes back from a lower queue that has split it: a chain, its iterator used
    up; what fails is still relocated whole and exactly."""
    r0 = rig.create()
    for disk in ("nbd0", "nbd1"):    # after the table: dm sends large bios and they are split below
        Path(f"/sys/block/{disk}/queue/max_sectors_kb").write_text(str(kib))
    before = rig.main.stats()["writes"]
    model = _blank(rig, r0, 2 * LARGEST, kib)
    assert rig.main.stats()["writes"] - before >= 2 * LARGEST // (2 * kib)
    try:
        _torture(rig, model, kib)
        r0.fsync()
        rig.powercut()
        model.device = rig.create()
        model.check_all()
    finally:
        for disk in ("nbd0", "nbd1"):
            limit = Path(f"/sys/block/{disk}/queue/max_hw_sectors_kb").read_text()
            Path(f"/sys/block/{disk}/queue/max_sectors_kb").write_text(
                str(min(int(limit), 1280)))


@pytest.mark.disks(main="32M", spare="8M", other="32M")
def test_main_is_a_stripe(rig: Rig) -> None:
    """A main that cuts every bio at 4 KiB: only sectors on the disk that dies move."""
    other = rig.server.disk("other").kernel_path
    stripe = rig.create("stripe", f"0 65536 striped 2 8 {rig.main.kernel_path} 0 {other} 0")
    r0 = rig.create(table=f"0 65536 remap {stripe.path} {rig.spare.kernel_path} 0 16384")
    model = _blank(rig, r0, 2 * LARGEST, 5)
    rng = random.Random(5)
    for _ in range(8):    # chunk n of the stripe is chunk n / 2 of disk n % 2
        chunk, bit = 2 * rng.randrange(LARGEST // CHUNK), rng.randrange(CHUNK)
        rig.main.bad(chunk // 2 * CHUNK + bit, kind="both")
        model.bad.add(chunk * CHUNK + bit)
        model.write(chunk * CHUNK, noise(rng, 40))
    model.write(3, noise(rng, LARGEST))
    model.write(LARGEST - 5, noise(rng, LARGEST))
    model.check_all()
    assert rig.status()["used"] == model.used()
    r0.fsync()
    rig.powercut()
    rig.create("stripe", f"0 65536 striped 2 8 {rig.main.kernel_path} 0 {other} 0")
    model.device = rig.create(table=f"0 65536 remap {stripe.path} {rig.spare.kernel_path} 0 16384")
    model.check_all()


def test_both_on_linear(rig: Rig) -> None:
    """Main and spare in the middle of other devices, and one disk for both: each sector
    goes to its own place, none beside it."""
    rng = random.Random(3)
    frame = rng.randbytes(40960 * SECTOR)
    rig.media("main").write(0, frame)
    disk = rig.main.kernel_path
    main = rig.create("low", f"0 8192 linear {disk} 5000")
    spare = rig.create("high", f"0 4096 linear {disk} 24576")
    rig.media("main").write(24576, bytes(4096 * SECTOR))
    r0 = rig.create(table=f"0 8192 remap {main.path} {spare.path} 0 4096")
    for n in range(10):
        sector = rng.randrange(8000)
        rig.main.bad(5000 + sector, kind="both")
        r0.pwrite(sector, pattern(n))
        assert r0.pread(sector) == pattern(n)
        assert mapped_sectors(rig, sector, 1) == [sector]
    raw = rig.media("main").read(0, 40960)
    assert raw[:5000 * SECTOR] == frame[:5000 * SECTOR]
    assert raw[13192 * SECTOR:24576 * SECTOR] == frame[13192 * SECTOR:24576 * SECTOR]
    assert raw[28672 * SECTOR:] == frame[28672 * SECTOR:]


@contextlib.contextmanager
def _partition(rig: Rig, disk: Path, first: int, sectors: int) -> Iterator[Path]:
    """A partition of DISK, made without a partition table. Ends with a power cut."""
    def change(operation: int) -> None:
        entry = struct.pack("<qqi64s64s4x", first * SECTOR, sectors * SECTOR, 1, b"", b"")
        buffer = ctypes.create_string_buffer(entry)
        argument = struct.pack("<iiiiQ", operation, 0, len(entry), 0, ctypes.addressof(buffer))
        fd = os.open(disk, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, BLKPG, argument)
        finally:
            os.close(fd)

    change(ADD_PARTITION)
    try:
        yield Path(f"{disk}p1")
    finally:
        rig.powercut()    # it is open
        change(DELETE_PARTITION)


def test_both_on_partitions(rig: Rig) -> None:
    """Bios that are sent again (confirming writes, retried reads, writes to a slot that
    failed once) stay inside their partition: what is outside is not touched."""
    rng = random.Random(7)
    frame = rng.randbytes(32768 * SECTOR)
    rig.media("main").write(0, frame)
    rig.media("spare").write(0, frame[:2048 * SECTOR])
    with _partition(rig, rig.main.kernel_path, 4096, 16384) as main, \
            _partition(rig, rig.spare.kernel_path, 2048, 8192) as spare:
        r0 = rig.create(table=f"0 16384 remap {main} {spare} 0 8192")
        content: dict[int, bytes] = {}
        for n in range(12):    # lasting and passing errors of main, in writes of several chunks
            sector = rng.randrange(16000)
            rig.main.bad(4096 + sector + 3, action="error", times=(None, 1)[n % 2])
            r0.pwrite(sector, pattern(n, 24))
            for i in range(24):
                content[sector + i] = pattern(n, 24)[i * SECTOR:(i + 1) * SECTOR]
        moved = mapped_sectors(rig, 0, 16384 // 16)
        for sector in moved:    # passing errors of the spare
            place = rig.message("r0", f"verify {sector}").split("spare_sector=")[1]
            rig.spare.bad(2048 + int(place), action="error", times=1)
            r0.pwrite(sector, pattern(sector))
            content[sector] = pattern(sector)
        for sector, data in content.items():
            assert r0.pread(sector) == data, f"sector {sector}"
        r0.fsync()
        raw = rig.media("main").read(0, 32768)
        assert raw[:4096 * SECTOR] == frame[:4096 * SECTOR]
        assert raw[20480 * SECTOR:] == frame[20480 * SECTOR:]
        raw = rig.media("spare").read(0, 16384)
        assert raw[:2048 * SECTOR] == frame[:2048 * SECTOR]
        assert raw[10240 * SECTOR:] == bytes(6144 * SECTOR)
        rig.powercut()
        r0 = rig.create(table=f"0 16384 remap {main} {spare} 0 8192")
        for sector, data in content.items():
            assert r0.pread(sector) == data, f"sector {sector} after the power cut"


def test_target_in_the_middle_of_a_table(rig: Rig) -> None:
    """P3, row 19: START is not 0, other targets before and behind; bios over the borders."""
    start, length = 1000, 16384
    main, spare = rig.main.kernel_path, rig.spare.kernel_path
    table = (f"0 {start} linear {main} 40000\n"
             f"{start} {length} remap {main} {spare} 0 16384\n"
             f"{start + length} 1000 linear {main} 50000")
    r0 = rig.create(table=table)

    def message(text: str) -> str:
        return dm.message("r0", text, start)

    message("remap 0 3")
    message(f"remap {length - 20} 5")
    rig.main.bad(8, kind="both")
    r0.pwrite(start - 20, pattern(1, 60))
    assert r0.pread(start - 20, 60) == pattern(1, 60)
    r0.pwrite(start + length - 30, pattern(2, 60))
    assert r0.pread(start + length - 30, 60) == pattern(2, 60)
    assert message("verify 8").startswith("8 remapped")
    r0.fsync()
    rig.powercut()
    r0 = rig.create(table=table)
    assert r0.pread(start - 20, 60) == pattern(1, 60)
    assert r0.pread(start + length - 30, 60) == pattern(2, 60)
    # and main itself has what main serves, where it belongs
    assert rig.media("main").read(40980, 20) == pattern(1, 60)[:20 * SECTOR]
    assert rig.media("main").read(50000, 30) == pattern(2, 60)[30 * SECTOR:]
    assert rig.media("main").read(3, 5) == pattern(1, 60)[23 * SECTOR:28 * SECTOR]


@pytest.mark.disks(main="32M", spare="8M", other="8M")
def test_remap_on_remap(rig: Rig) -> None:
    """Each has its own pools and queue: an upper set on a lower one whose spare dies too.
    (It is one chunk shorter: its probe chunk must not be one that the lower's spare serves.)
    """
    other = rig.server.disk("other").kernel_path
    lower = rig.create("lower", f"0 65536 remap {rig.main.kernel_path} {other} 0 16384")
    r0 = rig.create(table=f"0 65528 remap {lower.path} {rig.spare.kernel_path} 0 16384")
    rig.main.bad(100, 2, kind="both")
    r0.pwrite(96, pattern(1, 40))
    assert rig.status("lower")["used"] == 2
    assert rig.status()["used"] == 1
    r0.fsync()    # else no flush of the lower set succeeds any more, and nothing can be confirmed
    rig.server.disk("other").fail()    # now the lower set fails, and the upper one steps in
    rig.main.bad(1000, kind="both")
    r0.pwrite(1000, pattern(2))
    assert rig.status()["used"] == 2
    with pytest.raises(OSError):    # now the lower set has something that it cannot flush
        r0.pwrite(100, pattern(3))
    assert rig.status()["used"] == 2
    assert r0.pread(1000) == pattern(2)
    rig.server.disk("other").back()
    r0.pwrite(100, pattern(3))
    assert r0.pread(100) == pattern(3)
    assert r0.pread(104, 32) == pattern(1, 40)[8 * SECTOR:]
    r0.fsync()
    rig.powercut()
    lower = rig.create("lower", f"0 65536 remap {rig.main.kernel_path} {other} 0 16384")
    r0 = rig.create(table=f"0 65528 remap {lower.path} {rig.spare.kernel_path} 0 16384")
    assert r0.pread(1000) == pattern(2)
    assert r0.pread(100) == pattern(3)
    assert r0.pread(104, 32) == pattern(1, 40)[8 * SECTOR:]


def test_flush_reaches_both_under_other_targets(rig: Rig) -> None:
    """P1: an fsync through a linear target on top reaches both disks."""
    r0 = rig.create()
    rig.message("r0", "remap 96 8")
    top = rig.create("top", f"0 131072 linear {r0.path} 0")
    top.pwrite(90, pattern(1, 20))
    rig.server.mark("fsync")
    top.fsync()
    assert sorted(words(Region(rig).events("fsync"))) == ["flush main", "flush spare"]
    rig.powercut()
    assert rig.create().pread(90, 20) == pattern(1, 20)


@pytest.mark.disks(main="32M", spare="8M", other="8M")
def test_again_from_below(rig: Rig) -> None:
    """D8: a lower device that would have to wait gives no error, and nothing is remapped."""
    other = rig.server.disk("other").kernel_path
    lower = rig.create("lower", f"0 65536 remap {rig.main.kernel_path} {rig.spare.kernel_path} "
                                "0 16384")
    r0 = rig.create(table=f"0 65528 remap {lower.path} {other} 0 16384")
    region = Region(rig)
    rig.spare.hold("write", region.slot(0), region.slots * 8)
    remap = rig.background(rig.message, "lower", "remap 96 8")
    wait_for(lambda: rig.spare.held() == 1, "the copy")
    with mmap.mmap(-1, SECTOR) as buffer:
        with pytest.raises(BlockingIOError):
            os.pwritev(r0.fd, [buffer], 97 * SECTOR, os.RWF_NOWAIT)
    rig.spare.release()
    remap.result(timeout=20)
    assert rig.status()["write_errors"] == rig.status("lower")["write_errors"] == 0
    assert rig.status()["used"] == 1
