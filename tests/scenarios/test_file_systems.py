# SPDX-License-Identifier: GPL-2.0-or-later
"""Real file systems with real trees of files on a main that dies under them
(P1, P2; rows 1, 4, 9, 11): nothing lost, fsck clean, over a power cut."""

import hashlib
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scenarios.lib import Device, Rig
from tests.scenarios.model import THOROUGH
from tests.scenarios.region import Region, check_commit_order
from tests.scenarios.sets import run

TREE = Path(os.__file__).parent    # some hundred files of every size
LARGEST_BYTES = 200_000


def _make(kind: str, device: Device) -> None:
    # blocks of a page: smaller ones are read before they are written, and bad ones cannot be
    run(*{"ext4": ["mkfs.ext4", "-q", "-b4096", "-E", "lazy_itable_init=0", device.path],
          "xfs": ["mkfs.xfs", "-q", "-f", device.path]}[kind])


def _check(kind: str, path: str) -> None:
    """fsck, changing nothing, with nothing to complain of."""
    run(*{"ext4": ["e2fsck", "-fn", path], "xfs": ["xfs_repair", "-n", path]}[kind])


def _sources() -> list[Path]:
    files = [path for path in sorted(TREE.glob("*.py")) + sorted(TREE.glob("*/*.py"))
             if path.is_file() and path.stat().st_size < LARGEST_BYTES]
    assert len(files) > 200
    return files[:260 if THOROUGH else 30]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _die(rig: Rig, rng: random.Random, places: int, kind: str = "write") -> None:
    last = rig.main.size_bytes // 512 - 8 * 64
    for _ in range(places):
        rig.main.bad(rng.randrange(last), rng.choice((1, 1, 2, 8)), kind=kind)


def _mounted_again(rig: Rig, kind: str) -> Path:
    """The power goes and comes back; the file system recovers by its journal.

    All of the caches is lost: of a random half ext4 does not recover on any disk, because
    its superblock can be torn between its two sectors.
    """
    rig.powercut()
    return rig.mount(rig.create(), kind)


@pytest.mark.disks(main="320M", spare="16M")
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_files_survive_a_dying_disk(rig: Rig, kind: str) -> None:
    """P1, P2, rows 4 and 11: sectors die before and while a tree is copied in; what was
    synced is there after the power cut, bit by bit, and fsck finds nothing."""
    rng = random.Random(kind)
    r0 = rig.create()
    # dense, so that journal, inodes and data are all hit; storms are another test
    step = rig.main.size_bytes // 512 // 3000
    for n in range(3000):
        if n % 4 == 0:
            rig.main.bad(n * step + rng.randrange(step), rng.choice((1, 2, 8)), kind="both")
    _make(kind, r0)
    rig.message("r0", "thaw")
    place = rig.mount(r0, kind)
    digests = {}
    for number, source in enumerate(_sources()):
        target = place / source.relative_to(TREE)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
        digests[str(source.relative_to(TREE))] = _digest(source)
        if number % 10 == 9:
            _die(rig, rng, 5)
    os.sync()
    mapped = rig.status()["used"]
    assert mapped > 20
    assert rig.status()["mode"] == "rw"
    place = _mounted_again(rig, kind)
    for name, digest in digests.items():
        assert _digest(place / name) == digest, name
    rig.umount(place)
    # fsck reads ahead, over bad sectors that were never written: rightly an error to it
    rig.main.clear()
    _check(kind, "/dev/dm-0")
    assert rig.status()["used"] >= mapped


@pytest.mark.disks(main="320M", spare="16M")
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_fsynced_file_survives(rig: Rig, kind: str) -> None:
    """P1, row 11: one file at a time is fsynced while its sectors die, and the power goes at
    once; overwritten in place, appended and renamed ones too."""
    rng = random.Random(7)
    r0 = rig.create()
    _make(kind, r0)
    place = rig.mount(r0, kind)
    content: dict[str, bytes] = {}
    for round_ in range(3 if THOROUGH else 1):
        for n in range(6):
            name = f"file{n}"
            data = rng.randbytes(rng.randrange(1, 60_000))
            with open(place / f"{name}.tmp", "wb") as file:
                file.write(data)
                file.flush()
                _die(rig, rng, 40)
                os.fsync(file.fileno())
            os.rename(place / f"{name}.tmp", place / name)
            content[name] = data
        fd = os.open(place, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        with open(place / "log", "ab") as file:
            file.write(b"round %d\n" % round_ * 500)
            file.flush()
            os.fsync(file.fileno())
        with open(place / "not synced", "wb") as file:
            file.write(bytes(100_000))
        place = _mounted_again(rig, kind)
        for name, data in content.items():
            assert (place / name).read_bytes() == data, f"{name} in round {round_}"
        assert (place / "log").read_bytes() == b"".join(
            b"round %d\n" % n * 500 for n in range(round_ + 1))
    rig.umount(place)
    _check(kind, "/dev/dm-0")


def _blocks_of(device: Device, path: Path) -> list[int]:
    """The sectors that hold a file of ext4, from filefrag."""
    result = subprocess.run(["filefrag", "-b512", "-e", str(path)], capture_output=True,
                            text=True, check=True)
    sectors: list[int] = []
    for line in result.stdout.splitlines():
        parts = line.replace("..", " ").replace(":", " ").split()
        if len(parts) > 5 and parts[0].isdigit():
            sectors += range(int(parts[3]), int(parts[4]) + 1)
    return sectors


@pytest.mark.disks(main="64M", spare="8M")
def test_rescue_under_a_mounted_file_system(rig: Rig) -> None:
    """P2, row 2: sectors of files that grow bad are rescued while the file system is mounted
    and written; readable ones keep their content, the unreadable one is an error, not zeros."""
    r0 = rig.create()
    _make("ext4", r0)
    place = rig.mount(r0, "ext4")
    rng = random.Random(1)
    data = {n: rng.randbytes(40_960) for n in range(8)}
    for n, content in data.items():
        (place / f"f{n}").write_bytes(content)
    os.sync()
    victim = _blocks_of(r0, place / "f3")
    assert len(victim) == 80 and victim[16] % 8 == 0
    rig.main.bad(victim[20], kind="both")
    stop = rig.background(lambda: [(place / "other").write_bytes(rng.randbytes(9000))
                                   and os.sync() for _ in range(20)])
    for n in data:
        for sector in _blocks_of(r0, place / f"f{n}")[::8]:
            rig.message("r0", f"remap {sector} 8")
    stop.result(timeout=60)
    Path("/proc/sys/vm/drop_caches").write_text("3")
    for n, content in data.items():
        if n != 3:
            assert (place / f"f{n}").read_bytes() == content
    with open(place / "f3", "rb") as file:
        assert file.read(2 * 4096) == data[3][:2 * 4096]
        with pytest.raises(OSError):
            os.pread(file.fileno(), 4096, 2 * 4096)
        assert os.pread(file.fileno(), 40_960, 3 * 4096) == data[3][3 * 4096:]
    with open(place / "f3", "r+b") as file:    # and the user restores it from a backup
        file.write(data[3])
        file.flush()
        os.fsync(file.fileno())
    place = _mounted_again(rig, "ext4")
    for n, content in data.items():
        assert (place / f"f{n}").read_bytes() == content
    rig.umount(place)
    _check("ext4", "/dev/dm-0")


@pytest.mark.disks(main="64M", spare="8M")
def test_file_system_that_was_there_before(rig: Rig) -> None:
    """Rows 1, 9 and 19: a disk with a file system gets a spare: all of it is there, then it
    dies, and nothing changes."""
    raw = rig.raw("main")
    assert subprocess.run(["mkfs.ext4", "-q", raw.path]).returncode == 0
    place = rig.mount(raw, "ext4")
    digests = {}
    for source in _sources()[:60 if THOROUGH else 15]:
        shutil.copyfile(source, place / source.name)
        digests[source.name] = _digest(source)
    rig.umount(place)
    r0 = rig.create()
    _check("ext4", r0.path)
    place = rig.mount(r0, "ext4")
    _die(rig, random.Random(2), 400)
    for name, digest in digests.items():
        assert _digest(place / name) == digest
        (place / name).rename(place / f"{name}.old")
        (place / name).write_bytes((place / f"{name}.old").read_bytes() * 2)
    os.sync()
    assert check_commit_order(Region(rig).events()) > 0
    place = _mounted_again(rig, "ext4")
    for name, digest in digests.items():
        assert _digest(place / f"{name}.old") == digest
        content = (place / name).read_bytes()
        assert hashlib.sha256(content[:len(content) // 2]).hexdigest() == digest
        assert content[:len(content) // 2] == content[len(content) // 2:]
    rig.umount(place)
    _check("ext4", "/dev/dm-0")
