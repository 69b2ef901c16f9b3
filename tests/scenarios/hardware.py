# SPDX-License-Identifier: GPL-2.0-or-later
"""What udev would know of a rig's disks, where libudev looks for it: their serial numbers.

There is no udev in User Mode Linux. @pytest.mark.serials(main="MAIN-0001") gives disks theirs
from the start of a test (see conftest.py); hardware() does so later on. Nor is there hotplug: a
disk that is "gone" fails all I/O and is not in /sys/dev/block, which is where the command looks
whether a table's device still exists.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.scenarios.lib import Rig, drop_page_cache

DATABASE = Path("/run/udev/data")
BY_NUMBER = Path("/sys/dev/block")
NBD = 43    # the major number of a rig's disks


def udev_record(device: str | Path) -> Path:
    """The file of udev's database about a block device."""
    number = os.stat(device).st_rdev
    return DATABASE / f"b{os.major(number)}:{os.minor(number)}"


def hardware(rig: Rig, **serials: str) -> None:
    """Give disks serial numbers: main="A1…"."""
    DATABASE.mkdir(parents=True, exist_ok=True)
    for name, serial in serials.items():
        udev_record(rig.server.disk(name).kernel_path).write_text(
            f"E:ID_SERIAL_SHORT={serial}\nE:ID_MODEL=Testdisk\n")


def forget_hardware() -> None:
    for path in DATABASE.glob(f"b{NBD}:*"):
        path.unlink()


@contextlib.contextmanager
def gone(rig: Rig, name: str) -> Iterator[None]:
    """Disk NAME is unplugged; its cache is lost by the caller, if at all."""
    disk = rig.server.disk(name)
    number = disk.kernel_path.stat().st_rdev
    links = {p.name: os.readlink(p) for p in BY_NUMBER.iterdir()}
    disk.fail()
    drop_page_cache(str(disk.kernel_path))
    subprocess.run(["mount", "-t", "tmpfs", "none", str(BY_NUMBER)], check=True)
    try:
        for link, target in links.items():
            if link != f"{number >> 8}:{number & 255}":
                (BY_NUMBER / link).symlink_to(target)
        yield
    finally:
        subprocess.run(["umount", str(BY_NUMBER)], check=True)
        disk.back()
