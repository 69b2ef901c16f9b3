# SPDX-License-Identifier: GPL-2.0-or-later
"""Ten sets on one machine: how many children the daemon has at once, and what they ask.

A rig has few disks: the sets are on mapped devices, each with a part of a disk.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.hardware import DATABASE, udev_record
from tests.scenarios.lib import SECTOR, Rig, drop_page_cache, wait_for
from tests.scenarios.remapd import Daemon, running
from tests.scenarios.sets import output, replugged, sets

SETS = 10
FREE, MAIN, SPARE = 1024, 2048, 1280    # sectors: before the first member, of a member
BESIDE, ACTIVATIONS = 4, 8    # so many at once (jobs.h)
CONTROL = Path("/run/udev/control")
pytestmark = [pytest.mark.disks(main="11M", spare="8M"), pytest.mark.plain_only]


@pytest.fixture(autouse=True)
def ten_sets(rig: Rig) -> Iterator[None]:
    """They are active, and udev knows them."""
    for i in range(SETS):
        paths = [str(rig.create(f"{name}{i}", f"0 {nr} linear {disk.kernel_path} {FREE + nr * i}").path)
                 for name, disk, nr in (("m", rig.main, MAIN), ("s", rig.spare, SPARE))]
        output("create", f"set{i}", *paths, "--yes")
    records = []
    DATABASE.mkdir(parents=True, exist_ok=True)
    for found in sets():
        for role in ("main", "spare"):
            records.append(udev_record(found[role]))
            records[-1].write_text(
                f"E:ID_FS_TYPE=dm_remap_member\nE:DM_REMAP_UUID={found['uuid']}\n"
                f"E:DM_REMAP_ROLE={role}\nE:ID_FS_LABEL={found['name']}\n")
    CONTROL.touch()
    yield
    CONTROL.unlink()
    for record in records:
        record.unlink()


def children(daemon: Daemon, verb: str) -> int:
    """How many it has that carry out VERB."""
    nr = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            words = (process / "cmdline").read_text().split("\0")
        except OSError:
            continue
        nr += parent == daemon.process.pid and verb in words
    return nr


def most_children(daemon: Daemon, verb: str, seconds: float) -> int:
    wait_for(lambda: children(daemon, verb), f"a child: {verb}", 60)
    end, most = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        most = max(most, children(daemon, verb))
        time.sleep(0.1)
    return most


def test_backups_are_renewed_by_some_at_once(rig: Rig, tmp_path: Path) -> None:
    """All sets are due at the same time after a start."""
    drop_page_cache(str(rig.spare.kernel_path))
    rig.spare.hold("read", 0, rig.spare.size_bytes // SECTOR)
    with running(tmp_path, "[backup]\ndelay = 10\n[smart]\ninterval = no\n") as daemon:
        most = most_children(daemon, "backup", 5)
        rig.spare.release()
        wait_for(lambda: len(list(tmp_path.glob("*.backup"))) == SETS, "all backups", 60)
    assert 1 < most <= BESIDE


def test_sets_are_activated_by_some_at_once(rig: Rig, tmp_path: Path) -> None:
    for i in range(SETS):
        output("deactivate", f"set{i}")
    replugged()
    drop_page_cache(str(rig.spare.kernel_path))
    rig.spare.hold("read", 0, rig.spare.size_bytes // SECTOR)
    with running(tmp_path) as daemon:
        most = most_children(daemon, "activate", 5)
        rig.spare.release()
        wait_for(lambda: {found["state"] for found in sets()} == {"active"}, "the sets", 60)
    assert BESIDE < most <= ACTIVATIONS


def test_a_renewal_asks_no_other_set(rig: Rig) -> None:
    drop_page_cache(str(rig.main.kernel_path))
    before = rig.main.stats()["reads"]
    output("backup", "--renew", "set0")
    one = rig.main.stats()["reads"] - before
    output("backup", "set0")
    assert one < (rig.main.stats()["reads"] - before - one) / 2
