# SPDX-License-Identifier: GPL-2.0-or-later
"""The table line: every bad one is refused with a sentence, every good one works (row 19, P7)."""

import ctypes
import errno
import fcntl
import os
import struct
import subprocess
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.lib import SECTOR, Rig, pattern
from tests.scenarios.made import check_data
from tests.scenarios.ondisk import Spare

MAIN, SPARE = 2048, 4096    # sectors: 1 MiB and 2 MiB
pytestmark = pytest.mark.disks(main="1M", spare="2M", big="1M:logical=4096")

M, S = "/dev/nbd0", "/dev/nbd1"

# table line -> what the log must say
BAD = {
    f"0 {MAIN} remap": "Usage",
    f"0 {MAIN} remap {M}": "Usage",
    f"0 {MAIN} remap {M} {S}": "Usage",
    f"0 {MAIN} remap {M} {S} 0": "Usage",
    f"0 {MAIN} remap {M} {S} x 4096": "SPARE_START is not a number",
    f"0 {MAIN} remap {M} {S} 0x 4096": "SPARE_START is not a number",
    f"0 {MAIN} remap {M} {S} 8x 4088": "SPARE_START is not a number",
    f"0 {MAIN} remap {M} {S} -8 4096": "SPARE_START is not a number",
    f"0 {MAIN} remap {M} {S} 8.0 4088": "SPARE_START is not a number",
    f"0 {MAIN} remap {M} {S} 99999999999999999999999 4096": "SPARE_START is not a number",
    f"0 {MAIN} remap {M} {S} 0 4096sectors": "SPARE_LEN is not a number",
    f"0 {MAIN} remap {M} {S} 0 -4096": "SPARE_LEN is not a number",
    f"0 {MAIN} remap {M} {S} 0 1e3": "SPARE_LEN is not a number",
    f"0 {MAIN} remap {M} {S} 0 99999999999999999999999": "SPARE_LEN is not a number",
    f"0 {MAIN} remap {M} {S} 0 0": "too small",
    f"0 {MAIN} remap {M} {S} 0 1": "too small",
    f"0 {MAIN} remap {M} {S} 0 639": "too small",
    f"0 {MAIN} remap {M} {S} 0 4097": "is not within the spare device",
    f"0 {MAIN} remap {M} {S} 8 4096": "is not within the spare device",
    f"0 {MAIN} remap {M} {S} 8192 640": "is not within the spare device",
    f"0 {MAIN} remap {M} {S} 8 18446744073709551608": "is not within the spare device",
    f"0 {MAIN} remap {M} {S} 18446744073709551608 4096": "is not within the spare device",
    f"0 {MAIN} remap {M} {S} 0 18446744073709551615": "is not within the spare device",
    f"0 {MAIN} remap {M} {S} 1 2048": "SPARE_START must be a multiple",
    f"0 {MAIN} remap {M} {S} 4 2048": "SPARE_START must be a multiple",
    f"0 {MAIN} remap {M} {S} 9 2048": "SPARE_START must be a multiple",
    f"0 {MAIN + 1} remap {M} {S} 0 4096": "smaller than the target",
    f"0 {MAIN * 2} remap {M} {S} 0 4096": "smaller than the target",
    f"0 {MAIN} remap {M} {M} 0 1024": "overlap",
    f"0 {MAIN} remap {M} {M} 1024 1024": "overlap",
    f"0 1032 remap {M} {M} 1024 1024": "overlap",
    f"0 {MAIN} remap /dev/nothing {S} 0 4096": "Cannot open main device",
    f"0 {MAIN} remap {M} /dev/nothing 0 4096": "Cannot open spare device",
    f"0 {MAIN} remap 99:99 {S} 0 4096": "Cannot open main device",
    f"0 {MAIN} remap /dev/null {S} 0 4096": "Cannot open main device",
    f"0 {MAIN} remap {M} / 0 4096": "Cannot open spare device",
    f"0 {MAIN} remap {M} {S} 0 4096 x": "feature arguments",
    f"0 {MAIN} remap {M} {S} 0 4096 -1": "feature arguments",
    f"0 {MAIN} remap {M} {S} 0 4096 0 x": "Too many arguments",
    f"0 {MAIN} remap {M} {S} 0 4096 1 nonsense": "Unknown feature argument",
    f"0 {MAIN} remap {M} {S} 0 4096 2 deadline": "feature arguments",
    f"0 {MAIN} remap {M} {S} 0 4096 1 deadline": "deadline",
    f"0 {MAIN} remap {M} {S} 0 4096 2 deadline 0": "deadline must be",
    f"0 {MAIN} remap {M} {S} 0 4096 2 deadline 3601": "deadline must be",
    f"0 {MAIN} remap {M} {S} 0 4096 2 deadline 5x": "deadline must be",
    f"0 {MAIN} remap {M} {S} 0 4096 2 deadline -5": "deadline must be",
    f"0 {MAIN} remap {M} {S} 0 4096 2 deadline 5 6": "Too many arguments",
    f"0 {MAIN} remap {M} {S} 0 4096 9 deadline 5": "feature arguments",
    f"0 {MAIN} remap {M} {S} 0 4096 2 write_cache x": "write_cache must be",
    f"0 {MAIN} remap {M} /dev/nbd2 0 2048": "larger logical blocks",
    f"0 4 remap {M} {S} 0 4096": "4 KiB",
}


def test_every_bad_line(rig: Rig) -> None:
    """Refused when it is loaded, with one sentence, no device left, nothing written."""
    wrong = []
    for line, sentence in BAD.items():
        said = len(rig.log())
        try:
            rig.create(table=line)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENXIO, errno.ENODEV, errno.ENOENT,
                                   errno.ENOTBLK, errno.ENOSPC, errno.ERANGE):
                wrong.append(f"{line}: {error}")
        else:
            wrong.append(f"{line}: accepted")
            rig.remove()
        said_now = [text for text in rig.log()[said:] if "remap: " in text]
        if len(said_now) != 1 or sentence not in said_now[0]:
            wrong.append(f"{line}: '{sentence}' is not what was said: {said_now}")
        assert dm.devices() == []
    assert not wrong, "\n".join(wrong)
    assert not [r for r in rig.server.log() if r.kind == "write"]
    rig.create()


def test_good_lines(rig: Rig) -> None:
    """Each works, keeps its data over a power cut, and is shown as it can be loaded again."""
    for line in (f"0 {MAIN} remap {M} {S} 0 {SPARE}",
                 f"0 {MAIN} remap 43:0 43:1 0 {SPARE}",
                 f"0 {MAIN} remap {M} 43:1 8 4088",
                 f"0 {MAIN} remap {M} {S} 1024 640",
                 f"0 {MAIN} remap {M} {S} 1024 3072 0",
                 f"0 {MAIN} remap {M} {S} 2048 2047 2 deadline 5",
                 f"0 {MAIN} remap {M} {S} 0 {SPARE} 2 deadline 3600",
                 f"0 1001 remap {M} {S} 8 1001",
                 f"0 8 remap {M} {S} 0 640",
                 f"0 1024 remap {M} {M} 1024 1024",
                 f"0 1000 remap {M} {M} 1008 1040"):
        for disk in ("main", "spare"):
            media = rig.media(disk)
            media.write(0, pattern(7, MAIN) if disk == "main" else bytes(SPARE * SECTOR))
        words = line.split()
        if words[3] == words[4]:
            start, count = int(words[5]), int(words[6])
            rig.media("main").write(start, bytes(count * SECTOR))
        length = int(words[1])
        data = bytearray(pattern(7, MAIN)[:length * SECTOR])
        device = rig.create(table=line)
        sector = min(5, length - 1)
        rig.main.bad(sector)
        device.pwrite(sector, pattern(8))
        data[sector * SECTOR:(sector + 1) * SECTOR] = pattern(8)
        device.fsync()
        shown = dm.table("r0")[0]
        assert shown == line.replace(M, "43:0").replace(S, "43:1").removesuffix(" 0") or \
            shown == line.replace(M, "43:0").replace(S, "43:1")
        rig.powercut()
        check_data(rig.create(table=shown), bytes(data))
        rig.remove()
        rig.main.clear()


def test_nothing_outside_the_region_is_written(rig: Rig) -> None:
    """SPARE_START and SPARE_LEN bound every write, formatting, commits and data (row 19)."""
    start, count, length = 1000, 1001, 1003
    rig.media("spare").write(0, pattern(3, SPARE))
    rig.media("spare").write(start, bytes(count * SECTOR))
    rig.media("main").write(0, pattern(4, MAIN))
    device = rig.create(spare_start=start, spare_len=count, length=length)
    assert device.sectors() == length
    for sector in range(0, 40 * 8, 8):
        rig.main.bad(sector, 8)
        device.pwrite(sector, pattern(5, 8))
    device.fsync()
    rig.message("r0", "sync")
    rig.message("r0", "save")
    rig.remove()
    rig.spare.destage()
    inside = range(start, start + count)
    for r in rig.server.log():
        if r.kind in ("write", "trim") and r.disk == 1:
            assert r.sector in inside and r.sector + r.sectors - 1 in inside
        elif r.kind in ("write", "trim"):
            assert r.sector + r.sectors <= length
    whole = rig.media("spare").whole()
    assert whole[:start * SECTOR] == pattern(3, SPARE)[:start * SECTOR]
    assert whole[(start + count) * SECTOR:] == pattern(3, SPARE)[(start + count) * SECTOR:]
    assert rig.media("main").read(length, MAIN - length) == pattern(4, MAIN)[length * SECTOR:]


BLKPG, ADD, DELETE = 0x1269, 1, 2


def partition(fd: int, action: int, number: int, first: int = 0, count: int = 0) -> None:
    """Add or delete a partition in the kernel's view of a disk."""
    part = ctypes.create_string_buffer(struct.pack("<qqi", first * SECTOR, count * SECTOR, number),
                                       152)
    fcntl.ioctl(fd, BLKPG, struct.pack("<iiixxxxQ", action, 0, 152,
                                       ctypes.addressof(part)))


def test_partitions_that_overlap(rig: Rig) -> None:
    """Overlap is seen on the disk, not only within one device node."""
    fd = os.open(S, os.O_RDWR)
    try:
        partition(fd, ADD, 1, 8, 1024)
        partition(fd, ADD, 2, 2048, 2048)
        first, second = (Path(f"/sys/block/nbd1/nbd1p{n}/dev").read_text().strip()
                         for n in (1, 2))
        for line in (f"0 2000 remap {S} {first} 0 1024", f"0 1024 remap {first} {S} 512 1024",
                     f"0 2048 remap {second} {S} 1048 1024", f"0 4096 remap {S} {second} 0 2048"):
            said = len(rig.log())
            with pytest.raises(OSError):
                rig.create(table=line)
            said_now = "\n".join(rig.log()[said:])    # the kernel itself guards a disk's parts
            assert "overlap" in said_now or "Cannot open" in said_now, line
        device = rig.create(table=f"0 1024 remap {first} {second} 0 2048")
        assert dm.table("r0") == [f"0 1024 remap {first} {second} 0 2048"]
        rig.spare.bad(8 + 100)    # sector 100 of the first partition
        device.pwrite(100, pattern(1))
        rig.spare.clear()
        assert device.pread(100) == pattern(1)
        assert rig.status()["used"] == 2
        rig.remove()
        assert rig.media("spare").read(100) == bytes(SECTOR), "written past its partition"
        with pytest.raises(OSError):
            rig.create(table=f"0 1024 remap {first} {second} 8 2040")
    finally:
        for number in (1, 2):
            partition(fd, DELETE, number)
        os.close(fd)


def test_read_only_devices(rig: Rig) -> None:
    """A table that may write is refused on read-only devices; a read-only one is not."""
    device = rig.create()
    device.pwrite(100, pattern(1))
    rig.remove()
    for path, what in ((M, "Main"), (S, "Spare")):
        subprocess.run(["blockdev", "--setro", path], check=True)
        said = len(rig.log())
        with pytest.raises(OSError):
            rig.create()
        assert f"{what} device is read-only" in "\n".join(rig.log()[said:])
        assert rig.create(read_only=True).pread(100) == pattern(1)
        rig.remove()
        subprocess.run(["blockdev", "--setrw", path], check=True)
    assert rig.create().pread(100) == pattern(1)


def test_target_in_the_middle_of_a_table(rig: Rig) -> None:
    """START != 0: sectors count from the target's start, on main too."""
    rig.media("main").write(0, pattern(7, MAIN))
    table = f"0 100 zero\n100 1000 remap {M} {S} 0 {SPARE}\n1100 8 error"
    device = rig.create(table=table)
    assert device.pread(100, 1000) == pattern(7, MAIN)[:1000 * SECTOR]
    rig.main.bad(50)
    device.pwrite(150, pattern(8))
    assert device.pread(149, 3) == pattern(7, MAIN)[49 * SECTOR:50 * SECTOR] + pattern(8) \
        + pattern(7, MAIN)[51 * SECTOR:52 * SECTOR]
    assert [e.chunk for e in Spare.of(rig).entries()] == [124, 6]
    rig.powercut()
    rig.main.clear()
    assert rig.create(table=table).pread(150) == pattern(8)


def test_zoned_devices_are_refused(rig: Rig) -> None:
    """D14."""
    place = Path("/sys/kernel/config/nullb/z0")
    try:
        place.mkdir()
    except OSError:
        pytest.skip("this kernel has no null_blk")
    try:
        for key, value in (("size", 16), ("zone_size", 4), ("memory_backed", 1), ("zoned", 1),
                           ("power", 1)):
            try:
                (place / key).write_text(str(value))
            except OSError as error:
                pytest.skip(f"null_blk without zones: {key}: {error}")
        names = ("z0", f"nullb{(place / 'index').read_text().strip()}")    # it depends
        dev = next(Path(f"/sys/block/{name}/dev") for name in names
                   if Path(f"/sys/block/{name}").exists()).read_text().strip()
        for line in (f"0 {MAIN} remap {dev} {S} 0 {SPARE}", f"0 {MAIN} remap {M} {dev} 0 {SPARE}"):
            with pytest.raises(OSError):
                rig.create(table=line)
            assert "Zoned" in "\n".join(rig.log())
    finally:
        (place / "power").write_text("0")
        place.rmdir()
