# SPDX-License-Identifier: GPL-2.0-or-later
"""The package's system-sleep hook: another system wrote a set while the machine slept (O19)."""

import os
import struct
import subprocess
from pathlib import Path

import pytest

from tests.scenarios import dm
from tests.scenarios.lib import Rig, pattern
from tests.scenarios.ondisk import Spare, seal

PROJECT = Path(__file__).resolve().parents[2]
SEQ = 32    # in the header of a block, and of a sector of the mark
pytestmark = [pytest.mark.disks(main="1M", spare="640K"), pytest.mark.plain_only]


def hook(when: str) -> str:
    path = f"{PROJECT / 'build'}:/usr/sbin:/usr/bin:/sbin:/bin"
    result = subprocess.run([PROJECT / "systemd" / "dm-remap.sleep", when, "suspend"],
                            env={**os.environ, "PATH": path}, capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, check=True)
    return result.stderr


def commit_as_another_system(rig: Rig, leap: int) -> None:
    """A newer table block with the same entries, where the next commit of it goes."""
    spare = Spare.of(rig)
    block = spare.newest(1).with_seq(spare.highest() + leap)
    for sector in [spare.next_sector(1, replica) for replica in (0, 1)]:
        rig.media("spare").write(sector, block.data)


def test_nobody_came(rig: Rig) -> None:
    """Nothing is said, changed or written, however much the set commits."""
    device = rig.create()
    for round in range(3):
        assert hook("pre") == ""
        rig.main.bad(100 + 8 * round, kind="write")
        device.pwrite(100 + 8 * round, pattern(round))
        device.fsync()
        rig.message("r0", "save")    # nothing is left to the timer
        before = rig.media("spare").whole()
        assert hook("post") == ""
        assert rig.media("spare").whole() == before and rig.status()["mode"] == "rw"


def test_a_name_with_a_space(rig: Rig) -> None:
    rig.create("my\\x20disk")
    commit_as_another_system(rig, 1)
    assert hook("post").startswith("<3>my disk: the set was changed while this machine slept")


@pytest.mark.parametrize("leap", [1, 1000])
def test_the_set_was_changed(rig: Rig, leap: int) -> None:
    """Our table is not written over theirs, nor anything by it, nor is anything read by it; as
    long as the device is open that stays so. Activated anew it is whole. The other system may
    have taken a number that the kernel has burnt."""
    device = rig.create()
    rig.main.bad(100, kind="write")
    device.pwrite(96, pattern(1, 8))
    device.fsync()
    hook("pre")
    commit_as_another_system(rig, leap)
    before = rig.media("spare").whole(), rig.media("main").whole()
    said = hook("post")
    assert said.startswith("<3>r0: the set was changed while this machine slept")
    assert rig.status()["mode"] == "fail"
    rig.suspend()
    rig.resume()
    assert rig.status()["mode"] == "fail"
    with pytest.raises(OSError):
        device.pread(100)
    for sector in (100, 400):
        with pytest.raises(OSError):
            device.pwrite(sector, pattern(2))
    with pytest.raises(OSError):
        rig.message("r0", "restore")
    rig.close()
    rig.remove()
    assert (rig.media("spare").whole(), rig.media("main").whole()) == before
    assert rig.create().pread(96, 8) == pattern(1, 8)
    assert rig.status()["mode"] == "rw"


def test_an_older_spare(rig: Rig) -> None:
    """A copy from before the last remaps was put in: nothing of it is served."""
    device = rig.create()
    older = rig.media("spare").whole()
    rig.main.bad(100, kind="write")
    device.pwrite(96, pattern(1, 8))
    device.fsync()
    rig.media("spare").write(0, older)
    assert "was changed while this machine slept" in hook("post")
    assert rig.status()["mode"] == "fail"
    with pytest.raises(OSError):
        device.pread(100)


def test_a_spare_that_cannot_be_read(rig: Rig) -> None:
    """Nothing is written to it before it is compared; main is served."""
    device = rig.create()
    rig.main.bad(100, kind="write")
    device.pwrite(96, pattern(1, 8))
    rig.spare.fail()
    assert "cannot be compared" in hook("post")
    assert rig.status()["mode"] == "meta_fail"
    device.pwrite(400, pattern(2))
    with pytest.raises(OSError):
        device.pread(100)
    rig.spare.back()
    assert hook("post") == "" and rig.status()["mode"] == "rw"
    assert device.pread(96, 8) == pattern(1, 8)


def test_a_main_that_does_not_answer(rig: Rig) -> None:
    """Its mark may be another system's by now: nothing is remapped before it can be read. What the
    mark said before is not forgotten, so one of another system is found then."""
    device = rig.create()
    rig.main.bad(100, kind="write")
    device.pwrite(96, pattern(1, 8))
    device.fsync()
    rig.main.fail()
    before = rig.media("spare").whole()
    assert "cannot be compared" in hook("post")
    assert rig.status()["mode"] == "meta_fail"
    assert any("the mark on" in line and "cannot be read" in line for line in rig.log())
    assert rig.media("spare").whole() == before
    rig.main.back()
    assert hook("post") == "" and rig.status()["mode"] == "rw"
    assert device.pread(96, 8) == pattern(1, 8)
    rig.main.fail()
    assert "cannot be compared" in hook("post")
    rig.main.back()
    mark = Spare.of(rig).entries()[0].chunk * 8
    image = rig.media("main").read(mark, 8)
    seq = struct.unpack_from("<Q", image, SEQ)[0] + 1000
    rig.media("main").write(mark, b"".join(
        seal(sector[:SEQ] + struct.pack("<Q", seq) + sector[SEQ + 8:])
        for sector in (image[at:at + 512] for at in range(0, 4096, 512))))
    assert hook("post").startswith("<3>r0: the set was changed while this machine slept")
    assert rig.status()["mode"] == "fail"


def test_two_targets(rig: Rig) -> None:
    """Each is told for itself: what precedes it in the table is no set."""
    table = rig.table()
    length = int(table.split()[1])
    dm.create("r0")
    dm.load("r0", f"0 8 error\n8 {length} {table.split(None, 2)[2]}")
    dm.resume("r0")
    commit_as_another_system(rig, 1)
    assert hook("post").startswith("<3>r0: the set was changed")
    assert dm.status("r0")[1].split()[3] == "fail"
    dm.remove("r0")
