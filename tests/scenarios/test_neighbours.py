# SPDX-License-Identifier: GPL-2.0-or-later
"""remap above and below md's raid1, on the debugging kernel too. The same with LVM, LUKS and
throttling, on two CPUs, is tests/vm/test_stacks.py (P1, P2, P3)."""

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scenarios.lib import Device, Rig
from tests.scenarios.model import noise

pytestmark = pytest.mark.disks(main="8M", spare="2M", other="8M", more="2M")
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


def write_dying(rig: Rig, device: Device, disks: dict[str, int], seed: int) -> dict[int, bytes]:
    """Writes of any size on DEVICE while sectors of DISKS (name: where the data begins) die."""
    rng = random.Random(seed)
    print(f"seed {seed}")
    content: dict[int, bytes] = {}
    for _ in range(24):
        sector, count = rng.randrange(12000), rng.choice((1, 3, 8, 40, 129))
        for name, start in disks.items():
            rig.server.disk(name).bad(start + sector + rng.randrange(count), kind="both")
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
        content = write_dying(rig, device, {"main": 0, "other": 0}, 1)
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
        content = write_dying(rig, r0, {"main": 0, "other": 0}, 2)
        assert rig.status()["mode"] == "rw" and rig.status()["relocations"] > 10
        rig.remove()
        check(rig.create(table=table), content)
        rig.remove()
