# SPDX-License-Identifier: GPL-2.0-or-later
"""O1: tools that make something new on a disk ask or refuse when it is a member of a set,
also of one that is not active. A blank disk beside it shows that they would have done it.
"""

import os
import subprocess

import pytest

from tests.scenarios.lib import Rig
from tests.scenarios.sets import create, output, paths, run, settle

MIB = 1 << 20
pytestmark = [pytest.mark.disks(main="320M", spare="320M", blank="320M"),
              pytest.mark.serials(main="MAIN-0001", spare="SPARE-0002")]

LUKS = ["cryptsetup", "luksFormat", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000",
        "--key-file", "/proc/version", "--type"]
# That the protective MBR is why, in each tool's words.
TOLD = ("PMBR", "partition table", "device is partitioned")
# Not mkfs.vfat: it looks at no content, and overwrites whatever is there.
TOOLS = {
    "ext4": ["mkfs.ext4", "-q"],
    "xfs": ["mkfs.xfs", "-q"],
    "btrfs": ["mkfs.btrfs", "-q"],
    "pvcreate": ["pvcreate"],
    "md": ["mdadm", "--create", "/dev/md0", "--level=1", "--metadata=1.2",
           "--raid-devices=2", "DEVICE", "missing"],
    "md, metadata at the end": ["mdadm", "--create", "/dev/md0", "--level=1", "--metadata=1.0",
                                "--raid-devices=2", "DEVICE", "missing"],
    "luks1": [*LUKS, "luks1"],
    "luks2": [*LUKS, "luks2"],
}


def typed(tool: str, device: str, answer: bytes) -> tuple[int, str]:
    """At a terminal, for without one mkfs.ext4 and cryptsetup do not ask; the exit code."""
    words = TOOLS[tool]
    words = [device if word == "DEVICE" else word for word in words] if "DEVICE" in words \
        else [*words, device]
    terminal, end = os.openpty()
    try:
        os.write(terminal, answer * 3)
        process = subprocess.Popen(words, stdin=end, stdout=end, stderr=end)
        code = process.wait(60)
        return code, os.read(terminal, 1 << 16).decode()
    finally:
        os.close(terminal)
        os.close(end)


def head(path: str) -> bytes:
    with open(path, "rb") as device:
        return device.read(MIB)


@pytest.mark.parametrize("tool", TOOLS)
def test_nobody_overwrites_a_member(rig: Rig, tool: str) -> None:
    blank, main, spare = paths(rig, "blank", "main", "spare")
    code, said = typed(tool, blank, b"YES\n" if tool.startswith("luks") else b"\n")
    assert code == 0, said
    subprocess.run(["mdadm", "--stop", "/dev/md0"], capture_output=True)
    run("mkfs.ext4", "-q", "-F", "-L", "data", main)
    settle(rig)
    before = head(main)
    create(rig)
    output("deactivate", "data")
    for disk, path in ((rig.main, main), (rig.spare, spare)):
        disk.destage()
        writes = disk.stats()["writes"]
        code, said = typed(tool, path, b"n\n")
        assert code != 0 and any(words in said for words in TOLD), said
        disk.destage()
        assert disk.stats()["writes"] == writes, said
    output("activate", "data")
    assert head("/dev/mapper/data") == before
    for path in (main, spare):    # active: not even by force
        forced = subprocess.run(["mkfs.ext4", "-q", "-F", path], capture_output=True, text=True)
        assert forced.returncode != 0 and "in use" in forced.stderr, forced
