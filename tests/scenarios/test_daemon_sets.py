# SPDX-License-Identifier: GPL-2.0-or-later
"""dm-remapd and members: activation, what stays as it is, what is told (O13, O7, O12).

There is no udevd here: what it would know of a member is put where libudev reads it.
"""

import subprocess
import time
from pathlib import Path

import pytest

from tests.scenarios.hardware import udev_record
from tests.scenarios.lib import SECTOR, Rig, drop_page_cache, wait_for
from tests.scenarios.ondisk import Spare
from tests.scenarios.remapd import running
from tests.scenarios.sets import PROGRAM, create, ext4_on_main, output, replugged, sets

pytestmark = [pytest.mark.disks(main="4M", spare="2M", other="2M"),
              pytest.mark.serials(main="MAIN1", spare="SPARE1", other="OTHER1"),
              pytest.mark.plain_only]
LATER = 7.0    # seconds after which a try that is planned was made
PATIENCE = 25.0    # and after which a set that waits has been reported


def known(rig: Rig, **roles: str) -> None:
    """What udev's prober says of these disks: main="main", other="spare"."""
    uuid = sets()[0]["uuid"]
    for disk, role in roles.items():
        place = udev_record(rig.server.disk(disk).kernel_path)
        had = place.read_text() if place.exists() else ""
        place.write_text(f"{had}E:ID_FS_TYPE=dm_remap_member\nE:DM_REMAP_UUID={uuid}\n"
                         f"E:DM_REMAP_ROLE={role}\nE:ID_FS_LABEL=data\n")


def unknown(rig: Rig, disk: str) -> None:
    udev_record(rig.server.disk(disk).kernel_path).unlink()


def state() -> str:
    found: str = sets()[0]["state"]
    return found


@pytest.fixture(autouse=True)
def a_set(rig: Rig) -> None:
    ext4_on_main(rig)
    create(rig)
    output("deactivate", "data")
    replugged()


@pytest.mark.long
def test_activated_when_members_are_there(rig: Rig, tmp_path: Path) -> None:
    """O13: a one-shot that failed is made up for; what was deactivated stays so."""
    with running(tmp_path) as daemon:
        daemon.reload()
        time.sleep(LATER)
        assert state() == "ready"    # udev has not reported a member
        known(rig, spare="spare", main="main")
        daemon.reload()
        daemon.wait_for(DM_REMAP_EVENT="loaded", DM_REMAP_NAME="data")
        wait_for(lambda: state() == "active", "the activation", 20)
        daemon.reload()
        output("deactivate", "data")
        daemon.reload()
        seen = len(daemon.hear().entries)
        time.sleep(PATIENCE)
        daemon.reload()
        assert state() == "ready"
        told = [entry for entry in daemon.hear().entries[seen:] if int(entry["PRIORITY"]) < 6]
        assert told == []    # it is wanted so
    with running(tmp_path) as daemon:    # started again: it may be so on purpose
        daemon.reload()
        time.sleep(LATER)
        assert state() == "ready"
    (tmp_path / "run" / "started").unlink()
    replugged()
    with running(tmp_path) as daemon:    # for the first time since boot
        daemon.wait_for(DM_REMAP_EVENT="loaded", DM_REMAP_NAME="data")


def test_a_copy_that_is_ignored_is_no_return(rig: Rig, tmp_path: Path) -> None:
    """By the exit code: what the command says of the copy stands before the new device's path."""
    copy = rig.server.disk("other").kernel_path
    subprocess.run(["dd", f"if={rig.spare.kernel_path}", f"of={copy}", "bs=64K", "conv=fsync",
                    "status=none"], check=True)
    known(rig, main="main", spare="spare", other="spare")
    with running(tmp_path) as daemon:
        daemon.wait_for(DM_REMAP_EVENT="loaded", DM_REMAP_NAME="data")
        wait_for(lambda: state() == "active", "the activation", 20)
        time.sleep(LATER)
        daemon.reload()
        assert sets()[0]["ignored_copies"] == 1
        assert daemon.find(DM_REMAP_EVENT="returned") == []


def test_the_reason_is_the_last_sentence(rig: Rig, tmp_path: Path) -> None:
    """Of a set that is not activated, not what is said of a copy before."""
    copy = rig.server.disk("other").kernel_path
    subprocess.run(["dd", f"if={rig.spare.kernel_path}", f"of={copy}", "bs=64K", "conv=fsync",
                    "status=none"], check=True)
    spare = Spare.of(rig)
    for replica, place in [(r, p) for r in range(2) for p in range(2)]:
        block = spare.read(replica, place, 0)
        if block.valid:
            spare.write(replica, place, 0, block.changed(152, bytes(range(16))).data)
    known(rig, main="main", spare="spare", other="spare")
    with running(tmp_path) as daemon:
        told = daemon.wait_for(DM_REMAP_EVENT="not-activated")
        assert "another host" in told["DM_REMAP_REASON"], told


@pytest.mark.long
@pytest.mark.parametrize("waited_for", [False, True], ids=["", "by-another"])
def test_a_disk_that_was_late_once_is_tried_again(rig: Rig, waited_for: bool,
                                                  tmp_path: Path) -> None:
    """Also when the daemon's own try did not ask it, because another process waits for it."""
    known(rig, main="main", spare="spare")
    drop_page_cache(str(rig.spare.kernel_path))
    rig.spare.hold("read", 0, rig.spare.size_bytes // SECTOR)
    if waited_for:
        told = subprocess.run([str(PROGRAM), "list"], capture_output=True, text=True).stdout
        assert "still waiting for it since" in told, told
    with running(tmp_path) as daemon:
        told = daemon.wait_for(DM_REMAP_EVENT="not-activated")
        assert "spare device" in told["MESSAGE"] and "does not answer" in told["MESSAGE"], told
        rig.spare.release()
        daemon.wait_for(DM_REMAP_EVENT="loaded", DM_REMAP_NAME="data")
    assert state() == "active"


@pytest.mark.long
def test_a_set_of_another_host_is_told_once(rig: Rig, tmp_path: Path) -> None:
    """O7: in the journal of the daemon, with its fields, and nothing is activated."""
    spare = Spare.of(rig)
    for replica, place in [(r, p) for r in range(2) for p in range(2)]:
        block = spare.read(replica, place, 0)
        if block.valid:
            spare.write(replica, place, 0, block.changed(152, bytes(range(16))).data)
    known(rig, main="main", spare="spare")
    with running(tmp_path) as daemon:
        told = daemon.wait_for(DM_REMAP_EVENT="not-activated")
        assert "another host" in told["MESSAGE"] and told["PRIORITY"] == "4"
        assert told["DM_REMAP_UUID"] == sets()[0]["uuid"] and told["DM_REMAP_NAME"] == "data"
        time.sleep(20)    # the patience with sets that wait is over, too
        daemon.reload()
        assert len(daemon.find(DM_REMAP_EVENT="not-activated")) == 1
        assert daemon.find(DM_REMAP_EVENT="waiting") == []
        assert state() == "foreign"


@pytest.mark.long
def test_advice_for_a_set_that_waits(rig: Rig, tmp_path: Path) -> None:
    """Nothing that destroys for a disk that may only be unplugged; of an active set nothing."""
    rig.main.fail()    # as good as unplugged
    drop_page_cache(str(rig.main.kernel_path))
    known(rig, spare="spare")
    with running(tmp_path) as daemon:
        told = daemon.wait_for(DM_REMAP_EVENT="waiting")
        assert "release" not in told["MESSAGE"]
        rig.main.back()
        drop_page_cache(str(rig.main.kernel_path))
        known(rig, main="main")
        daemon.reload()
        wait_for(lambda: state() == "active", "the activation", 20)
        unknown(rig, "spare")
        daemon.reload()
        time.sleep(PATIENCE)
        daemon.reload()
        assert len(daemon.find(DM_REMAP_EVENT="waiting")) == 1


def test_a_set_without_the_module_is_told(rig: Rig, tmp_path: Path) -> None:
    """After an upgrade of the kernel, say: nothing is remapped, and only the daemon can say so."""
    output("activate", "data", "--fallback")
    with running(tmp_path, "[smart]\ninterval = no\n") as daemon:
        told = daemon.wait_for(DM_REMAP_EVENT="health", DM_REMAP_NAME="data")
        assert told["DM_REMAP_VERDICT"] == "watch" and "fallback" in told["MESSAGE"], told
        assert not list(tmp_path.glob("*.history"))    # nothing was counted
        output("deactivate", "data")
        output("activate", "data")
        told = daemon.wait_for(DM_REMAP_EVENT="health", DM_REMAP_VERDICT="good")
        assert wait_for(lambda: list(tmp_path.glob("*.history")), "a point of the history", 60)
    output("deactivate", "data")


@pytest.mark.disks(main="4M", spare="2M", other="4M")
def test_copies_that_hang_keep_no_backup_from_renewal(rig: Rig, tmp_path: Path) -> None:
    """As on a share whose server is away: the copy is made when it is there again."""
    output("activate", "data")
    other = rig.server.disk("other")
    subprocess.run(["mkfs.ext4", "-q", "-F", str(other.kernel_path)], check=True)
    share = rig.mount(rig.raw("other"), "ext4")
    name = f"{sets()[0]['uuid']}.backup"
    backup, copy = tmp_path / name, share / name
    other.hold("write", 0, other.size_bytes // SECTOR)
    with running(tmp_path, f"[backup]\ndelay = 10\ncopies = {share}\n[watch]\npatience = 1\n"
                 "[smart]\ninterval = no\n") as daemon:
        wait_for(other.held, "the copy", 60)
        daemon.wait_for(DM_REMAP_EVENT="late")
        before = backup.read_bytes()
        output("remap", "data", "800")
        wait_for(lambda: backup.read_bytes() != before, "a new backup", 40)
        other.release()
        wait_for(lambda: copy.exists() and copy.read_bytes() == backup.read_bytes(), "the copy", 40)
