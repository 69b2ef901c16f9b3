# SPDX-License-Identifier: GPL-2.0-or-later
"""What udev would know of a rig's disks, where libudev looks for it: their serial numbers.

There is no udev in User Mode Linux. @pytest.mark.serials(main="MAIN-0001") gives disks theirs
from the start of a test (see conftest.py); hardware() does so later on.
"""

import os
from pathlib import Path

from tests.scenarios.lib import Rig

DATABASE = Path("/run/udev/data")
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
