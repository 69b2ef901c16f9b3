# SPDX-License-Identifier: GPL-2.0-or-later
"""remap above and below md's raid1 and dm-crypt, under linear volumes, throttled; on the
debugging kernel too. With LVM and LUKS themselves, on two CPUs: tests/vm/test_stacks.py
(P1, P2, P3)."""

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.disks import LATE
from tests.scenarios.lib import Device, Rig
from tests.scenarios.model import noise

pytestmark = [pytest.mark.disks(main="8M", spare="2M", other="8M", more="2M"),
              pytest.mark.not_on(*LATE, reason="where md or dm-crypt lie between, they are told, "
                                               "and md throws the disk out")]
SECTORS = 8 * 2048


def run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result


def line(rig: Rig, main: str, spare: str, sectors: int = SECTORS) -> str:
    return f"0 {sectors} remap {main} {rig.server.disk(spare).kernel_path} 0 4096"


@contextmanager
def mirror(*legs: str) -> Iterator[Device]:
    """An md raid1 whose data begins at the first sector of its legs."""
    run("mdadm", "--create", "/dev/md0", "--run", "--assume-clean", "--level=1",
        "--metadata=1.0", "--bitmap=none", "--raid-devices=2", *legs)
    device = Device("/dev/md0", "md0")
    try:
        yield device
    finally:
        device.close()
        run("mdadm", "--stop", "/dev/md0")


def write_dying(rig: Rig, device: Device, disks: list[str], seed: int,
                where: Callable[[int], int] = lambda sector: sector) -> dict[int, bytes]:
    """Writes of any size on DEVICE while sectors of DISKS die, WHERE its sectors lie on them."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    content: dict[int, bytes] = {}
    for _ in range(24):
        sector, count = rng.randrange(12000), rng.choice((1, 3, 8, 40, 129))
        for name in disks:
            rig.server.disk(name).bad(where(sector + rng.randrange(count)), kind="both")
        data = noise(rng, count)
        device.pwrite(sector, data)
        content.update({sector + i: data[i * 512:(i + 1) * 512] for i in range(count)})
    check(device, content)
    return content


def check(device: Device, content: dict[int, bytes]) -> None:
    wrong = [sector for sector, data in content.items() if device.pread(sector) != data]
    assert not wrong, wrong[:20]


def test_raid1_of_two_remaps(rig: Rig) -> None:
    """Both legs die, md hears of nothing, and each leg by itself has everything."""
    legs = {name: line(rig, str(rig.server.disk(disk).kernel_path), spare)
            for name, disk, spare in (("r0", "main", "spare"), ("r1", "other", "more"))}
    paths = [rig.create(name, table).path for name, table in legs.items()]
    with mirror(*paths) as device:
        content = write_dying(rig, device, ["main", "other"], 1)
        assert Path("/sys/block/md0/md/degraded").read_text() == "0\n"
        device.fsync()
    for name in legs:
        assert rig.status(name)["mode"] == "rw" and rig.status(name)["relocations"] > 10
    rig.powercut()
    for name, table in legs.items():
        check(rig.create(name, table), content)


def test_remap_on_raid1(rig: Rig) -> None:
    """What both legs refuse is remapped above them."""
    disks = [str(rig.server.disk(name).kernel_path) for name in ("main", "other")]
    with mirror(*disks) as below:
        table = line(rig, "/dev/md0", "spare", below.sectors() & ~7)
        r0 = rig.create(table=table)
        content = write_dying(rig, r0, ["main", "other"], 2)
        assert rig.status()["mode"] == "rw" and rig.status()["relocations"] > 10
        rig.remove()
        check(rig.create(table=table), content)
        rig.remove()


def crypt(rig: Rig, name: str, below: str) -> Device:
    """What cryptsetup makes of a whole device, without a header."""
    return rig.create(name, f"0 {SECTORS} crypt aes-xts-plain64 {'5a' * 64} 0 {below} 0")


def test_crypt_on_top(rig: Rig) -> None:
    """No sector comes back as another's ciphertext; again after a power cut."""
    table = line(rig, str(rig.main.kernel_path), "spare")
    secret = crypt(rig, "secret", rig.create(table=table).path)
    content = write_dying(rig, secret, ["main"], 3)
    assert rig.status()["mode"] == "rw" and rig.status()["relocations"] > 10
    secret.fsync()
    rig.powercut()
    check(crypt(rig, "secret", rig.create(table=table).path), content)


def test_remap_on_crypt(rig: Rig) -> None:
    """Main is encrypted by a layer that sends its own bios, later, from its own threads."""
    table = line(rig, crypt(rig, "below", str(rig.main.kernel_path)).path, "spare")
    r0 = rig.create(table=table)
    content = write_dying(rig, r0, ["main"], 4)
    assert rig.status()["mode"] == "rw" and rig.status()["relocations"] > 10
    rig.remove()
    check(rig.create(table=table), content)


def test_volumes_on_top(rig: Rig) -> None:
    """Extents as LVM lays them out: what is cut at their seams is cut again at ours."""
    r0 = rig.create(table=line(rig, str(rig.main.kernel_path), "spare"))

    def where(sector: int) -> int:
        return (sector // 4096 * 4096 + 8192) % 12288 + sector % 4096 + 3

    volume = rig.create("volume", "\n".join(f"{start} 4096 linear {r0.path} {where(start)}"
                                            for start in range(0, 12288, 4096)))
    content = write_dying(rig, volume, ["main"], 5, where)
    volume.fsync()
    assert rig.status()["mode"] == "rw" and rig.status()["relocations"] > 10
    wrong = [sector for sector, data in content.items() if r0.pread(where(sector)) != data]
    assert not wrong, wrong[:20]


RATE = 1 << 19    # bytes a second


@contextmanager
def throttled(directory: Path, *devices: str) -> Iterator[Path]:
    """This process may write RATE to, and reads are held back on, each of DEVICES."""
    directory.mkdir()
    run("mount", "-t", "cgroup2", "none", str(directory))
    group = directory / "slow"
    try:
        (directory / "cgroup.subtree_control").write_text("+io")
        group.mkdir()
        for path in devices:
            number = os.stat(path).st_rdev
            (group / "io.max").write_text(f"{os.major(number)}:{os.minor(number)} "
                                          f"wbps={RATE} riops=4000")
        (group / "cgroup.procs").write_text(str(os.getpid()))
        yield group
    finally:
        (directory / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()
        run("umount", str(directory))


def test_throttled(rig: Rig, tmp_path: Path) -> None:
    """blk-throttle holds bios back above and below: what it lets go later is still right."""
    r0 = rig.create(table=line(rig, str(rig.main.kernel_path), "spare"))
    with throttled(tmp_path / "cgroups", r0.path, str(rig.main.kernel_path)):
        start = time.monotonic()
        content = write_dying(rig, r0, ["main"], 6)
        seconds = time.monotonic() - start
    nr_bytes = 512 * len(content)
    assert seconds > 0.5 * nr_bytes / RATE, f"{nr_bytes} bytes in {seconds:.2f} s"
    assert rig.status()["mode"] == "rw" and rig.status()["relocations"] > 10
    rig.remove()
    check(rig.create(table=line(rig, str(rig.main.kernel_path), "spare")), content)
